package autograd

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/koinon-eu/koinon/models/arch"

	"github.com/stretchr/testify/require"
)

var countShape = arch.Shape{Numbers: 3, Cards: []int{4, 2}}

// countBatch draws rows with counts around e^0.5x and exposures.
func countBatch(rows int) arch.Batch {
	r := rand.New(rand.NewPCG(5, 11))
	b := arch.Batch{Rows: rows, Scale: 0.25}
	for range rows {
		for range countShape.Numbers {
			b.X = append(b.X, float32(r.NormFloat64()))
		}
		for _, card := range countShape.Cards {
			b.C = append(b.C, int32(r.IntN(card)))
		}
		b.Count = append(b.Count, int32(r.IntN(30)))
		b.Offset = append(b.Offset, float32(r.Float64()))
	}
	return b
}

var countSpecs = map[string]arch.Spec{
	"linear poisson":           {Kind: arch.Linear, Loss: arch.Poisson},
	"linear negative-binomial": {Kind: arch.Linear, Dispersion: 2},
	"mlp poisson":              {Kind: arch.MLP, Loss: arch.Poisson, Hidden: []int{5}},
	"mlp negative-binomial":    {Kind: arch.MLP, Loss: arch.NegativeBinomial, Hidden: []int{4, 3}},
}

// TestCountGradients: the derivative of every parameter is that of the forward pass of models/arch and the formula of the
// loss, taken by differences in float64.
func TestCountGradients(t *testing.T) {
	data := countBatch(37)
	for name, spec := range countSpecs {
		t.Run(name, func(t *testing.T) {
			engine, err := NewEngine(spec, countShape, 2, 8)
			require.NoError(t, err)
			defer func() { require.NoError(t, engine.Close()) }()
			params, err := spec.InitialParameters(countShape, 9)
			require.NoError(t, err)
			for i := range params {
				params[i] += float32(i%5)/20 - 0.09 // none is zero: a ReLU must not stand on its edge
			}
			params[len(params)-1] = 1.5
			grad := make([]float64, len(params))
			loss, err := engine.Gradient(params, data, nil, nil, grad)
			require.NoError(t, err)
			forward := func(p []float32) float64 {
				model, err := arch.NewModel(spec, countShape, p)
				require.NoError(t, err)
				z := make([]float64, data.Rows)
				model.Logits(data, z)
				sum := 0.0
				for i, v := range z {
					sum += 0.25 * halfDeviance(float64(data.Count[i]), math.Exp(v), spec.K())
				}
				return sum
			}
			require.InEpsilon(t, forward(params), loss, 1e-5)
			for i := range params {
				const h = 1.0 / (1 << 14)
				up, down := append([]float32(nil), params...), append([]float32(nil), params...)
				up[i], down[i] = up[i]+h, down[i]-h
				want := (forward(up) - forward(down)) / float64(up[i]-down[i])
				require.InDelta(t, want, grad[i], 0.01+0.01*math.Abs(want), "parameter %d", i)
			}
		})
	}
}

// halfDeviance is written from the likelihoods (lgamma), not from the formula in use.
func halfDeviance(y, mean, k float64) float64 {
	at := func(m float64) float64 {
		lf, _ := math.Lgamma(y + 1)
		if k == 0 {
			if m == 0 {
				return 0
			}
			return y*math.Log(m) - m - lf
		}
		a, _ := math.Lgamma(y + k)
		b, _ := math.Lgamma(k)
		l := a - b - lf + k*math.Log(k/(m+k))
		if y > 0 {
			l += y * math.Log(m/(m+k))
		}
		return l
	}
	return at(y) - at(mean)
}

// TestCountLossBeyondTheClamp: bounded, continuous, and its slope never turns.
func TestCountLossBeyondTheClamp(t *testing.T) {
	for _, k := range []float64{0, 8} {
		for _, y := range []float64{0, 3, 1 << 20} {
			last := math.Inf(-1)
			for z := -40.0; z < 40; z += 0.25 {
				loss, slope := CountLoss(y, z, k)
				require.GreaterOrEqual(t, loss, -1e-3)
				require.False(t, math.IsInf(loss, 0))
				require.GreaterOrEqual(t, slope, last-1e-9)
				before, _ := CountLoss(y, z-1e-6, k)
				require.InDelta(t, loss, before, 20)
				last = slope
			}
		}
	}
}

// TestCountPasses: the plan and Gorgonia's tape machine give the same bits, and rows by index those of a copy.
func TestCountPasses(t *testing.T) {
	data := countBatch(20)
	for name, spec := range countSpecs {
		t.Run(name, func(t *testing.T) {
			params, err := spec.InitialParameters(countShape, 3)
			require.NoError(t, err)
			params[len(params)-1] = 2
			run := func(tape bool, data arch.Batch, rows Rows) ([]float32, float64) {
				engine, err := NewEngine(spec, countShape, 1, 32)
				require.NoError(t, err)
				defer func() { require.NoError(t, engine.Close()) }()
				if tape {
					engine.UseTape()
				}
				copy(engine.Params(), params)
				grad := make([]float32, len(params))
				loss, err := engine.Sum(data, nil, rows, grad)
				require.NoError(t, err)
				return grad, loss
			}
			grad, loss := run(false, data, nil)
			tape, tapeLoss := run(true, data, nil)
			require.Equal(t, grad, tape)
			require.Equal(t, loss, tapeLoss)
			part, partLoss := run(false, data.Slice(countShape, 5, 9), nil)
			named, namedLoss := run(false, data, Rows{5, 6, 7, 8})
			require.Equal(t, part, named)
			require.Equal(t, partLoss, namedLoss)
		})
	}
}
