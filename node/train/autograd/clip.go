package autograd

import (
	"errors"
	"fmt"
	"math"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/kernel"
)

// ErrNotFinite says that the derivative of a row is not finite, so that it
// cannot be clipped.
var ErrNotFinite = errors.New("derivative of a row is not finite")

// factor is what the derivative of some parameters is for a single row, so that
// its norm follows without it: d·xᵀ for a layer's weights and d for its bias,
// whose squares add up to (‖x‖² + ones)·‖d‖²; d itself for the vectors of a
// row's categories, which are all different ones (x nil).
type factor struct {
	x, d      []float32
	in, width int // numbers of x and d in a row
	ones      float32

	weights, table, bias part // what they are the derivatives of; a part of length 0 is not there
}

// factorOf notes the factors of a layer: its inputs and the derivative of its
// outputs before the ReLU.
func (n *Net) factorOf(f factor) { n.factors = append(n.factors, f) }

// addClipped is Add with each row's derivative scaled down to the norm clip, as
// DP-SGD wants (Abadi et al. 2016, Algorithm 1). Norms come from factors
// (Goodfellow 2015) and the derivatives between layers are scaled before those
// of the parameters are formed, so one backward pass suffices. Norms are
// computed in float32, which of a row of many numbers is a little short; sums
// that noise is measured against are those of CountClipped, which allows for it.
func (n *Net) addClipped(data arch.Batch, labels []int8, rows Rows, from, to int, clip float64) (float64, error) {
	if to-from > n.batch {
		return 0, fmt.Errorf("net: %d rows for a batch of %d", to-from, n.batch)
	}
	n.load(data, labels, rows, from, to)
	n.plan[:n.forward].run()
	n.runOnly(false)
	if err := n.scaleRows(clip); err != nil {
		return 0, err
	}
	n.runOnly(true)
	n.added = true
	return n.loss, nil
}

// runOnly runs the backward steps that write derivatives of parameters, or the
// others, which they read.
func (n *Net) runOnly(parameters bool) {
	for _, s := range n.plan[n.forward:] {
		if s.op.parameter == parameters {
			s.op.run(s.out, s.in)
		}
	}
}

// scaleRows multiplies what belongs to a row by min(1, clip/norm of its derivative).
func (n *Net) scaleRows(clip float64) error {
	total := n.squares(nil)
	for i, square := range total {
		norm := math.Sqrt(float64(square))
		if math.IsNaN(norm) || math.IsInf(norm, 0) {
			return ErrNotFinite
		}
		if norm <= clip {
			continue
		}
		less := float32(clip/norm - 1)
		for _, f := range n.factors {
			d := f.d[i*f.width : (i+1)*f.width]
			kernel.Axpy(less, d, d)
		}
	}
	return nil
}

// squares returns the squared norm of each live row's derivative. It keeps those
// of each factor's x in left, which may be nil.
func (n *Net) squares(left [][]float32) []float32 {
	if n.scratch[0] == nil {
		for i := range n.scratch {
			n.scratch[i] = make([]float32, n.batch)
		}
	}
	total, right := n.scratch[0][:n.live], n.scratch[2][:n.live]
	clear(total)
	for k, f := range n.factors {
		x := n.scratch[1][:n.live]
		if left != nil {
			x = left[k][:n.live]
		}
		clear(x)
		if f.x != nil {
			kernel.Squares(x, f.x, f.in)
		}
		kernel.Squares(right, f.d, f.width)
		// A square that float32 has no number for is lost, and x may be so long
		// that it would have counted: each is taken to be the smallest there is.
		lost := float32(f.width) * math.SmallestNonzeroFloat32
		for i, d := range right {
			total[i] += (x[i] + f.ones) * (d + lost)
		}
	}
	return total
}

// SumClipped is Sum with the derivative of each row scaled down to the norm
// clip before it is added. Category vectors, weights and biases count together.
// The loss is that of the rows as they are, and not protected.
func (e *Engine) SumClipped(data arch.Batch, labels []int8, rows Rows, clip float64, grad []float32) (float64, error) {
	return e.sum(data, rows, grad, func(n *Net, from, to int) (float64, error) {
		return n.addClipped(data, labels, rows, from, to, clip)
	})
}
