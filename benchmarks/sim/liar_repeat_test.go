package sim

import (
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/participant"

	"github.com/stretchr/testify/require"
)

// TestLiarRepeatsStep: after Unmask the coordinator claims that the round failed and repeats the step without PT, to
// subtract: in the same run, in a new run of the same plan, and after the nodes were restarted from their ledgers on
// disk (S33, S34): ErrStepReleased at Agree. With the same survivors the step may be repeated, and then PT's vector
// is in it again.
func TestLiarRepeatsStep(t *testing.T) {
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
	c := hire(t, testPlan(t), func(name string, cfg *node.Config) { cfg.Ledger = reopen(name) })
	t.Cleanup(func() {
		for _, l := range ledgers {
			_ = l.Close()
		}
	})
	four, lefts := []string{"DE", "FR", "IT", "PL"}, 1
	refused := func(what string) {
		t.Helper()
		require.ErrorIs(t, c.upTo(secagg.PhaseUnmask), errStuck, what)
		lefts++
		for _, name := range four {
			eventually(t, name+" refuses "+what, func() bool { return len(c.actors[name].left()) == lefts })
			c.refuses(name, secagg.ErrStepReleased, untilMask...)
		}
	}
	require.NoError(t, c.upTo(secagg.PhaseUnmask))
	require.Equal(t, 5, c.server.Survivors().Len())
	c.abort()
	for _, name := range five {
		c.refuses(name, secagg.ErrAborted, append(untilMask, "agree", "unmask")...)
	}

	c.actors["PT"].stop()
	c.ready(4)
	refused("the step without PT")

	c.run, c.round = [16]byte{8}, 0
	refused("the step without PT in a new run")

	for _, name := range four {
		c.actors[name].stop()
	}
	c.ready(0)
	for _, name := range four {
		a := c.actors[name]
		a.config.Ledger = reopen(name)
		a.play()
	}
	c.ready(4)
	c.run, c.round = [16]byte{9}, 0
	refused("the step without PT after a restart")

	c.actors["PT"].play()
	c.ready(5)
	c.whole(1)
}

// TestLiarRepeatsLaterStep: a second run of the plan repeats the first step honestly, and then the second without PT.
// Keys are fresh, so state and σ differ from those of the first run; the place in the plan does not (S33, S34):
// ErrStepReleased.
func TestLiarRepeatsLaterStep(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.whole(2)
	for name, a := range c.actors {
		eventually(t, name+" has closed both", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return len(a.closed) == 2 })
	}
	c.run, c.round, c.closed = [16]byte{8}, 0, map[uint32]published{}
	c.restart()
	c.whole(1)
	for name, a := range c.actors {
		eventually(t, name+" has closed it again", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return len(a.closed) == 3 })
	}
	c.actors["PT"].stop()
	c.ready(4)
	require.ErrorIs(t, c.upTo(secagg.PhaseUnmask), errStuck)
	for _, name := range []string{"DE", "FR", "IT", "PL"} {
		c.refuses(name, secagg.ErrStepReleased, untilMask...)
	}
}

// TestLiarRunsUnapprovedPlan: without the operator's word a plan does not run, whatever the coordinator says (default
// deny): nothing is said in the round.
func TestLiarRunsUnapprovedPlan(t *testing.T) {
	c := hireUnapproved(t)
	require.NoError(t, c.upTo(secagg.PhaseAdvertise))
	for _, name := range five {
		c.refuses(name, participant.ErrNotApproved)
	}
	for _, a := range c.actors {
		for _, m := range a.wire.Sent() {
			require.Contains(t, []string{"hello", "heartbeat", "sync", "left"}, m.Type)
		}
	}
}

func hireUnapproved(t *testing.T) *crook {
	return hireWith(t, testPlan(t), true, func(_ string, c *node.Config) {
		c.Approve = func(*federation.Plan) bool { return false }
	})
}

// TestLiarRunsExpiredPlan: a plan that was approved and ran is refused the day after its declaration ends: ErrPlan.
func TestLiarRunsExpiredPlan(t *testing.T) {
	var later atomic.Bool
	c := hire(t, testPlan(t), func(_ string, cfg *node.Config) {
		cfg.Today = func() string {
			if later.Load() {
				return "2037-12-02"
			}
			return time.Now().UTC().Format(time.DateOnly)
		}
	})
	c.whole(1)
	later.Store(true)
	require.NoError(t, c.upTo(secagg.PhaseAdvertise))
	for _, name := range five {
		c.refuses(name, secagg.ErrPlan)
	}
}

// TestLiarRunsAnotherPlan: a spec that names a plan nobody has seen, and a run that belongs to another plan: ErrPlan.
func TestLiarRunsAnotherPlan(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.alter = func(_ uint8, _ []secagg.Frame) []secagg.Frame {
		spec := c.server.Spec()
		spec.Plan[0] ^= 1
		return c.opening(spec, c.server.Sum())
	}
	require.NoError(t, c.upTo(secagg.PhaseAdvertise))
	for _, name := range five {
		c.refuses(name, secagg.ErrPlan)
	}
}

// TestLiarNamesTheWrongCohort: the plan that was approved names other members than this one (S5, S8): the node never
// takes part, even if its operator approved it by mistake.
func TestLiarNamesTheWrongCohort(t *testing.T) {
	c := hire(t, testPlan(t, "[DE, FR, IT, PL, PT], minimum: 4", "[DE, FR, IT, PL], minimum: 3"), func(_ string, cfg *node.Config) {
		cfg.Policy = federation.DefaultPolicy()
		cfg.Policy.MinCohort = 4
	})
	require.NoError(t, c.upTo(secagg.PhaseAdvertise))
	require.Equal(t, []string{"advert"}, c.actors["DE"].said(c.run, c.round))
	c.mu.Lock()
	c.send(secagg.SetOf(5), same(c.server.Opening()))
	c.mu.Unlock()
	c.refuses("PT", secagg.ErrPlan)
}

// TestLiarBelowTheMinimum: a cohort smaller than the node's own minimum (S7) is refused although the plan says so:
// the default is five.
func TestLiarBelowTheMinimum(t *testing.T) {
	c := hire(t, testPlan(t, "[DE, FR, IT, PL, PT], minimum: 4", "[DE, FR, IT, PL], minimum: 3"), nil)
	require.NoError(t, c.upTo(secagg.PhaseAdvertise))
	c.refuses("DE", secagg.ErrPolicy)
}
