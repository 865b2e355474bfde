package autograd

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/koinon-eu/koinon/models/arch"
)

// Net is one Gorgonia graph with its tape machine, for batches of up to a
// fixed number of rows. It serves one goroutine at a time.
type Net struct {
	spec     arch.Spec
	shape    arch.Shape
	batch    int
	live     int    // rows of the batch that are in use
	spans    []span // categories in the table
	tableLen int

	x, y   []float32 // backing of the input nodes
	c      []int32
	params []float32 // backing of the parameter nodes, all blocks in order
	loss   float64

	graph *gorgonia.ExprGraph
	xNode *gorgonia.Node
	cNode *gorgonia.Node
	vm    gorgonia.VM
	parts []part
}

// part is one parameter node: a run of params and its derivative.
type part struct {
	offset, length int
	node, grad     *gorgonia.Node
	table          bool // sparse: only the slots of the batch are touched
}

// NewNet builds the graph and its derivative.
func NewNet(spec arch.Spec, shape arch.Shape, batch int) (*Net, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	total, err := spec.Params(shape)
	if err != nil {
		return nil, err
	}
	if batch < 1 {
		return nil, fmt.Errorf("net: batch of %d rows", batch)
	}
	n := &Net{
		spec: spec.WithDefaults(), shape: shape, batch: batch, graph: gorgonia.NewGraph(),
		x: make([]float32, batch*shape.Numbers), y: make([]float32, batch),
		c: make([]int32, batch*len(shape.Cards)), params: make([]float32, total),
	}
	for _, card := range shape.Cards {
		s := span{offset: n.tableLen, length: 1}
		if n.spec.Kind == arch.MLP {
			s.length = n.spec.EmbeddingLen(card)
		}
		n.spans = append(n.spans, s)
		n.tableLen += card * s.length
	}
	if err := n.build(); err != nil {
		return nil, fmt.Errorf("net: %w", err)
	}
	return n, nil
}

// Close stops the tape machine.
func (n *Net) Close() error { return n.vm.Close() }

func (n *Net) build() error {
	if n.shape.Numbers > 0 {
		n.xNode = n.constant("numbers", tensor.New(tensor.WithShape(n.batch, n.shape.Numbers), tensor.WithBacking(n.x)))
	}
	if len(n.spans) > 0 {
		n.cNode = n.constant("slots", tensor.New(tensor.WithShape(n.batch, len(n.spans)), tensor.WithBacking(n.c)))
	}
	labels := n.constant("labels", tensor.New(tensor.WithShape(n.batch, 1), tensor.WithBacking(n.y)))
	logit, err := n.logit()
	if err != nil {
		return err
	}
	cost, err := gorgonia.ApplyOp(n.crossEntropy(), logit, labels)
	if err != nil {
		return err
	}
	nodes := make(gorgonia.Nodes, len(n.parts))
	for i, p := range n.parts {
		nodes[i] = p.node
	}
	grads, err := gorgonia.Grad(cost, nodes...)
	if err != nil {
		return err
	}
	for i, g := range grads {
		n.parts[i].grad = g
	}
	n.vm = gorgonia.NewTapeMachine(n.graph)
	return nil
}

// constant makes an input node over a tensor whose backing we fill ourselves.
func (n *Net) constant(name string, value *tensor.Dense) *gorgonia.Node {
	return gorgonia.NewTensor(n.graph, value.Dtype(), value.Dims(),
		gorgonia.WithShape(value.Shape()...), gorgonia.WithName(name), gorgonia.WithValue(value))
}

// parameter makes a node over a run of the flat parameters.
func (n *Net) parameter(name string, offset int, table bool, shape ...int) *gorgonia.Node {
	length := tensor.Shape(shape).TotalSize()
	value := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(n.params[offset:offset+length:offset+length]))
	node := n.constant(name, value)
	n.parts = append(n.parts, part{offset: offset, length: length, node: node, table: table})
	return node
}

func (n *Net) logit() (*gorgonia.Node, error) {
	if n.spec.Kind == arch.Logistic {
		return n.logistic()
	}
	return n.mlp()
}

