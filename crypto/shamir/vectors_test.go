package shamir

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// slowMul multiplies by the definition: carry-less product, then division by
// x^8+x^4+x^3+x+1.
func slowMul(a, b uint8) uint8 {
	var product uint16
	for i := range 8 {
		if b>>i&1 == 1 {
			product ^= uint16(a) << i
		}
	}
	for i := 15; i >= 8; i-- {
		if product>>i&1 == 1 {
			product ^= 0x11b << (i - 8)
		}
	}
	return uint8(product)
}

// slowInverse looks for the inverse among all elements.
func slowInverse(a uint8) uint8 {
	for b := 1; b < 256; b++ {
		if slowMul(a, uint8(b)) == 1 {
			return uint8(b)
		}
	}
	panic("zero has no inverse")
}

// slowInterpolate evaluates at x the polynomial through (xs, ys), for one byte.
func slowInterpolate(xs, ys []uint8, x uint8) (sum uint8) {
	for i := range xs {
		term := ys[i]
		for j := range xs {
			if j != i {
				term = slowMul(term, slowMul(x^xs[j], slowInverse(xs[i]^xs[j])))
			}
		}
		sum ^= term
	}
	return sum
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// S17: the published shares of bc-shamir (the sharing of SLIP-0039, same field).
// There the shares are the values at 0, 1, 2, …, the secret is the value at 255
// and a digest with its key the value at 254.
func TestPublishedShares(t *testing.T) {
	for _, v := range []struct {
		t      int
		secret string
		shares []string // at 0, 1, 2, …
	}{
		{3, "0ff784df000c4380a5ed683f7e6e3dcf", []string{
			"00112233445566778899aabbccddeeff", "d43099fe444807c46921a4f33a2a798b", "d9ad4e3bec2e1a7485698823abf05d36",
			"0d8cf5f6ec337bc764d1866b5d07ca42", "1aa7fe3199bc5092ef3816b074cabdf2",
		}},
		{2, "204188bfa6b440a1bdfd6753ff55a8241e07af5c5be943db917e3efabc184b1a", []string{
			"2dcd14c2252dc8489af3985030e74d5a48e8eff1478ab86e65b43869bf39d556", "a1dfdd798388aada635b9974472b4fc59a32ae520c42c9f6a0af70149b882487",
			"2ee99daf727c0c7773b89a18de64497ff7476dacd1015a45f482a893f7402cef", "a2fb5414d4d96ee58a109b3ca9a84be0259d2c0f9ac92bdd3199e0eed3f1dd3e",
		}},
	} {
		secret := unhex(t, v.secret)
		n := len(v.shares) - 1
		for from := 1; from+v.t-1 <= n; from++ {
			var shares [][]byte
			var xs []uint8
			for x := from; x < from+v.t; x++ {
				shares, xs = append(shares, unhex(t, v.shares[x])), append(xs, uint8(x))
			}
			got, err := Interpolate(shares, xs, 255)
			require.NoError(t, err)
			require.Equal(t, secret, got)
			first, err := Combine(shares, xs) // the value at 0, a share there
			require.NoError(t, err)
			require.Equal(t, unhex(t, v.shares[0]), first)
			proof, err := Interpolate(shares, xs, 254)
			require.NoError(t, err)
			mac := hmac.New(sha256.New, proof[4:])
			mac.Write(secret)
			require.Equal(t, mac.Sum(nil)[:4], proof[:4])
			for at := range secret {
				ys := make([]uint8, len(shares))
				for i := range shares {
					ys[i] = shares[i][at]
				}
				require.Equal(t, secret[at], slowInterpolate(xs, ys, 255))
			}
		}
	}
}

// S17: Split, Combine and Interpolate against the slow field, up to thresholds
// and indexes of a large cohort.
func TestAgainstDefinition(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		threshold := rapid.IntRange(1, 8).Draw(r, "threshold")
		n := rapid.IntRange(threshold, threshold+3).Draw(r, "holders")
		xs := rapid.SliceOfNDistinct(rapid.Uint8Range(1, 255), n, n, rapid.ID[uint8]).Draw(r, "xs")
		secret := rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(r, "secret")
		coefficients := rapid.SliceOfN(rapid.Byte(), 8*(threshold-1), 8*(threshold-1)).Draw(r, "coefficients")
		shares, err := Split(secret, coefficients, threshold, xs)
		require.NoError(t, err)
		for i, x := range xs {
			for at := range 8 {
				y, power := secret[at], uint8(1)
				for d := range threshold - 1 {
					power = slowMul(power, x)
					y ^= slowMul(power, coefficients[8*d+at])
				}
				require.Equal(t, y, shares[i][at])
			}
		}
		at := rapid.Uint8().Draw(r, "at")
		got, err := Interpolate(shares[:threshold], xs[:threshold], at)
		require.NoError(t, err)
		for b := range 8 {
			ys := make([]uint8, threshold)
			for i := range ys {
				ys[i] = shares[i][b]
			}
			require.Equal(t, slowInterpolate(xs[:threshold], ys, at), got[b])
		}
	})
}

