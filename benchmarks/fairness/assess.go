package fairness

import (
	"slices"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

const (
	// SmallCell is the least number of rows a published cell may count.
	SmallCell = 10
	// RateBase is the least number of rows under a published rate, and under
	// any rate that a gate compares.
	RateBase = 30
)

// OtherRows names the group of rows whose value is missing or not listed.
const OtherRows = "(other)"

// Options say how a tally is read.
type Options struct {
	// FPR is the operating point: the threshold is the lowest one whose
	// false-positive rate over all rows is at most this.
	FPR float64
	// Withheld lists, by group column, the values that the plan names as too
	// few to judge. They are listed and never judged.
	Withheld map[string][]string
}

// Assessment is everything a tally says, nothing suppressed: it is for gates
// and approvers, a report publishes part of it.
type Assessment struct {
	Tally *metrics.Tally
	// Threshold is the operating threshold, nil when none keeps the FPR.
	Threshold *float64
	Confusion metrics.Confusion
	Columns   []Assessed
}

// Assessed is one group column.
type Assessed struct {
	Name   string
	Groups []Group
}

// Group is one value of a group column with 95 % intervals: Wilson's for
// rates, DeLong's for AUROC, Byar's for observed over expected.
type Group struct {
	Value     string
	Withheld  bool // by the plan
	Rows      int64
	Positives int64
	Negatives int64

	Selection, TPR, FPR, FNR, PPV *metrics.Estimate
	AUROC                         *metrics.Estimate
	OverExpected                  *metrics.Estimate
	ECE                           *float64
	found, expected               float64
}

// Assess reads a tally at the operating point.
func Assess(t *metrics.Tally, o Options) *Assessment {
	a := &Assessment{Tally: t}
	if cut, ok := t.Threshold(o.FPR); ok {
		a.Threshold = &cut
		a.Confusion = t.Confusion(cut)
	}
	for _, g := range t.Schema.Groups {
		col := Assessed{Name: g.Name}
		for _, value := range g.Values {
			s, _ := t.Group(g.Name, value)
			group := a.group(value, s)
			group.Withheld = slices.Contains(o.Withheld[g.Name], value)
			col.Groups = append(col.Groups, group)
		}
		if s, _ := t.OtherRows(g.Name); s.Rows() > 0 {
			group := a.group(OtherRows, s)
			group.Withheld = slices.Contains(o.Withheld[g.Name], OtherRows)
			col.Groups = append(col.Groups, group)
		}
		a.Columns = append(a.Columns, col)
	}
	return a
}

func (a *Assessment) group(value string, s metrics.Stratum) Group {
	g := Group{
		Value: value, Rows: s.Rows(), Positives: s.Positives(), Negatives: s.Negatives(),
		AUROC: s.AUROC(), ECE: s.ECE(),
		found: float64(s.Positives()), expected: s.Expected(),
	}
	g.OverExpected = g.overExpected(metrics.Z95)
	if a.Threshold != nil {
		c := s.Confusion(*a.Threshold)
		g.Selection = metrics.Wilson(c.Flagged(), c.Rows())
		g.TPR = metrics.Wilson(c.TP, c.Positives())
		g.FNR = metrics.Wilson(c.FN, c.Positives())
		g.FPR = metrics.Wilson(c.FP, c.Negatives())
		g.PPV = metrics.Wilson(c.TP, c.Flagged())
	}
	return g
}

func (g Group) overExpected(z float64) *metrics.Estimate {
	return metrics.ObservedOverExpected(g.found, g.expected, z)
}

// Column returns the assessment of a group column, or false.
func (a *Assessment) Column(name string) (Assessed, bool) {
	i := slices.IndexFunc(a.Columns, func(c Assessed) bool { return c.Name == name })
	if i < 0 {
		return Assessed{}, false
	}
	return a.Columns[i], true
}

// rate is a rate of a group and the rows under it.
type rate struct {
	of   func(Group) *metrics.Estimate
	base func(Group) int64
}

var rates = map[string]rate{
	SelectionGap: {func(g Group) *metrics.Estimate { return g.Selection }, func(g Group) int64 { return g.Rows }},
	TPRGap:       {func(g Group) *metrics.Estimate { return g.TPR }, func(g Group) int64 { return g.Positives }},
	FNRGap:       {func(g Group) *metrics.Estimate { return g.FNR }, func(g Group) int64 { return g.Positives }},
	FPRGap:       {func(g Group) *metrics.Estimate { return g.FPR }, func(g Group) int64 { return g.Negatives }},
}

// GapEstimate is the largest difference of a rate between two groups.
type GapEstimate struct {
	// Estimate is the difference Highest − Lowest with Newcombe's 95 % interval
	// for that pair. The pair was chosen for being furthest apart, so the
	// interval lies high rather than low: without any bias the difference of
	// six groups is not centred on 0.
	metrics.Estimate
	Highest, Lowest string
	Ratio           *float64
}

// Gap compares the groups that have at least base rows (and never below
// RateBase) under the rate of a gap metric. short lists the others, except
// those the plan withholds and a too small OtherRows. The gap is nil with fewer
// than two groups.
func (c Assessed) Gap(metric string, base int64) (gap *GapEstimate, short []string) {
	r, ok := rates[metric]
	if !ok {
		return nil, nil
	}
	var judged []Group
	for _, g := range c.Groups {
		switch {
		case g.Withheld:
		case r.of(g) != nil && r.base(g) >= max(base, RateBase):
			judged = append(judged, g)
		case g.Value != OtherRows:
			short = append(short, g.Value)
		}
	}
	if len(judged) < 2 {
		return nil, short
	}
	high, low := judged[0], judged[0]
	for _, g := range judged[1:] {
		if r.of(g).Value > r.of(high).Value {
			high = g
		}
		if r.of(g).Value < r.of(low).Value {
			low = g
		}
	}
	h, l := *r.of(high), *r.of(low)
	return &GapEstimate{Estimate: metrics.Newcombe(h, l), Highest: high.Value, Lowest: low.Value, Ratio: quotient(l.Value, h.Value)}, short
}
