package schedule

import (
	"fmt"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
)

// ValidateCounts holds label and architecture to each other.
func (c Config) ValidateCounts() error {
	c.Architecture = c.Architecture.WithDefaults()
	switch counts := c.Schema.Label.IsCount(); {
	case counts && c.Architecture.Kind == arch.Trees:
		return fmt.Errorf("schedule: label %s counts, and %s have no loss for counts: use %s or %s", c.Schema.Label.Column, arch.Trees, arch.Linear, arch.MLP)
	case counts && !c.Architecture.Counts():
		return fmt.Errorf("schedule: label %s counts: architecture %s needs loss %s or %s, or use %s",
			c.Schema.Label.Column, c.Architecture.Kind, arch.Poisson, arch.NegativeBinomial, arch.Linear)
	case !counts && c.Architecture.Kind == arch.Linear:
		return fmt.Errorf("schedule: architecture %s is for a label of kind %s: use %s", arch.Linear, feature.KindCount, arch.Logistic)
	case !counts && c.Architecture.Counts():
		return fmt.Errorf("schedule: loss %s is for a label of kind %s", c.Architecture.Loss, feature.KindCount)
	}
	return nil
}

// baseOutput is what the output starts from: the logarithm of the mean count for
// a unit of exposure, or the base rate's logit.
func (c Config) baseOutput(e *feature.Encoder) float32 {
	if !c.Architecture.Counts() {
		return baseLogit(e.Rows, e.Positives)
	}
	return float32(trees.Ln(e.CountMean()) - trees.Ln(e.ExposureMean()))
}

// Counts returns the summed evaluation of forecasts, nil before the evaluate
// step and for other labels.
func (m *Machine) Counts() *metrics.CountTally { return m.counts }

// CountSchema returns the order of the evaluate step's words for a label that
// counts.
func (m *Machine) CountSchema() metrics.CountSchema {
	return metrics.CountSchema{Groups: m.TallySchema().Groups}
}

// evaluation is the schema of the evaluate step.
func (m *Machine) evaluation() interface {
	Words() int
	Digest() [32]byte
} {
	if m.cfg.Architecture.Counts() {
		return m.CountSchema()
	}
	return m.TallySchema()
}

// setTally takes the words of the evaluate sum.
func (m *Machine) setTally(words []int64) (err error) {
	if m.cfg.Architecture.Counts() {
		m.counts, err = m.CountSchema().Parse(words)
	} else {
		m.tally, err = m.TallySchema().Parse(words)
	}
	if err == nil {
		m.words = words
	}
	return err
}
