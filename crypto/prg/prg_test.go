package prg

import (
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/koinon-eu/koinon/crypto/ring"
)

// S16: the stream is what openssl enc -aes-256-ctr makes of zeros.
func TestKnownStream(t *testing.T) {
	var key [32]byte
	for i := range key {
		key[i] = byte(i)
	}
	w := make([]uint64, 6)
	AddAt(w, key, 0, false)
	require.Equal(t, "f29000b62a499fd0a9f39a6add2e7780f05d76ae4ab99fe5a6f69b3148c2363d0ebcb5deb52c83bd08a8a935182c9199", hex.EncodeToString(ring.AppendLE(nil, w)))
}

// S16: any part at any offset equals that part of the whole; subtracting undoes.
func TestOffsets(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(0, 3*chunkWords).Draw(r, "words")
		off := rapid.Uint64Range(0, 3000).Draw(r, "offset")
		streams := []Stream{{Key: [32]byte{1}}, {Key: [32]byte{2}, Negative: true}, {Key: [32]byte{3}}}[:rapid.IntRange(0, 3).Draw(r, "streams")]
		whole, part := make([]uint64, off+uint64(n)), make([]uint64, n)
		Apply(whole, 0, streams)
		Apply(part, off, streams)
		require.Equal(t, whole[off:], part)
		for _, s := range streams {
			AddAt(part, s.Key, off, !s.Negative)
		}
		require.Equal(t, make([]uint64, n), part)
	})
}

// S9: offsets far beyond any vector still count in 128-bit blocks.
func TestFarOffset(t *testing.T) {
	a, b := make([]uint64, 1), make([]uint64, 2)
	AddAt(a, [32]byte{7}, 1<<40+1, false)
	AddAt(b, [32]byte{7}, 1<<40, false)
	require.Equal(t, b[1], a[0])
}

func TestKeyNotPrinted(t *testing.T) {
	s := Stream{Key: [32]byte{201}}
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", s, s, []Stream{s}), "201")
}
