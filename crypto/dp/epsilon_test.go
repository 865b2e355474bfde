package dp

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEpsilonRefuses(t *testing.T) {
	good := Mechanism{Rate: .1, Noise: 1, Steps: 1}
	for _, m := range []Mechanism{
		{0, 1, 1},
		{-.1, 1, 1},
		{1.1, 1, 1},
		{math.NaN(), 1, 1},
		{.1, 0, 1},
		{.1, -1, 1},
		{.1, math.NaN(), 1},
		{.1, math.Inf(1), 1},
		{.1, 1, 0},
		{.1, 1, math.MaxUint64},
	} {
		_, _, err := Epsilon(1e-6, good, m)
		require.ErrorContains(t, err, "mechanism 2", "%+v", m)
	}
	for _, delta := range []float64{0, 1, -1, math.NaN()} {
		_, _, err := Epsilon(delta, good)
		require.ErrorContains(t, err, "delta")
	}
}

// TestEpsilonSane: more steps, less noise, a higher rate and a smaller delta
// never cost less; sampling never costs more than none.
func TestEpsilonSane(t *testing.T) {
	eps := func(delta float64, ms ...Mechanism) float64 {
		e, order, err := Epsilon(delta, ms...)
		require.NoError(t, err)
		require.Greater(t, order, 1.)
		require.False(t, math.IsNaN(e) || math.IsInf(e, 0), "%+v", ms)
		return e
	}
	require.Zero(t, eps(1e-6))
	for _, q := range []float64{1e-6, .02, .5, .999} {
		for _, sigma := range []float64{.3, .8, 30} {
			m := Mechanism{q, sigma, 100}
			e := eps(1e-6, m)
			require.LessOrEqual(t, e, eps(1e-6, Mechanism{q, sigma, 200}))
			require.LessOrEqual(t, e, eps(1e-6, Mechanism{q, sigma * .9, 100}))
			require.LessOrEqual(t, e, eps(1e-6, Mechanism{math.Min(1, q*1.3), sigma, 100})*(1+1e-9))
			require.LessOrEqual(t, e, eps(1e-6, Mechanism{1, sigma, 100})*(1+1e-9))
			require.LessOrEqual(t, e, eps(1e-7, m))
			require.LessOrEqual(t, e, eps(1e-6, m, Mechanism{1, 20, 1}))
			require.InDelta(t, eps(1e-6, Mechanism{q, sigma, 200}), eps(1e-6, m, m), 1e-9*e+1e-12)
		}
	}
}

func TestNoiseFor(t *testing.T) {
	statistics := Mechanism{1, 20, 1}
	for _, want := range []float64{.5, 1, 3, 8, 100} {
		for _, q := range []float64{.01, 1} {
			noise, err := NoiseFor(want, 1e-6, q, 300, statistics)
			require.NoError(t, err)
			got, _, err := Epsilon(1e-6, statistics, Mechanism{q, noise, 300})
			require.NoError(t, err)
			require.LessOrEqual(t, got, want)
			less := noise * (1 - 1.01e-3)
			over, _, err := Epsilon(1e-6, statistics, Mechanism{q, less, 300})
			require.NoError(t, err)
			require.Greater(t, over, want, "noise %v would do", less)
		}
	}
	_, err := NoiseFor(.01, 1e-6, .01, 300, statistics)
	require.ErrorIs(t, err, ErrUnreachable)
	for _, epsilon := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		_, err := NoiseFor(epsilon, 1e-6, .01, 300)
		require.ErrorContains(t, err, "epsilon")
	}
}

func BenchmarkNoiseFor(b *testing.B) {
	for b.Loop() {
		if _, err := NoiseFor(3, 1e-6, .02, 3000, Mechanism{1, 20, 1}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestCovered: the least noise that a mechanism covers costs no more than it, composed with whatever, and a little
// less noise costs more somewhere.
func TestCovered(t *testing.T) {
	for _, m := range []Mechanism{{1, 2, 1}, {0.02, 1.1, 50}, {0.5, 0.7, 3}, {0.001, 20, 1000}} {
		noise, err := Covered(m)
		require.NoError(t, err)
		require.True(t, m.Covers(noise))
		require.False(t, m.Covers(noise*0.998), "%+v", m)
		for _, times := range []uint64{1, 40} {
			dear, _, err := Epsilon(1e-6, Mechanism{m.Rate, m.Noise, m.Steps * times})
			require.NoError(t, err)
			cheap, _, err := Epsilon(1e-6, Mechanism{1, noise, times})
			require.NoError(t, err)
			require.LessOrEqual(t, cheap, dear, "%+v", m)
		}
	}
	require.False(t, Mechanism{1, 1, 1}.Covers(math.NaN()))
	_, err := Covered(Mechanism{})
	require.Error(t, err)
}
