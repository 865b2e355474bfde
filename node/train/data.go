package train

import (
	"errors"
	"slices"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

// Shape returns the width of a matrix.
func Shape(m *feature.Matrix) arch.Shape {
	return arch.Shape{Numbers: m.Numbers, Cards: m.Cards}
}

// batchOf views a matrix as input of an architecture.
func batchOf(m *feature.Matrix) arch.Batch {
	return arch.Batch{Rows: m.Rows, X: m.X, C: m.C, Count: m.Count, Offset: arch.Offsets(m.Exposure)}
}

// Pool puts the rows of several matrices of one encoder together, in order.
func Pool(parts ...*feature.Matrix) (*feature.Matrix, error) {
	if len(parts) == 0 {
		return nil, errors.New("pool: no matrix")
	}
	out := &feature.Matrix{Numbers: parts[0].Numbers, Cards: parts[0].Cards, CountMean: parts[0].CountMean, Groups: make([][]int16, len(parts[0].Groups))}
	for _, p := range parts {
		if p.Numbers != out.Numbers || !slices.Equal(p.Cards, out.Cards) || len(p.Groups) != len(out.Groups) {
			return nil, errors.New("pool: matrices of different encoders")
		}
		if len(p.Label) != p.Rows {
			return nil, errors.New("pool: matrix without labels")
		}
		out.Rows += p.Rows
		out.X = append(out.X, p.X...)
		out.C = append(out.C, p.C...)
		out.Label = append(out.Label, p.Label...)
		out.Row = append(out.Row, p.Row...)
		out.Count, out.Exposure = append(out.Count, p.Count...), append(out.Exposure, p.Exposure...)
		for g := range out.Groups {
			out.Groups[g] = append(out.Groups[g], p.Groups[g]...)
		}
	}
	return out, nil
}

// labelled returns the rows of m that have a label, sharing memory where that
// is all of them. Rows without one are neither trained on nor tallied.
func labelled(m *feature.Matrix) (*feature.Matrix, error) {
	if len(m.Label) != m.Rows {
		return nil, errors.New("table has no labels")
	}
	if !slices.Contains(m.Label, feature.Unlabelled) {
		return m, nil
	}
	return pick(m, func(row int) bool { return m.Label[row] != feature.Unlabelled }), nil
}

// pick copies the rows for which keep holds, without their groups.
func pick(m *feature.Matrix, keep func(row int) bool) *feature.Matrix {
	out := &feature.Matrix{Numbers: m.Numbers, Cards: m.Cards, CountMean: m.CountMean}
	for i, label := range m.Label {
		if keep(i) {
			out.Rows++
			out.X = append(out.X, m.X[i*m.Numbers:(i+1)*m.Numbers]...)
			out.C = append(out.C, m.C[i*len(m.Cards):(i+1)*len(m.Cards)]...)
			out.Label = append(out.Label, label)
			out.Count, out.Exposure = appendAt(out.Count, m.Count, i), appendAt(out.Exposure, m.Exposure, i)
		}
	}
	return out
}

func appendAt[T any](to, from []T, i int) []T {
	if from == nil {
		return nil
	}
	return append(to, from[i])
}

// classes reports whether rows of both labels occur.
func bothClasses(labels []int8) bool {
	return slices.Contains(labels, 0) && slices.Contains(labels, 1)
}

// Scores returns the probability of each row of m under a model, or its
// expected count.
func Scores(spec arch.Spec, params []float32, m *feature.Matrix) ([]float64, error) {
	model, err := arch.NewModel(spec, Shape(m), params)
	if err != nil {
		return nil, err
	}
	batch := batchOf(m)
	if err := batch.Check(Shape(m)); err != nil {
		return nil, err
	}
	scores := make([]float64, m.Rows)
	model.Logits(batch, scores)
	of := arch.Sigmoid
	if spec.Counts() {
		of = arch.Mean
	}
	for i, z := range scores {
		scores[i] = of(z)
	}
	return scores, nil
}
