package coordinator

import (
	"github.com/koinon-eu/koinon/benchmarks/report"
	"github.com/koinon-eu/koinon/models/artifact"
)

// thresholds are an artifact's operating point and bands. A forecast has none.
func (c candidate) thresholds() (operating float64, bands []artifact.Band) {
	if c.plan.Forecasts() {
		return artifact.NoThreshold, artifact.ForecastBands()
	}
	t := c.machine.Tally()
	operating = threshold(t, c.plan.Operating.FPR)
	return operating, artifact.BandsAt(operating, threshold(t, highShare*c.plan.Operating.FPR))
}

// spread is what a report says of a plan of counts.
func (c candidate) spread() report.Spread {
	a := c.machine.Config().Architecture
	return report.Spread{Loss: a.Loss, Dispersion: a.K()}
}
