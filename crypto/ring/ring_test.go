package ring

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func words(r *rapid.T, n int, name string) []uint64 {
	return rapid.SliceOfN(rapid.Uint64(), n, n).Draw(r, name)
}

// S28: addition in Z/2^64 is commutative and undone by subtraction.
func TestAddSub(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(r, "words")
		a, b := words(r, n, "a"), words(r, n, "b")
		sum, other := append([]uint64{}, a...), append([]uint64{}, b...)
		Add(sum, b)
		Add(other, a)
		require.Equal(t, sum, other)
		Sub(sum, b)
		require.Equal(t, a, sum)
	})
	require.Panics(t, func() { Add(make([]uint64, 1), nil) })
	require.Panics(t, func() { Sub(nil, make([]uint64, 1)) })
}

// S53: little-endian bytes, both ways.
func TestLittleEndian(t *testing.T) {
	require.Equal(t, []byte{9, 2, 1, 0, 0, 0, 0, 0, 0x80}, AppendLE([]byte{9}, []uint64{0x8000000000000102}))
	rapid.Check(t, func(r *rapid.T) {
		w := words(r, rapid.IntRange(0, 40).Draw(r, "words"), "w")
		again, err := FromLE(AppendLE(nil, w))
		require.NoError(t, err)
		require.Equal(t, w, again)
	})
	_, err := FromLE(make([]byte, 9))
	require.Error(t, err)
}

// S53: adding bytes is adding the words they hold; so is subtracting. Nothing
// after the bytes that were appended is touched.
func TestBytesOfWords(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(r, "words")
		a, b := words(r, n, "a"), words(r, n, "b")
		got, want := slices.Clone(a), slices.Clone(a)
		AddLE(got, AppendLE(nil, b))
		Add(want, b)
		require.Equal(t, want, got)
		SubLE(got, AppendLE(nil, b))
		require.Equal(t, a, got)

		room := bytes.Repeat([]byte{7}, 8*n+9)
		require.Len(t, AppendLE(room[:1], b), 8*n+1)
		require.Equal(t, byte(7), room[0])
		require.Equal(t, bytes.Repeat([]byte{7}, 8), room[8*n+1:])
	})
	require.Panics(t, func() { AddLE(make([]uint64, 1), make([]byte, 9)) })
	require.Panics(t, func() { SubLE(make([]uint64, 1), make([]byte, 7)) })
}

// S43: words of a layout.
func TestLayout(t *testing.T) {
	for _, c := range []struct {
		l           Layout
		lane, words int
	}{
		{Layout{Params: 1_000_000, Lanes: 2, Bits: 24}, 32, 500_003},
		{Layout{Params: 10_000, Lanes: 3, Bits: 15, Ints: 2}, 21, 3_339},
		{Layout{Params: 5, Lanes: 4, Bits: 10}, 16, 5},
		{Layout{Params: 4, Lanes: 4, Bits: 8}, 16, 4},
		{Layout{Ints: 7}, 0, 10},
		{Layout{Lanes: 2, Bits: 24, Ints: 7}, 32, 10},
	} {
		require.NoError(t, c.l.Validate(64))
		require.Equal(t, c.lane, c.l.LaneBits())
		require.Equal(t, c.words, c.l.Words())
	}
}

// S9, S43: layouts nobody may announce.
func TestLayoutRefused(t *testing.T) {
	for _, l := range []Layout{
		{},
		{Params: -1, Lanes: 2, Bits: 24},
		{Ints: -1},
		{Params: 1},
		{Params: 1, Lanes: 1, Bits: 24},
		{Params: 1, Lanes: 2, Bits: 32},
		{Params: 1, Lanes: 3, Bits: 16},
		{Ints: 1, Lanes: 64, Bits: 1},
		{Ints: MaxWords},
		{Params: 2 * MaxWords, Lanes: 2, Bits: 24},
		{Params: 1 << 62, Lanes: 2, Bits: 24},
		{Params: 1, Ints: 1 << 62, Lanes: 2, Bits: 24},
	} {
		require.Error(t, l.Validate(5), "%+v", l)
	}
	require.Error(t, Layout{Ints: 1}.Validate(0))
	require.NoError(t, Layout{Params: 1, Lanes: 3, Bits: 15}.Validate(64))
	require.Error(t, Layout{Params: 1, Lanes: 3, Bits: 15}.Validate(65))
}

// S43, S47: members·(2^bits − 1) fits a lane, so no lane carries.
func TestLanesDoNotCarry(t *testing.T) {
	for _, p := range lanes {
		l := Layout{Params: p.lanes, Lanes: p.lanes, Bits: p.bits}
		require.NoError(t, l.Validate(64))
		most := uint64(0)
		for lane := range p.lanes {
			most |= (1<<p.bits - 1) << (lane * l.LaneBits())
		}
		sum := []uint64{0}
		for range 64 {
			Add(sum, []uint64{most})
		}
		for lane := range p.lanes {
			require.Equal(t, uint64(64*(1<<p.bits-1)), sum[0]>>(lane*l.LaneBits())&(1<<l.LaneBits()-1))
		}
	}
}

func FuzzFromLE(f *testing.F) {
	f.Add([]byte("01234567"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if w, err := FromLE(b); err == nil {
			require.Equal(t, len(b), 8*len(w))
			require.Equal(t, b, AppendLE([]byte{}, w))
		}
	})
}
