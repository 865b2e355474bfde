package schedule

import (
	"fmt"

	"github.com/koinon-eu/koinon/models/trees"
)

// checkShare refuses a plan in whose noise not even the most and best balanced
// rows that rows_max allows would show (trees 64).
func (c Config) checkShare() error {
	if c.RowsMax == 0 {
		return nil
	}
	if share, ok := c.NoiseShare(int64(c.RowsMax) * int64(c.Members)); ok && share >= trees.NoiseRefuses {
		return fmt.Errorf("%w: rows_max %d allows %d rows in all, and the noise of a sum is %.2g of what half positives would vary by, %v is too much",
			trees.ErrNoise, c.RowsMax, int64(c.RowsMax)*int64(c.Members), share, trees.NoiseRefuses)
	}
	return nil
}

// NoiseShare is that of trees 64 at best: where the cohort has so many training
// rows, half of them positive. False without noise or without trees. The
// statistics' sum decides with the rows there are.
func (c Config) NoiseShare(rows int64) (float64, bool) {
	c = c.WithDefaults()
	if c.Privacy == nil || c.Architecture.Trees == nil {
		return 0, false
	}
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
