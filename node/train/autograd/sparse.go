package autograd

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// span says where the vectors of one category stand in the flat table.
type span struct{ offset, length int }

// gather builds an MLP's input rows: the numbers, then for each category the
// vector of its slot. The derivative of the table touches only the slots that
// occur; everything else in it stays zero (see Net.drain).
func (n *Net) gather(width int) *op {
	k, cats := n.shape.Numbers, len(n.spans)
	args := n.inputs(vector)
	forward := newOp("gather", tensor.Shape{n.batch, width}, func(out []float32, v []input) {
		x, c, table := n.split(v)
		for i := range n.live {
			row := out[i*width : (i+1)*width]
			copy(row, x[i*k:(i+1)*k])
			at := k
			for j, slot := range c[i*cats : (i+1)*cats] {
				s := n.spans[j]
				from := s.offset + int(slot)*s.length
				at += copy(row[at:], table[from:from+s.length])
			}
		}
	}, args...)
	return forward.differentiable(onlyLast(len(args), cats > 0), func(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
		derivatives := make(gorgonia.Nodes, len(args))
		if cats == 0 {
			return derivatives, nil
		}
		scatter := newOp("gather dtable", tensor.Shape{n.tableLen}, func(table []float32, v []input) {
			c, dy := v[0].i, v[1].f
			for i := range n.live {
				row := dy[i*width+k : (i+1)*width]
				for j, slot := range c[i*cats : (i+1)*cats] {
					s := n.spans[j]
					target := table[s.offset+int(slot)*s.length:][:s.length]
					for l, d := range row[:s.length] {
						target[l] += d
					}
					row = row[s.length:]
				}
			}
		}, slots, matrix)
		node, err := gorgonia.ApplyOp(scatter, in[len(in)-2], grad)
		derivatives[len(in)-1] = node
		return derivatives, err
	})
}

// onlyLast marks the last of n arguments as differentiable, if any is.
func onlyLast(n int, yes bool) []bool {
	wrt := make([]bool, n)
	wrt[n-1] = yes
	return wrt
}

// inputs lists the arguments of the first operation: numbers if there are any,
// then, if there are categories, their slots and the table.
func (n *Net) inputs(table argument) []argument {
	var args []argument
	if n.shape.Numbers > 0 {
		args = append(args, matrix)
	}
	if len(n.spans) > 0 {
		args = append(args, slots, table)
	}
	return args
}

// split undoes inputs.
func (n *Net) split(v []input) (x []float32, c []int32, table []float32) {
	if n.shape.Numbers > 0 {
		x, v = v[0].f, v[1:]
	}
	if len(n.spans) > 0 {
		c, table = v[0].i, v[1].f
	}
	return x, c, table
}

// sparseLinear is logistic regression's logit: numbers·w + Σ weight of each
// category's slot + bias, one pass over a row, in float64 within the row.
func (n *Net) sparseLinear() *op {
	k, cats := n.shape.Numbers, len(n.spans)
	var args []argument
	if k > 0 {
		args = append(args, matrix, vector)
	}
	if cats > 0 {
		args = append(args, slots, vector)
	}
	args = append(args, vector)
	forward := newOp("logit", tensor.Shape{n.batch, 1}, func(out []float32, v []input) {
		var x, w, table []float32
		var c []int32
		if k > 0 {
			x, w, v = v[0].f, v[1].f, v[2:]
		}
		if cats > 0 {
			c, table, v = v[0].i, v[1].f, v[2:]
		}
		bias := float64(v[0].f[0])
		for i := range n.live {
			z := bias
			for j, value := range x[i*k : (i+1)*k] {
				z += float64(value) * float64(w[j])
			}
			for j, slot := range c[i*cats : (i+1)*cats] {
				z += float64(table[n.spans[j].offset+int(slot)])
			}
			out[i] = float32(z)
		}
	}, args...)
	wrt := make([]bool, len(args))
	for i, a := range args {
		wrt[i] = a == vector
	}
	return forward.differentiable(wrt, n.sparseLinearBack)
}

// sparseLinearBack makes the derivatives of sparseLinear's weights.
func (n *Net) sparseLinearBack(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	k, cats := n.shape.Numbers, len(n.spans)
	derivatives := make(gorgonia.Nodes, len(in))
	next := 0
	if k > 0 {
		node, err := gorgonia.ApplyOp(newOp("logit dnumbers", tensor.Shape{k}, func(dw []float32, v []input) {
			clear(dw)
			x, dz := v[0].f, v[1].f
			for i, d := range dz[:n.live] {
				for j, value := range x[i*k : (i+1)*k] {
					dw[j] += value * d
				}
			}
		}, matrix, matrix), in[0], grad)
		if err != nil {
			return nil, err
		}
		derivatives[1], next = node, 2
	}
	if cats > 0 {
		node, err := gorgonia.ApplyOp(newOp("logit dcategories", tensor.Shape{n.tableLen}, func(table []float32, v []input) {
			c, dz := v[0].i, v[1].f
			for i, d := range dz[:n.live] {
				for j, slot := range c[i*cats : (i+1)*cats] {
					table[n.spans[j].offset+int(slot)] += d
				}
			}
		}, slots, matrix), in[next], grad)
		if err != nil {
			return nil, err
		}
		derivatives[next+1], next = node, next+2
	}
	node, err := gorgonia.ApplyOp(n.biasBack("logit", 1), grad)
	derivatives[next] = node
	return derivatives, err
}
