package report

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// forecastTally is five nodes' tallies, summed; the last place has six rows in all.
func forecastTally(t *testing.T) *metrics.CountTally {
	t.Helper()
	s := metrics.CountSchema{Groups: []metrics.GroupColumn{{Name: "border_place", Values: []string{"P1", "P2", "P3", "P4"}}}}
	sum := make([]int64, s.Words())
	for node := range 5 {
		r := rand.New(rand.NewPCG(uint64(node), 17))
		f := metrics.Forecasts{Groups: make([][]int16, 1)}
		for i := range 60 {
			mean := 30 + 100*r.Float64()
			y := math.Round(mean * (0.7 + 0.6*r.Float64()))
			f.Counts, f.Means = append(f.Counts, int32(y)), append(f.Means, mean)
			f.Low, f.High = append(f.Low, int64(.75*mean)), append(f.High, int64(1.25*mean))
			f.Alone, f.Baseline = append(f.Alone, mean*1.2), append(f.Baseline, float32(y*(0.5+r.Float64())))
			place := int16(i % 3)
			if node < 3 && i < 2 {
				place = 3
			}
			f.Groups[0] = append(f.Groups[0], place)
		}
		words, err := s.Count(f)
		require.NoError(t, err)
		for i, w := range words {
			sum[i] += w
		}
	}
	tally, err := s.Parse(sum)
	require.NoError(t, err)
	return tally
}

func forecastReport(t *testing.T) *Report {
	t.Helper()
	r, err := Build(Input{
		Counts: forecastTally(t), Spread: Spread{Loss: "negative-binomial", Dispersion: 8},
		Plan: Plan{Name: "trends", Members: []string{"A", "B", "C", "D", "E"}, FPR: .05},
		Gates: []fairness.Gate{
			{Metric: fairness.DevianceGain, Bound: fairness.Point, AtLeast: p(.05), Share: .6666, Evidence: fairness.Evidence{Nodes: 5}},
			{Metric: fairness.Coverage, Bound: fairness.Lower, AtLeast: p(.9)},
		},
	})
	require.NoError(t, err)
	return r
}

func TestForecastReport(t *testing.T) {
	r := forecastReport(t)
	tally := forecastTally(t)
	f := r.Forecasts
	require.Equal(t, int64(300), r.Rows)
	require.Equal(t, tally.Observed(), f.Observed)
	require.Equal(t, fairness.Fail, r.Verdict)
	require.Equal(t, fairness.Pass, r.Gates[0].Outcome)
	require.Equal(t, 1.0, *r.Gates[0].Value)
	require.Equal(t, int64(5), f.OverBase.Five)
	require.InDelta(t, 1, *f.Ratio, .05)

	b, err := r.JSON()
	require.NoError(t, err)
	again, err := Parse(b)
	require.NoError(t, err)
	require.Equal(t, r, again)
	page, err := r.HTML()
	require.NoError(t, err)
	for _, text := range []string{string(page), string(r.Markdown())} {
		for _, want := range []string{"gain in Poisson deviance over the baseline", "border place", "Calibration of the mean", "negative-binomial, dispersion 8"} {
			require.Contains(t, text, want)
		}
		require.NotContains(t, text, "AUROC")
		require.NotContains(t, text, "examined")
	}
}

// TestSmallCellsOfForecastsAreHidden: six rows are hidden, and a further place, so that they are not found by subtraction.
func TestSmallCellsOfForecastsAreHidden(t *testing.T) {
	r := forecastReport(t)
	groups := r.Forecasts.Columns[0].Groups
	require.Len(t, groups, 4)
	hidden := 0
	for _, g := range groups {
		if g.Rows == nil {
			hidden++
			require.Nil(t, g.Observed)
			require.Nil(t, g.Expected)
			require.Nil(t, g.Coverage)
		}
	}
	require.Equal(t, 2, hidden)
	require.Nil(t, groups[3].Rows)
	require.Len(t, r.Suppressed, 1)
	for _, b := range r.Forecasts.Bands {
		require.GreaterOrEqual(t, b.Rows, int64(fairness.SmallCell))
	}
	require.True(t, small(30, 9), "thirty rows about nine people")
	require.False(t, small(30, 0))
}

func TestForecastReportsAreRefused(t *testing.T) {
	for name, edit := range map[string]func(*Report){
		"found":    func(r *Report) { r.Found = 3 },
		"paired":   func(r *Report) { r.Forecasts.Paired = r.Rows + 1 },
		"band":     func(r *Report) { r.Forecasts.Bands[0].Rows-- },
		"edge":     func(r *Report) { r.Forecasts.Bands[0].Low = 1 },
		"observed": func(r *Report) { r.Forecasts.Observed++ },
	} {
		r := forecastReport(t)
		edit(r)
		b, err := r.JSON()
		require.NoError(t, err)
		_, err = Parse(b)
		require.Error(t, err, name)
	}
	_, err := Build(Input{Counts: forecastTally(t), Tally: &metrics.Tally{}})
	require.Error(t, err)
}
