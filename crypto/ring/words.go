package ring

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Add adds src to dst word by word modulo 2^64. It panics when the lengths differ.
func Add(dst, src []uint64) {
	if len(dst) != len(src) {
		panic("ring: Add of vectors of different length")
	}
	for i, v := range src {
		dst[i] += v
	}
}

// Sub subtracts src from dst word by word modulo 2^64. It panics when the
// lengths differ.
func Sub(dst, src []uint64) {
	if len(dst) != len(src) {
		panic("ring: Sub of vectors of different length")
	}
	for i, v := range src {
		dst[i] -= v
	}
}

// The loops over bytes take eight words at a time through array pointers: one
// check of bounds instead of eight makes them as fast as memory.

// AddLE is Add of the words that b holds, eight little-endian bytes each (S53),
// without a slice for them. It panics when b is not 8·len(dst) bytes.
func AddLE(dst []uint64, b []byte) {
	if len(b) != 8*len(dst) {
		panic("ring: AddLE of vectors of different length")
	}
	for len(dst) >= 8 && len(b) >= 64 {
		d, s := (*[8]uint64)(dst), (*[64]byte)(b)
		d[0] += binary.LittleEndian.Uint64(s[0:8])
		d[1] += binary.LittleEndian.Uint64(s[8:16])
		d[2] += binary.LittleEndian.Uint64(s[16:24])
		d[3] += binary.LittleEndian.Uint64(s[24:32])
		d[4] += binary.LittleEndian.Uint64(s[32:40])
		d[5] += binary.LittleEndian.Uint64(s[40:48])
		d[6] += binary.LittleEndian.Uint64(s[48:56])
		d[7] += binary.LittleEndian.Uint64(s[56:64])
		dst, b = dst[8:], b[64:]
	}
	for i := range dst {
		dst[i] += binary.LittleEndian.Uint64(b[8*i:])
	}
}

// SubLE is Sub of the words that b holds, as in AddLE.
func SubLE(dst []uint64, b []byte) {
	if len(b) != 8*len(dst) {
		panic("ring: SubLE of vectors of different length")
	}
	for len(dst) >= 8 && len(b) >= 64 {
		d, s := (*[8]uint64)(dst), (*[64]byte)(b)
		d[0] -= binary.LittleEndian.Uint64(s[0:8])
		d[1] -= binary.LittleEndian.Uint64(s[8:16])
		d[2] -= binary.LittleEndian.Uint64(s[16:24])
		d[3] -= binary.LittleEndian.Uint64(s[24:32])
		d[4] -= binary.LittleEndian.Uint64(s[32:40])
		d[5] -= binary.LittleEndian.Uint64(s[40:48])
		d[6] -= binary.LittleEndian.Uint64(s[48:56])
		d[7] -= binary.LittleEndian.Uint64(s[56:64])
		dst, b = dst[8:], b[64:]
	}
	for i := range dst {
		dst[i] -= binary.LittleEndian.Uint64(b[8*i:])
	}
}

// AppendLE appends the words to b, eight little-endian bytes each (S53).
func AppendLE(b []byte, w []uint64) []byte {
	n := len(b)
	b = slices.Grow(b, 8*len(w))[:n+8*len(w)]
	out := b[n:]
	for len(w) >= 8 && len(out) >= 64 {
		s, d := (*[8]uint64)(w), (*[64]byte)(out)
		binary.LittleEndian.PutUint64(d[0:8], s[0])
		binary.LittleEndian.PutUint64(d[8:16], s[1])
		binary.LittleEndian.PutUint64(d[16:24], s[2])
		binary.LittleEndian.PutUint64(d[24:32], s[3])
		binary.LittleEndian.PutUint64(d[32:40], s[4])
		binary.LittleEndian.PutUint64(d[40:48], s[5])
		binary.LittleEndian.PutUint64(d[48:56], s[6])
		binary.LittleEndian.PutUint64(d[56:64], s[7])
		w, out = w[8:], out[64:]
	}
	for i, v := range w {
		binary.LittleEndian.PutUint64(out[8*i:], v)
	}
	return b
}

// FromLE reads little-endian words (S53). It refuses a length that is not a
// multiple of eight bytes or exceeds MaxWords.
func FromLE(b []byte) ([]uint64, error) {
	if len(b)%8 != 0 {
		return nil, fmt.Errorf("vector of %d bytes is not whole words", len(b))
	}
	if len(b)/8 > MaxWords {
		return nil, fmt.Errorf("vector of %d words, more than %d", len(b)/8, MaxWords)
	}
	w := make([]uint64, len(b)/8)
	AddLE(w, b)
	return w, nil
}
