package secaggsim

import "math/bits"

// prime is 2^61 − 1; the oracle calculates modulo it.
const prime = 2305843009213693951

func modular(v int64) uint64 {
	if v < 0 {
		return prime - uint64(-v)%prime
	}
	return uint64(v) % prime
}

func times(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	_, r := bits.Div64(hi, lo, prime)
	return r
}

func minus(a, b uint64) uint64 { return (a + prime - b) % prime }

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

func inverse(a uint64) uint64 { return power(a, prime-2) }
