package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// column publishes what of a group column may be, and lists the rest.
func (r *Report) column(a fairness.Assessed) {
	col := Column{Name: a.Name}
	listed := fairness.Assessed{Name: a.Name}
	var hidden, coarse, withheld []string
	rough := map[string]bool{}
	for i, seen := range a.Visible() {
		g := a.Groups[i]
		col.Groups = append(col.Groups, publish(g, seen))
		switch {
		case g.Withheld:
			withheld = append(withheld, g.Value)
		case seen == fairness.Hidden:
			hidden = append(hidden, g.Value)
		case seen == fairness.Coarse && g.Rows > 0:
			coarse = append(coarse, g.Value)
		}
		if seen != fairness.Hidden {
			listed.Groups = append(listed.Groups, g)
			rough[g.Value] = seen == fairness.Coarse
		}
	}
	for _, rate := range []string{fairness.SelectionGap, fairness.FPRGap, fairness.TPRGap, fairness.FNRGap} {
		col.Gaps = append(col.Gaps, gap(listed, rough, rate))
	}
	r.Columns = append(r.Columns, col)
	list := func(names []string, why string) {
		if len(names) > 0 {
			r.Suppressed = append(r.Suppressed, fmt.Sprintf("%s: %s: %s", a.Name, strings.Join(names, ", "), why))
		}
	}
	list(withheld, "withheld by the plan as too few to judge")
	list(hidden, fmt.Sprintf("hidden, because a group of them has fewer than %d rows and one alone could be worked out by subtraction", fairness.SmallCell))
	list(coarse, fmt.Sprintf("counts and rates rounded or not shown, because a group of them has fewer than %d rows found or not found and one alone could be worked out by subtraction", fairness.SmallCell))
}

// gap rounds a difference in which a roughly published group takes part.
func gap(a fairness.Assessed, rough map[string]bool, rate string) Gap {
	g, short := a.Gap(rate, fairness.RateBase)
	out := Gap{Rate: rate, NotJudged: short}
	if g != nil {
		out.Difference, out.Ratio, out.Highest, out.Lowest = &g.Estimate, g.Ratio, g.Highest, g.Lowest
		if rough[g.Highest] || rough[g.Lowest] {
			unit := 1e3
			if rate == fairness.TPRGap || rate == fairness.FNRGap {
				unit = 1e2
			}
			out.Difference = coarse(out.Difference, unit)
			if out.Ratio != nil {
				ratio := round(*out.Ratio, 1e2)
				out.Ratio = &ratio
			}
		}
	}
	return out
}

func publish(g fairness.Group, seen fairness.Visibility) Group {
	out := Group{Value: g.Value}
	switch {
	case g.Rows == 0:
		out.Note = "no rows"
		out.Rows = &g.Rows
		return out
	case seen == fairness.Hidden:
		out.Note = "too few to show"
		return out
	}
	if g.Withheld {
		out.Note = "withheld by the plan"
	}
	if seen == fairness.Coarse {
		out.Rows, out.About = toTen(g.Rows), true
		if g.Positives >= fairness.RateBase {
			out.Found = toTen(g.Positives)
		}
	} else {
		out.Rows, out.Found = &g.Rows, &g.Positives
	}
	if g.Withheld {
		return out
	}
	out.rates(g)
	if out.About {
		out.Selection, out.FPR = coarse(out.Selection, 1e3), coarse(out.FPR, 1e3)
		out.TPR, out.FNR, out.PPV = coarse(out.TPR, 1e2), coarse(out.FNR, 1e2), coarse(out.PPV, 1e2)
		out.AUROC, out.OverExpected, out.ECE = coarse(out.AUROC, 1e2), coarse(out.OverExpected, 1e1), nil
	}
	return out
}

func toTen(n int64) *int64 {
	n = (n + 5) / 10 * 10
	return &n
}

// rates fills in the rates that have enough rows under them.
func (out *Group) rates(g fairness.Group) {
	if g.Rows >= fairness.RateBase {
		out.Selection, out.ECE = g.Selection, g.ECE
	}
	if g.Negatives >= fairness.RateBase {
		out.FPR = g.FPR
	}
	if g.Positives < fairness.RateBase {
		return
	}
	out.TPR, out.FNR, out.OverExpected = g.TPR, g.FNR, g.OverExpected
	if g.Selection != nil && float64(g.Selection.Value*float64(g.Rows)) >= fairness.RateBase-.5 {
		out.PPV = g.PPV
	}
	if g.Negatives >= fairness.RateBase {
		out.AUROC = g.AUROC
	}
}

// coarse rounds an estimate to a multiple of 1/unit.
func coarse(e *metrics.Estimate, unit float64) *metrics.Estimate {
	if e == nil {
		return nil
	}
	return &metrics.Estimate{Value: round(e.Value, unit), Low: round(e.Low, unit), High: round(e.High, unit)}
}

func round(x, unit float64) float64 { return math.RoundToEven(x*unit) / unit }
