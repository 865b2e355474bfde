package arch

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCountSpecs(t *testing.T) {
	require.Equal(t, Spec{Kind: Linear, L2: 1, Loss: NegativeBinomial, Dispersion: 8}, Spec{Kind: Linear}.WithDefaults())
	require.NoError(t, Spec{Kind: Linear, Loss: Poisson}.Validate())
	require.NoError(t, Spec{Kind: MLP, Loss: NegativeBinomial, Dispersion: 3}.Validate())
	require.True(t, Spec{Kind: Linear}.Counts())
	require.False(t, Spec{Kind: MLP}.Counts())
	require.Zero(t, Spec{Kind: Linear, Loss: Poisson}.K())
	for text, s := range map[string]Spec{
		"not known":                        {Kind: MLP, Loss: "gamma"},
		"trees have no loss":               {Kind: Trees, Loss: Poisson},
		"use linear":                       {Kind: Logistic, Loss: Poisson},
		"dispersion belongs":               {Kind: Linear, Loss: Poisson, Dispersion: 3},
		"dispersion 0.05":                  {Kind: Linear, Dispersion: 0.05},
		"dispersion NaN":                   {Kind: Linear, Dispersion: math.NaN()},
		"belongs to loss negative-binomia": {Kind: MLP, Dispersion: 3},
		"linear has neither":               {Kind: Linear, Hidden: []int{3}},
	} {
		require.ErrorContains(t, s.Validate(), text)
	}
}

// TestLinearIsLogisticsLayout: one layout and one sum, and offsets on top.
func TestLinearIsLogisticsLayout(t *testing.T) {
	require.Equal(t, Spec{Kind: Logistic}.Blocks(shape), Spec{Kind: Linear}.Blocks(shape))
	n, err := Spec{Kind: Linear}.Params(shape)
	require.NoError(t, err)
	params := make([]float32, n)
	for i := range params {
		params[i] = float32(i%7)/10 - 0.3
	}
	batch := Batch{Rows: 2, X: []float32{1, -2, 0.5, 3}, C: []int32{0, 29, 2, 1}}
	want, got := make([]float64, 2), make([]float64, 2)
	for _, s := range []Spec{{Kind: Logistic}, {Kind: Linear}} {
		m, err := NewModel(s, shape, params)
		require.NoError(t, err)
		m.Logits(batch, got)
		if s.Kind == Logistic {
			copy(want, got)
		}
	}
	require.Equal(t, want, got)
	batch.Offset = Offsets([]float32{1, 1000})
	require.NoError(t, batch.Check(shape))
	m, err := NewModel(Spec{Kind: Linear}, shape, params)
	require.NoError(t, err)
	m.Logits(batch, got)
	require.InDelta(t, want[0], got[0], 1e-15)
	require.InDelta(t, want[1]+math.Log(1000), got[1], 1e-6)
	part := batch.Slice(shape, 1, 2)
	m.Logits(part, got[:1])
	require.Equal(t, got[1], got[0])
	batch.Offset = batch.Offset[:1]
	require.ErrorContains(t, batch.Check(shape), "1 offsets")
}

func TestMean(t *testing.T) {
	for _, z := range []float64{-16, -1, 0, 0.5, 7, 16} {
		require.InEpsilon(t, math.Exp(z), Mean(z), 1e-13)
	}
	require.Equal(t, Mean(16), Mean(40))
	require.Equal(t, Mean(-16), Mean(math.Inf(-1)))
}

// cdf adds up probabilities from their formula.
func cdf(mean, k float64, upTo int64) float64 {
	sum := 0.0
	for j := range upTo + 1 {
		y := float64(j)
		lf, _ := math.Lgamma(y + 1)
		if k == 0 {
			sum += math.Exp(y*math.Log(mean) - mean - lf)
			continue
		}
		a, _ := math.Lgamma(y + k)
		b, _ := math.Lgamma(k)
		sum += math.Exp(a - b - lf + k*math.Log(k/(mean+k)) + y*math.Log(mean/(mean+k)))
	}
	return sum
}

func TestIntervalsAreQuantiles(t *testing.T) {
	for _, k := range []float64{0, 0.5, 1, 8, 300} {
		for _, mean := range []float64{1e-6, 0.3, 1, 9.7, 60, 1200} {
			t.Run(fmt.Sprintf("k %v mean %v", k, mean), func(t *testing.T) {
				low, high := Interval(mean, k, 0.8)
				require.LessOrEqual(t, low, high)
				for q, share := range map[int64]float64{low: 0.1, high: 0.9} {
					if low == high {
						share = 0.9
					}
					require.GreaterOrEqual(t, cdf(mean, k, q), share-1e-8)
					if q > 0 && low != high {
						require.Less(t, cdf(mean, k, q-1), share+1e-8)
					}
				}
			})
		}
	}
}

// TestIntervalsEnd: the largest expected count at the smallest dispersion takes a bounded number of terms.
func TestIntervalsEnd(t *testing.T) {
	low, high := Interval(Mean(MaxLogMean), 0.1, 0.8)
	require.Less(t, low, high)
	require.LessOrEqual(t, high, int64(farthest))
	low, high = Interval(Mean(MaxLogMean), 0, 0.8)
	require.InDelta(t, Mean(16), float64(low+high)/2, 10)
}
