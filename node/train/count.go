package train

import (
	"math"
	"slices"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
)

// lossScale is what the loss of a count is multiplied by. Poisson's slope grows
// with the counts, so that it is measured in units of the mean count behind the
// encoder, the same for every member; otherwise the clip of a gradient, and l2,
// would mean something else for every table. That of a negative binomial does
// not grow beyond the dispersion.
func lossScale(spec arch.Spec, m *feature.Matrix) float32 {
	if spec.WithDefaults().Loss != arch.Poisson {
		return 1
	}
	return float32(1 / max(m.CountMean, 1))
}

// trainable says whether there is anything to learn from the rows of a table:
// both labels, or a count above zero.
func trainable(m *feature.Matrix) bool {
	if m.Count != nil {
		return slices.Contains(m.Label, 1)
	}
	return bothClasses(m.Label)
}

// start returns the parameters that training on a table alone begins with. The
// output of a forecast of counts begins at their mean: from e⁰ a thousand would
// be a long way.
func (s Settings) start(m *feature.Matrix) ([]float32, error) {
	params, err := s.Architecture.InitialParameters(Shape(m), s.Seed)
	if err != nil || !s.Architecture.Counts() {
		return params, err
	}
	counts, exposures := 0.5, 0.0
	for i, y := range m.Count {
		counts += float64(y)
		if m.Exposure == nil {
			exposures++
		} else {
			exposures += float64(m.Exposure[i])
		}
	}
	params[len(params)-1] = float32(math.Log(counts / max(exposures, 1e-9)))
	return params, nil
}

// evaluateCounts is Evaluate for a plan of counts.
func (m *Member) evaluateCounts(machine *schedule.Machine, f *Figures) error {
	spec := machine.Config().Architecture
	params, _ := machine.Chosen()
	federated, err := Scores(spec, params, m.test)
	if err != nil {
		return err
	}
	c := &metrics.Forecasts{Counts: m.test.Count, Means: federated, Baseline: m.test.Baseline, Groups: f.Groups}
	c.Low, c.High = make([]int64, len(federated)), make([]int64, len(federated))
	for i, mean := range federated {
		c.Low[i], c.High[i] = arch.Interval(mean, spec.K(), metrics.Share80)
	}
	f.Federated, f.Forecasts = federated, c
	f.Alone, err = m.aloneScores(machine)
	c.Alone = f.Alone
	return err
}
