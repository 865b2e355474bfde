package shamir

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Reference: logarithm tables of GF(2^8) with generator 3.
var expTable, logTable = func() (e [255]uint8, l [256]uint8) {
	v := uint8(1)
	for i := range e {
		e[i], l[v] = v, uint8(i)
		double := v << 1
		if v&0x80 != 0 {
			double ^= 0x1b
		}
		v ^= double
	}
	return e, l
}()

func tableMul(a, b uint8) uint8 {
	if a == 0 || b == 0 {
		return 0
	}
	return expTable[(int(logTable[a])+int(logTable[b]))%255]
}

// S17: every product and inverse of the field.
func TestField(t *testing.T) {
	for a := range 256 {
		for b := range 256 {
			require.Equal(t, tableMul(uint8(a), uint8(b)), mul(uint8(a), uint8(b)))
		}
		if a != 0 {
			require.Equal(t, uint8(1), mul(uint8(a), inverse(uint8(a))))
		}
	}
	require.Equal(t, uint8(0xc1), mul(0x57, 0x83)) // FIPS 197 §4.2
	rapid.Check(t, func(r *rapid.T) {
		a, x := rapid.Uint64().Draw(r, "a"), rapid.Uint8().Draw(r, "x")
		got := mulWord(a, x)
		for i := range 8 {
			require.Equal(t, tableMul(uint8(a>>(8*i)), x), uint8(got>>(8*i)))
		}
	})
}

// tableShare evaluates one byte's polynomial with the tables.
func tableShare(secret uint8, coefficients []uint8, x uint8) uint8 {
	y, power := secret, uint8(1)
	for _, c := range coefficients {
		power = tableMul(power, x)
		y ^= tableMul(c, power)
	}
	return y
}

// S17: shares equal the reference's; any t give the secrets, any other share
// follows from them, and t−1 do not.
func TestSplitCombine(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(r, "holders")
		threshold := rapid.IntRange(1, n).Draw(r, "threshold")
		size := 8 * rapid.SampledFrom([]int{1, 2, 7, 63, 64, 65, 130}).Draw(r, "words")
		secrets := rapid.SliceOfN(rapid.Byte(), size, size).Draw(r, "secrets")
		coefficients := rapid.SliceOfN(rapid.Byte(), size*(threshold-1), size*(threshold-1)).Draw(r, "coefficients")
		xs := rapid.SliceOfNDistinct(rapid.Uint8Range(1, 255), n, n, rapid.ID[uint8]).Draw(r, "xs")
		shares, err := Split(secrets, coefficients, threshold, xs)
		require.NoError(t, err)
		for i, x := range xs {
			for at := range size {
				var c []uint8
				for d := range threshold - 1 {
					c = append(c, coefficients[d*size+at])
				}
				require.Equal(t, tableShare(secrets[at], c, x), shares[i][at])
			}
		}
		order := rapid.Permutation(indexes(n)).Draw(r, "order")
		var some [][]byte
		var at []uint8
		for _, i := range order[:threshold] {
			some, at = append(some, shares[i]), append(at, xs[i])
		}
		got, err := Combine(some, at)
		require.NoError(t, err)
		require.Equal(t, secrets, got)
		last := order[n-1]
		y, err := Interpolate(some, at, xs[last])
		require.NoError(t, err)
		require.Equal(t, shares[last], y)
	})
}

func indexes(n int) []int {
	l := make([]int, n)
	for i := range l {
		l[i] = i
	}
	return l
}

// S17: t−1 shares fit every secret: for each there is a polynomial through it.
func TestFewerSharesFitEverySecret(t *testing.T) {
	secret := []byte{42, 0, 0, 0, 0, 0, 0, 0}
	shares, err := Split(secret, []byte{7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0}, 3, []uint8{1, 2, 3})
	require.NoError(t, err)
	seen := map[uint8]bool{}
	for third := range 256 {
		got, err := Combine([][]byte{shares[0], shares[1], {uint8(third), 0, 0, 0, 0, 0, 0, 0}}, []uint8{1, 2, 3})
		require.NoError(t, err)
		seen[got[0]] = true
	}
	require.Len(t, seen, 256)
}

func TestRefused(t *testing.T) {
	good, coefficients := make([]byte, 8), make([]byte, 8)
	for _, xs := range [][]uint8{{1}, {1, 1}, {0, 1}} {
		_, err := Split(good, coefficients, 2, xs)
		require.ErrorIs(t, err, ErrPoints)
	}
	_, err := Split(good[:7], coefficients[:7], 2, []uint8{1, 2})
	require.Error(t, err)
	_, err = Split(good, coefficients[:7], 2, []uint8{1, 2})
	require.Error(t, err)
	_, err = Split(nil, nil, 1, []uint8{1})
	require.Error(t, err)
	_, err = Split(good, nil, 0, []uint8{1})
	require.Error(t, err)
	for _, xs := range [][]uint8{nil, {1}, {1, 1}, {0, 1}} {
		_, err := Combine([][]byte{good, good}, xs)
		require.ErrorIs(t, err, ErrPoints)
	}
	_, err = Combine([][]byte{good, slices.Concat(good, good)}, []uint8{1, 2})
	require.Error(t, err)
	_, err = Combine([][]byte{good[:3]}, []uint8{1})
	require.Error(t, err)
}

func BenchmarkSplit(b *testing.B) {
	secrets, xs := make([]byte, 32*16), make([]uint8, 30)
	for i := range xs {
		xs[i] = uint8(i + 1)
	}
	coefficients := make([]byte, 20*len(secrets))
	for b.Loop() { // 16 secrets, t = 21 of 30
		if _, err := Split(secrets, coefficients, 21, xs); err != nil {
			b.Fatal(err)
		}
	}
}
