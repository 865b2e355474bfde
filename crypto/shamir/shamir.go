// Package shamir shares secrets so that any t of n holders can put them
// together and fewer learn nothing (S17).
//
// Every byte is shared on its own over GF(2^8) with the polynomial
// x^8+x^4+x^3+x+1. Eight bytes travel in one machine word and many secrets are
// split in one pass. No branch and no table index depends on a secret; the
// holders' x-coordinates are public.
package shamir

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrPoints reports x-coordinates that are zero, repeated or too few.
var ErrPoints = errors.New("share points are zero, repeated or missing")

// Split shares secrets, len(secrets) bytes (a multiple of 8), with threshold
// t ≥ 1. coefficients holds t−1 blocks of len(secrets) bytes, the coefficients
// of degree 1, 2, …; they must be uniform and used once. Share i, of
// len(secrets) bytes, belongs to the holder at xs[i].
func Split(secrets, coefficients []byte, t int, xs []uint8) ([][]byte, error) {
	switch {
	case len(secrets) == 0 || len(secrets)%8 != 0:
		return nil, fmt.Errorf("secrets of %d bytes are not whole words", len(secrets))
	case t < 1 || len(coefficients) != (t-1)*len(secrets):
		return nil, fmt.Errorf("threshold %d with %d bytes of coefficients", t, len(coefficients))
	case len(xs) < t || !distinct(xs):
		return nil, ErrPoints
	}
	shares := make([][]byte, len(xs))
	for i, x := range xs {
		shares[i] = make([]byte, len(secrets))
		evaluate(shares[i], secrets, coefficients, x)
	}
	return shares, nil
}

// blockWords is how many words are evaluated together: they stay in the nearest
// cache while the coefficients pass by.
const blockWords = 64

// evaluate writes one holder's share: Horner's rule, highest degree first.
func evaluate(share, secrets, coefficients []byte, x uint8) {
	var y [blockWords]uint64
	defer clear(y[:])
	for off := 0; off < len(secrets); off += 8 * blockWords {
		block := y[:min(blockWords, (len(secrets)-off)/8)]
		clear(block)
		for at := len(coefficients) - len(secrets) + off; at >= 0; at -= len(secrets) {
			addWords(block, coefficients[at:])
			scale(block, x)
		}
		addWords(block, secrets[off:])
		for w, v := range block {
			binary.LittleEndian.PutUint64(share[off+8*w:], v)
		}
	}
}

func addWords(a []uint64, b []byte) {
	for w := range a {
		a[w] ^= binary.LittleEndian.Uint64(b[8*w:])
	}
}

// scale multiplies every byte of a by x. It branches on x alone, which is public.
func scale(a []uint64, x uint8) {
	var product [blockWords]uint64
	defer clear(product[:])
	r := product[:len(a)]
	for ; x != 0; x >>= 1 {
		if x&1 == 1 {
			for w := range r {
				r[w] ^= a[w]
			}
		}
		for w, v := range a {
			a[w] = double(v)
		}
	}
	copy(a, r)
}

// Combine returns the secrets from the shares of the holders at xs. It takes
// exactly the threshold's number of shares; with fewer the result is noise.
func Combine(shares [][]byte, xs []uint8) ([]byte, error) { return Interpolate(shares, xs, 0) }

// Interpolate evaluates at x the polynomial through the shares at xs; x = 0
// gives the secrets, another x the share of that holder.
func Interpolate(shares [][]byte, xs []uint8, x uint8) ([]byte, error) {
	if len(xs) == 0 || len(shares) != len(xs) || !distinct(xs) {
		return nil, ErrPoints
	}
	size := len(shares[0])
	if size == 0 || size%8 != 0 {
		return nil, fmt.Errorf("share of %d bytes is not whole words", size)
	}
	out := make([]byte, size)
	for i, share := range shares {
		if len(share) != size {
			return nil, fmt.Errorf("share has %d bytes, another %d", len(share), size)
		}
		l := lagrange(xs, i, x)
		for off := 0; off < size; off += 8 {
			y := binary.LittleEndian.Uint64(out[off:]) ^ mulWord(binary.LittleEndian.Uint64(share[off:]), l)
			binary.LittleEndian.PutUint64(out[off:], y)
		}
	}
	return out, nil
}

// lagrange is the weight of point i at x: ∏ (x − xs[j]) / (xs[i] − xs[j]) over
// j ≠ i. Subtraction is exclusive or.
func lagrange(xs []uint8, i int, x uint8) uint8 {
	num, den := uint8(1), uint8(1)
	for j, xj := range xs {
		if j != i {
			num = mul(num, x^xj)
			den = mul(den, xs[i]^xj)
		}
	}
	return mul(num, inverse(den))
}

// inverse returns a^254, the inverse of a ≠ 0.
func inverse(a uint8) uint8 {
	r := uint8(1)
	for range 7 { // 254 = 2 + 4 + … + 128
		a = mul(a, a)
		r = mul(r, a)
	}
	return r
}

func mul(a, b uint8) uint8 { return uint8(mulWord(uint64(a), b)) }

const (
	low7 = 0x7f7f7f7f7f7f7f7f
	ones = 0x0101010101010101
)

// mulWord multiplies each of the eight bytes of a by x.
func mulWord(a uint64, x uint8) uint64 {
	var r uint64
	for i := range 8 {
		r ^= a & -uint64(x>>i&1)
		a = double(a)
	}
	return r
}

// double multiplies each of the eight bytes of a by 2.
func double(a uint64) uint64 {
	carry := a >> 7 & ones
	return a&low7<<1 ^ carry*0x1b // 0x1b < 2^8: the products do not meet
}

func distinct(xs []uint8) bool {
	var seen [256]bool
	for _, x := range xs {
		if x == 0 || seen[x] {
			return false
		}
		seen[x] = true
	}
	return true
}
