package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// eachWidth runs a test with every implementation, not only the one in use.
func eachWidth(t *testing.T, test func(t *testing.T, w width)) {
	for _, w := range widths {
		t.Run(w.name(), func(t *testing.T) { test(t, w) })
	}
}

func random(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// guard makes a vector with numbers before and behind that nothing may change.
type guard struct{ all, v []float32 }

const fence = float32(1234.5)

func guarded(n int) guard {
	all := make([]float32, n+64)
	for i := range all {
		all[i] = fence
	}
	return guard{all, all[32 : 32+n : 32+n]}
}

func (g guard) intact(t require.TestingT) {
	for i := range 32 {
		require.Equal(t, fence, g.all[i])
		require.Equal(t, fence, g.all[len(g.all)-1-i])
	}
}

// reference is a product in float64, and how large rounding may make the
// difference: the sum of the magnitudes times k roundings to 24 bits.
func reference(p *product, i, j int) (sum, bound float64) {
	if p.f != nil {
		sum = float64(p.f[i*p.fRow+j])
	}
	bound = math.Abs(sum)
	for l := range p.k {
		term := float64(p.a[i*p.aRow+l*p.aCol]) * float64(p.b[l*p.bRow+j])
		sum, bound = sum+term, bound+math.Abs(term)
	}
	return max(sum, float64(p.floor)), bound * float64(p.k+1) * 0x1p-24
}

// Every tile, full and partial, is the product within the rounding of float32,
// with A as it is or transposed, and writes nothing outside of C.
func TestProducts(t *testing.T) {
	eachWidth(t, func(t *testing.T, w width) {
		rapid.Check(t, func(t *rapid.T) {
			m, n, k := rapid.IntRange(1, 40).Draw(t, "m"), rapid.IntRange(1, 70).Draw(t, "n"), rapid.IntRange(1, 20).Draw(t, "k")
			r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
			p := &product{m: m, n: n, k: k, b: random(r, k*n), bRow: n, cRow: n, floor: noFloor}
			if rapid.Bool().Draw(t, "transposed") {
				p.aRow, p.aCol = 1, m
			} else {
				p.aRow, p.aCol = k, 1
			}
			p.a = random(r, m*k)
			if rapid.Bool().Draw(t, "relu") {
				p.floor = 0
			}
			c := guarded(m * n)
			p.c = c.v
			switch rapid.IntRange(0, 2).Draw(t, "from") {
			case 0:
				p.f = random(r, n)
			case 1:
				copy(c.v, random(r, m*n))
				p.f, p.fRow = slices.Clone(c.v), n
			}
			w.product(p)
			c.intact(t)
			for i := range m {
				for j := range n {
					want, bound := reference(p, i, j)
					require.InDelta(t, want, p.c[i*n+j], bound, "%d, %d", i, j)
				}
			}
		})
	})
}

// The layers of a net, forward and backward, of every width and one to many
// rows, against products in float64.
func TestLayers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	eachWidth(t, func(t *testing.T, w width) {
		for _, s := range [][3]int{{1, 1, 1}, {3, 5, 1}, {29, 64, 128}, {13, 17, 33}, {6, 3, 8}, {12, 40, 1}} {
			rows, in, out := s[0], s[1], s[2]
			x, weights, bias, dy := random(r, rows*in), random(r, in*out), random(r, out), random(r, rows*out)
			y, dw, db, dx := guarded(rows*out), guarded(in*out), guarded(out), guarded(rows*in)
			start := random(r, in*out+out)
			copy(dw.v, start)
			copy(db.v, start[in*out:])
			w.linear(y.v, x, weights, bias, rows, in, out, false)
			w.weights(dw.v, x, dy, rows, in, out, true)
			w.sumRows(db.v, dy, rows, out, true)
			w.inputs(dx.v, dy, weights, make([]float32, in*out), rows, in, out, 0)
			for _, g := range []guard{y, dw, db, dx} {
				g.intact(t)
			}
			compare := func(got []float32, p product) {
				for i := range p.m {
					for j := range p.n {
						want, bound := reference(&p, i, j)
						require.InDelta(t, want, got[i*p.n+j], bound, "%v: %d, %d", s, i, j)
					}
				}
			}
			compare(y.v, product{m: rows, n: out, k: in, a: x, aRow: in, aCol: 1, b: weights, bRow: out, f: bias, floor: noFloor})
			compare(dw.v, product{m: in, n: out, k: rows, a: x, aRow: 1, aCol: in, b: dy, bRow: out, f: start, fRow: out, floor: noFloor})
			compare(db.v, product{m: 1, n: out, k: rows, a: one, b: dy, bRow: out, f: start[in*out:], floor: noFloor})
			w.weights(dw.v, x, dy, rows, in, out, false)
			w.sumRows(db.v, dy, rows, out, false)
			compare(dw.v, product{m: in, n: out, k: rows, a: x, aRow: 1, aCol: in, b: dy, bRow: out, floor: noFloor})
			compare(db.v, product{m: 1, n: out, k: rows, a: one, b: dy, bRow: out, floor: noFloor})
			turned := make([]float32, in*out)
			transposePortable(turned, weights, in, out, 0, 0)
			whole := slices.Clone(dx.v)
			for _, first := range []int{in / 3, in} { // the same, but for what is before first
				for i := range dx.v {
					dx.v[i] = fence
				}
				w.inputs(dx.v, dy, weights, make([]float32, in*out), rows, in, out, first)
				dx.intact(t)
				for i, v := range dx.v {
					require.Equal(t, map[bool]float32{true: fence, false: whole[i]}[i%in < first], v)
				}
			}
			copy(dx.v, whole)
			compare(dx.v, product{m: rows, n: in, k: out, a: dy, aRow: out, aCol: 1, b: turned, bRow: in, floor: noFloor})
		}
	})
	Linear(nil, nil, nil, nil, 0, 3, 3, true)
	for _, add := range []bool{true, false} {
		v := []float32{1, 2}
		Weights(v, nil, nil, 0, 2, 1, add)
		require.Equal(t, map[bool][]float32{true: {1, 2}, false: {0, 0}}[add], v)
		v = []float32{1, 2}
		Rows(v, nil, 0, 2, add)
		require.Equal(t, map[bool][]float32{true: {1, 2}, false: {0, 0}}[add], v)
	}
	Inputs(nil, nil, nil, nil, 0, 3, 3, 0)
}