func (n *Net) logistic() (*gorgonia.Node, error) {
	var args gorgonia.Nodes
	k := n.shape.Numbers
	if k > 0 {
		args = append(args, n.xNode, n.parameter("w numbers", 0, false, k))
	}
	if len(n.spans) > 0 {
		args = append(args, n.cNode, n.parameter("w categories", k, true, n.tableLen))
	}
	args = append(args, n.parameter("bias", k+n.tableLen, false, 1))
	return gorgonia.ApplyOp(n.sparseLinear(), args...)
}

func (n *Net) mlp() (*gorgonia.Node, error) {
	var args gorgonia.Nodes
	if n.shape.Numbers > 0 {
		args = append(args, n.xNode)
	}
	if len(n.spans) > 0 {
		args = append(args, n.cNode, n.parameter("embeddings", 0, true, n.tableLen))
	}
	h, err := gorgonia.ApplyOp(n.gather(n.spec.Input(n.shape)), args...)
	if err != nil {
		return nil, err
	}
	layers := n.spec.Blocks(n.shape)[len(n.spans):]
	for l := 0; l < len(layers); l += 2 {
		w, b := layers[l], layers[l+1]
		relu, needX := l+2 < len(layers), l > 0 || len(n.spans) > 0
		h, err = gorgonia.ApplyOp(n.linear(w.Name, w.Rows, w.Cols, relu, needX),
			h, n.parameter(w.Name, w.Offset, false, w.Rows, w.Cols), n.parameter(b.Name, b.Offset, false, b.Rows))
		if err != nil {
			return nil, err
		}
	}
	return h, nil
}

// SetParams copies the parameters in; they stay until the next call.
func (n *Net) SetParams(params []float32) error {
	if len(params) != len(n.params) {
		return fmt.Errorf("net: %d parameters, architecture has %d", len(params), len(n.params))
	}
	copy(n.params, params)
	return nil
}

// Rows of data by index; nil means all of them in order.
type Rows []int32

// Add runs the rows of data that from…to of rows name (at most the batch) and
// adds the sum of their losses' derivatives to grad. It returns the sum of the
// losses.
func (n *Net) Add(data arch.Batch, labels []int8, rows Rows, from, to int, grad []float64) (float64, error) {
	if to-from > n.batch {
		return 0, fmt.Errorf("net: %d rows for a batch of %d", to-from, n.batch)
	}
	n.load(data, labels, rows, from, to)
	if err := n.vm.RunAll(); err != nil {
		return 0, err
	}
	for _, p := range n.parts {
		d, ok := p.grad.Value().Data().([]float32)
		if !ok || len(d) != p.length {
			return 0, fmt.Errorf("net: derivative of %s is missing", p.node.Name())
		}
		target := grad[p.offset : p.offset+p.length]
		if p.table {
			n.drain(d, target)
			continue
		}
		for i, v := range d {
			target[i] += float64(v)
		}
	}
	n.vm.Reset()
	return n.loss, nil
}

// load copies rows into the input nodes.
func (n *Net) load(data arch.Batch, labels []int8, rows Rows, from, to int) {
	k, cats := n.shape.Numbers, len(n.spans)
	n.live = to - from
	if rows == nil {
		copy(n.x, data.X[from*k:to*k])
		copy(n.c, data.C[from*cats:to*cats])
		for i, label := range labels[from:to] {
			n.y[i] = float32(label)
		}
		return
	}
	for i, r := range rows[from:to] {
		row := int(r)
		copy(n.x[i*k:], data.X[row*k:(row+1)*k])
		copy(n.c[i*cats:], data.C[row*cats:(row+1)*cats])
		n.y[i] = float32(labels[row])
	}
}

// drain adds the touched slots of a table's derivative to target and leaves
// zeros behind, so that the cost does not grow with the number of slots.
func (n *Net) drain(d []float32, target []float64) {
	cats := len(n.spans)
	for i := range n.live {
		for j, slot := range n.c[i*cats : (i+1)*cats] {
			s := n.spans[j]
			from := s.offset + int(slot)*s.length
			for l := from; l < from+s.length; l++ {
				target[l] += float64(d[l])
				d[l] = 0
			}
		}
	}
}
