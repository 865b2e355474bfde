package autograd

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

var sgemm = gonum.Implementation{}.Sgemm

// addBias adds the bias to each row of a matrix.
func addBias(z, bias []float32) {
	for ; len(z) >= len(bias); z = z[len(bias):] {
		row := z[:len(bias)]
		for j, b := range bias {
			row[j] += b
		}
	}
}

// rectify is max(z, 0). Which units are on is as good as random, so a branch
// would be mispredicted half of the time; the sign bit makes a mask instead.
func rectify(z []float32) {
	for i, v := range z {
		bits := math.Float32bits(v)
		z[i] = math.Float32frombits(bits &^ uint32(int32(bits)>>31))
	}
}

// linear is y = relu(x·W + b) with x batch×in and W in×units. Only the live
// rows of a batch are computed.
func (n *Net) linear(name string, in, units int, relu, needX bool) *op {
	forward := newOp(name, tensor.Shape{n.batch, units}, func(y []float32, v []input) {
		y = y[:n.live*units]
		sgemm(blas.NoTrans, blas.NoTrans, n.live, units, in, 1, v[0].f, in, v[1].f, units, 0, y, units)
		addBias(y, v[2].f)
		if relu {
			rectify(y)
		}
	}, matrix, matrix, vector)
	return forward.differentiable([]bool{needX, true, true}, func(args gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
		dz, err := grad, error(nil)
		if relu {
			if dz, err = gorgonia.ApplyOp(n.reluBack(name, units), out, grad); err != nil {
				return nil, err
			}
		}
		var dx, dw, db *gorgonia.Node
		if dw, err = gorgonia.ApplyOp(n.weightBack(name, in, units), args[0], dz); err != nil {
			return nil, err
		}
		if db, err = gorgonia.ApplyOp(n.biasBack(name, units), dz); err != nil {
			return nil, err
		}
		if needX {
			dx, err = gorgonia.ApplyOp(n.inputBack(name, in, units), dz, args[1])
		}
		return gorgonia.Nodes{dx, dw, db}, err
	})
}

// reluBack passes the gradient where the output, which is never negative, is
// above zero: where any of its bits is set.
func (n *Net) reluBack(name string, units int) *op {
	return newOp(name+" relu'", tensor.Shape{n.batch, units}, func(dz []float32, v []input) {
		y := v[0].f[:n.live*units]
		dy, dz := v[1].f[:len(y)], dz[:len(y)]
		for i, out := range y {
			bits := int32(math.Float32bits(out))
			on := uint32((bits | -bits) >> 31)
			dz[i] = math.Float32frombits(math.Float32bits(dy[i]) & on)
		}
	}, matrix, matrix)
}

// weightBack is dW = xᵀ·dz.
func (n *Net) weightBack(name string, in, units int) *op {
	return newOp(name+" dW", tensor.Shape{in, units}, func(dw []float32, v []input) {
		sgemm(blas.Trans, blas.NoTrans, in, units, n.live, 1, v[0].f, in, v[1].f, units, 0, dw, units)
	}, matrix, matrix)
}

// biasBack sums dz over the rows.
func (n *Net) biasBack(name string, units int) *op {
	return newOp(name+" db", tensor.Shape{units}, func(db []float32, v []input) {
		clear(db)
		for dz := v[0].f[:n.live*units]; len(dz) > 0; dz = dz[units:] {
			for j, d := range dz[:units] {
				db[j] += d
			}
		}
	}, matrix)
}

// inputBack is dx = dz·Wᵀ. Gonum's product by a transpose is a row of dot
// products, slow for narrow matrices, so W is transposed first.
func (n *Net) inputBack(name string, in, units int) *op {
	turned := make([]float32, in*units)
	return newOp(name+" dx", tensor.Shape{n.batch, in}, func(dx []float32, v []input) {
		w := v[1].f
		for i := range in {
			for j := range units {
				turned[j*in+i] = w[i*units+j]
			}
		}
		sgemm(blas.NoTrans, blas.NoTrans, n.live, in, units, 1, v[0].f, units, turned, in, 0, dx[:n.live*in], in)
	}, matrix, matrix)
}

// crossEntropy is the sum over live rows of log(1+e^z) − y·z. It keeps the loss
// in float64 and the derivative σ(z) − y beside its float32 result.
func (n *Net) crossEntropy() *op {
	derivative := make([]float32, n.batch)
	forward := newOp("cross-entropy", tensor.ScalarShape(), func(out []float32, v []input) {
		n.loss = 0
		for i, z := range v[0].f[:n.live] {
			z, y := float64(z), float64(v[1].f[i])
			e := math.Exp(-math.Abs(z))
			p := 1 / (1 + e)
			if z < 0 {
				p = e * p
			}
			n.loss += max(z, 0) - z*y + math.Log1p(e)
			derivative[i] = float32(p - y)
		}
		out[0] = float32(n.loss)
	}, matrix, matrix)
	back := newOp("cross-entropy dz", tensor.Shape{n.batch, 1}, func(dz []float32, v []input) {
		for i, d := range derivative[:n.live] {
			dz[i] = d * v[2].f[0]
		}
	}, matrix, scalar, scalar)
	return forward.differentiable([]bool{true, false}, func(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
		dz, err := gorgonia.ApplyOp(back, in[0], out, grad) // out: runs after the forward pass
		return gorgonia.Nodes{dz, nil}, err
	})
}