// A row's results do not depend on the rows beside it.
func TestRowsAreIndependent(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const rows, in, out = 31, 19, 37
	x, weights, bias, labels := random(r, rows*in), random(r, in*out), random(r, out), make([]float32, rows)
	eachWidth(t, func(t *testing.T, w width) {
		all, z, d, loss := make([]float32, rows*out), make([]float32, rows), make([]float32, rows), make([]float32, rows)
		w.linear(all, x, weights, bias, rows, in, out, true)
		w.dots(z, x, weights[:in], 0.25)
		w.entropy(z, labels, d, loss)
		y, one := make([]float32, out), make([]float32, 3)
		for i := range rows {
			row := x[i*in : (i+1)*in]
			w.linear(y, row, weights, bias, 1, in, out, true)
			require.Equal(t, all[i*out:(i+1)*out], y)
			w.dots(one[:1], row, weights[:in], 0.25)
			w.entropy(one[:1], labels[:1], one[1:2], one[2:])
			require.Equal(t, []float32{z[i], d[i], loss[i]}, one)
		}
	})
}

// Cross-entropy against float64, far beyond where e^z overflows.
func TestCrossEntropy(t *testing.T) {
	var z, y []float32
	for v := float32(-150); v <= 150; v += 1. / 64 {
		z, y = append(z, v, v, -v*1e-3), append(y, 0, 1, 1)
	}
	z, y = append(z, 0, 1e30, -1e30), append(y, 1, 1, 0)
	eachWidth(t, func(t *testing.T, w width) {
		d, loss := guarded(len(z)), guarded(len(z))
		w.entropy(z, y, d.v, loss.v)
		d.intact(t)
		loss.intact(t)
		for i, z := range z {
			z := float64(z)
			p := 1 / (1 + math.Exp(-z))
			require.InDelta(t, p-float64(y[i]), d.v[i], 2e-7, "z %v", z)
			want := max(z, 0) - z*float64(y[i]) + math.Log1p(math.Exp(-math.Abs(z)))
			require.InDelta(t, want, loss.v[i], 3e-7*max(1, math.Abs(z)), "z %v", z)
		}
		nan := float32(math.NaN())
		w.entropy([]float32{nan}, y[:1], d.v[:1], loss.v[:1])
		require.True(t, math.IsNaN(float64(d.v[0])) && math.IsNaN(float64(loss.v[0])))
	})
	d, loss := make([]float32, len(z)-3), make([]float32, len(z)-3)
	sum := CrossEntropy(d, loss, z[:len(d)], y[:len(d)])
	require.Greater(t, sum, 0.0)
}

// Element by element: every width is plain Go within rounding, at every length.
func TestVectors(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	eachWidth(t, func(t *testing.T, w width) {
		for n := range 70 {
			x, y, z := random(r, n), random(r, n), random(r, n)
			same := func(f func(w width, v [4][]float32)) {
				var got, want [4][]float32
				var fences []guard
				for i, v := range [][]float32{x, y, z, y} {
					g := guarded(n)
					copy(g.v, v)
					fences = append(fences, g)
					got[i], want[i] = g.v, slices.Clone(v)
				}
				for i := range got[3] { // a second moment is positive, a ReLU's output not negative
					got[3][i], want[3][i] = max(got[3][i], 0), max(want[3][i], 0)
				}
				f(w, got)
				f(0, want)
				for i := range got {
					fences[i].intact(t)
					require.InDeltaSlice(t, want[i], got[i], 2e-6, "%d numbers", n)
				}
			}
			same(func(w width, v [4][]float32) { w.axpy(0.7, v[0], v[1]) })
			same(func(w width, v [4][]float32) { w.blend(v[0], v[1], v[2], 0.3, 0.2, 0.1) })
			same(func(w width, v [4][]float32) { w.reluBack(v[0], v[1], v[3]) })
			same(func(w width, v [4][]float32) {
				w.adam(v[0], v[1], v[2], v[3], &[5]float32{0.1, 0.001, 0.01, 2, 1e-3})
			})
			wide := make([]float64, n)
			w.widen(wide, x)
			w.widen(wide, x)
			for i, v := range x {
				require.Equal(t, 2*float64(v), wide[i])
			}
		}
	})
}

