//go:build !purego

package kernel

import "golang.org/x/sys/cpu"

// native lists the widths this machine can run, widest first. The flags of
// cpu.X86 say that the operating system keeps the registers, too.
func native() (all []width) {
	x86 := &cpu.X86
	if !x86.HasAVX2 || !x86.HasFMA || !x86.HasBMI2 {
		return nil
	}
	if x86.HasAVX512F {
		all = append(all, 512)
	}
	return append(all, 256)
}

// lanes is how many numbers a vector holds.
func (w width) lanes() int { return int(w) / 32 }

// whole is how many of n numbers fill whole vectors.
func (w width) whole(n int) int {
	if w == 0 {
		return 0
	}
	return n &^ (w.lanes() - 1)
}

// zeros is what a product without F starts from: two vectors.
var zeros [32]float32

func (w width) product(p *product) {
	p.check()
	if w == 0 {
		p.portable()
		return
	}
	lanes := w.lanes()
	j := 0
	for ; j+2*lanes <= p.n; j += 2 * lanes {
		w.panel(p, j, 0)
	}
	for ; j < p.n; j += lanes {
		w.panel(p, j, min(lanes, p.n-j))
	}
}

// panel computes two vectors of columns from j on, or, if lanes is not zero,
// so many columns. The panel of B stays in a cache while the rows pass by.
func (w width) panel(p *product, j, lanes int) {
	i := 0
	if w == 512 {
		for ; i+12 <= p.m; i += 12 {
			w.tile(p, i, j, 12, lanes)
		}
	} else {
		for ; i+6 <= p.m; i += 6 {
			w.tile(p, i, j, 6, lanes)
		}
	}
	for ; i+4 <= p.m; i += 4 {
		w.tile(p, i, j, 4, lanes)
	}
	for w == 256 && i+2 <= p.m {
		w.tile(p, i, j, 2, lanes)
		i += 2
	}
	for ; i < p.m; i++ {
		w.tile(p, i, j, 1, lanes)
	}
}

// tile calls a function by its name: through a variable, what its arguments
// point to would have to live on the heap.
func (w width) tile(p *product, i, j, rows, lanes int) {
	const size = 4
	a, ra, ca := &p.a[i*p.aRow], size*p.aRow, size*p.aCol
	b, rb := &p.b[j], size*p.bRow
	c, rc := &p.c[i*p.cRow+j], size*p.cRow
	f, rf := &zeros[0], 0
	if p.f != nil {
		f, rf = &p.f[i*p.fRow+j], size*p.fRow
	}
	if w == 512 {
		switch {
		case lanes == 0 && rows == 12:
			wide512x12(p.k, a, ra, ca, b, rb, f, rf, c, rc, p.floor)
		case lanes == 0 && rows == 4:
			wide512x4(p.k, a, ra, ca, b, rb, f, rf, c, rc, p.floor)
		case lanes == 0:
			wide512x1(p.k, a, ra, ca, b, rb, f, rf, c, rc, p.floor)
		case rows == 12:
			narrow512x12(p.k, a, ra, ca, b, rb, f, rf, c, rc, p.floor, lanes)
		case rows == 4:
			narrow512x4(p.k, a, ra, ca, b, rb, f, rf, c, rc, p.floor, lanes)
		default:
			narrow512x1(p.k, a, ra, ca, b, rb, f, rf, c, rc, p.floor, lanes)
		}
		return
	}
	switch {
	case lanes == 0 && rows == 6:
		wide256x6(p.k, a, ra, ca, b, rb, f, rf, c, rc, p.floor)
	case lanes == 0 && rows == 4:
		wide256x4(p.k, a, ra, ca, b, rb, f, rf, c, rc, p.floor)
	case lanes == 0 && rows == 2:
		wide256x2(p.k, a, ra, ca, b, rb, f, rf, c, rc, p.floor)
	case lanes == 0:
		wide256x1(p.k, a, ra, ca, b, rb, f, rf, c, rc, p.floor)
	case rows == 6:
		narrow256x6(p.k, a, ra, ca, b, rb, f, rf, c, rc, p.floor, lanes)
	case rows == 4:
		narrow256x4(p.k, a, ra, ca, b, rb, f, rf, c, rc, p.floor, lanes)
	case rows == 2:
		narrow256x2(p.k, a, ra, ca, b, rb, f, rf, c, rc, p.floor, lanes)
	default:
		narrow256x1(p.k, a, ra, ca, b, rb, f, rf, c, rc, p.floor, lanes)
	}
}

func (w width) axpy(a float32, x, y []float32) {
	n := w.whole(len(x))
	if n > 0 && w == 512 {
		axpy512(n, a, &x[0], &y[0])
	} else if n > 0 {
		axpy256(n, a, &x[0], &y[0])
	}
	axpyPortable(a, x[n:], y[n:])
}

