package report

import (
	"errors"
	"fmt"
	"strings"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// Spread says how a plan takes counts to scatter around their mean.
type Spread struct {
	Loss       string  `json:"loss"`       // poisson or negative-binomial
	Dispersion float64 `json:"dispersion"` // k of the plan, 0 for poisson
}

// Forecasts are the figures of a plan whose label is a count; the figures of
// rows found and not found are then empty.
type Forecasts struct {
	Spread
	// Estimated is k by moments, from the test rows: null where they scatter no
	// more than Poisson counts.
	Estimated    *float64          `json:"dispersion_estimated"`
	Observed     int64             `json:"observed"`
	Expected     float64           `json:"expected"`
	Ratio        *float64          `json:"observed_over_expected"`
	MeanError    *float64          `json:"mean_error"`       // expected less observed, a row
	Deviance     *float64          `json:"poisson_deviance"` // a row
	Paired       int64             `json:"baseline_rows"`
	BaseDeviance *float64          `json:"baseline_poisson_deviance"` // a row with a baseline
	BaseGain     *float64          `json:"poisson_deviance_gain"`     // over the baseline, of its deviance
	Coverage     *metrics.Estimate `json:"coverage80"`
	Below        *float64          `json:"below80"` // share of rows below their interval
	Above        *float64          `json:"above80"`
	OverBase     NodeGain          `json:"nodes_over_baseline"`
	OverAlone    NodeGain          `json:"nodes_over_alone"`
	Bands        []CountBand       `json:"bands"`
	Columns      []CountColumn     `json:"columns"`
}

// NodeGain is by how much less Poisson deviance members have than with other
// forecasts: how many have a defined gain, how many gained anything, at least
// 5 % and at least 10 %, the mean and the standard deviation between members.
type NodeGain struct {
	Members int64    `json:"members"`
	Gained  int64    `json:"gained"`
	Five    int64    `json:"gained_5"`
	Ten     int64    `json:"gained_10"`
	Mean    *float64 `json:"mean"`
	Spread  *float64 `json:"spread"`
}

// CountBand is a range of expected counts [Low, High) with at least
// fairness.SmallCell rows; null is without end.
type CountBand struct {
	Low      float64  `json:"low"`
	High     *float64 `json:"high"`
	Rows     int64    `json:"rows"`
	Observed int64    `json:"observed"`
	Expected float64  `json:"expected"`
}

// CountColumn is one group attribute.
type CountColumn struct {
	Name   string       `json:"name"`
	Groups []CountGroup `json:"groups"`
}

// CountGroup is one value of an attribute as published; null is hidden.
type CountGroup struct {
	Value    string            `json:"value"`
	Note     string            `json:"note,omitempty"`
	Rows     *int64            `json:"rows"`
	Observed *int64            `json:"observed"`
	Expected *float64          `json:"expected"`
	Deviance *float64          `json:"poisson_deviance"`
	BaseGain *float64          `json:"poisson_deviance_gain"`
	Coverage *metrics.Estimate `json:"coverage80"`
}

// buildForecasts is Build for a tally of forecasts.
func buildForecasts(in Input) (*Report, error) {
	if in.Tally != nil {
		return nil, errors.New("report: a tally and one of forecasts")
	}
	for _, g := range in.Gates {
		if err := g.Validate(); err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
	}
	t := in.Counts
	r := &Report{
		Format: Format, Plan: in.Plan, Rows: t.Rows(), Gates: fairness.JudgeForecasts(t, in.Gates),
		Forecasts: &Forecasts{
			Spread: in.Spread, Estimated: t.Dispersion(),
			Observed: t.Observed(), Expected: t.Expected(), Ratio: t.Ratio(), MeanError: t.MeanError(),
			Deviance: t.Deviance(), Paired: t.Paired, BaseDeviance: t.BaseDeviance(), BaseGain: t.BaseGain(),
			Coverage: t.Coverage(), Below: shareOf(t.Below, t.Rows()), Above: shareOf(t.Above, t.Rows()),
			OverBase: nodeGain(t.Base), OverAlone: nodeGain(t.Alone), Bands: countBands(t.CountStratum), Columns: []CountColumn{},
		},
	}
	r.Plan.FPR = 0
	r.Verdict = verdict(r.Gates)
	r.Rounds, r.Missing = rounds(in.Rounds, in.Plan.Members)
	for _, g := range t.Schema.Groups {
		r.countColumn(t, g, in.Withheld[g.Name])
	}
	r.Limits = append(forecastLimits(), in.Limits...)
	r.fillEmpty()
	return r, nil
}

func nodeGain(g metrics.CountGain) NodeGain {
	return NodeGain{Members: g.Defined, Gained: g.AtLeast[0], Five: g.AtLeast[1], Ten: g.AtLeast[2], Mean: g.Mean(), Spread: g.Spread()}
}

func shareOf(n, rows int64) *float64 {
	if rows == 0 {
		return nil
	}
	s := float64(n) / float64(rows)
	return &s
}

// small reports whether a cell is about too few rows or cases to be shown.
func small(rows, observed int64) bool {
	return rows < fairness.SmallCell || observed > 0 && observed < fairness.SmallCell
}

// countBands merges neighbouring bands until none is a small cell; what is left
// joins the last one. Without one band large enough there are none.
func countBands(s metrics.CountStratum) []CountBand {
	out := []CountBand{}
	var next CountBand
	open := false
	for i, b := range s.Bands {
		low, high := b.Edges(i)
		if !open {
			next, open = CountBand{Low: low}, true
		}
		next.Rows, next.Observed, next.Expected = next.Rows+b.Rows, next.Observed+b.Observed, next.Expected+b.Expected()
		if i < len(s.Bands)-1 {
			next.High = &high
		} else {
			next.High = nil
		}
		if !small(next.Rows, next.Observed) {
			out, open = append(out, next), false
		}
	}
	if open && len(out) > 0 {
		last := &out[len(out)-1]
		last.High = next.High
		last.Rows, last.Observed, last.Expected = last.Rows+next.Rows, last.Observed+next.Observed, last.Expected+next.Expected
	}
	return out
}

// countColumn publishes what of a group column may be: a small cell is hidden,
// and a further one if it could be worked out by subtraction.
func (r *Report) countColumn(t *metrics.CountTally, g metrics.GroupColumn, withheld []string) {
	var strata []metrics.CountStratum
	column := fairness.Assessed{Name: g.Name}
	add := func(value string, s metrics.CountStratum) {
		least := s.Rows()
		if small(s.Rows(), s.Observed()) && s.Observed() > 0 {
			least = min(least, s.Observed())
		}
		strata = append(strata, s)
		column.Groups = append(column.Groups, fairness.Group{Value: value, Rows: least, Positives: least, Negatives: least})
	}
	for _, value := range g.Values {
		s, _ := t.Group(g.Name, value)
		add(value, s)
	}
	if s, _ := t.OtherRows(g.Name); s.Rows() > 0 {
		add(fairness.OtherRows, s)
	}
	out := CountColumn{Name: g.Name, Groups: []CountGroup{}}
	var hidden []string
	for i, seen := range column.Visible() {
		group := countGroup(column.Groups[i].Value, strata[i], seen != fairness.Hidden, withheld)
		if seen == fairness.Hidden {
			hidden = append(hidden, group.Value)
		}
		out.Groups = append(out.Groups, group)
	}
	r.Forecasts.Columns = append(r.Forecasts.Columns, out)
	if len(hidden) > 0 {
		r.Suppressed = append(r.Suppressed, fmt.Sprintf("%s: %s: hidden, because a group of them has fewer than %d rows or cases and one alone could be worked out by subtraction",
			g.Name, strings.Join(hidden, ", "), fairness.SmallCell))
	}
}

func countGroup(value string, s metrics.CountStratum, visible bool, withheld []string) CountGroup {
	out := CountGroup{Value: value}
	rows, observed, expected := s.Rows(), s.Observed(), s.Expected()
	switch {
	case rows == 0:
		out.Note, out.Rows = "no rows", &rows
		return out
	case !visible:
		out.Note = "too few to show"
		return out
	}
	out.Rows, out.Observed, out.Expected = &rows, &observed, &expected
	for _, w := range withheld {
		if w == value {
			out.Note = "withheld by the plan"
			return out
		}
	}
	if rows >= fairness.RateBase {
		out.Deviance, out.Coverage = s.Deviance(), s.Coverage()
	}
	if s.Paired >= fairness.RateBase {
		out.BaseGain = s.BaseGain()
	}
	return out
}

// checkForecasts refuses what buildForecasts cannot have made.
func (r *Report) checkForecasts() error {
	f := r.Forecasts
	if r.Found != 0 || len(r.Bands)+len(r.Columns) > 0 || r.Operating != nil {
		return errors.New("forecasts beside figures of rows found")
	}
	if f.Observed < 0 || f.Paired < 0 || f.Paired > r.Rows {
		return fmt.Errorf("%d observed in %d rows, %d with a baseline", f.Observed, r.Rows, f.Paired)
	}
	if len(f.Bands) == 0 {
		return nil
	}
	rows, observed, edge := int64(0), int64(0), 0.0
	for i, b := range f.Bands {
		if b.Low != edge || small(b.Rows, b.Observed) || (b.High == nil) != (i == len(f.Bands)-1) {
			return fmt.Errorf("band %d from %v has %d rows with %d observed", i, b.Low, b.Rows, b.Observed)
		}
		rows, observed = rows+b.Rows, observed+b.Observed
		if b.High != nil {
			edge = *b.High
		}
	}
	if rows != r.Rows || observed != f.Observed {
		return errors.New("bands do not add up to the whole")
	}
	return nil
}
