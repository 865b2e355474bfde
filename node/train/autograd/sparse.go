package autograd

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/koinon-eu/koinon/models/kernel"
)

// span says where the vectors of one category stand in the flat table.
type span struct{ offset, length int }

// gather builds an MLP's input rows: the numbers, then for each category the
// vector of its slot. The derivative of the table touches only the slots that
// occur; everything else in it stays zero (see Net.take).
func (n *Net) gather(width int, table part) (*gorgonia.Node, error) {
	k, cats := n.shape.Numbers, len(n.spans)
	args, nodes := []argument{slots, vector}, gorgonia.Nodes{n.cNode, table.node}
	if k > 0 {
		args, nodes = append(args, matrix), append(nodes, n.xNode)
	}
	forward := newOp("gather", tensor.Shape{n.batch, width}, func(out []float32, v []input) {
		c, table := v[0].i, v[1].f
		for i := range n.live {
			row := out[i*width : (i+1)*width]
			if k > 0 {
				copy(row, v[2].f[i*k:(i+1)*k])
				row = row[k:]
			}
			for j, slot := range c[i*cats : (i+1)*cats] {
				s := n.spans[j]
				from := s.offset + int(slot)*s.length
				row = row[copy(row, table[from:from+s.length]):]
			}
		}
	}, args...)
	wrt := make([]bool, len(args))
	wrt[1] = true
	forward.differentiable(wrt, func(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
		n.factorOf(factor{d: n.values(grad), width: width, ones: 1, table: table}) // numbers have no derivative there
		derivatives := make(gorgonia.Nodes, len(in))
		node, err := n.apply(n.intoPart(table, "gather dtable", tensor.Shape{n.tableLen}, func(d []float32, v []input) {
			n.scatter(d, v[0].i, v[1].f, width)
		}, slots, matrix), in[0], grad)
		derivatives[1] = node
		return derivatives, err
	})
	return n.apply(forward, nodes...)
}

// scatter adds the derivatives of the gathered vectors to those of the table.
func (n *Net) scatter(d []float32, c []int32, dy []float32, width int) {
	cats := len(n.spans)
	for i := range n.live {
		row := dy[i*width+n.shape.Numbers : (i+1)*width]
		for j, slot := range c[i*cats : (i+1)*cats] {
			s := n.spans[j]
			target := d[s.offset+int(slot)*s.length:][:s.length]
			for l, v := range row[:s.length] {
				target[l] += v
			}
			row = row[s.length:]
		}
	}
}

// logistic names the parameters of logistic regression. A part of length 0 is
// not there.
type logistic struct{ numbers, table, bias part }

// sparseLinear is logistic regression's logit: numbers·w + Σ weight of each
// category's slot + bias, one pass over a row.
func (n *Net) sparseLinear(l logistic) (*gorgonia.Node, error) {
	k, cats := n.shape.Numbers, len(n.spans)
	args, nodes := []argument{vector}, gorgonia.Nodes{l.bias.node}
	if k > 0 {
		args, nodes = append(args, matrix, vector), append(nodes, n.xNode, l.numbers.node)
	}
	if cats > 0 {
		args, nodes = append(args, slots, vector), append(nodes, n.cNode, l.table.node)
	}
	forward := newOp("logit", tensor.Shape{n.batch, 1}, func(out []float32, v []input) {
		bias, v := v[0].f, v[1:]
		if k > 0 {
			kernel.Linear(out, v[0].f, v[1].f, bias, n.live, k, 1, false)
			v = v[2:]
		} else {
			for i := range n.live {
				out[i] = bias[0]
			}
		}
		if cats > 0 {
			n.addSlots(out, v[0].i, v[1].f)
		}
	}, args...)
	wrt := make([]bool, len(args))
	for i, a := range args {
		wrt[i] = a == vector
	}
	forward.differentiable(wrt, func(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
		return n.sparseLinearBack(l, in, grad)
	})
	return n.apply(forward, nodes...)
}

// addSlots adds the weights of each row's slots, in float64 within the row.
func (n *Net) addSlots(out []float32, c []int32, table []float32) {
	cats := len(n.spans)
	for i := range n.live {
		z := float64(out[i])
		for j, slot := range c[i*cats : (i+1)*cats] {
			z += float64(table[n.spans[j].offset+int(slot)])
		}
		out[i] = float32(z)
	}
}

// sparseLinearBack makes the derivatives of sparseLinear's weights.
func (n *Net) sparseLinearBack(l logistic, in gorgonia.Nodes, grad *gorgonia.Node) (_ gorgonia.Nodes, err error) {
	k, cats := n.shape.Numbers, len(n.spans)
	derivatives := make(gorgonia.Nodes, len(in))
	f := factor{d: n.values(grad), in: k, width: 1, ones: float32(cats + 1), weights: l.numbers, table: l.table, bias: l.bias}
	if k > 0 {
		f.x = n.x
	}
	n.factorOf(f)
	next := 1
	if k > 0 {
		derivatives[next+1], err = n.apply(n.intoPart(l.numbers, "logit dnumbers", tensor.Shape{k}, func(dw []float32, v []input) {
			kernel.Weights(dw, v[0].f, v[1].f, n.live, k, 1, n.added)
		}, matrix, matrix), in[next], grad)
		if err != nil {
			return nil, err
		}
		next += 2
	}
	if cats > 0 {
		derivatives[next+1], err = n.apply(n.intoPart(l.table, "logit dcategories", tensor.Shape{n.tableLen}, func(table []float32, v []input) {
			c := v[0].i
			for i, d := range v[1].f[:n.live] {
				for j, slot := range c[i*cats : (i+1)*cats] {
					table[n.spans[j].offset+int(slot)] += d
				}
			}
		}, slots, matrix), in[next], grad)
		if err != nil {
			return nil, err
		}
	}
	derivatives[0], err = n.biasBack("logit", l.bias, 1, grad)
	return derivatives, err
}
