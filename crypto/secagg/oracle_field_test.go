package secagg_test

import "math/bits"

// Arithmetic modulo 2^61 − 1 for the oracle.

func modular(v int64) uint64 {
	if v < 0 {
		return prime - uint64(-v)
	}
	return uint64(v)
}

func times(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	_, r := bits.Div64(hi, lo, prime)
	return r
}

func power(a, e uint64) uint64 {
	r := uint64(1)
	for ; e > 0; e >>= 1 {
		if e&1 == 1 {
			r = times(r, a)
		}
		a = times(a, a)
	}
	return r
}
