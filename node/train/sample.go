package train

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"runtime"
	"sync"
)

// stream is AES-256 in counter mode under a key of its own: the bytes of the
// source, which is the operating system in a node, at the speed that noise takes.
type stream struct{ c cipher.Stream }

func newStream(rnd io.Reader) (*stream, error) {
	var key [32]byte
	defer clear(key[:])
	if _, err := io.ReadFull(rnd, key[:]); err != nil {
		return nil, fmt.Errorf("randomness for privacy: %w", err)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return &stream{cipher.NewCTR(block, make([]byte, aes.BlockSize))}, nil
}

// Read implements io.Reader; it fills b.
func (s *stream) Read(b []byte) (int, error) {
	clear(b)
	s.c.XORKeyStream(b, b)
	return len(b), nil
}

// draw appends to dst each of the rows with probability rate, independently of
// all others (Poisson sampling), to within 2⁻⁵² and never above the rate. Words
// that are and-ed together hold, for 64 rows at a time, who passes a rate of a
// power of two above the one wanted; a number of each of them decides the rest.
func draw(dst, rows []int32, rate float64, rnd io.Reader) ([]int32, error) {
	if rate >= 1 {
		return append(dst, rows...), nil
	}
	s, err := newStream(rnd)
	if err != nil {
		return nil, err
	}
	halvings := min(maxHalvings, int(-math.Log2(rate)))
	rest, below := math.Ldexp(rate, halvings), uint64(0)
	if rest < 1 {
		below = uint64(math.Ldexp(rest, 64))
	}
	words := wordReader{s: s}
	for from := 0; from < len(rows); from += 64 {
		in := words.all(halvings)
		if n := len(rows) - from; n < 64 {
			in &= 1<<n - 1
		}
		for ; in != 0; in &= in - 1 {
			if rest >= 1 || words.all(1) < below {
				dst = append(dst, rows[from+bits.TrailingZeros64(in)])
			}
		}
	}
	return dst, nil
}

// maxHalvings is where more words cost more than numbers that are drawn for nothing.
const maxHalvings = 24

// wordReader reads a stream in blocks.
type wordReader struct {
	s    *stream
	raw  [8192]byte
	left []byte
}

// all returns the conjunction of the next n words; all ones for n = 0.
func (w *wordReader) all(n int) uint64 {
	if len(w.left) < 8*n {
		_, _ = w.s.Read(w.raw[:]) // always fills it; what was left is given up
		w.left = w.raw[:]
	}
	and := ^uint64(0)
	for i := range n {
		and &= binary.LittleEndian.Uint64(w.left[8*i:])
	}
	w.left = w.left[8*n:]
	return and
}

// eachPart calls f for 0 … n−1 on all cores.
func eachPart(n int, f func(i int) error) error {
	workers := min(n, runtime.GOMAXPROCS(0))
	errs := make([]error, workers)
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			for i := w; i < n && errs[w] == nil; i += workers {
				errs[w] = f(i)
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}
