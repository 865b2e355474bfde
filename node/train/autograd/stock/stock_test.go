package stock

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/kernel"
	"github.com/koinon-eu/koinon/node/train/autograd"
)

var cases = []struct {
	name  string
	spec  arch.Spec
	shape arch.Shape
}{
	{"logistic", arch.Spec{Kind: arch.Logistic}, arch.Shape{Numbers: 3, Cards: []int{4, 2, 7}}},
	{"logistic without categories", arch.Spec{Kind: arch.Logistic}, arch.Shape{Numbers: 30}},
	{"logistic without numbers", arch.Spec{Kind: arch.Logistic}, arch.Shape{Cards: []int{4, 3}}},
	{"mlp", arch.Spec{Kind: arch.MLP, Hidden: []int{17, 5}}, arch.Shape{Numbers: 3, Cards: []int{9, 2, 5}}},
	{"mlp without numbers", arch.Spec{Kind: arch.MLP, Hidden: []int{6}, Embedding: "3"}, arch.Shape{Cards: []int{4, 6}}},
	{"mlp without categories", arch.Spec{Kind: arch.MLP, Hidden: []int{128, 64}}, arch.Shape{Numbers: 64}},
}

func sample(t *testing.T, spec arch.Spec, shape arch.Shape, rows int) (arch.Batch, []int8, []float32) {
	r := rand.New(rand.NewPCG(1, 2))
	b, labels := arch.Batch{Rows: rows}, make([]int8, rows)
	for i := range rows {
		for range shape.Numbers {
			b.X = append(b.X, float32(r.NormFloat64()))
		}
		for _, card := range shape.Cards {
			b.C = append(b.C, int32(r.IntN(card)))
		}
		labels[i] = int8(r.IntN(2))
	}
	n, err := spec.Params(shape)
	require.NoError(t, err)
	params := make([]float32, n)
	for i := range params {
		params[i] = float32(r.NormFloat64() * 0.2)
	}
	return b, labels, params
}

// TestGradient: the derivative of every parameter is that of Gorgonia's own
// operations.
func TestGradient(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			const rows = 50
			b, labels, params := sample(t, c.spec, c.shape, rows)
			n, err := New(c.spec, c.shape, rows, params, 0.01)
			require.NoError(t, err)
			e, err := autograd.NewEngine(c.spec, c.shape, 2, 16)
			require.NoError(t, err)
			copy(e.Params(), params)
			want, got := make([]float32, len(params)), make([]float32, len(params))
			for range 2 {
				stock, err := n.Gradient(b, labels, want)
				require.NoError(t, err)
				ours, err := e.Sum(b, labels, nil, got)
				require.NoError(t, err)
				require.InDelta(t, stock, ours/rows, 1e-5)
				for i := range want {
					require.InDelta(t, want[i], got[i]/rows, 1e-5*(1+math.Abs(float64(want[i]))), "parameter %d", i)
				}
			}
			require.NoError(t, e.Close())
			require.NoError(t, n.Close())
		})
	}
}

// TestSteps: training stays together over some steps of Adam.
func TestSteps(t *testing.T) {
	c := cases[3]
	const rows = 40
	b, labels, params := sample(t, c.spec, c.shape, rows)
	n, err := New(c.spec, c.shape, rows, params, 0.01)
	require.NoError(t, err)
	e, err := autograd.NewEngine(c.spec, c.shape, 1, rows)
	require.NoError(t, err)
	w := e.Params()
	copy(w, params)
	grad, m, v := make([]float32, len(w)), make([]float32, len(w)), make([]float32, len(w))
	for step := 1; step <= 20; step++ {
		stock, err := n.Step(b, labels)
		require.NoError(t, err)
		ours, err := e.Sum(b, labels, nil, grad)
		require.NoError(t, err)
		require.InDelta(t, stock, ours/rows, 1e-3, "step %d", step)
		kernel.Blend(grad, w, w, 1./rows, 0, 0)
		kernel.Adam(w, grad, m, v, kernel.AdamStep{Rate: 0.01, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Step: step})
	}
	require.NoError(t, e.Close())
	require.NoError(t, n.Close())
}

func TestRefuses(t *testing.T) {
	spec, shape := cases[0].spec, cases[0].shape
	_, err := New(spec, shape, 4, nil, 0.1)
	require.Error(t, err)
	_, err = New(spec, arch.Shape{}, 4, nil, 0.1)
	require.Error(t, err)
	n, err := New(spec, shape, 4, make([]float32, 17), 0.1)
	require.NoError(t, err)
	_, err = n.Step(arch.Batch{Rows: 3}, nil)
	require.Error(t, err)
	require.NoError(t, n.Close())
}
