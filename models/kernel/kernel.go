// Package kernel holds the inner loops of local training and scoring: products
// of matrices with what goes with them in a dense layer, cross-entropy, Adam,
// category vectors.
//
// Training works in float32. On amd64 with AVX2 and FMA, or AVX-512, assembly
// takes the place of plain Go, and its last bits differ from those of plain Go
// and between the two: a fused multiplication and addition rounds once instead
// of twice, and vectors add up in another order. On one machine the same call
// gives the same bits, however many cores there are, and no result of one row
// depends on which other rows are in the call. What two parties recompute
// (models/aggregate, models/schedule, S61) must therefore not be computed here,
// with one exception: Dense64, with which released models score, gives the
// same bits on every processor.
//
// Build with the tag purego to leave the assembly out. An implementation that
// does not reproduce the plain one at start, as on a faulty emulator, is not used.
//
// Matrices are row-major slices. Lengths that do not fit panic.
package kernel

import (
	"math"
	"slices"
)

// width is an implementation: vectors of so many bits, 0 for plain Go.
type width int

// name is what Name returns for the width.
func (w width) name() string {
	switch w {
	case 512:
		return "avx512"
	case 256:
		return "avx2"
	}
	return "portable"
}

// widths lists what this machine can run, fastest first.
var widths = append(trusted(native()), 0)

// active is the width in use.
var active = widths[0]

// Name names the implementation in use on this machine: avx512, avx2 or portable.
func Name() string { return active.name() }

// trusted leaves out every width that differs from plain Go by more than
// rounding, or at all where it may not.
func trusted(all []width) (good []width) {
	want, exact := width(0).sample(), width(0).sample64()
	for _, w := range all {
		ok := slices.Equal(exact, w.sample64())
		for i, v := range w.sample() {
			ok = ok && math.Abs(float64(v-want[i])) <= 1e-5*(1+math.Abs(float64(want[i])))
		}
		if ok {
			good = append(good, w)
		}
	}
	return good
}

// sample computes a layer of every kind of tile, its loss and an update.
func (w width) sample() []float32 {
	const rows, in, out = 27, 9, 55
	x, weights := make([]float32, rows*in), make([]float32, in*out)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	for i := range weights {
		weights[i] = float32(i%11)/8 - 0.6
	}
	labels := make([]float32, rows*out)
	for i := range labels {
		labels[i] = float32(i % 2)
	}
	y, grad := make([]float32, rows*out), make([]float32, in*out)
	w.linear(y, x, weights, weights[:out], rows, in, out, true)
	d, loss := make([]float32, len(y)), make([]float32, len(y))
	w.entropy(y, labels, d, loss)
	w.reluBack(d, d, y)
	w.weights(grad, x, d, rows, in, out, true)
	w.inputs(x, d, weights, make([]float32, len(weights)), rows, in, out, 0)
	dots := make([]float32, rows)
	w.dots(dots, x, weights[:in], 0.5)
	squares := make([]float32, rows)
	w.squares(squares, x, in)
	m, v := make([]float32, len(grad)), make([]float32, len(grad))
	w.adam(weights, grad, m, v, &[5]float32{0.1, 0.001, 0.01, 1, 1})
	var all []float32
	for _, part := range [][]float32{y, d, loss, grad, x, dots, squares, weights} {
		all = append(all, part...)
	}
	return all
}

// sample64 computes a layer in float64 whose sums depend on every rounding.
func (w width) sample64() []float64 {
	const rows, in, out = 7, 11, 71
	x, weights, y := make([]float64, rows*in), make([]float32, in*out), make([]float64, rows*out)
	for i := range x {
		x[i] = 1 / float64(i+3)
	}
	for i := range weights {
		weights[i] = 1 / float32(i%29-14)
		if i%29 == 14 {
			weights[i] = 0
		}
	}
	w.dense64(y, x, weights, weights[:out], rows, in, out, 0)
	return y
}
