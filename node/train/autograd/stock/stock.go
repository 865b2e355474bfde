// Package stock is the architectures made of Gorgonia's own operations and
// trained by its own solver, as its documentation shows: categories as one-hot
// rows, a broadcast addition for a bias. Tests compare our operations with it,
// and benchmarks show what they are worth.
package stock

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/koinon-eu/koinon/models/arch"
	// Without the check this package pins, Gorgonia does not start.
	_ "github.com/koinon-eu/koinon/node/train/autograd"
)

// Net is a graph for batches of exactly so many rows, with its tape machine and
// solver. It serves one goroutine at a time.
type Net struct {
	shape  arch.Shape
	batch  int
	graph  *gorgonia.ExprGraph
	x, y   []float32
	onehot [][]float32 // per category, rows×slots
	nodes  []*gorgonia.Node
	places []int // of each node's parameters in the flat vector
	cost   *gorgonia.Node
	vm     gorgonia.VM
	solver gorgonia.Solver
}

// New builds the graph of the mean loss of a batch at params, which are copied.
func New(spec arch.Spec, shape arch.Shape, batch int, params []float32, rate float64) (*Net, error) {
	if total, err := spec.Params(shape); err != nil {
		return nil, err
	} else if len(params) != total || batch < 1 {
		return nil, fmt.Errorf("stock net: %d parameters, architecture has %d; batch of %d rows", len(params), total, batch)
	}
	n := &Net{shape: shape, batch: batch, graph: gorgonia.NewGraph(), y: make([]float32, batch)}
	b := builder{Net: n, params: params}
	logit := b.logit(spec)
	labels := b.input("labels", n.y, 1)
	// log(1+e^z) − y·z
	loss := b.do(gorgonia.Sub(b.do(gorgonia.Softplus(logit)), b.do(gorgonia.HadamardProd(labels, logit))))
	n.cost = b.do(gorgonia.Mean(loss))
	if b.err != nil {
		return nil, fmt.Errorf("stock net: %w", b.err)
	}
	if _, err := gorgonia.Grad(n.cost, n.nodes...); err != nil {
		return nil, fmt.Errorf("stock net: %w", err)
	}
	n.vm = gorgonia.NewTapeMachine(n.graph, gorgonia.BindDualValues(n.nodes...))
	n.solver = gorgonia.NewAdamSolver(gorgonia.WithLearnRate(rate))
	return n, nil
}

// builder makes nodes and keeps the first error.
type builder struct {
	*Net
	params []float32
	err    error
}

func (b *builder) do(node *gorgonia.Node, err error) *gorgonia.Node {
	if b.err == nil {
		b.err = err
	}
	return node
}

func (b *builder) input(name string, backing []float32, cols int) *gorgonia.Node {
	return gorgonia.NewMatrix(b.graph, tensor.Float32, gorgonia.WithShape(b.batch, cols), gorgonia.WithName(name),
		gorgonia.WithValue(tensor.New(tensor.WithShape(b.batch, cols), tensor.WithBacking(backing))))
}

func (b *builder) parameter(block arch.Block, shape ...int) *gorgonia.Node {
	values := append([]float32(nil), b.params[block.Offset:block.Offset+block.Len()]...)
	node := gorgonia.NewTensor(b.graph, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(block.Name),
		gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values))))
	b.nodes, b.places = append(b.nodes, node), append(b.places, block.Offset)
	return node
}

// inputs returns the numbers and the one-hot rows of each category.
func (b *builder) inputs() (numbers *gorgonia.Node, categories gorgonia.Nodes) {
	if k := b.shape.Numbers; k > 0 {
		b.x = make([]float32, b.batch*k)
		numbers = b.input("numbers", b.x, k)
	}
	for j, card := range b.shape.Cards {
		hot := make([]float32, b.batch*card)
		b.onehot = append(b.onehot, hot)
		categories = append(categories, b.input(fmt.Sprintf("category %d", j), hot, card))
	}
	return numbers, categories
}

func (b *builder) logit(spec arch.Spec) *gorgonia.Node {
	numbers, hot := b.inputs()
	var parts gorgonia.Nodes
	if numbers != nil {
		parts = append(parts, numbers)
	}
	blocks := spec.Blocks(b.shape)
	if spec.Kind == arch.Logistic {
		parts = append(parts, hot...)
		w := blocks[0] // numbers and categories together
		w.Rows += blocks[1].Rows
		return b.dense(b.join(parts), w, blocks[2], false)
	}
	for j, h := range hot {
		parts = append(parts, b.do(gorgonia.Mul(h, b.parameter(blocks[j], blocks[j].Rows, blocks[j].Cols))))
	}
	h := b.join(parts)
	for l := len(hot); l < len(blocks) && b.err == nil; l += 2 {
		h = b.dense(h, blocks[l], blocks[l+1], l+2 < len(blocks))
	}
	return h
}

func (b *builder) join(parts gorgonia.Nodes) *gorgonia.Node {
	if len(parts) == 1 {
		return parts[0]
	}
	return b.do(gorgonia.Concat(1, parts...))
}

func (b *builder) dense(x *gorgonia.Node, w, bias arch.Block, relu bool) *gorgonia.Node {
	if b.err != nil {
		return nil
	}
	z := b.do(gorgonia.Mul(x, b.parameter(w, w.Rows, w.Cols)))
	z = b.do(gorgonia.BroadcastAdd(z, b.parameter(bias, 1, bias.Rows), nil, []byte{0}))
	if relu {
		z = b.do(gorgonia.Rectify(z))
	}
	return z
}

// Step runs a batch and lets the solver move the parameters. It returns the
// mean loss before.
func (n *Net) Step(data arch.Batch, labels []int8) (float64, error) {
	loss, err := n.run(data, labels)
	if err != nil {
		return 0, err
	}
	err = n.solver.Step(gorgonia.NodesToValueGrads(n.nodes))
	n.vm.Reset()
	return loss, err
}

// Gradient writes the derivative of the batch's mean loss into grad and returns
// that loss.
func (n *Net) Gradient(data arch.Batch, labels []int8, grad []float32) (float64, error) {
	loss, err := n.run(data, labels)
	if err != nil {
		return 0, err
	}
	for i, node := range n.nodes {
		d, err := node.Grad()
		if err != nil {
			return 0, err
		}
		values := d.Data().([]float32)
		copy(grad[n.places[i]:], values)
		clear(values) // the tape machine adds to it, and only the solver clears it
	}
	n.vm.Reset()
	return loss, nil
}

func (n *Net) run(data arch.Batch, labels []int8) (float64, error) {
	if data.Rows != n.batch || len(labels) != n.batch {
		return 0, fmt.Errorf("stock net: %d rows for a batch of %d", data.Rows, n.batch)
	}
	copy(n.x, data.X)
	cats := len(n.onehot)
	for j, hot := range n.onehot {
		clear(hot)
		for i := range n.batch {
			hot[i*n.shape.Cards[j]+int(data.C[i*cats+j])] = 1
		}
	}
	for i, l := range labels {
		n.y[i] = float32(l)
	}
	if err := n.vm.RunAll(); err != nil {
		return 0, err
	}
	return float64(n.cost.Value().Data().(float32)), nil
}

// Close stops the tape machine.
func (n *Net) Close() error { return n.vm.Close() }
