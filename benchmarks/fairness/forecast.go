package fairness

import (
	"fmt"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// JudgeForecasts holds a tally of forecasts to the gates, in their order. A gate
// is never passed without the evidence it asks for.
func JudgeForecasts(t *metrics.CountTally, gates []Gate) []Result {
	results := make([]Result, len(gates))
	for i, g := range gates {
		results[i] = judgeForecast(t, g)
	}
	return results
}

func judgeForecast(t *metrics.CountTally, g Gate) Result {
	r := Result{Gate: g, Outcome: NotEnough}
	if err := g.Validate(); err != nil {
		r.Outcome, r.Reason = Fail, err.Error()
		return r
	}
	if !kinds[g.Metric].counts {
		r.Reason = "the label is a count"
		return r
	}
	e := g.Evidence
	if e.Positives+e.Negatives+e.PositivesPerGroup+e.NegativesPerGroup > 0 {
		r.Reason = "counts are neither positive nor negative"
		return r
	}
	for _, n := range []struct {
		have, want int64
		what       string
	}{{t.Rows(), e.Rows, "rows"}, {t.Base.Defined, e.Nodes, "nodes with a baseline"}} {
		if n.have < n.want {
			r.Reason = fmt.Sprintf("%d %s, %d needed", n.have, n.what, n.want)
			return r
		}
	}
	if g.Metric == Coverage {
		return r.decide(t.Coverage())
	}
	if g.Share > 0 {
		return judgeShare(t, r)
	}
	gain := t.BaseGain()
	if gain == nil {
		return r.decide(nil)
	}
	r = r.decide(&metrics.Estimate{Value: *gain, Low: *gain, High: *gain})
	r.Low, r.High = nil, nil
	return r
}

// judgeShare judges in how many nodes the model gains enough. The figure is
// their share.
func judgeShare(t *metrics.CountTally, r Result) Result {
	share, ok := t.Base.Share(*r.Gate.AtLeast)
	if !ok {
		r.Reason = "no node has a baseline"
		return r
	}
	r.Value = &share
	r.Outcome, r.Reason = Pass, fmt.Sprintf("gain ≥ %v in a share of %.4f of %d nodes, ≥ %v", *r.Gate.AtLeast, share, t.Base.Defined, r.Gate.Share)
	if share < r.Gate.Share {
		r.Outcome, r.Reason = r.finding(), fmt.Sprintf("gain ≥ %v in a share of %.4f of %d nodes, not ≥ %v", *r.Gate.AtLeast, share, t.Base.Defined, r.Gate.Share)
	}
	return r
}
