package secagg

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/koinon-eu/koinon/crypto/ring"
)

// weight is the footer's weight of every vector: one row.
const weight = 1

// vector draws the encoded vector of a node in a round, the same each time it is asked for: uniform parameters of all
// the bits, and a footer that no check refuses.
func vector(l ring.Layout, round, member int) []uint64 {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(round))
	binary.LittleEndian.PutUint64(seed[8:], uint64(member))
	random := rand.NewChaCha8(seed)
	words := make([]uint64, l.Words())
	lane := uint64(1)<<l.Bits - 1
	var used uint64
	for i := range l.Lanes {
		used |= lane << (i * l.LaneBits())
	}
	n := l.ParamWords()
	for i := range n {
		words[i] = random.Uint64() & used
	}
	if rest := l.Params % l.Lanes; rest != 0 {
		words[n-1] &= uint64(1)<<(rest*l.LaneBits()) - 1
	}
	copy(words[n:], []uint64{weight, 0, 1})
	return words
}

// plainSum adds the vectors of these members.
func plainSum(l ring.Layout, round int, members []int) []uint64 {
	total := make([]uint64, l.Words())
	for _, m := range members {
		ring.Add(total, vector(l, round, m))
	}
	return total
}