func (w width) blend(grad, weights, start []float32, scale, decay, pull float32) {
	n := w.whole(len(grad))
	if n > 0 && w == 512 {
		blend512(n, &grad[0], &weights[0], &start[0], scale, decay, pull)
	} else if n > 0 {
		blend256(n, &grad[0], &weights[0], &start[0], scale, decay, pull)
	}
	blendPortable(grad[n:], weights[n:], start[n:], scale, decay, pull)
}

func (w width) widen(dst []float64, src []float32) {
	n := w.whole(len(src))
	if n > 0 && w == 512 {
		widen512(n, &dst[0], &src[0])
	} else if n > 0 {
		widen256(n, &dst[0], &src[0])
	}
	widenPortable(dst[n:], src[n:])
}

func (w width) reluBack(dz, dy, y []float32) {
	n := w.whole(len(dz))
	if n > 0 && w == 512 {
		reluback512(n, &dz[0], &dy[0], &y[0])
	} else if n > 0 {
		reluback256(n, &dz[0], &dy[0], &y[0])
	}
	reluBackPortable(dz[n:], dy[n:], y[n:])
}

func (w width) adam(weights, grad, m, v []float32, c *[5]float32) {
	n := w.whole(len(weights))
	if n > 0 && w == 512 {
		adam512(n, &weights[0], &grad[0], &m[0], &v[0], c)
	} else if n > 0 {
		adam256(n, &weights[0], &grad[0], &m[0], &v[0], c)
	}
	adamPortable(weights[n:], grad[n:], m[n:], v[n:], c)
}

// entropy fills the last vector up, so that a row's result does not depend on
// where in the batch it stands.
func (w width) entropy(z, y, d, loss []float32) {
	if w == 0 {
		entropyPortable(z, y, d, loss)
		return
	}
	n := w.whole(len(z))
	if n > 0 {
		w.entropyVectors(n, &z[0], &y[0], &d[0], &loss[0])
	}
	if n == len(z) {
		return
	}
	var last [4][16]float32
	copy(last[0][:], z[n:])
	copy(last[1][:], y[n:])
	w.entropyVectors(w.lanes(), &last[0][0], &last[1][0], &last[2][0], &last[3][0])
	copy(d[n:], last[2][:])
	copy(loss[n:], last[3][:])
}

func (w width) entropyVectors(n int, z, y, d, loss *float32) {
	if w == 512 {
		entropy512(n, z, y, d, loss, &entropyTable)
	} else {
		entropy256(n, z, y, d, loss, &entropyTable)
	}
}

// dots is y = x·w + bias; x has a row of len(weights) numbers for each of y.
func (w width) dots(y, x, weights []float32, bias float32) {
	rows, k := len(y), len(weights)
	_ = x[:rows*k]
	switch {
	case rows == 0 || k == 0 || w == 0:
		dotsPortable(y, x, weights, bias)
	case w == 512:
		dots512(rows, k, &x[0], &weights[0], 0, &y[0], bias)
	default:
		dots256(rows, k, &x[0], &weights[0], 0, &y[0], bias)
	}
}

// lookAhead is how many rows a gather fetches before it copies them: enough for
// memory to answer, and few enough to stay in a first-level cache.
const lookAhead = 8

func (w width) gather(dst, src []float32, rows []int32, k int) {
	if w == 0 || k == 0 || len(rows) == 0 {
		gatherPortable(dst, src, rows, k)
		return
	}
	_ = dst[:len(rows)*k]
	for _, r := range rows {
		_ = src[int(r)*k : (int(r)+1)*k]
	}
	n := max(len(rows)-lookAhead, 0)
	if n > 0 {
		w.gatherRows(n, k, &dst[0], &src[0], &rows[0], &rows[lookAhead])
	}
	w.gatherRows(len(rows)-n, k, &dst[n*k], &src[0], &rows[n], &rows[n])
}

func (w width) gatherRows(n, k int, dst, src *float32, rows, ahead *int32) {
	if w == 512 {
		gather512(n, k, dst, src, rows, ahead)
	} else {
		gather256(n, k, dst, src, rows, ahead)
	}
}

// squares is y[i] = Σ x[i,j]² over a row's k numbers.
func (w width) squares(y, x []float32, k int) {
	rows := len(y)
	_ = x[:rows*k]
	switch {
	case rows == 0 || k == 0 || w == 0:
		squaresPortable(y, x, k)
	case w == 512:
		dots512(rows, k, &x[0], &x[0], 4*k, &y[0], 0)
	default:
		dots256(rows, k, &x[0], &x[0], 4*k, &y[0], 0)
	}
}

// transpose is t = aᵀ.
func (w width) transpose(t, a []float32, rows, cols int) {
	if w == 0 {
		transposePortable(t, a, rows, cols, 0, 0)
		return
	}
	r, c := rows&^7, cols&^7
	for i := 0; i < r; i += 8 {
		for j := 0; j < c; j += 8 {
			transpose8(&a[i*cols+j], 4*cols, &t[j*rows+i], 4*rows)
		}
	}
	transposePortable(t, a, rows, cols, r, c)
}
