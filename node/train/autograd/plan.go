package autograd

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// step is one operation of a plan, bound to the memory it reads and writes.
type step struct {
	op  *op
	out []float32
	in  []input
}

// plan is a graph's operations in an order in which each comes after those it
// reads: that in which they were made.
type plan []step

// apply puts an operation into the graph and into the plan.
func (n *Net) apply(o *op, args ...*gorgonia.Node) (*gorgonia.Node, error) {
	s := step{op: o, out: o.out.Float32s()}
	for i, node := range args {
		in, err := n.input(node)
		if err != nil {
			return nil, fmt.Errorf("%s: argument %d: %w", o.name, i, err)
		}
		s.in = append(s.in, in)
	}
	node, err := gorgonia.ApplyOp(o, args...)
	if err != nil {
		return nil, err
	}
	n.made[node] = o
	n.plan = append(n.plan, s)
	return node, nil
}

// input is where a node's value lies: in the output of an operation of ours, or
// in a tensor that stays. Anything else, such as a sum of two derivatives that
// Gorgonia has put in, has no place in a plan.
func (n *Net) input(node *gorgonia.Node) (input, error) {
	if o := n.made[node]; o != nil {
		return input{f: o.out.Float32s()}, nil
	}
	v := node.Value()
	if v == nil {
		return input{}, fmt.Errorf("%s is not one of our operations", node.Name())
	}
	return inputOf(v)
}

// values is where the numbers of a node of ours lie.
func (n *Net) values(node *gorgonia.Node) []float32 {
	in, err := n.input(node)
	if err != nil {
		return nil
	}
	return in.f
}

// intoPart makes the operation that writes the derivative of a parameter.
func (n *Net) intoPart(p part, name string, shape tensor.Shape, run func([]float32, []input), args ...argument) *op {
	o := newOpInto(n.derivative(p), name, shape, run, args...)
	o.parameter = true
	return o
}

// run goes through the operations.
func (p plan) run() {
	for i := range p {
		p[i].op.run(p[i].out, p[i].in)
	}
}
