package fairness

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// nodeTally has 40 rows of ten whose count is five above the expected one, in each of so many nodes, of which so many have
// a baseline that is far off; the baselines of the others are exact.
func nodeTally(t *testing.T, nodes, gaining int) *metrics.CountTally {
	t.Helper()
	s := metrics.CountSchema{}
	sum := make([]int64, s.Words())
	for node := range nodes {
		var f metrics.Forecasts
		for i := range 40 {
			y := int32(100)
			if i%4 == 0 {
				y = 105
			}
			base := float32(y + 1)
			if node < gaining {
				base = 150
			}
			f.Counts, f.Means, f.Baseline = append(f.Counts, y), append(f.Means, 100), append(f.Baseline, base)
			f.Low, f.High = append(f.Low, 96), append(f.High, 104)
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

func TestForecastGates(t *testing.T) {
	share := func(least, share float64) Gate {
		return Gate{Metric: DevianceGain, Bound: Point, AtLeast: &least, Share: share}
	}
	at := func(metric string, bound Bound, least, most float64) Gate {
		g := Gate{Metric: metric, Bound: bound}
		if least > 0 {
			g.AtLeast = &least
		} else {
			g.AtMost = &most
		}
		return g
	}
	three := nodeTally(t, 6, 3)
	for _, c := range []struct {
		tally *metrics.CountTally
		gate  Gate
		want  Outcome
	}{
		{nodeTally(t, 6, 4), share(.05, .6666), Pass},
		{three, share(.05, .6666), Fail},
		{three, share(.1, .5), Pass},
		{three, at(DevianceGain, Point, .5, 0), Pass},
		{three, at(Coverage, Point, .75, 0), Pass},
		{three, at(Coverage, Point, .76, 0), Fail},
		{three, at(Coverage, Point, 0, .74), Fail},
		{three, at(Coverage, Lower, .75, 0), Fail},
		{three, Gate{Metric: DevianceGain, Bound: Point, AtLeast: new(float64), Evidence: Evidence{Nodes: 7}}, NotEnough},
		{three, Gate{Metric: DevianceGain, Bound: Point, AtLeast: new(float64), Evidence: Evidence{Rows: 241}}, NotEnough},
		{three, Gate{Metric: Coverage, Bound: Point, AtLeast: new(float64), Evidence: Evidence{Positives: 1}}, NotEnough},
		{three, Gate{Metric: AUROC, Bound: Point, AtLeast: new(float64)}, NotEnough},
	} {
		got := JudgeForecasts(c.tally, []Gate{c.gate})[0]
		require.Equal(t, c.want, got.Outcome, "%+v: %s", c.gate, got.Reason)
	}
	for want, g := range map[string]Gate{
		"one of":          share(.07, .5),
		"share 1.5":       share(.05, 1.5),
		"share belongs":   {Metric: Coverage, Bound: Point, AtLeast: new(float64), Share: .5},
		"has no interval": at(DevianceGain, Lower, .5, 0),
	} {
		require.ErrorContains(t, g.Validate(), want)
	}
	require.True(t, OfCounts(Coverage))
	require.False(t, OfCounts(ECE))
}
