package fairness

import (
	"fmt"
	"strings"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// Outcome is what a gate says of a candidate.
type Outcome string

// The outcomes. Only Pass opens the gate by itself; AnswerRequired opens it
// once approvers have answered in writing; the others keep it shut.
const (
	Pass           Outcome = "pass"
	Fail           Outcome = "fail"
	NotEnough      Outcome = "not enough evidence"
	AnswerRequired Outcome = "answer required"
)

// Result is a gate with its outcome and the figures it rests on.
type Result struct {
	Gate    Gate    `json:"gate"`
	Outcome Outcome `json:"outcome"`
	// Value, Low and High are the figure judged and its interval, null where
	// undefined or where the metric has none.
	Value *float64 `json:"value"`
	Low   *float64 `json:"low"`
	High  *float64 `json:"high"`
	// Reason says in words what decided.
	Reason string `json:"reason"`
	// NotJudged lists groups with too little evidence, or withheld by the plan.
	NotJudged []string `json:"not_judged,omitempty"`
}

// Judge holds an assessment to the gates, in their order. A gate is never
// passed without the evidence it asks for.
func (a *Assessment) Judge(gates []Gate) []Result {
	results := make([]Result, len(gates))
	for i, g := range gates {
		results[i] = a.judge(g)
	}
	return results
}

// Passed reports whether every gate passed, and otherwise whether written
// answers are all that is missing.
func Passed(results []Result) (passed, answers bool) {
	passed, answers = true, true
	for _, r := range results {
		passed = passed && r.Outcome == Pass
		answers = answers && (r.Outcome == Pass || r.Outcome == AnswerRequired)
	}
	return passed, answers && !passed
}

func (a *Assessment) judge(g Gate) Result {
	r := Result{Gate: g, Outcome: NotEnough}
	if err := g.Validate(); err != nil {
		r.Outcome, r.Reason = Fail, err.Error()
		return r
	}
	k := kinds[g.Metric]
	if k.counts {
		r.Reason = "the label is not a count"
		return r
	}
	if r.Reason = a.lacks(g.Evidence); r.Reason != "" {
		return r
	}
	if !k.group {
		return a.judgeWhole(r)
	}
	col, ok := a.Column(g.Group)
	if !ok {
		r.Reason = fmt.Sprintf("group column %s was not tallied", g.Group)
		return r
	}
	for _, group := range col.Groups {
		if group.Withheld {
			r.NotJudged = append(r.NotJudged, group.Value)
		}
	}
	if g.Metric == OverExpected {
		return judgeExpected(r, col)
	}
	return judgeGap(r, col)
}

// lacks says what the whole evaluation has too little of, or "".
func (a *Assessment) lacks(e Evidence) string {
	t := a.Tally
	for _, n := range []struct {
		have, want int64
		what       string
	}{
		{t.Rows(), e.Rows, "rows"},
		{t.Positives(), e.Positives, "rows found"},
		{t.Negatives(), e.Negatives, "rows not found"},
		{t.Gain.Defined, e.Nodes, "nodes with a defined gain"},
	} {
		if n.have < n.want {
			return fmt.Sprintf("%d %s, %d needed", n.have, n.what, n.want)
		}
	}
	return ""
}

func (a *Assessment) judgeWhole(r Result) Result {
	t := a.Tally
	switch r.Gate.Metric {
	case AUROC:
		return r.decide(t.AUROC())
	case Gain:
		return r.decide(t.Gain.Mean())
	}
	v := map[string]*float64{AUPRC: t.AUPRC(), Brier: t.Brier(), ECE: t.ECE(), LogLoss: t.LogLoss()}[r.Gate.Metric]
	if v == nil {
		return r.decide(nil)
	}
	r = r.decide(&metrics.Estimate{Value: *v, Low: *v, High: *v})
	r.Low, r.High = nil, nil
	return r
}

func judgeGap(r Result, col Assessed) Result {
	base := r.Gate.Evidence.NegativesPerGroup
	if r.Gate.Metric == TPRGap || r.Gate.Metric == FNRGap {
		base = r.Gate.Evidence.PositivesPerGroup
	}
	gap, short := col.Gap(r.Gate.Metric, base)
	short = append(short, col.shortOf(r.Gate.Evidence, short)...)
	if len(short) > 0 {
		r.NotJudged = append(r.NotJudged, short...)
		r.Reason = "too few rows in " + strings.Join(short, ", ")
		return r
	}
	if gap == nil {
		r.Reason = "fewer than two groups to compare"
		return r
	}
	r = r.decide(&gap.Estimate)
	r.Reason += fmt.Sprintf(" (%s against %s)", gap.Highest, gap.Lowest)
	return r
}

// shortOf lists the groups below either demand on a group's rows, beyond those
// already listed.
func (c Assessed) shortOf(e Evidence, listed []string) (short []string) {
	known := map[string]bool{OtherRows: true}
	for _, v := range listed {
		known[v] = true
	}
	for _, g := range c.Groups {
		if !known[g.Value] && !g.Withheld && (g.Positives < e.PositivesPerGroup || g.Negatives < e.NegativesPerGroup) {
			short = append(short, g.Value)
		}
	}
	return short
}

// judgeExpected looks at each group's observed ÷ expected with intervals wide
// enough for all groups together. The figure shown is the group whose interval
// is furthest from the value it should contain.
func judgeExpected(r Result, col Assessed) Result {
	var judged []Group
	var short []string
	for _, g := range col.Groups {
		switch {
		case g.Withheld:
		case g.Positives >= r.Gate.Evidence.PositivesPerGroup && g.Negatives >= r.Gate.Evidence.NegativesPerGroup && g.expected > 0:
			judged = append(judged, g)
		case g.Value != OtherRows:
			short = append(short, g.Value)
		}
	}
	r.NotJudged = append(r.NotJudged, short...)
	if len(judged) == 0 {
		r.Reason = "no group has enough rows found"
		return r
	}
	want, z := *r.Gate.IntervalContains, metrics.QuantileFor(len(judged))
	var off []string
	var worst *metrics.Estimate
	var furthest string
	for _, g := range judged {
		e := g.overExpected(z)
		if e.Excludes(want) {
			off = append(off, fmt.Sprintf("%s %.2f [%.2f, %.2f]", g.Value, e.Value, e.Low, e.High))
		}
		if worst == nil || outside(*e, want) > outside(*worst, want) {
			worst, furthest = e, g.Value
		}
	}
	r.Value, r.Low, r.High = &worst.Value, &worst.Low, &worst.High
	switch {
	case len(off) > 0:
		r.Outcome, r.Reason = r.finding(), fmt.Sprintf("interval does not contain %v: %s", want, strings.Join(off, ", "))
	case len(short) > 0:
		if r.Gate.Else == Answer {
			r.Outcome = AnswerRequired
		}
		r.Reason = fmt.Sprintf("the intervals of %d groups contain %v (%s comes closest to missing it); too few rows found in %s", len(judged), want, furthest, strings.Join(short, ", "))
	default:
		r.Outcome, r.Reason = Pass, fmt.Sprintf("the intervals of all %d groups contain %v (%s comes closest to missing it)", len(judged), want, furthest)
	}
	return r
}

// outside is how far x lies beyond the interval, negative inside it.
func outside(e metrics.Estimate, x float64) float64 { return max(e.Low-x, x-e.High) }

func (r Result) finding() Outcome {
	if r.Gate.Else == Answer {
		return AnswerRequired
	}
	return Fail
}

func (r Result) decide(e *metrics.Estimate) Result {
	if e == nil || !finite(e.Value) || !finite(e.Low) || !finite(e.High) {
		r.Reason = "the figure is not defined"
		return r
	}
	r.Value, r.Low, r.High = &e.Value, &e.Low, &e.High
	x, name := e.Value, "value"
	switch r.Gate.Bound {
	case Lower:
		x, name = e.Low, "lower bound"
	case Upper:
		x, name = e.High, "upper bound"
	}
	limit, sign, ok := r.Gate.AtMost, "≤", false
	if r.Gate.AtLeast != nil {
		limit, sign = r.Gate.AtLeast, "≥"
		ok = x >= *limit
	} else {
		ok = x <= *limit
	}
	r.Outcome, r.Reason = Pass, fmt.Sprintf("%s %.4f %s %v", name, x, sign, *limit)
	if !ok {
		r.Outcome, r.Reason = r.finding(), fmt.Sprintf("%s %.4f is not %s %v", name, x, sign, *limit)
	}
	return r
}
