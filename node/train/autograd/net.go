package autograd

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/kernel"
)

// Net is one graph for batches of up to a fixed number of rows. It reads
// parameters it does not own and adds derivatives to a vector of its own. It
// serves one goroutine at a time.
type Net struct {
	spec     arch.Spec
	shape    arch.Shape
	batch    int
	live     int    // rows of the batch that are in use
	spans    []span // categories in the table
	tableLen int

	x, y   []float32 // backing of the input nodes
	c      []int32
	offset []float32 // of counts: what outputs begin with
	scale  float32   // of counts: what losses are multiplied by
	params []float32 // backing of the parameter nodes, all blocks in order
	grad   []float32 // Σ of derivatives since they were taken, in the same order
	added  bool      // grad holds any; otherwise only those of tables are zero
	loss   float64   // of the last batch

	graph   *gorgonia.ExprGraph
	xNode   *gorgonia.Node
	cNode   *gorgonia.Node
	made    map[*gorgonia.Node]*op
	parts   []part
	plan    plan
	forward int // steps of the plan up to the loss
	vm      gorgonia.VM

	factors []factor // of the derivatives, for clipping
	scratch [3][]float32
	counter *counter // for sums of integers
}

// part is one parameter node: a run of params and of grad.
type part struct {
	offset, length int
	node           *gorgonia.Node
	table          bool // sparse: only the slots of the batch are touched
}

// NewNet builds the graph and its derivative over params, which the caller may
// change between batches.
func NewNet(spec arch.Spec, shape arch.Shape, batch int, params []float32) (*Net, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	total, err := spec.Params(shape)
	if err != nil {
		return nil, err
	}
	if len(params) != total {
		return nil, fmt.Errorf("net: %d parameters, architecture has %d", len(params), total)
	}
	if batch < 1 {
		return nil, fmt.Errorf("net: batch of %d rows", batch)
	}
	n := &Net{
		spec: spec.WithDefaults(), shape: shape, batch: batch,
		graph: gorgonia.NewGraph(), made: map[*gorgonia.Node]*op{},
		x: make([]float32, batch*shape.Numbers), y: make([]float32, batch), offset: make([]float32, batch),
		c: make([]int32, batch*len(shape.Cards)), params: params, grad: make([]float32, total),
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

// UseTape makes Gorgonia's tape machine run the operations instead of the plan.
// The results are the same; it serves tests and benchmarks.
func (n *Net) UseTape() { n.vm = gorgonia.NewTapeMachine(n.graph) }

// Close stops the tape machine, if there is one.
func (n *Net) Close() error {
	if n.vm == nil {
		return nil
	}
	return n.vm.Close()
}

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
	cost, err := n.apply(n.cost(), logit, labels)
	if err != nil {
		return err
	}
	n.forward = len(n.plan)
	nodes := make(gorgonia.Nodes, len(n.parts))
	for i, p := range n.parts {
		nodes[i] = p.node
	}
	grads, err := gorgonia.Grad(cost, nodes...)
	if err != nil {
		return err
	}
	for i, g := range grads {
		if n.made[g] == nil {
			return fmt.Errorf("derivative of %s is not one of our operations", n.parts[i].node.Name())
		}
	}
	return nil
}

// constant makes an input node over a tensor whose backing we fill ourselves.
func (n *Net) constant(name string, value *tensor.Dense) *gorgonia.Node {
	return gorgonia.NewTensor(n.graph, value.Dtype(), value.Dims(),
		gorgonia.WithShape(value.Shape()...), gorgonia.WithName(name), gorgonia.WithValue(value))
}

// parameter makes a node over a run of the flat parameters.
func (n *Net) parameter(name string, offset int, table bool, shape ...int) part {
	length := tensor.Shape(shape).TotalSize()
	value := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(n.params[offset:offset+length:offset+length]))
	p := part{offset: offset, length: length, node: n.constant(name, value), table: table}
	n.parts = append(n.parts, p)
	return p
}

// derivative is where the derivative of a part is added up.
func (n *Net) derivative(p part) []float32 {
	return n.grad[p.offset : p.offset+p.length : p.offset+p.length]
}

func (n *Net) logit() (*gorgonia.Node, error) {
	if n.spec.Flat() {
		return n.logistic()
	}
	return n.mlp()
}

func (n *Net) logistic() (*gorgonia.Node, error) {
	k := n.shape.Numbers
	var l logistic
	if k > 0 {
		l.numbers = n.parameter("w numbers", 0, false, k)
	}
	if len(n.spans) > 0 {
		l.table = n.parameter("w categories", k, true, n.tableLen)
	}
	l.bias = n.parameter("bias", k+n.tableLen, false, 1)
	return n.sparseLinear(l)
}

func (n *Net) mlp() (*gorgonia.Node, error) {
	h, err := n.xNode, error(nil)
	if len(n.spans) > 0 {
		if h, err = n.gather(n.spec.Input(n.shape), n.parameter("embeddings", 0, true, n.tableLen)); err != nil {
			return nil, err
		}
	}
	blocks := n.spec.Blocks(n.shape)[len(n.spans):]
	for b := 0; b < len(blocks); b += 2 {
		w, bias := blocks[b], blocks[b+1]
		fixed := 0
		if b == 0 {
			fixed = n.shape.Numbers
		}
		h, err = n.linear(layer{
			name: w.Name, in: w.Rows, units: w.Cols,
			relu: b+2 < len(blocks), needX: b > 0 || len(n.spans) > 0, fixed: fixed,
			w: n.parameter(w.Name, w.Offset, false, w.Rows, w.Cols), b: n.parameter(bias.Name, bias.Offset, false, bias.Rows),
		}, h)
		if err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Rows of data by index; nil means all of them in order.
type Rows []int32

// Add runs the rows of data that from…to of rows name (at most the batch) and
// adds the sum of their losses' derivatives to the net's own. It returns the
// sum of the losses.
func (n *Net) Add(data arch.Batch, labels []int8, rows Rows, from, to int) (float64, error) {
	if to-from > n.batch {
		return 0, fmt.Errorf("net: %d rows for a batch of %d", to-from, n.batch)
	}
	n.load(data, labels, rows, from, to)
	defer func() { n.added = true }()
	if n.vm == nil {
		n.plan.run()
		return n.loss, nil
	}
	err := n.vm.RunAll()
	n.vm.Reset()
	return n.loss, err
}

// Loss returns the sum of the losses without their derivatives.
func (n *Net) Loss(data arch.Batch, labels []int8, rows Rows, from, to int) (float64, error) {
	if to-from > n.batch {
		return 0, fmt.Errorf("net: %d rows for a batch of %d", to-from, n.batch)
	}
	n.load(data, labels, rows, from, to)
	n.plan[:n.forward].run()
	return n.loss, nil
}

// load copies rows into the input nodes.
func (n *Net) load(data arch.Batch, labels []int8, rows Rows, from, to int) {
	k, cats := n.shape.Numbers, len(n.spans)
	n.live = to - from
	n.target(data, labels, rows, from, to)
	if rows == nil {
		copy(n.x, data.X[from*k:to*k])
		copy(n.c, data.C[from*cats:to*cats])
		return
	}
	kernel.Gather(n.x, data.X, rows[from:to], k)
	for i, r := range rows[from:to] {
		row := int(r)
		copy(n.c[i*cats:], data.C[row*cats:(row+1)*cats])
	}
}
