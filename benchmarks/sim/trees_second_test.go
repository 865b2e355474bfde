package sim

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
)

// copyOf is a machine at the same state.
func (c *crook) copyOf(m *schedule.Machine) *schedule.Machine {
	c.t.Helper()
	state, err := m.MarshalBinary()
	require.NoError(c.t, err)
	out, err := schedule.UnmarshalMachine(c.plan.Learning(), state)
	require.NoError(c.t, err)
	return out
}

// rootSplit is the column by which the tree in progress splits its root.
func rootSplit(m *schedule.Machine) int32 {
	growing, _ := m.Forest().Growing()
	return growing[0][0].Column
}

// secondBest is the machine after a sum of roots, from one before it, with the best split among all columns but the one
// that is best: what an honest machine makes of the sum where that column's rows are all in one cell.
func (c *crook) secondBest(before *schedule.Machine, sum []uint64) *schedule.Machine {
	c.t.Helper()
	honest := c.copyOf(before)
	require.NoError(c.t, honest.Apply(sum, len(five)))
	best, other := rootSplit(honest), slices.Clone(sum)
	query, _ := before.Forest().Query()
	at := query.Head
	for _, g := range query.Parts[0].Grid.Columns {
		if int32(g.Column) == best {
			for i := at + 1; i < at+g.Groups; i++ {
				other[at] += other[i]
				other[i] = 0
			}
		}
		at += g.Groups
	}
	second := c.copyOf(before)
	require.NoError(c.t, second.Apply(other, len(five)))
	require.NotEqual(c.t, best, rootSplit(second))
	return second
}

// TestLiarPicksTheSecondBest: a coordinator whose machine splits by the second-best column, right in all else, is caught
// by every node's own machine: where it announces the model of that split, ErrModel, and the run is left; where it asks
// for the histograms that follow from it, ErrPolicy, before a word of them (trees 50, 51, 73).
func TestLiarPicksTheSecondBest(t *testing.T) {
	t.Run("announces it", func(t *testing.T) {
		c := grown(t, 0, 0, nil)
		before := c.copyOf(c.machine)
		c.announce = func(_, model *[32]byte) { *model = digestOf(t, c.secondBest(before, c.opened)) }
		require.NoError(t, c.upTo(secagg.PhasePublish))
		c.stopped(secagg.ErrModel)
		for _, name := range five {
			run, _, err := c.actors[name].store.Run(c.run, c.plan.Learning())
			require.NoError(t, err)
			require.Contains(t, run.Stopped, "recomputed another model than was announced", name)
		}
	})
	t.Run("asks on from it", func(t *testing.T) {
		c := grown(t, 0, 0, nil)
		before := c.copyOf(c.machine)
		c.whole(1)
		step, _ := c.machine.Next()
		lie, more := c.secondBest(before, c.opened).Next()
		require.True(t, more)
		require.NotEqual(t, step.Query, lie.Query)
		c.alterSum = func(s *secagg.Sum) { s.Query, s.Ints = lie.Query, uint32(lie.Encoding.Layout.Ints) }
		require.NoError(t, c.upTo(secagg.PhaseAdvertise))
		for _, name := range five {
			c.refuses(name, secagg.ErrPolicy)
		}
	})
}
