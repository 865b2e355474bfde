package arch

import (
	"fmt"
	"math"

	"github.com/koinon-eu/koinon/models/kernel"
	"github.com/koinon-eu/koinon/models/trees"
)

// Batch is encoded rows: X holds Rows×Numbers standardised numbers, C holds
// Rows×len(Cards) slots, both row-major.
type Batch struct {
	Rows int
	X    []float32
	C    []int32

	// Of counts only: the counts, read in training, and what each row's output
	// begins with (see Offsets), nil for nothing. Scale is what the loss of a
	// row is multiplied by, 0 for 1.
	Count  []int32
	Offset []float32
	Scale  float32
}

// Slice returns rows from up to but without to, sharing memory.
func (b Batch) Slice(shape Shape, from, to int) Batch {
	k, c := shape.Numbers, len(shape.Cards)
	part := Batch{Rows: to - from, X: b.X[from*k : to*k], C: b.C[from*c : to*c], Scale: b.Scale}
	if b.Count != nil {
		part.Count = b.Count[from:to]
	}
	if b.Offset != nil {
		part.Offset = b.Offset[from:to]
	}
	return part
}

// Check refuses a batch whose lengths or slots do not fit the shape.
func (b Batch) Check(shape Shape) error {
	if b.Rows < 0 || len(b.X) != b.Rows*shape.Numbers || len(b.C) != b.Rows*len(shape.Cards) {
		return fmt.Errorf("batch of %d rows has %d numbers and %d categories, shape wants %d and %d a row",
			b.Rows, len(b.X), len(b.C), shape.Numbers, len(shape.Cards))
	}
	if b.Count != nil && len(b.Count) != b.Rows || b.Offset != nil && len(b.Offset) != b.Rows {
		return fmt.Errorf("batch of %d rows has %d counts and %d offsets", b.Rows, len(b.Count), len(b.Offset))
	}
	for i, slot := range b.C {
		if card := shape.Cards[i%len(shape.Cards)]; slot < 0 || int(slot) >= card {
			return fmt.Errorf("batch row %d: category %d has no slot %d of %d", i/len(shape.Cards), i%len(shape.Cards), slot, card)
		}
	}
	return nil
}

// Model computes logits in float64 over float32 parameters, with sums in a fixed
// order, so that a row's logit has the same bits on every processor and
// whatever the rows beside it. It keeps scratch space, so a Model serves one
// goroutine at a time.
type Model struct {
	shape   Shape
	params  []float32
	blocks  []Block
	flat    bool
	offsets []int // flat: first slot of each category
	rows    int   // mlp: computed at once
	a, b    []float64
}

const (
	// blockRows is how many rows an MLP takes through its layers at once: enough
	// to be worth reading the weights for.
	blockRows = 64
	// blockNumbers limits the scratch space where layers are wide.
	blockNumbers = 1 << 16
)

// NewModel ties parameters to an architecture. params are not copied.
func NewModel(spec Spec, shape Shape, params []float32) (*Model, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if spec.Kind == Trees {
		return nil, fmt.Errorf("model: %s are scored by their ensemble", Trees)
	}
	n, err := spec.Params(shape)
	if err != nil {
		return nil, err
	}
	if len(params) != n {
		return nil, fmt.Errorf("model: %d parameters, architecture has %d", len(params), n)
	}
	m := &Model{shape: shape, params: params, blocks: spec.Blocks(shape), flat: spec.Flat()}
	next := 0
	for _, card := range shape.Cards {
		m.offsets = append(m.offsets, next)
		next += card
	}
	if spec.Kind == MLP {
		width := spec.Input(shape)
		for _, b := range m.blocks {
			width = max(width, b.Cols)
		}
		m.rows = min(max(blockNumbers/width, 1), blockRows)
		m.a, m.b = make([]float64, m.rows*width), make([]float64, m.rows*width)
	}
	return m, nil
}

// Logits writes the output of each row into out, which has batch.Rows places:
// its log-odds, or the logarithm of its expected count.
// It panics when the batch does not fit the shape (see Batch.Check).
func (m *Model) Logits(batch Batch, out []float64) {
	k, c := m.shape.Numbers, len(m.shape.Cards)
	out = out[:batch.Rows]
	if m.flat {
		for i := range out {
			out[i] = m.linear(batch.X[i*k:(i+1)*k], batch.C[i*c:(i+1)*c])
		}
	} else {
		for from := 0; from < len(out); from += m.rows {
			to := min(from+m.rows, len(out))
			m.deep(batch.Slice(m.shape, from, to), out[from:to])
		}
	}
	for i, offset := range batch.Offset {
		out[i] += float64(offset)
	}
}

func (m *Model) linear(x []float32, slots []int32) float64 {
	numbers, categories := m.params[:len(x)], m.params[m.blocks[1].Offset:]
	z := float64(m.params[m.blocks[2].Offset])
	for j, v := range x {
		z += float64(float64(v) * float64(numbers[j]))
	}
	for j, slot := range slots {
		z += float64(categories[m.offsets[j]+int(slot)])
	}
	return z
}

// deep takes up to m.rows rows through the layers.
func (m *Model) deep(batch Batch, out []float64) {
	in, next := m.input(batch), m.b
	layers := m.blocks[len(m.shape.Cards):]
	for l := 0; l < len(layers); l += 2 {
		w, bias := layers[l], layers[l+1]
		z := next[:batch.Rows*w.Cols]
		kernel.Dense64(z, in, m.params[w.Offset:], m.params[bias.Offset:], batch.Rows, w.Rows, w.Cols, l+2 < len(layers))
		in, next = z, in[:cap(in)]
	}
	copy(out, in)
}

// input writes the numbers of each row and the vectors of its slots into m.a.
func (m *Model) input(batch Batch) []float64 {
	k, c := m.shape.Numbers, len(m.shape.Cards)
	in := m.a[:0]
	for i := range batch.Rows {
		for _, v := range batch.X[i*k : (i+1)*k] {
			in = append(in, float64(v))
		}
		for j, slot := range batch.C[i*c : (i+1)*c] {
			b := m.blocks[j]
			at := b.Offset + int(slot)*b.Cols
			for _, v := range m.params[at : at+b.Cols] {
				in = append(in, float64(v))
			}
		}
	}
	return in
}

// Sigmoid returns the probability of a logit: trees.Sigmoid, so that members'
// evaluations and a released model have the same bits on every processor.
func Sigmoid(z float64) float64 { return trees.Sigmoid(z) }

// Loss returns the cross-entropy −log P(label) of a logit, without overflow.
func Loss(z float64, label int8) float64 {
	return max(z, 0) - float64(z*float64(label)) + math.Log1p(math.Exp(-math.Abs(z)))
}
