package kernel

import "math"

// product is C = max(F + A·B, floor) for A of m×k and B of k×n. Each element
// is added up in the order of k, beginning with F.
type product struct {
	m, n, k    int
	a          []float32
	aRow, aCol int // element (i, l) of A is a[i·aRow + l·aCol]
	b          []float32
	bRow       int
	f          []float32 // row i from f[i·fRow]; nil is zero
	fRow       int
	c          []float32
	cRow       int
	floor      float32
}

// noFloor is below every number.
var noFloor = float32(math.Inf(-1))

// check panics where the assembly would read or write outside of a slice.
func (p *product) check() {
	if p.m < 1 || p.n < 1 || p.k < 1 || p.aRow < 0 || p.aCol < 0 || p.fRow < 0 || p.bRow < 0 || p.cRow < p.n && p.m > 1 {
		panic("kernel: bad shape")
	}
	_ = p.a[(p.m-1)*p.aRow+(p.k-1)*p.aCol]
	_ = p.b[(p.k-1)*p.bRow+p.n-1]
	_ = p.c[(p.m-1)*p.cRow+p.n-1]
	if p.f != nil {
		_ = p.f[(p.m-1)*p.fRow+p.n-1]
	}
}

// Linear is a dense layer: y = x·W + b, then max(y, 0) if relu, with x of
// rows×in, W of in×out, b of out and y of rows×out numbers. y must not overlap
// the others.
func Linear(y, x, w, b []float32, rows, in, out int, relu bool) {
	active.linear(y, x, w, b, rows, in, out, relu)
}

func (w width) linear(y, x, weights, bias []float32, rows, in, out int, relu bool) {
	if rows == 0 {
		return
	}
	if out == 1 && !relu {
		w.dots(y[:rows], x[:rows*in], weights[:in], bias[0])
		return
	}
	floor := noFloor
	if relu {
		floor = 0
	}
	w.product(&product{
		m: rows, n: out, k: in, a: x, aRow: in, aCol: 1, b: weights, bRow: out,
		f: bias, c: y, cRow: out, floor: floor,
	})
}

// Weights is dw = xᵀ·dy, the derivative of a layer's weights of in×out numbers,
// for x of rows×in and dy of rows×out. With add it is added to dw.
func Weights(dw, x, dy []float32, rows, in, out int, add bool) {
	active.weights(dw, x, dy, rows, in, out, add)
}

func (w width) weights(dw, x, dy []float32, rows, in, out int, add bool) {
	if rows == 0 {
		empty(dw[:in*out], add)
		return
	}
	p := product{k: rows, c: dw, floor: noFloor}
	if out == 1 { // dwᵀ = dyᵀ·x, so that vectors are filled
		p.m, p.n, p.a, p.aRow, p.aCol, p.b, p.bRow = 1, in, dy, rows, 1, x, in
	} else {
		p.m, p.n, p.a, p.aRow, p.aCol, p.b, p.bRow = in, out, x, 1, in, dy, out
	}
	p.cRow = p.n
	if add {
		p.f, p.fRow = dw, p.n
	}
	w.product(&p)
}

// empty makes v the sum over no rows.
func empty(v []float32, add bool) {
	if !add {
		clear(v)
	}
}

// one is the left side of a sum of rows.
var one = []float32{1}

// Rows is db = the sum of the rows of dy, rows×out numbers: the derivative of a
// bias. With add it is added to db.
func Rows(db, dy []float32, rows, out int, add bool) { active.sumRows(db, dy, rows, out, add) }

func (w width) sumRows(db, dy []float32, rows, out int, add bool) {
	if rows == 0 || out == 1 {
		empty(db[:out], add)
		for _, d := range dy[:rows*out] {
			db[0] += d
		}
		return
	}
	p := product{m: 1, n: out, k: rows, a: one, b: dy, bRow: out, c: db, cRow: out, floor: noFloor}
	if add {
		p.f = db
	}
	w.product(&p)
}

// Inputs is dx = dy·Wᵀ, the derivative of a layer's inputs, for dy of rows×out,
// W of in×out and dx of rows×in numbers. Columns before first are not computed.
// turned is scratch of in·out numbers.
func Inputs(dx, dy, w, turned []float32, rows, in, out, first int) {
	active.inputs(dx, dy, w, turned, rows, in, out, first)
}

func (w width) inputs(dx, dy, weights, turned []float32, rows, in, out, first int) {
	if rows == 0 || first == in {
		return
	}
	if out == 1 {
		turned = weights
	} else {
		w.transpose(turned[:in*out], weights[:in*out], in, out)
	}
	w.product(&product{
		m: rows, n: in - first, k: out, a: dy, aRow: out, aCol: 1, b: turned[first:], bRow: in,
		c: dx[first:], cRow: in, floor: noFloor,
	})
}
