package train

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
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
// all others (Poisson sampling), to within 2⁻⁶⁴ and never above the rate. A row
// takes one random byte, and seven more where that leaves it open.
func draw(dst, rows []int32, rate float64, rnd io.Reader) ([]int32, error) {
	if rate >= 1 {
		return append(dst, rows...), nil
	}
	s, err := newStream(rnd)
	if err != nil {
		return nil, err
	}
	source := bufio.NewReaderSize(s, 4096)
	below := uint64(math.Ldexp(rate, 64))
	first, rest := byte(below>>56), below<<8
	for _, row := range rows {
		b, err := source.ReadByte()
		if err != nil {
			return nil, err
		}
		in := b < first
		if b == first {
			var more [8]byte
			if _, err := io.ReadFull(source, more[:7]); err != nil {
				return nil, err
			}
			in = binary.BigEndian.Uint64(more[:]) < rest
		}
		if in {
			dst = append(dst, row)
		}
	}
	return dst, nil
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