// S17: over all 65 536 choices of two coefficients of a byte, two of three
// shares take every pair of values exactly once, whatever the secret is. With
// t = 2 one share takes every value once.
func TestFewerSharesUniform(t *testing.T) {
	const all = 1 << 16
	both := make([]byte, 2*all)
	for i := range all {
		both[i], both[all+i] = byte(i), byte(i>>8)
	}
	for _, secret := range []byte{0, 1, 0x53, 0xff} {
		for _, xs := range [][]uint8{{1, 2, 3}, {7, 200, 255}} {
			shares, err := Split(bytes.Repeat([]byte{secret}, all), both, 3, xs)
			require.NoError(t, err)
			for _, pair := range [][2]int{{0, 1}, {0, 2}, {1, 2}} {
				seen := make([]bool, all)
				for i := range all {
					v := int(shares[pair[0]][i])<<8 | int(shares[pair[1]][i])
					require.False(t, seen[v], "secret %d: %d twice", secret, v)
					seen[v] = true
				}
			}
			single, err := Split(bytes.Repeat([]byte{secret}, 256), both[:256], 2, xs)
			require.NoError(t, err)
			for _, s := range single {
				var seen [256]bool
				for _, v := range s {
					require.False(t, seen[v])
					seen[v] = true
				}
			}
		}
	}
}

// S17: sharing is linear: shares of a ⊕ b are the shares of a ⊕ those of b.
func TestLinear(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		threshold := rapid.IntRange(1, 6).Draw(r, "threshold")
		xs := rapid.SliceOfNDistinct(rapid.Uint8Range(1, 255), threshold, 9, rapid.ID[uint8]).Draw(r, "xs")
		size := 8 * rapid.IntRange(1, 5).Draw(r, "words")
		draw := func(n int, name string) []byte { return rapid.SliceOfN(rapid.Byte(), n, n).Draw(r, name) }
		a, b := draw(size, "a"), draw(size, "b")
		ca, cb := draw(size*(threshold-1), "ca"), draw(size*(threshold-1), "cb")
		xor := func(a, b []byte) []byte {
			s := make([]byte, len(a))
			for i := range a {
				s[i] = a[i] ^ b[i]
			}
			return s
		}
		sa, err := Split(a, ca, threshold, xs)
		require.NoError(t, err)
		sb, err := Split(b, cb, threshold, xs)
		require.NoError(t, err)
		both, err := Split(xor(a, b), xor(ca, cb), threshold, xs)
		require.NoError(t, err)
		for i := range xs {
			require.Equal(t, xor(sa[i], sb[i]), both[i])
		}
	})
}

// One wrong share changes every secret it is combined into: nothing is
// corrected in silence.
func TestWrongShareShows(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		threshold := rapid.IntRange(1, 6).Draw(r, "threshold")
		xs := rapid.SliceOfNDistinct(rapid.Uint8Range(1, 255), threshold, threshold, rapid.ID[uint8]).Draw(r, "xs")
		secret := rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(r, "secret")
		shares, err := Split(secret, make([]byte, 8*(threshold-1)), threshold, xs)
		require.NoError(t, err)
		at := rapid.IntRange(0, 7).Draw(r, "at")
		shares[rapid.IntRange(0, threshold-1).Draw(r, "share")][at] ^= rapid.ByteRange(1, 255).Draw(r, "change")
		got, err := Combine(shares, xs)
		require.NoError(t, err)
		require.NotEqual(t, secret[at], got[at])
		got[at] = secret[at]
		require.Equal(t, secret, got)
	})
}
