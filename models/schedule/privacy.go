package schedule

import (
	"errors"

	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/trees"
)

// Privacy is the noise that every node adds to its part of a sum, the whole of
// it each, in a plan that protects single training rows. Noise and
// StatisticsNoise are σ/Δ of a training step and of the statistics' one sum.
type Privacy struct {
	Epsilon         float64 `json:"epsilon"`
	Delta           float64 `json:"delta"`
	Noise           float64 `json:"noise"`
	StatisticsNoise float64 `json:"statistics_noise"`
	Clip            float64 `json:"clip,omitempty"`
	Rate            float64 `json:"rate,omitempty"`
}

// ErrGreedy refuses noise for trees that search their splits (trees 57).
var ErrGreedy = errors.New("histogram trees publish every feature at every level; use `growth: additive`")

// validatePrivacy checks what a plan of trees must be for noise, and that not
// even the most and best balanced rows it allows would drown in it (trees 57, 64).
func (c Config) validatePrivacy() error {
	if c.Privacy == nil || c.Architecture.Kind != arch.Trees {
		return nil
	}
	if !c.Architecture.Trees.Additive() {
		return ErrGreedy
	}
	if share, ok := c.NoiseShare(); ok && share >= trees.NoiseRefuses {
		return trees.ErrNoise
	}
	return nil
}

// NoiseShare is that of trees 64 at best: where each member has rows_max rows,
// half of them positive. False without noise, without trees, or where rows_max
// does not say. The statistics' sum decides with the rows there are.
func (c Config) NoiseShare() (float64, bool) {
	c = c.WithDefaults()
	if c.Privacy == nil || c.Architecture.Trees == nil || c.RowsMax == 0 {
		return 0, false
	}
	rows := int64(c.RowsMax) * int64(c.Members)
	t := trees.Config{Params: *c.Architecture.Trees, Rows: rows, Positives: rows / 2, Noise: c.Privacy.Noise, Members: c.Members}
	return t.NoiseShare(len(c.Schema.Features())), true
}

// noisy adds a plan's noise to the configuration of its trees. Noised counts may
// be beyond what rows_max allows.
func (m *Machine) noisy(c *trees.Config) {
	if p := m.cfg.Privacy; p != nil {
		c.Noise, c.Members = p.Noise, m.cfg.Members
		c.Rows = min(c.Rows, c.RowsMax)
		c.Positives = min(c.Positives, c.Rows)
	}
}

// plainCap is the weight cap of sums of integers, in whose footer a member's
// rows stand, coarsely and without noise. With noise every member weighs 1.
func (m *Machine) plainCap() uint32 {
	if m.cfg.Privacy != nil && (m.kind() == Statistics || m.kind() == Grow) {
		return 1
	}
	return maxWeightCap
}

// Mechanism is what the next step spends of a member's budget where it takes
// part: the statistics' one sum, or a sum of additive growth, each with every row
// in it. False for a step without noise (trees 59).
func (m *Machine) Mechanism() (dp.Mechanism, bool) {
	if m.cfg.Privacy == nil {
		return dp.Mechanism{}, false
	}
	switch m.kind() {
	case Statistics:
		return dp.Mechanism{Rate: 1, Noise: m.cfg.Privacy.StatisticsNoise, Steps: 1}, true
	case Grow:
		return dp.Mechanism{Rate: 1, Noise: m.cfg.Privacy.Noise, Steps: 1}, true
	}
	return dp.Mechanism{}, false
}
