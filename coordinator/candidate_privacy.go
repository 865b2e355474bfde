package coordinator

import (
	"fmt"

	"github.com/koinon-eu/koinon/benchmarks/report"
	"github.com/koinon-eu/koinon/coordinator/federation"
)

// privacyOf is what the report says of a plan's noise; nil where there is none.
func privacyOf(p *federation.Plan) *report.Privacy {
	m := p.Mechanisms()
	if m == nil {
		return nil
	}
	v := p.Privacy
	return &report.Privacy{
		DP: v.DP, Epsilon: v.Epsilon, Delta: v.Delta, Clip: v.Clip, Noise: v.Noise, StatisticsNoise: v.StatisticsNoise,
		Rate: m[1].Rate, Steps: m[1].Steps, TestRows: report.NotCovered,
	}
}

// privacyWords is what the model card says of a plan's privacy.
func privacyWords(p *federation.Plan) string {
	words := "secure aggregation " + p.Privacy.SecureAggregation + ", noise "
	if v := privacyOf(p); v != nil {
		return words + fmt.Sprintf("for each training %v; test rows are not covered", v)
	}
	return words + p.Privacy.DP
}

// counted is how the card's rows and positives came about, where they are not
// exactly those of this training.
func counted(p *federation.Plan) string {
	switch {
	case p.WarmStart != nil:
		return "in the training of the release that this one started from; a plan with a warm start counts no rows"
	case p.Privacy.DP == federation.DPRecord:
		return "with noise, which record-level privacy asks for"
	}
	return ""
}
