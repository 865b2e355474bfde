package onnx

import (
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/artifact"
)

// logistic adds a logistic regression; it returns the log-odds.
func (g *graph) logistic(m *artifact.Model) string {
	e, blocks := m.Encoder, m.Header.Architecture.Blocks(m.Shape())
	z := g.floats(of(m, blocks[2]), 1, 1)
	if len(e.Number) > 0 {
		x, order := g.numbers(e)
		z = g.op("Gemm", x, g.floats(rows(of(m, blocks[0]), 1, order), len(order), 1), z)
	}
	if len(e.Category) == 0 {
		return z
	}
	var slots []string
	first := 0
	for i := range e.Category {
		slots = append(slots, g.slots(e, i, first))
		first += m.Shape().Cards[i]
	}
	weights := g.op("Gather", g.floats(of(m, blocks[1]), first), g.concat(slots))
	return g.op("Add", z, g.op("ReduceSum", weights, g.ints([]int64{1}, 1)))
}

// mlp adds a multilayer perceptron; it returns the log-odds.
func (g *graph) mlp(m *artifact.Model) string {
	e, blocks := m.Encoder, m.Header.Architecture.Blocks(m.Shape())
	var parts []string
	var order []int
	if len(e.Number) > 0 {
		var x string
		x, order = g.numbers(e)
		parts = append(parts, x)
	}
	for i := range e.Category {
		b := blocks[i]
		// [rows, 1] slots give [rows, 1, length] numbers.
		vectors := g.op("Gather", g.floats(of(m, b), b.Rows, b.Cols), g.slots(e, i, 0))
		parts = append(parts, g.node(domainMain, "Flatten", []string{vectors}, attributeInt("axis", 1)))
	}
	x, layers := g.concat(parts), blocks[len(e.Category):]
	for i := len(order); i < layers[0].Rows; i++ {
		order = append(order, i) // vectors stand where they stood
	}
	for l := 0; l < len(layers); l += 2 {
		w, bias := layers[l], layers[l+1]
		weights := of(m, w)
		if l == 0 {
			weights = rows(weights, w.Cols, order)
		} else {
			x = g.op("Relu", x)
		}
		x = g.op("Gemm", x, g.floats(weights, w.Rows, w.Cols), g.floats(of(m, bias), w.Cols))
	}
	return x
}

// of returns the parameters of a block.
func of(m *artifact.Model, b arch.Block) []float32 { return m.Params[b.Offset : b.Offset+b.Len()] }

// rows returns the rows of a matrix of so many columns in another order.
func rows(matrix []float32, cols int, order []int) []float32 {
	out := make([]float32, 0, len(order)*cols)
	for _, r := range order {
		out = append(out, matrix[r*cols:(r+1)*cols]...)
	}
	return out
}
