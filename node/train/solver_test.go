package train

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

// TestLBFGSOnRosenbrock: the classical valley, minimum at (1, 1).
func TestLBFGSOnRosenbrock(t *testing.T) {
	w, loss, steps, err := lbfgs(func(w, g []float64) (float64, error) {
		a, b := 1-w[0], w[1]-w[0]*w[0]
		g[0], g[1] = -2*a-400*w[0]*b, 200*b
		return 1 + a*a + 100*b*b, nil // above zero, so that the relative rule can hold
	}, []float64{-1.2, 1})
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{1, 1}, w, 1e-2)
	require.InDelta(t, 1, loss, 1e-5)
	require.Less(t, steps, 100)
}

func TestLBFGSStopsAtTheMinimumAndOnErrors(t *testing.T) {
	flat := func(_, g []float64) (float64, error) { g[0] = 0; return 3, nil }
	w, _, steps, err := lbfgs(flat, []float64{7})
	require.NoError(t, err)
	require.Equal(t, []float64{7}, w)
	require.Equal(t, 1, steps)
	broken := errors.New("broken")
	_, _, _, err = lbfgs(func(_, _ []float64) (float64, error) { return 0, broken }, []float64{7})
	require.ErrorIs(t, err, broken)
}

// TestHessianAgainstDifferencesOfTheGradient checks every pair of columns.
func TestHessianAgainstDifferencesOfTheGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	m := &feature.Matrix{Rows: 200, Numbers: 2, Cards: []int{3, 2}}
	for range m.Rows {
		m.X = append(m.X, float32(r.NormFloat64()), float32(r.NormFloat64()))
		m.C = append(m.C, int32(r.IntN(3)), int32(r.IntN(2)))
		m.Label = append(m.Label, int8(r.IntN(2)))
	}
	spec := arch.Spec{Kind: arch.Logistic}
	params := []float32{0.5, -0.25, 0.125, 1, -1, 0.75, -0.5, 0.25}
	d := len(params)
	o, err := newObjective(spec, m, fullShards, 16)
	require.NoError(t, err)
	defer func() { require.NoError(t, o.close()) }()
	grad := func(params []float32) []float64 {
		g := make([]float64, d)
		_, err := o.sum(params, g)
		require.NoError(t, err)
		return g
	}
	base := grad(params)
	words, err := newtonWords(spec, params, m, base)
	require.NoError(t, err)
	require.Len(t, words, aggregate.NewtonWords(d))
	at := d
	const h = 1.0 / 64
	for i := range d {
		require.InDelta(t, base[i], float64(words[i])/aggregate.NewtonScale, 1e-5)
		high, low := append([]float32(nil), params...), append([]float32(nil), params...)
		high[i] += h
		low[i] -= h
		up, down := grad(high), grad(low)
		for j := i; j < d; j++ {
			require.InDelta(t, (up[j]-down[j])/(2*h), float64(words[at])/aggregate.NewtonScale, 0.02, "%d, %d", i, j)
			at++
		}
	}
}

func TestShuffleIsAPermutation(t *testing.T) {
	rows := allRows(1000)
	require.NoError(t, shuffle(rows, seeded(1, 1)))
	seen := make([]bool, len(rows))
	moved := 0
	for i, r := range rows {
		seen[r] = true
		if int(r) != i {
			moved++
		}
	}
	require.NotContains(t, seen, false)
	require.Greater(t, moved, 900)
}

func TestLabelledDropsEmptyLabels(t *testing.T) {
	m := &feature.Matrix{Rows: 3, Numbers: 1, X: []float32{1, 2, 3}, Cards: []int{5}, C: []int32{0, 1, 2}, Label: []int8{0, feature.Unlabelled, 1}}
	out, err := labelled(m)
	require.NoError(t, err)
	require.Equal(t, []float32{1, 3}, out.X)
	require.Equal(t, []int32{0, 2}, out.C)
	require.Equal(t, []int8{0, 1}, out.Label)
	m.Label = []int8{0, 1, 1}
	same, err := labelled(m)
	require.NoError(t, err)
	require.Same(t, m, same)
}

// TestRegularise: a sum becomes a mean; the gradients of ½·decay·‖w‖² over the
// weights it applies to and of ½·μ·‖w − start‖² are added.
func TestRegularise(t *testing.T) {
	o := &objective{runs: runs([]bool{true, true, false})}
	require.Equal(t, []run{{0, 2, true}, {2, 3, false}}, o.runs)
	w := []float32{3, -1, 4}
	grad := []float32{2, 4, 6}
	o.regularise(grad, w, 0.5, 0, nil)
	require.Equal(t, []float32{1, 2, 3}, grad)
	o.regularise(grad, w, 1, 0.25, &proximal{mu: 0.5, start: []float32{1, -1, 0}})
	require.Equal(t, []float32{1 + 0.75 + 1, 2 - 0.25, 3 + 2}, grad)
	require.Empty(t, runs(nil))
}

// TestAdam: one step of a constant gradient moves by the rate, whatever its size.
func TestAdam(t *testing.T) {
	a := newAdam(2, 0.01)
	copy(a.grad, []float32{1000, -1e-3})
	params := []float32{1, 1}
	a.move(params)
	require.InDeltaSlice(t, []float32{0.99, 1.01}, params, 1e-6)
}
