package autograd

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// input is one argument of an operation: numbers or slots.
type input struct {
	f []float32
	i []int32
}

// op is a Gorgonia operation over fixed shapes that writes into one output it
// owns. Nothing has to be allocated, and an output stays valid until the
// operation runs again.
type op struct {
	name  string
	args  []argument
	shape tensor.Shape
	run   func(out []float32, in []input)
	// wrt says which arguments have a derivative; back makes those nodes.
	wrt  []bool
	back func(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error)

	out *tensor.Dense
	in  []input

	parameter bool // writes the derivative of a parameter
}

// argument is the type of one argument.
type argument struct {
	dims  int
	slots bool // int32 instead of float32
}

var (
	scalar = argument{dims: 0}
	vector = argument{dims: 1}
	matrix = argument{dims: 2}
	slots  = argument{dims: 2, slots: true}
)

func newOp(name string, shape tensor.Shape, run func([]float32, []input), args ...argument) *op {
	return newOpInto(make([]float32, shape.TotalSize()), name, shape, run, args...)
}

// newOpInto makes an operation whose output lies in given memory.
func newOpInto(out []float32, name string, shape tensor.Shape, run func([]float32, []input), args ...argument) *op {
	return &op{
		name: name, args: args, shape: shape, run: run, in: make([]input, len(args)),
		out: tensor.New(tensor.WithShape(shape...), tensor.WithBacking(out)),
	}
}

// differentiable adds the symbolic derivative.
func (o *op) differentiable(wrt []bool, back func(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error)) *op {
	o.wrt, o.back = wrt, back
	return o
}

// Arity implements gorgonia.Op.
func (o *op) Arity() int { return len(o.args) }

// Type implements gorgonia.Op: arguments of the stated ranks to a result.
func (o *op) Type() hm.Type {
	types := make([]hm.Type, 0, len(o.args)+1)
	for _, a := range o.args {
		of := tensor.Float32
		if a.slots {
			of = tensor.Int32
		}
		types = append(types, ranked(of, a.dims))
	}
	return hm.NewFnType(append(types, ranked(tensor.Float32, o.shape.Dims()))...)
}

func ranked(of tensor.Dtype, dims int) hm.Type {
	if dims == 0 {
		return of
	}
	return gorgonia.TensorType{Dims: dims, Of: of}
}

// InferShape implements gorgonia.Op.
func (o *op) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return o.shape, nil }

// Do implements gorgonia.Op.
func (o *op) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	if len(values) != len(o.args) {
		return nil, fmt.Errorf("%s: %d values, want %d", o.name, len(values), len(o.args))
	}
	for i, v := range values {
		in, err := inputOf(v)
		if err != nil {
			return nil, fmt.Errorf("%s: value %d: %w", o.name, i, err)
		}
		o.in[i] = in
	}
	o.run(o.out.Float32s(), o.in)
	return o.out, nil
}

func inputOf(v gorgonia.Value) (input, error) {
	switch data := v.Data().(type) {
	case []float32:
		return input{f: data}, nil
	case []int32:
		return input{i: data}, nil
	case float32:
		return input{f: []float32{data}}, nil
	}
	return input{}, fmt.Errorf("a %T", v.Data())
}

// DiffWRT implements gorgonia.SDOp.
func (o *op) DiffWRT(int) []bool {
	if o.wrt == nil {
		return make([]bool, len(o.args))
	}
	return o.wrt
}

// SymDiff implements gorgonia.SDOp.
func (o *op) SymDiff(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	if o.back == nil {
		return nil, fmt.Errorf("%s has no derivative", o.name)
	}
	return o.back(in, out, grad)
}

// ReturnsPtr implements gorgonia.Op.
func (o *op) ReturnsPtr() bool { return false }

// CallsExtern implements gorgonia.Op.
func (o *op) CallsExtern() bool { return false }

// OverwritesInput implements gorgonia.Op.
func (o *op) OverwritesInput() int { return -1 }

// WriteHash implements gorgonia.Op; names are unique within a graph.
func (o *op) WriteHash(h hash.Hash) { _, _ = h.Write([]byte(o.name)) }

// Hashcode implements gorgonia.Op.
func (o *op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// String implements gorgonia.Op.
func (o *op) String() string { return o.name }
