package feature

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// scale holds the float64 nearest to 10ⁱ⁻²², i up to 44; those from 10⁰ on are
// exact.
var scale = [...]float64{
	1e-22, 1e-21, 1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11,
	1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1,
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// decimal reads [+-] digits [. digits] [e [+-] digits] where the nearest
// float32 is certain; false leaves the field to strconv, right or wrong.
//
// Digits m below 2⁵³ are exact in float64, the power of ten and the product are
// rounded once each: d is within 2⁻⁵² of the number x, relatively, which is two
// units in its last place, or four of the smaller ones below a power of two.
// Rounding to float32 turns on the midpoint of two float32 values, the one
// pattern 1<<28 of the 29 bits that d has more. If those bits are further than
// eight units from it, no midpoint lies between d and x, and both round to the
// same float32.
func decimal(f []byte) (float32, bool) {
	if len(f) == 0 {
		return 0, false
	}
	minus := equal(f[0], '-') // signs come in no order: no branch
	i := int(minus | equal(f[0], '+'))
	var m uint64
	whole := i
	for ; i < len(f) && f[i]-'0' <= 9; i++ {
		m = 10*m + uint64(f[i]-'0')
	}
	digits, exponent := i-whole, 0
	if i < len(f) && f[i] == '.' {
		i++
		point := i
		var n int
		if m, n = fraction(m, f, i); n < 0 {
			return 0, false
		}
		i += n
		exponent = point - i
		digits -= exponent
	}
	if digits == 0 || digits > 19 || m >= 1<<53 { // 19 digits cannot overflow m
		return 0, false
	}
	if i < len(f) {
		e, ok := power(f[i:])
		if !ok {
			return 0, false
		}
		exponent += e
	}
	if m == 0 {
		return 0, true // -0 is 0
	}
	if exponent < -22 || exponent > 22 {
		return 0, false
	}
	d := float64(m) * scale[exponent+22]
	const low, near = 1<<29 - 1, 8
	if (math.Float64bits(d)-(1<<28-near))&low <= 2*near || d < 0x1p-125 || d > math.MaxFloat32 {
		return 0, false
	}
	return math.Float32frombits(math.Float32bits(float32(d)) | minus<<31), true
}

// tens are the powers of ten up to 10¹⁶.
var tens = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16}

// equal returns 1 if a is b, else 0.
func equal(a, b byte) uint32 { return (uint32(a^b) - 1) >> 31 }

// fraction appends the digits from i on to m, sixteen at most, and returns how
// many they are. It looks at the bytes behind the field where there are some, and
// returns -1 where digits go on there. Two words are read whether or not a digit
// is in the second: a branch would be guessed wrong every other time.
func fraction(m uint64, f []byte, i int) (uint64, int) {
	if i+16 > cap(f) {
		n := 0
		for ; n < 16 && i+n < len(f) && f[i+n]-'0' <= 9; n++ {
			m = 10*m + uint64(f[i+n]-'0')
		}
		return m, n
	}
	w := f[i : i+16]
	x, y := binary.LittleEndian.Uint64(w), binary.LittleEndian.Uint64(w[8:])
	n := digitsOf(x)
	k := digitsOf(y) & -(n >> 3) // 0 unless n is 8
	if n+k > len(f)-i {
		return 0, -1
	}
	return m*tens[n+k] + eight(x, n)*tens[k] + eight(y, k), n + k
}

// eight returns the value of the first n of eight digits.
func eight(x uint64, n int) uint64 {
	const zeros = 0x3030303030303030
	x = (x<<(64-8*n) | zeros>>(8*n)) & 0x0f0f0f0f0f0f0f0f // as many zeros in front as are missing
	x = x * (10<<8 + 1) >> 8 & 0x00ff00ff00ff00ff         // pairs, then fours, then all
	x = x * (100<<16 + 1) >> 16 & 0x0000ffff0000ffff
	return x * (10000<<32 + 1) >> 32
}

// digitsOf counts the digits that eight bytes begin with, the first in the
// lowest byte: neither a digit nor a digit plus 6 leaves the row of 0x30 in its
// table. A byte that carries into the next is no digit, and those after it do
// not count.
func digitsOf(x uint64) int {
	const rows, digits = 0xf0f0f0f0f0f0f0f0, 0x3030303030303030
	other := (x&rows ^ digits) | ((x+0x0606060606060606)&rows ^ digits)
	return bits.TrailingZeros64(other) / 8
}

// power reads e [+-] digits, at most three of them.
func power(f []byte) (int, bool) {
	if f[0]|0x20 != 'e' {
		return 0, false
	}
	f, sign := f[1:], 1
	if len(f) > 0 && (f[0] == '-' || f[0] == '+') {
		if f[0] == '-' {
			sign = -1
		}
		f = f[1:]
	}
	if len(f) == 0 || len(f) > 3 {
		return 0, false
	}
	e := 0
	for _, c := range f {
		if c-'0' > 9 {
			return 0, false
		}
		e = 10*e + int(c-'0')
	}
	return sign * e, true
}
