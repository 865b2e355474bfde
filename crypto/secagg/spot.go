package secagg

import (
	"fmt"

	"github.com/koinon-eu/koinon/crypto/prg"
	"github.com/koinon-eu/koinon/crypto/ring"
)

// Proof is one chunk of a vector with its path to the vector's root.
type Proof struct {
	Data []byte
	Path [][32]byte
}

// verify checks the chunk against a root and returns its words.
func (p Proof) verify(q uint32, words int, root [32]byte) ([]uint64, bool) {
	size := ChunkBytes(words, q)
	if size == 0 || len(p.Data) != size || !VerifyPath(ChunkHash(q, p.Data), int(q), Chunks(words), p.Path, root) {
		return nil, false
	}
	w, err := ring.FromLE(p.Data)
	return w, err == nil
}

// SpotCheck recomputes chunk q of a closed sum from the same chunk of every
// survivor's upload and the opened masks, and compares (S56). uploads has one
// entry for each survivor. Errors wrap ErrSpotCheck.
func SpotCheck(c Closed, q uint32, uploads map[uint8]Proof, sum Proof) error {
	if len(uploads) != c.Survivors.Len() {
		return fmt.Errorf("%w: chunk %d of %d uploads, %d survived", ErrSpotCheck, q, len(uploads), c.Survivors.Len())
	}
	want, ok := sum.verify(q, c.Words, c.SumRoot)
	if !ok {
		return fmt.Errorf("%w: chunk %d of the sum does not lead to its root", ErrSpotCheck, q)
	}
	total, err := c.chunk(q, uploads)
	if err != nil {
		return err
	}
	for i := range total {
		if total[i] != want[i] {
			return fmt.Errorf("%w: chunk %d, word %d", ErrSpotCheck, q, i)
		}
	}
	return nil
}

// chunk computes chunk q of the sum from that of every survivor's upload.
func (c *Closed) chunk(q uint32, uploads map[uint8]Proof) ([]uint64, error) {
	total := make([]uint64, ChunkBytes(c.Words, q)/8)
	for _, j := range c.Survivors.Members() {
		y, ok := uploads[j].verify(q, c.Words, c.Roots[j])
		if !ok {
			return nil, fmt.Errorf("%w: chunk %d of %d does not lead to its root", ErrSpotCheck, q, j)
		}
		ring.Add(total, y)
	}
	prg.Apply(total, uint64(q)*chunkWords, c.Streams)
	return total, nil
}
