package federation

import (
	"fmt"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
)

// minCell is the fewest people that a row of an aggregate may be about.
const minCell = 10

// Forecasts reports whether the plan's model forecasts counts.
func (p *Plan) Forecasts() bool { return p.Schema.Label.IsCount() }

// checkCounts holds label, loss, gates and purpose of a plan to each other.
func (p *Plan) checkCounts() error {
	counts := p.Forecasts()
	if aggregate := p.Declaration.Unit == "aggregate"; aggregate {
		if p.Declaration.Profiling {
			return fmt.Errorf("%w: unit aggregate with profiling: a forecast is about no person, or the unit is not aggregate", ErrLaw)
		}
		if !counts {
			return fmt.Errorf("%w: unit aggregate needs a label of kind count: a row is a number of cases, not a case", ErrLaw)
		}
		if cell := p.Schema.Label.MinCell; cell < minCell {
			return fmt.Errorf("%w: unit aggregate with label.min_cell %d: no row may be about fewer than %d people", ErrLaw, cell, minCell)
		}
	}
	if err := p.Learning().ValidateCounts(); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	for i, g := range p.Gates {
		if of := fairness.OfCounts(g.Metric); of != counts {
			return fmt.Errorf("plan: gate %d: %s is a figure of %s", i+1, g.Metric, kindOf(of))
		}
	}
	return nil
}

func kindOf(counts bool) string {
	if counts {
		return "forecasts of a label of kind count"
	}
	return "a label that is positive or not"
}
