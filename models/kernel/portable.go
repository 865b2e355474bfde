package kernel

import "math"

// The plain Go version of everything. The loops hold no call and no branch
// that depends on values.

func (p *product) portable() {
	for i := range p.m {
		c := p.c[i*p.cRow:][:p.n]
		switch {
		case p.f == nil:
			clear(c)
		default:
			copy(c, p.f[i*p.fRow:][:p.n])
		}
		l, a := 0, p.a[i*p.aRow:]
		for ; l+4 <= p.k; l += 4 {
			fourTerms(c, a[l*p.aCol], a[(l+1)*p.aCol], a[(l+2)*p.aCol], a[(l+3)*p.aCol], p.b[l*p.bRow:], p.bRow)
		}
		for ; l < p.k; l++ {
			axpyPortable(a[l*p.aCol], p.b[l*p.bRow:][:p.n], c)
		}
		if p.floor == 0 {
			rectify(c)
		}
	}
}

// fourTerms adds four rows of B, one after the other, while a number of C is in
// a register.
func fourTerms(c []float32, a0, a1, a2, a3 float32, b []float32, row int) {
	n := len(c)
	b0, b1, b2, b3 := b[:n], b[row:][:n], b[2*row:][:n], b[3*row:][:n]
	for j, sum := range c {
		sum += a0 * b0[j]
		sum += a1 * b1[j]
		sum += a2 * b2[j]
		sum += a3 * b3[j]
		c[j] = sum
	}
}

// rectify is max(c, 0). Which are above zero is as good as random, so a branch
// would be mispredicted half of the time; the sign bit makes a mask instead.
func rectify(c []float32) {
	for i, v := range c {
		bits := math.Float32bits(v)
		c[i] = math.Float32frombits(bits &^ uint32(int32(bits)>>31))
	}
}

func axpyPortable(a float32, x, y []float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += a * v
	}
}

func blendPortable(grad, w, start []float32, scale, decay, pull float32) {
	w, start = w[:len(grad)], start[:len(grad)]
	for i, g := range grad {
		grad[i] = scale*g + decay*w[i] + pull*(w[i]-start[i])
	}
}

func widenPortable(dst []float64, src []float32) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] += float64(v)
	}
}

func reluBackPortable(dz, dy, y []float32) {
	dy, y = dy[:len(dz)], y[:len(dz)]
	for i, v := range y {
		on := uint32(-int32(math.Float32bits(v)) >> 31)
		dz[i] = math.Float32frombits(math.Float32bits(dy[i]) & on)
	}
}

func adamPortable(w, grad, m, v []float32, c *[5]float32) {
	grad, m, v = grad[:len(w)], m[:len(w)], v[:len(w)]
	for i, g := range grad {
		m[i] += c[0] * (g - m[i])
		v[i] += c[1] * (g*g - v[i])
		w[i] -= c[2] * m[i] / (float32(math.Sqrt(float64(v[i]*c[3]))) + c[4])
	}
}

func entropyPortable(z, y, d, loss []float32) {
	for i, z := range z {
		z, y := float64(z), float64(y[i])
		e := math.Exp(-math.Abs(z))
		p := 1 / (1 + e)
		if z < 0 {
			p *= e
		}
		d[i] = float32(p - y)
		loss[i] = float32(max(z, 0) - z*y + math.Log1p(e))
	}
}

func dotsPortable(y, x, w []float32, bias float32) {
	k := len(w)
	for i := range y {
		sum := float32(0)
		for j, v := range x[i*k : (i+1)*k] {
			sum += v * w[j]
		}
		y[i] = sum + bias
	}
}

func squaresPortable(y, x []float32, k int) {
	for i := range y {
		sum := float32(0)
		for _, v := range x[i*k : (i+1)*k] {
			sum += v * v
		}
		y[i] = sum
	}
}

func gatherPortable(dst, src []float32, rows []int32, k int) {
	for i, r := range rows {
		copy(dst[i*k:(i+1)*k], src[int(r)*k:(int(r)+1)*k])
	}
}

// transposePortable is t = aᵀ, but for what the first rows have in the first
// columns.
func transposePortable(t, a []float32, rows, cols, firstRows, firstCols int) {
	for i := range rows {
		from := 0
		if i < firstRows {
			from = firstCols
		}
		for j := from; j < cols; j++ {
			t[j*rows+i] = a[i*cols+j]
		}
	}
}
