package sim

import (
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/budget"

	"github.com/stretchr/testify/require"
)

// grown hires five nodes and closes rounds honestly until the next one is of this level of the tree with this number.
func grown(t *testing.T, tree, level int, tune func(string, *node.Config)) *crook {
	t.Helper()
	c := hire(t, treesPlan(t, smallTrees), tune)
	for {
		step, more := c.machine.Next()
		require.True(t, more)
		if step.Kind == schedule.Grow && c.machine.Level() == level {
			if _, first := c.machine.Forest().Growing(); first == tree {
				return c
			}
		}
		c.whole(1)
	}
}

// lessOne tells everyone that PT is not among the survivors, and wants the four others to refuse.
func (c *crook) lessOne(want error) {
	c.t.Helper()
	c.alter = func(_ uint8, p []secagg.Frame) []secagg.Frame {
		if p[0].Type != secagg.TypeSurvivors {
			return p
		}
		return c.survivorsWithout(p, 5)
	}
	_ = c.upTo(secagg.PhaseAgree)
	for _, name := range five[:4] {
		c.refuses(name, want, untilMask...)
	}
}

// TestLiarTakesOneOut: a coordinator leaves one member out of the next sum of statistics, of a level of a tree, of the
// first level of the next tree, and of the tree after one that it ended early, to take that sum off the one before
// (S74, S75, S76; trees 73): ErrSurvivors, before a share leaves any node.
func TestLiarTakesOneOut(t *testing.T) {
	t.Run("statistics", func(t *testing.T) {
		c := hire(t, treesPlan(t, smallTrees), nil)
		c.whole(1)
		c.lessOne(secagg.ErrSurvivors)
	})
	t.Run("level", func(t *testing.T) { grown(t, 0, 1, nil).lessOne(secagg.ErrSurvivors) })
	t.Run("next tree", func(t *testing.T) { grown(t, 1, 0, nil).lessOne(secagg.ErrSurvivors) })
	t.Run("after a tree ended early", func(t *testing.T) {
		c := grown(t, 1, 2, nil)
		require.NoError(t, c.machine.Cut())
		c.lessOne(secagg.ErrSurvivors)
	})
	t.Run("new run, nodes started again", func(t *testing.T) {
		ledgers, dir := map[string]*budget.Ledger{}, t.TempDir()
		reopen := func(name string) *budget.Ledger {
			if l := ledgers[name]; l != nil {
				require.NoError(t, l.Close())
			}
			l, err := budget.Open(filepath.Join(dir, name), slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			ledgers[name] = l
			return l
		}
		c := grown(t, 0, 1, func(name string, cfg *node.Config) { cfg.Ledger = reopen(name) })
		t.Cleanup(func() {
			for _, l := range ledgers {
				_ = l.Close()
			}
		})
		for _, name := range five {
			c.actors[name].stop()
		}
		c.ready(0)
		for _, name := range five {
			a := c.actors[name]
			a.config.Ledger, a.config.Random = reopen(name), nil
			a.play()
		}
		c.ready(5)
		c.run, c.round = [16]byte{8}, 0
		c.restart()
		c.lessOne(secagg.ErrSurvivors)
	})
}

// TestLiarEndsTreesForNothing: a tree that the coordinator ends early, although nobody is left out of the next, is one it
// makes shallow at will (S76): ErrSurvivors. That growth ends is its word: what follows shows no more of anyone.
func TestLiarEndsTreesForNothing(t *testing.T) {
	c := grown(t, 0, 1, nil)
	require.NoError(t, c.machine.Cut())
	_ = c.upTo(secagg.PhaseAgree)
	for _, name := range five {
		c.refuses(name, secagg.ErrSurvivors, untilMask...)
	}
}

// TestLiarSplitsOtherwise: another question than the one that follows from the sum before, which any other split, grid
// or tree would give: ErrPolicy before a word; another model than the sum makes: ErrModel, and the run is left (trees
// 50, 51, 73).
func TestLiarSplitsOtherwise(t *testing.T) {
	c := grown(t, 0, 1, nil)
	c.alterSum = func(s *secagg.Sum) { s.Query[0] ^= 1 }
	require.NoError(t, c.upTo(secagg.PhaseAdvertise))
	for _, name := range five {
		c.refuses(name, secagg.ErrPolicy)
	}
	c = grown(t, 0, 1, nil)
	c.announce = func(_, model *[32]byte) { model[0] ^= 1 }
	require.NoError(t, c.upTo(secagg.PhasePublish))
	c.stopped(secagg.ErrModel)
}

// TestLiarShowsOtherHistograms: a false histogram with the right totals, and one that is not the announced one, as if
// two nodes saw two (trees 50, 73): ErrSpotCheck, ErrResult.
func TestLiarShowsOtherHistograms(t *testing.T) {
	c := grown(t, 0, 0, nil)
	c.falsify = func(sum []uint64) {
		for i := range sum[:5] {
			if sum[i] != sum[i+1] {
				sum[i], sum[i+1] = sum[i+1], sum[i]
				return
			}
		}
	}
	require.NoError(t, c.upTo(secagg.PhasePublish))
	c.stopped(secagg.ErrSpotCheck)
	c = grown(t, 0, 0, nil)
	c.swap = true
	require.NoError(t, c.upTo(secagg.PhasePublish))
	c.swap = false
	c.stopped(secagg.ErrResult)
}

// TestStatisticsBesideTrees: the statistics of another plan over the same data are held to the cohorts of trees: a plan
// without trees that one member has not approved cannot be summed over the others (S75).
func TestStatisticsBesideTrees(t *testing.T) {
	s := setStage(t, treesPlan(t, "trees: 1, depth: 1, bins: 16, cell: 5, min_hessian: 1"), fiveTables(t), soon)
	grows := s.plan.Digest()
	s.actors["PT"].config.Approve = func(p *federation.Plan) bool { return p.Digest() == grows }
	s.submit()
	s.playAll()
	s.evaluated()
	s.plan = testPlan(t, "name: document-risk\ndecl", "name: second\ndecl")
	s.submit()
	eventually(t, "four approve", func() bool {
		p, err := s.simulation.coordinator.Book().Plan(s.plan.Digest())
		return err == nil && p.Approved().Len() == 4
	})
	_, err := s.simulation.coordinator.StartRun(t.Context(), "bench", s.plan.Digest())
	require.NoError(t, err)
	r := s.until("a round is over", func(r coordinator.Run) bool { return len(r.Rounds) > 0 && r.Rounds[0].Outcome != "" })
	require.True(t, strings.HasPrefix(r.Rounds[0].Outcome, "aborted"), r.Rounds[0].Outcome)
	eventually(t, "a member refuses", func() bool { // the first who does ends the round for those who have not looked yet
		return slices.ContainsFunc(five[:4], func(name string) bool {
			return slices.ContainsFunc(s.actors[name].left(), func(err error) bool {
				return errors.Is(err, secagg.ErrSurvivors) && errors.Is(err, budget.ErrTooNear)
			})
		})
	})
}
