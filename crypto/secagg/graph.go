package secagg

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
)

const (
	// MaxComplete is the largest cohort in which everyone is everyone's
	// neighbour; larger ones run version 2 (V1).
	MaxComplete = 64
	// MaxDraws is how many graphs a member helps to draw under one plan, also
	// for batches that come to nothing (V12).
	MaxDraws = 4096
)

// graph says for each member of a cohort with whom it shares pair seeds and who
// holds shares of its seeds. Absent members are in it: they were dropped before
// the batch began (V7).
type graph struct {
	cohort Set
	near   [256]Set
}

// newGraph joins nobody.
func newGraph(cohort Set) *graph { return &graph{cohort: cohort} }

// completeGraph is the graph of version 1: everyone is everyone's neighbour.
func completeGraph(cohort Set) *graph {
	g := newGraph(cohort)
	for _, i := range cohort.Members() {
		g.near[i] = cohort.Without(i)
	}
	return g
}

// drawGraph is the union of that many random Hamiltonian cycles of the cohort,
// all taken from one stream (V8).
func drawGraph(seed [32]byte, cohort Set, cycles int) *graph {
	g := newGraph(cohort)
	s := newShuffler(seed)
	for range cycles {
		m := cohort.Members()
		s.shuffle(m)
		last := m[len(m)-1]
		for _, i := range m {
			g.join(last, i)
			last = i
		}
	}
	return g
}

func (g *graph) join(i, j uint8) {
	g.near[i], g.near[j] = g.near[i].With(j), g.near[j].With(i)
}

// holders returns who holds shares of the seeds that i deals: its neighbours
// and i itself, those present (V10).
func (g *graph) holders(i uint8, present Set) Set { return g.near[i].With(i).Intersect(present) }

// threshold returns how many shares give a seed that i deals: S5 over i and its
// neighbours, absent ones included (V10). In a complete graph that is t.
func (g *graph) threshold(i uint8) int { return Threshold(g.near[i].Len() + 1) }

// checkFed refuses a set of eligible members unless enough of each one's
// neighbourhood is among those left: what a starved one dealt could not be
// opened, and its vector might stand alone (V16). Errors wrap ErrTooFew.
func (g *graph) checkFed(eligible, left Set) error {
	for _, j := range eligible.Members() {
		if n, need := g.holders(j, left).Len(), g.threshold(j); n < need {
			return fmt.Errorf("%w: %d of the neighbourhood of %d are left, %d needed", ErrTooFew, n, j, need)
		}
	}
	return nil
}

// fed returns the largest part of a set in which nobody is starved (V15).
func (g *graph) fed(set Set) Set {
	for again := true; again; {
		again = false
		for _, j := range set.Members() {
			if g.holders(j, set).Len() < g.threshold(j) {
				set, again = set.Without(j), true
			}
		}
	}
	return set
}

// shuffler takes uniform permutations from AES-256-CTR with a zero counter
// block, one byte at a time (V8).
type shuffler struct {
	stream cipher.Stream
	buf    [512]byte
	at     int
}

func newShuffler(seed [32]byte) *shuffler {
	block, err := aes.NewCipher(seed[:])
	if err != nil {
		panic("secagg: " + err.Error()) // 32 bytes are a valid AES key
	}
	s := &shuffler{stream: cipher.NewCTR(block, make([]byte, aes.BlockSize))}
	s.at = len(s.buf)
	return s
}

func (s *shuffler) next() byte {
	if s.at == len(s.buf) {
		clear(s.buf[:])
		s.stream.XORKeyStream(s.buf[:], s.buf[:])
		s.at = 0
	}
	s.at++
	return s.buf[s.at-1]
}

// below returns a uniform number in [0, n), 1 ≤ n ≤ 256: bytes from the last,
// incomplete multiple of n are passed over.
func (s *shuffler) below(n int) int {
	for {
		if b := int(s.next()); b < 256-256%n {
			return b % n
		}
	}
}

// shuffle is Fisher and Yates, from the last place down to the second.
func (s *shuffler) shuffle(m []uint8) {
	for i := len(m) - 1; i > 0; i-- {
		j := s.below(i + 1)
		m[i], m[j] = m[j], m[i]
	}
}
