package secagg

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/koinon-eu/koinon/crypto/parallel"
	"github.com/koinon-eu/koinon/crypto/ring"
)

// ChunkSize is the size in bytes of every chunk of a vector but the last (S53).
const ChunkSize = 65536

const (
	chunkWords = ChunkSize / 8
	maxChunks  = ring.MaxWords / chunkWords
	rangeWords = 8 * chunkWords // what one processor checks or hashes at a time
)

// Chunks returns Q = ⌈8·words / 65 536⌉ (S53).
func Chunks(words int) int { return (words + chunkWords - 1) / chunkWords }

// ChunkBytes returns the size in bytes of chunk q of a vector of that many
// words, 0 when there is no such chunk (S53).
func ChunkBytes(words int, q uint32) int {
	if int64(q) >= int64(Chunks(words)) {
		return 0
	}
	return min(8*words-int(q)*ChunkSize, ChunkSize)
}

// ChunkHash returns the Merkle leaf hash of chunk q: the leaf is
// "koinon/secagg/v1/chunk" ‖ u32 q ‖ data (S53).
func ChunkHash(q uint32, data []byte) (d [32]byte) {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write([]byte(prefix + "chunk"))
	h.Write(binary.BigEndian.AppendUint32(nil, q))
	h.Write(data)
	h.Sum(d[:0])
	return d
}

// ChunkHashes returns the leaf hashes of all chunks of a vector (S53).
func ChunkHashes(words []uint64) [][32]byte {
	hashes := make([][32]byte, Chunks(len(words)))
	parallel.Each(len(words), rangeWords, func(lo, hi int) {
		buf := make([]byte, 0, min(8*(hi-lo), ChunkSize))
		for ; lo < hi; lo += chunkWords {
			buf = ring.AppendLE(buf[:0], words[lo:min(lo+chunkWords, hi)])
			q := lo / chunkWords
			hashes[q] = ChunkHash(uint32(q), buf)
		}
	})
	return hashes
}

// SumRoot returns the Merkle root over the chunks of a vector (S53). It panics
// on an empty vector, which has no root (S4).
func SumRoot(words []uint64) [32]byte { return MerkleRoot(ChunkHashes(words)) }

// chunk is message 32: one piece of an upload.
type chunk struct {
	k     uint16
	index uint32
	data  []byte
}

func (c chunk) body() []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 6+len(c.data)), c.k)
	return append(binary.BigEndian.AppendUint32(b, c.index), c.data...)
}

func parseChunk(b []byte) (chunk, error) {
	r := reader{b: b}
	c := chunk{k: r.u16(), index: r.u32()}
	if c.data = r.take(len(r.b)); len(c.data) == 0 || len(c.data) > ChunkSize || len(c.data)%8 != 0 {
		return chunk{}, fmt.Errorf("%w: chunk of %d bytes", ErrFormat, len(c.data))
	}
	return c, r.end(TypeChunk)
}
