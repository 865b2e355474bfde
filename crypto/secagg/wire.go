package secagg

import (
	"encoding/binary"
	"fmt"
	"math"
)

// reader takes fixed-width fields off a body. The first failure sticks.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return make([]byte, max(0, min(n, 64)))
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) u8() uint8   { return r.take(1)[0] }
func (r *reader) u16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

// f64 refuses what is not a number or could be written in two ways.
func (r *reader) f64() float64 {
	f := math.Float64frombits(r.u64())
	if math.IsNaN(f) || math.IsInf(f, 0) || f == 0 && math.Signbit(f) {
		r.bad = true
		return 0
	}
	return f
}

func (r *reader) b32() (d [32]byte) {
	copy(d[:], r.take(32))
	return d
}

func (r *reader) set() Set {
	s := Set(r.b32())
	r.bad = r.bad || !s.valid()
	return s
}

// hashes reads n hashes; the bytes must be there before anything is allocated.
func (r *reader) hashes(n int) [][32]byte {
	if n < 0 || n > len(r.b)/32 {
		r.bad = true
		return nil
	}
	h := make([][32]byte, n)
	for i := range h {
		h[i] = r.b32()
	}
	return h
}

// path reads a Merkle path: u8 depth, then the hashes.
func (r *reader) path(most int) [][32]byte {
	n := int(r.u8())
	if n > most {
		r.bad = true
		return nil
	}
	return r.hashes(n)
}

// end reports an error unless everything was read and nothing failed (S18).
func (r *reader) end(what Type) error {
	if r.bad || len(r.b) != 0 {
		return fmt.Errorf("%w: %s", ErrFormat, what)
	}
	return nil
}

func appendF64(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(f))
}

func appendHashes(b []byte, h [][32]byte) []byte {
	for i := range h {
		b = append(b, h[i][:]...)
	}
	return b
}

func appendPath(b []byte, p [][32]byte) []byte {
	return appendHashes(append(b, uint8(len(p))), p)
}

func u16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
