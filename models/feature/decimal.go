package feature

import (
	"encoding/binary"
	"math"
)

// powers of ten that a float64 holds exactly.
var powers = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// decimal reads [+-] digits [. digits] [e [+-] digits] where the nearest
// float32 is certain; false leaves the field to strconv, right or wrong.
//
// Digits below 2⁵³ and a power of ten up to 22 are exact in float64, so that
// their quotient or product d is the float64 nearest to the number x (Clinger
// 1990). Between two float32 values lies one midpoint, itself a float64, which
// rounding to float64 cannot carry x across: if d is not the midpoint, x stands
// on the same side of it and both round to the same float32.
func decimal(f []byte) (float32, bool) {
	i := 0
	if len(f) > 0 && (f[0] == '-' || f[0] == '+') {
		i = 1
	}
	var m uint64
	whole := i
	for ; i < len(f) && f[i]-'0' <= 9; i++ {
		m = 10*m + uint64(f[i]-'0')
	}
	digits, exponent := i-whole, 0
	if i < len(f) && f[i] == '.' {
		i++
		point := i
		if i+8 <= len(f) {
			if x := binary.LittleEndian.Uint64(f[i:]); eightDigits(x) {
				m, i = 100_000_000*m+eight(x), i+8
			}
		}
		for ; i < len(f) && f[i]-'0' <= 9; i++ {
			m = 10*m + uint64(f[i]-'0')
		}
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
	d := float64(m)
	if exponent < 0 {
		d /= powers[-exponent]
	} else {
		d *= powers[exponent]
	}
	const low = 1<<29 - 1 // the bits a float32 does not have
	if math.Float64bits(d)&low == 1<<28 || d < 0x1p-126 || d > math.MaxFloat32 {
		return 0, false
	}
	if f[0] == '-' {
		d = -d
	}
	return float32(d), true
}

// eightDigits reports whether the eight bytes are digits: neither a digit nor a
// digit plus 6 leaves the row of 0x30 in its table.
func eightDigits(x uint64) bool {
	const rows, digits = 0xf0f0f0f0f0f0f0f0, 0x3030303030303030
	return x&rows == digits && (x+0x0606060606060606)&rows == digits
}

// eight reads eight digits, the first in the lowest byte: pairs, then fours, then
// all of them.
func eight(x uint64) uint64 {
	x = x & 0x0f0f0f0f0f0f0f0f * (10<<8 + 1) >> 8
	x = x & 0x00ff00ff00ff00ff * (100<<16 + 1) >> 16
	return x & 0x0000ffff0000ffff * (10000<<32 + 1) >> 32
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
