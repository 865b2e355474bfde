package arch

import (
	"fmt"
	"math"
)

// Batch is encoded rows: X holds Rows×Numbers standardised numbers, C holds
// Rows×len(Cards) slots, both row-major.
type Batch struct {
	Rows int
	X    []float32
	C    []int32
}

// Slice returns rows from up to but without to, sharing memory.
func (b Batch) Slice(shape Shape, from, to int) Batch {
	k, c := shape.Numbers, len(shape.Cards)
	return Batch{Rows: to - from, X: b.X[from*k : to*k], C: b.C[from*c : to*c]}
}

// Check refuses a batch whose lengths or slots do not fit the shape.
func (b Batch) Check(shape Shape) error {
	if b.Rows < 0 || len(b.X) != b.Rows*shape.Numbers || len(b.C) != b.Rows*len(shape.Cards) {
		return fmt.Errorf("batch of %d rows has %d numbers and %d categories, shape wants %d and %d a row",
			b.Rows, len(b.X), len(b.C), shape.Numbers, len(shape.Cards))
	}
	for i, slot := range b.C {
		if card := shape.Cards[i%len(shape.Cards)]; slot < 0 || int(slot) >= card {
			return fmt.Errorf("batch row %d: category %d has no slot %d of %d", i/len(shape.Cards), i%len(shape.Cards), slot, card)
		}
	}
	return nil
}

// Model computes logits in plain Go, in float64 over float32 parameters. It
// keeps scratch space, so a Model serves one goroutine at a time.
type Model struct {
	shape   Shape
	params  []float32
	blocks  []Block
	kind    string
	offsets []int // logistic: first slot of each category
	a, b    []float64
}

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
	m := &Model{shape: shape, params: params, blocks: spec.Blocks(shape), kind: spec.Kind}
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
		m.a, m.b = make([]float64, width), make([]float64, width)
	}
	return m, nil
}

// Logits writes the log-odds of each row into out, which has batch.Rows places.
// It panics when the batch does not fit the shape (see Batch.Check).
func (m *Model) Logits(batch Batch, out []float64) {
	k, c := m.shape.Numbers, len(m.shape.Cards)
	out = out[:batch.Rows]
	for i := range out {
		out[i] = m.logit(batch.X[i*k:(i+1)*k], batch.C[i*c:(i+1)*c])
	}
}

func (m *Model) logit(x []float32, slots []int32) float64 {
	if m.kind == Logistic {
		return m.linear(x, slots)
	}
	return m.deep(x, slots)
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

func (m *Model) deep(x []float32, slots []int32) float64 {
	in, out := m.a[:0], m.b
	for _, v := range x {
		in = append(in, float64(v))
	}
	for j, slot := range slots {
		b := m.blocks[j]
		at := b.Offset + int(slot)*b.Cols
		for _, v := range m.params[at : at+b.Cols] {
			in = append(in, float64(v))
		}
	}
	layers := m.blocks[len(slots):]
	for l := 0; l < len(layers); l += 2 {
		w, bias := layers[l], layers[l+1]
		z := out[:w.Cols]
		for j, v := range m.params[bias.Offset : bias.Offset+w.Cols] {
			z[j] = float64(v)
		}
		for i, v := range in {
			if v == 0 {
				continue // a ReLU that is off, or a missing number
			}
			row := m.params[w.Offset+i*w.Cols : w.Offset+(i+1)*w.Cols]
			for j, weight := range row {
				z[j] += float64(v * float64(weight))
			}
		}
		if l+2 < len(layers) {
			for j, v := range z {
				z[j] = max(v, 0)
			}
		}
		in, out = z, in[:cap(in)]
	}
	return in[0]
}

// Sigmoid returns the probability of a logit, without overflow on either side.
func Sigmoid(z float64) float64 {
	if z < 0 {
		e := math.Exp(z)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-z))
}

// Loss returns the cross-entropy −log P(label) of a logit, without overflow.
func Loss(z float64, label int8) float64 {
	return max(z, 0) - float64(z*float64(label)) + math.Log1p(math.Exp(-math.Abs(z)))
}
