package train

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

// trainerTable draws rows whose labels depend on numbers and a category.
func trainerTable(rows int) *feature.Matrix {
	r := rand.New(rand.NewPCG(1, 2))
	m := &feature.Matrix{Numbers: 5, Cards: []int{7, 40}}
	for range rows {
		z := -0.5
		for j := range m.Numbers {
			x := r.NormFloat64()
			z += x * float64(j-2) / 2
			m.X = append(m.X, float32(x))
		}
		c := []int32{int32(r.IntN(7)), int32(r.IntN(40))}
		m.C = append(m.C, c...)
		z += float64(c[0]%3) + float64(c[1]%5)/4 - 1.5
		label := int8(0)
		if r.Float64() < arch.Sigmoid(z) {
			label = 1
		}
		m.Label = append(m.Label, label)
		m.Rows++
	}
	return m
}

// TestTrainingAcrossMachines: kernels differ in their last bits only, so that
// training ends at the same model within a tolerance. The constants are those
// of plain Go; other builds and processors run the same test.
func TestTrainingAcrossMachines(t *testing.T) {
	m := trainerTable(3000)
	tr, err := NewTrainer(Settings{
		Architecture: arch.Spec{Kind: arch.MLP, L2: 1, Hidden: []int{24, 10}}, Rate: 0.003, Batch: 256, Seed: 4,
	}, m)
	require.NoError(t, err)
	defer func() { require.NoError(t, tr.Close()) }()
	losses := make([]float64, 5)
	for i := range losses {
		losses[i], err = tr.Epoch()
		require.NoError(t, err)
	}
	require.InDeltaSlice(t, []float64{0.769287, 0.659045, 0.600296, 0.555938, 0.526867}, losses, 1e-5)
	scores, err := Scores(arch.Spec{Kind: arch.MLP, L2: 1, Hidden: []int{24, 10}}, tr.Params(), m)
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{0.167568, 0.229686, 0.360654, 0.340801}, scores[:4], 1e-5)
	_, err = NewTrainer(Settings{Architecture: arch.Spec{Kind: arch.MLP}, Batch: 1}, &feature.Matrix{Rows: 1})
	require.Error(t, err)
}
