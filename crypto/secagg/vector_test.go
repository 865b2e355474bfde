package secagg_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// BenchmarkVector is what a vector of 10 million parameters costs a member
// beside encoding and masking: the check of its range and its chunk hashes.
func BenchmarkVector(b *testing.B) {
	for name, layout := range map[string]ring.Layout{
		"bits=24": {Params: 10_000_000, Lanes: 2, Bits: 24},
		"bits=15": {Params: 10_000_000, Lanes: 3, Bits: 15},
	} {
		words := make([]uint64, layout.Words())
		footer := words[layout.ParamWords():]
		footer[0], footer[2] = 1, 1
		b.Run("CheckSum/"+name, func(b *testing.B) {
			for b.Loop() {
				require.NoError(b, secagg.CheckSum(layout, words, 1, 1000, 0))
			}
		})
		b.Run("ChunkHashes/"+name, func(b *testing.B) {
			b.SetBytes(int64(8 * len(words)))
			for b.Loop() {
				secagg.ChunkHashes(words)
			}
		})
	}
}

// S53: each hash is that of its chunk, in order, wherever the vector ends.
func TestChunkHashesOfLongVectors(t *testing.T) {
	for _, n := range []int{1, 8191, 8192, 8193, 65536, 3*65536 + 8192 + 5} {
		words := make([]uint64, n)
		for i := range words {
			words[i] = uint64(i) * 0x9e3779b97f4a7c15
		}
		hashes, data := secagg.ChunkHashes(words), ring.AppendLE(nil, words)
		require.Len(t, hashes, secagg.Chunks(n))
		for q, h := range hashes {
			require.Equal(t, secagg.ChunkHash(uint32(q), data[:secagg.ChunkBytes(n, uint32(q))]), h, "chunk %d of %d words", q, n)
			data = data[secagg.ChunkBytes(n, uint32(q)):]
		}
		require.Empty(t, data)
	}
	require.Empty(t, secagg.ChunkHashes(nil))
}

// S48: the error names the first word out of range, whichever processor finds one first.
func TestFirstLaneOutOfRangeIsNamed(t *testing.T) {
	l := ring.Layout{Params: 1_000_000, Lanes: 2, Bits: 24}
	sum := make([]uint64, l.Words())
	footer := sum[l.ParamWords():]
	footer[0], footer[2] = 1, 1
	require.NoError(t, secagg.CheckSum(l, sum, 1, 10, 0))
	sum[70_000], sum[300_000], sum[499_999] = 1<<24, 1<<63, 1<<63
	err := secagg.CheckSum(l, sum, 1, 10, 0)
	require.ErrorIs(t, err, secagg.ErrRange)
	require.ErrorContains(t, err, "parameter 140000 ")
}