// Squares of rows of every length.
func TestSquares(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	eachWidth(t, func(t *testing.T, w width) {
		for k := range 70 {
			x, y := random(r, 5*k), guarded(5)
			w.squares(y.v, x, k)
			y.intact(t)
			for i, got := range y.v {
				want := 0.0
				for _, v := range x[i*k : (i+1)*k] {
					want += float64(v) * float64(v)
				}
				require.InDelta(t, want, got, 1e-5*(1+want))
			}
		}
	})
	require.Panics(t, func() { Squares(make([]float32, 2), make([]float32, 3), 2) })
}

// Rows are copied as they are, from the first and the last place of src, and
// any number of them.
func TestGather(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	eachWidth(t, func(t *testing.T, w width) {
		for _, k := range []int{0, 1, 3, 8, 16, 17, 40, 64} {
			src := random(r, 20*k)
			for n := range 40 {
				rows := make([]int32, n)
				for i := range rows {
					rows[i] = int32(r.IntN(20))
				}
				dst := guarded(n * k)
				w.gather(dst.v, src, rows, k)
				dst.intact(t)
				for i, row := range rows {
					require.Equal(t, src[int(row)*k:(int(row)+1)*k], dst.v[i*k:(i+1)*k])
				}
			}
		}
	})
	require.Panics(t, func() { Gather(make([]float32, 4), make([]float32, 4), []int32{0, 2}, 2) })
	require.Panics(t, func() { Gather(make([]float32, 3), make([]float32, 4), []int32{0, 1}, 2) })
	require.Panics(t, func() { Gather(make([]float32, 4), make([]float32, 4), []int32{0, -1}, 2) })
}

// Adam is Algorithm 1 of Kingma and Ba in float64, over several steps.
func TestAdam(t *testing.T) {
	w, m, v := []float32{1, -2, 3}, make([]float32, 3), make([]float32, 3)
	want, first, second := []float64{1, -2, 3}, make([]float64, 3), make([]float64, 3)
	for step := 1; step <= 20; step++ {
		g := []float32{float32(step), 0.5, -1e-3}
		Adam(w, g, m, v, AdamStep{Rate: 0.01, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Step: step})
		for i, g := range g {
			g := float64(g)
			first[i] = 0.9*first[i] + 0.1*g
			second[i] = 0.999*second[i] + 0.001*g*g
			a, b := first[i]/(1-math.Pow(0.9, float64(step))), second[i]/(1-math.Pow(0.999, float64(step)))
			want[i] -= 0.01 * a / (math.Sqrt(b) + 1e-8)
			require.InDelta(t, want[i], w[i], 1e-5)
		}
	}
}

// The public functions are those of the width in use, and refuse short slices.
func TestLengths(t *testing.T) {
	require.Equal(t, widths[0].name(), Name())
	short, long := make([]float32, 3), make([]float32, 64)
	for name, f := range map[string]func(){
		"axpy":    func() { Axpy(1, long, short) },
		"relu":    func() { ReLUBack(long, short, long) },
		"blend":   func() { Blend(long, long, short, 1, 1, 1) },
		"widen":   func() { Widen(make([]float64, 3), long) },
		"adam":    func() { Adam(long, long, short, long, AdamStep{Step: 1}) },
		"entropy": func() { CrossEntropy(long, long, long, short) },
		"x":       func() { Linear(long, short, long, long, 4, 4, 4, false) },
		"w":       func() { Linear(long, long, short, long, 4, 4, 4, false) },
		"bias":    func() { Linear(long, long, long, short, 4, 4, 4, false) },
		"y":       func() { Linear(short, long, long, long, 4, 4, 4, false) },
		"dots":    func() { Linear(long, short, long, long, 4, 4, 1, false) },
		"dw":      func() { Weights(short, long, long, 4, 4, 4, true) },
		"db":      func() { Rows(short, long, 4, 4, false) },
		"turned":  func() { Inputs(long, long, long, short, 4, 4, 4, 0) },
		"rows":    func() { Linear(long, long, long, long, -1, 4, 4, false) },
	} {
		require.Panics(t, f, name)
	}
}

// Every width of the machine is right; the list would be shorter if not.
func TestAllTrusted(t *testing.T) {
	require.Len(t, trusted(native()), len(native()))
	require.Equal(t, width(0), widths[len(widths)-1])
}
