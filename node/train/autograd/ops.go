package autograd

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/koinon-eu/koinon/models/kernel"
)

// layer is a dense layer of a net.
type layer struct {
	name        string
	in, units   int
	relu, needX bool
	fixed       int // of the inputs, first ones that have no derivative
	w, b        part
}

// linear is y = relu(x·W + b) with x batch×in and W in×units. Only the live
// rows of a batch are computed.
func (n *Net) linear(l layer, x *gorgonia.Node) (*gorgonia.Node, error) {
	forward := newOp(l.name, tensor.Shape{n.batch, l.units}, func(y []float32, v []input) {
		kernel.Linear(y, v[0].f, v[1].f, v[2].f, n.live, l.in, l.units, l.relu)
	}, matrix, matrix, vector)
	forward.differentiable([]bool{l.needX, true, true}, func(args gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
		dz, err := grad, error(nil)
		if l.relu {
			if dz, err = n.reluBack(l, out, grad); err != nil {
				return nil, err
			}
		}
		n.factorOf(factor{x: n.values(args[0]), d: n.values(dz), in: l.in, width: l.units, ones: 1, weights: l.w, bias: l.b})
		var dx, dw, db *gorgonia.Node
		if dw, err = n.weightBack(l, args[0], dz); err != nil {
			return nil, err
		}
		if db, err = n.biasBack(l.name, l.b, l.units, dz); err != nil {
			return nil, err
		}
		if l.needX {
			dx, err = n.inputBack(l, dz, args[1])
		}
		return gorgonia.Nodes{dx, dw, db}, err
	})
	return n.apply(forward, x, l.w.node, l.b.node)
}

// reluBack passes the gradient where the output is above zero.
func (n *Net) reluBack(l layer, y, dy *gorgonia.Node) (*gorgonia.Node, error) {
	return n.apply(newOp(l.name+" relu'", tensor.Shape{n.batch, l.units}, func(dz []float32, v []input) {
		live := n.live * l.units
		kernel.ReLUBack(dz[:live], v[1].f, v[0].f)
	}, matrix, matrix), y, dy)
}

// weightBack is xᵀ·dz, added to that of the batches before.
func (n *Net) weightBack(l layer, x, dz *gorgonia.Node) (*gorgonia.Node, error) {
	return n.apply(n.intoPart(l.w, l.name+" dW", tensor.Shape{l.in, l.units}, func(dw []float32, v []input) {
		kernel.Weights(dw, v[0].f, v[1].f, n.live, l.in, l.units, n.added)
	}, matrix, matrix), x, dz)
}

// biasBack is the sum of dz over the rows, added to that of the batches before.
func (n *Net) biasBack(name string, bias part, units int, dz *gorgonia.Node) (*gorgonia.Node, error) {
	return n.apply(n.intoPart(bias, name+" db", tensor.Shape{units}, func(db []float32, v []input) {
		kernel.Rows(db, v[0].f, n.live, units, n.added)
	}, matrix), dz)
}

// inputBack is dx = dz·Wᵀ, but for the inputs that need none.
func (n *Net) inputBack(l layer, dz, w *gorgonia.Node) (*gorgonia.Node, error) {
	turned := make([]float32, l.in*l.units)
	return n.apply(newOp(l.name+" dx", tensor.Shape{n.batch, l.in}, func(dx []float32, v []input) {
		kernel.Inputs(dx, v[0].f, v[1].f, turned, n.live, l.in, l.units, l.fixed)
	}, matrix, matrix), dz, w)
}

// cost is the sum over live rows of their loss: of cross-entropy log(1+e^z) − y·z.
// It keeps the loss in float64 and the derivative, there σ(z) − y, beside its
// float32 result.
func (n *Net) cost() *op {
	name, losses := n.lossOf()
	derivative, each := make([]float32, n.batch), make([]float32, n.batch)
	forward := newOp(name, tensor.ScalarShape(), func(out []float32, v []input) {
		n.loss = losses(derivative, each, v[0].f[:n.live], v[1].f)
		out[0] = float32(n.loss)
	}, matrix, matrix)
	back := newOp(name+" dz", tensor.Shape{n.batch, 1}, func(dz []float32, v []input) {
		for i, d := range derivative[:n.live] {
			dz[i] = d * v[2].f[0]
		}
	}, matrix, scalar, scalar)
	return forward.differentiable([]bool{true, false}, func(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
		dz, err := n.apply(back, in[0], out, grad) // out: runs after the forward pass
		return gorgonia.Nodes{dz, nil}, err
	})
}
