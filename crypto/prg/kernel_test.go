package prg

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/koinon-eu/koinon/crypto/ring"
)

// reference is S16 word for word, without any of the package's code.
func reference(dst []uint64, word uint64, streams []Stream) {
	for _, s := range streams {
		block, err := aes.NewCipher(s.Key[:])
		if err != nil {
			panic(err)
		}
		var counter [16]byte
		binary.BigEndian.PutUint64(counter[8:], word/2)
		stream := make([]byte, 8*(len(dst)+1))
		cipher.NewCTR(block, counter[:]).XORKeyStream(stream, stream)
		stream = stream[8*(word%2):]
		for i := range dst {
			if w := binary.LittleEndian.Uint64(stream[8*i:]); s.Negative {
				dst[i] -= w
			} else {
				dst[i] += w
			}
		}
	}
}

// eachKernel runs a test with every kernel of the machine, not only the one in use.
func eachKernel(t *testing.T, test func(t *testing.T, k kernel)) {
	for _, k := range kernels {
		t.Run(k.name, func(t *testing.T) { test(t, k) })
	}
}

func drawStreams(t *rapid.T) []Stream {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) (s Stream) {
		copy(s.Key[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		s.Negative = rapid.Bool().Draw(t, "negative")
		return s
	}), 0, 5).Draw(t, "streams")
}

// S16: every kernel is cipher.NewCTR at any offset and length, for any number
// of streams of either sign, wherever dst lies, and touches nothing beside it.
func TestKernelsEqualCTR(t *testing.T) {
	eachKernel(t, func(t *testing.T, k kernel) {
		rapid.Check(t, func(t *rapid.T) {
			streams := drawStreams(t)
			n := rapid.IntRange(0, 2*chunkWords+groupWords).Draw(t, "words")
			word := rapid.OneOf(
				rapid.Uint64Range(0, 4*chunkWords),
				rapid.Uint64Range(0, math.MaxUint64-4*chunkWords),
			).Draw(t, "offset")
			before, after := rapid.IntRange(0, 9).Draw(t, "before"), rapid.IntRange(0, 9).Draw(t, "after")
			got := make([]uint64, before+n+after)
			for i := range got {
				got[i] = uint64(i) * 0x9e3779b97f4a7c15
			}
			want := slices.Clone(got)
			reference(want[before:before+n], word, streams)
			k.apply(got[before:before+n:before+n], word, streams)
			require.Equal(t, want, got)
		})
	})
}

// S16: block numbers beyond 16, 32 and 62 bits, and up to the last word.
func TestHighBlockNumbers(t *testing.T) {
	streams := []Stream{{Key: [32]byte{1}}, {Key: [32]byte{2}, Negative: true}}
	eachKernel(t, func(t *testing.T, k kernel) {
		for _, edge := range []uint64{1 << 17, 1 << 32, 1 << 33, 1 << 48, 1 << 63, math.MaxUint64 - 3*groupWords + 1} {
			for before := range uint64(2*groupWords + 2) {
				got, want := make([]uint64, 3*groupWords), make([]uint64, 3*groupWords)
				k.apply(got, edge-before, streams)
				reference(want, edge-before, streams)
				require.Equal(t, want, got, "offset %d − %d", edge, before)
			}
		}
	})
}

// Every kernel that the machine offers is right; the list would be shorter if not.
func TestAllKernelsTrusted(t *testing.T) {
	require.Len(t, trusted(native()), len(native()))
	require.Equal(t, kernels[0].name, Kernel())
	wrong := kernel{"wrong", func(dst []uint64, _ uint64, _ []Stream) { clear(dst) }}
	last := kernel{"last word", func(dst []uint64, word uint64, streams []Stream) {
		portable(dst, word, streams)
		dst[len(dst)-1]++
	}}
	require.Empty(t, trusted([]kernel{wrong, last}))
}

// Apply over several pieces, on several processors, is the same as in one go.
func TestPieces(t *testing.T) {
	streams := []Stream{{Key: [32]byte{1}}, {Key: [32]byte{2}, Negative: true}}
	for _, word := range []uint64{0, 77} {
		got, want := make([]uint64, 3*pieceWords+5), make([]uint64, 3*pieceWords+5)
		Apply(got, word, streams)
		reference(want, word, streams)
		require.True(t, slices.Equal(want, got), "offset %d", word)
	}
	Apply(nil, 1, streams)
	Apply(make([]uint64, 1), 1, nil)
}

// BenchmarkApply masks a million parameters for 30 peers with one processor.
// At 24 bits a word has two lanes, so one stream over one word is two
// param·peers and 8 bytes of key stream. Beside the kernels: the fastest on all
// processors; the standard library without fusing, a mask of the whole vector
// written and then added; and the ceiling, masks that lie in memory ready to be
// added.
func BenchmarkApply(b *testing.B) {
	const params, lanes, peers = 1 << 20, 2, 30
	dst := make([]uint64, params/lanes)
	streams := make([]Stream, peers)
	for i := range streams {
		streams[i] = Stream{Key: [32]byte{byte(i)}, Negative: i%2 == 1}
	}
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			f() // memory is given by the system when it is first touched
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(params*peers)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gparam·peer/s")
		})
	}
	for _, k := range kernels {
		run(k.name, func() { k.apply(dst, 0, streams) })
	}
	run("all-processors", func() { Apply(dst, 0, streams) })
	mask := make([]byte, 8*len(dst))
	run("unfused", func() {
		for i := range streams {
			clear(mask)
			newStream(&streams[i].Key, 0).XORKeyStream(mask, mask)
			ring.AddLE(dst, mask)
		}
	})
	ready := make([][]uint64, 16) // 64 MiB, more than a cache holds
	for i := range ready {
		ready[i] = slices.Repeat([]uint64{uint64(i)}, len(dst))
	}
	run("add", func() {
		for i := range peers {
			ring.Add(dst, ready[i%len(ready)])
		}
	})
}

// BenchmarkSmall masks a vector of 150 parameters for 30 peers, key schedules included.
func BenchmarkSmall(b *testing.B) {
	for _, k := range kernels {
		b.Run(fmt.Sprintf("kernel=%s", k.name), func(b *testing.B) {
			dst, streams := make([]uint64, 78), make([]Stream, 30)
			b.ReportAllocs()
			for b.Loop() {
				k.apply(dst, 0, streams)
			}
		})
	}
}
