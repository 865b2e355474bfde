package dp

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// gaussianEpsilon is the exact ε of a Gaussian of sensitivity mu and deviation 1
// (Balle and Wang 2018).
func gaussianEpsilon(mu, delta float64) float64 {
	phi := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	lo, hi := 0., 600.
	for range 100 {
		if e := (lo + hi) / 2; phi(mu/2-e/mu)-math.Exp(e)*phi(-mu/2-e/mu) > delta {
			lo = e
		} else {
			hi = e
		}
	}
	return hi
}

// TestPLDGaussian: without sampling, mechanisms of different noise compose to one
// Gaussian, whose ε is known. Ours is above it, by no more than 0.1 %.
func TestPLDGaussian(t *testing.T) {
	for _, ms := range [][]Mechanism{
		{{1, 20, 1}, {1, 3, 40}, {1, 7, 3}},
		{{1, 100, 1}},
		{{1, .1, 1}},
		{{1, 500, 100_000}},
	} {
		var mu2 float64
		for _, m := range ms {
			mu2 += float64(m.Steps) / (m.Noise * m.Noise)
		}
		for _, delta := range []float64{1e-4, 1e-9} {
			want := gaussianEpsilon(math.Sqrt(mu2), delta)
			e, err := PLD(delta, ms...)
			require.NoError(t, err)
			require.GreaterOrEqual(t, e, want*(1-1e-9), "%+v at %v", ms, delta)
			require.LessOrEqual(t, e, want*(1+1e-3)+1e-9, "%+v at %v", ms, delta)
		}
	}
}

// TestPLDSane: a bound at or below Rényi's, finite, the same for steps at once or
// one by one, and never below what one of its parts costs.
func TestPLDSane(t *testing.T) {
	for _, m := range []Mechanism{
		{1e-6, 1000, 1 << 40},
		{1e-6, .01, 1000},
		{.01, .05, 10},
		{.02, 1.1, 5000},
		{.999, 3, 30},
		{1 - 1e-12, 2, 4},
		{.5, 1e9, 1},
		{1, 1e-3, 1 << 40},
	} {
		renyi, _, err := Epsilon(1e-6, m)
		require.NoError(t, err)
		e, err := PLD(1e-6, m)
		require.NoError(t, err)
		require.LessOrEqual(t, e, renyi, "%+v", m)
		require.GreaterOrEqual(t, e, 0., "%+v", m)
		if m.Steps > 1000 {
			continue
		}
		double := m
		double.Steps *= 2
		want, err := PLD(1e-6, double)
		require.NoError(t, err)
		got, err := PLD(1e-6, m, m)
		require.NoError(t, err)
		require.InDelta(t, want, got, 1e-6*want, "%+v", m)
		require.GreaterOrEqual(t, got, e)
	}
	e, err := PLD(1e-6)
	require.NoError(t, err)
	require.Zero(t, e)
	_, err = PLD(2, Mechanism{1, 1, 1})
	require.ErrorContains(t, err, "delta")
}

// TestPLDTight: with sampling it halves what Rényi says at small ε.
func TestPLDTight(t *testing.T) {
	m := Mechanism{.001, .8, 200}
	renyi, _, err := Epsilon(1e-6, m)
	require.NoError(t, err)
	e, err := PLD(1e-6, m)
	require.NoError(t, err)
	require.Less(t, e, renyi*.75)
}

func BenchmarkPLD(b *testing.B) {
	for b.Loop() {
		if _, err := PLD(1e-6, Mechanism{.02, 1.2, 3000}, Mechanism{1, 20, 1}); err != nil {
			b.Fatal(err)
		}
	}
}
