package report

import (
	"errors"
	"fmt"
	"slices"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// Build judges the gates on the whole tally and makes the report of what may be
// published. It reads no clock: the same input gives the same report.
func Build(in Input) (*Report, error) {
	if in.Counts != nil {
		return buildForecasts(in)
	}
	if in.Tally == nil {
		return nil, errors.New("report: no tally")
	}
	if !(in.Plan.FPR > 0 && in.Plan.FPR < 1) {
		return nil, fmt.Errorf("report: operating point %v is not a false-positive rate", in.Plan.FPR)
	}
	for _, g := range in.Gates {
		if err := g.Validate(); err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
	}
	t := in.Tally
	a := fairness.Assess(t, fairness.Options{FPR: in.Plan.FPR, Withheld: in.Withheld})
	r := &Report{
		Format: Format, Plan: in.Plan, Rows: t.Rows(), Found: t.Positives(),
		Gates:   a.Judge(in.Gates),
		Overall: overall(t),
		Gain:    Gain{Members: t.Gain.Defined, Gained: t.Gain.Gained, Mean: t.Gain.Mean(), Spread: t.Gain.Spread()},
		Bands:   bands(t, a.Threshold),
	}
	r.Verdict = verdict(r.Gates)
	r.Rounds, r.Missing = rounds(in.Rounds, in.Plan.Members)
	if h := in.Histograms; h != nil && h.Cells > 0 {
		r.Histograms = &Histograms{Cells: h.Cells, Small: h.Small, Share: float64(h.Small) / float64(h.Cells)}
	}
	r.operate(a)
	for _, col := range a.Columns {
		r.column(col)
	}
	r.Limits = slices.Concat(r.standingLimits(), in.Plan.Privacy.limits(), in.Limits)
	r.fillEmpty()
	return r, nil
}

// fillEmpty makes every absent list [], so that canonical JSON has one form.
func (r *Report) fillEmpty() {
	r.Plan.Members = orEmpty(r.Plan.Members)
	r.Rounds, r.Missing = orEmpty(r.Rounds), orEmpty(r.Missing)
	r.Gates, r.Bands, r.Columns = orEmpty(r.Gates), orEmpty(r.Bands), orEmpty(r.Columns)
	r.Suppressed, r.Limits = orEmpty(r.Suppressed), orEmpty(r.Limits)
}

func orEmpty[E any](s []E) []E {
	if s == nil {
		return []E{}
	}
	return s
}

func overall(t *metrics.Tally) Overall {
	return Overall{
		Bins: t.Schema.Bins, AUROC: t.AUROC(), AUROCError: t.AUROCError(), AUPRC: t.AUPRC(),
		Brier: t.Brier(), ECE: t.ECE(), LogLoss: t.LogLoss(),
		OverExpected: metrics.ObservedOverExpected(float64(t.Positives()), t.Expected(), metrics.Z95),
		TPRAtFPR:     TPRAtFPR{At1: t.TPRAtFPR(.01), At5: t.TPRAtFPR(.05), At10: t.TPRAtFPR(.1)},
	}
}

// verdict is the outcome that weighs most; a plan without gates passes none.
func verdict(results []fairness.Result) fairness.Outcome {
	for _, o := range []fairness.Outcome{fairness.Fail, fairness.NotEnough, fairness.AnswerRequired} {
		if slices.ContainsFunc(results, func(r fairness.Result) bool { return r.Outcome == o }) {
			return o
		}
	}
	if len(results) == 0 {
		return fairness.NotEnough
	}
	return fairness.Pass
}

func rounds(all []Round, members []string) (kinds []RoundKind, missing []Absence) {
	for _, r := range all {
		i := slices.IndexFunc(kinds, func(k RoundKind) bool { return k.Kind == r.Kind })
		if i < 0 {
			i = len(kinds)
			kinds = append(kinds, RoundKind{Kind: r.Kind, Fewest: len(r.Survivors)})
		}
		kinds[i].Rounds++
		kinds[i].Fewest = min(kinds[i].Fewest, len(r.Survivors))
		var absent []string
		for _, m := range members {
			if !slices.Contains(r.Survivors, m) {
				absent = append(absent, m)
			}
		}
		if absent != nil {
			missing = append(missing, Absence{Round: r.Number, Kind: r.Kind, Members: absent})
		}
	}
	return kinds, missing
}

func (r *Report) operate(a *fairness.Assessment) {
	if a.Threshold == nil {
		r.Suppressed = append(r.Suppressed, fmt.Sprintf("no threshold keeps the false-positive rate at or below %s", percent(r.Plan.FPR)))
		return
	}
	c := a.Confusion
	r.Operating = &Operating{
		Threshold: *a.Threshold, Confusion: &c,
		Selection: metrics.Wilson(c.Flagged(), c.Rows()), TPR: metrics.Wilson(c.TP, c.Positives()),
		FPR: metrics.Wilson(c.FP, c.Negatives()), PPV: metrics.Wilson(c.TP, c.Flagged()),
	}
	if min(c.TP, c.FP, c.FN, c.TN) < fairness.SmallCell {
		r.Operating.Confusion = nil
		r.Suppressed = append(r.Suppressed, fmt.Sprintf("counts at the operating threshold: one of them is below %d", fairness.SmallCell))
	}
}
