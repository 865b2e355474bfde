package sim

import (
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/hpkeseal"
	"github.com/koinon-eu/koinon/crypto/update"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node"

	"github.com/stretchr/testify/require"
)

// TestRangeViolationBuildsNoModel: "after unmasking … else Aborted(Range): no model is built, nobody is named" (S48). A
// member whose masked vector puts a count, a weight, the number of survivors or a lane out of range ends that round
// with a reason in words; the step counts as released, is repeated with the same survivors (S35), and the run
// completes with the very model of the honest vectors.
func TestRangeViolationBuildsNoModel(t *testing.T) {
	s := setStage(t, testPlan(t, "rounds: 3", "rounds: 1"), fiveTables(t), nil)
	pt := s.wild("PT")
	tried := map[string]bool{}
	first := func(name string) bool {
		done := tried[name]
		tried[name] = true
		return !done
	}
	pt.cheat = func(_ uint32, step schedule.Step, y []uint64) bool {
		footer := len(y) - 3
		switch {
		case step.Ordinal == 1 && first("negative count"):
			y[0] -= 1 << 40
		case step.Ordinal == 1 && first("count beyond int_max"):
			y[0] += 1 << 62
		case step.Ordinal == 1 && first("huge weight"):
			y[footer] += 1 << 50
		case step.Ordinal == 1 && first("weight that makes the sum negative"):
			y[footer] -= 1 << 50
		case step.Ordinal == 1 && first("two members in one"):
			y[footer+2]++
		case step.Kind == schedule.Train && first("lane"):
			y[0] += 1 << 31 // lanes are 32 bits wide, each value has 24
		case step.Kind == schedule.Train && first("clipped"):
			y[footer+1] += 1 << 20
		default:
			return false
		}
		return true
	}
	s.submit()
	pt.approve()
	pt.connect()
	s.playAll()
	r := s.evaluated()
	require.Len(t, tried, 7)
	aborted := 0
	for _, round := range r.Rounds {
		if round.Outcome == "closed" {
			require.Equal(t, 5, round.Survivors.Len(), "the same survivors again")
			continue
		}
		aborted++
		require.True(t, strings.HasPrefix(round.Outcome, "aborted: the sum was refused: "), round.Outcome)
		require.NotContains(t, round.Outcome, "PT")
	}
	require.Equal(t, 7, aborted)
	for name, a := range s.actors {
		for _, err := range a.left() {
			var abort *secagg.AbortError
			require.True(t, errors.As(err, &abort), "%s: %v", name, err)
			require.Equal(t, secagg.ReasonRange, abort.Reason)
		}
	}
	s.checkSums(r)
}

// TestDisputeIsSent: "a bundle that does not open … is a dispute, which names the pair. j leaves the batch" (S70): the
// recipient's dispute reaches the coordinator although the node leaves the round over it, and the round closes without
// that node.
func TestDisputeIsSent(t *testing.T) {
	s := setStage(t, testPlan(t, "rounds: 3", "rounds: 1"), fiveTables(t), nil)
	pt := s.wild("PT")
	pt.seal = func(pk, info []byte) (enc, key []byte, err error) {
		if enc, key, err = hpkeseal.Seal(pk, info); err == nil && pt.round == 1 && info[len(info)-1] == 1 {
			key[0] ^= 1 // info ends with the recipient's index
		}
		return enc, key, err
	}
	s.submit()
	pt.approve()
	pt.connect()
	s.playAll()
	r := s.evaluated()
	de := s.actors["DE"]
	require.ErrorIs(t, de.left()[0], secagg.ErrBundle)
	run := r.ID
	require.Equal(t, []string{"advert", "share", "dispute"}, de.said(run, 1))
	require.Equal(t, "closed", r.Rounds[0].Outcome)
	require.Equal(t, secagg.SetOf(2, 3, 4, 5), r.Rounds[0].Survivors)
	require.Equal(t, 5, r.Rounds[1].Survivors.Len(), "DE is back")
	s.checkSums(r)
}

// TestDisputesAreCounted: "c+1 different members disputing d within one plan name d" (S70): one dispute is a word against
// a word, two of five are more than can be corrupt, so PT takes no part in the rest of the run. That is a count and no
// proof: the step that was released with PT would still need it.
func TestDisputesAreCounted(t *testing.T) {
	s := setStage(t, testPlan(t, "rounds: 3", "rounds: 2"), fiveTables(t), nil)
	pt := s.wild("PT")
	batch := 0
	pt.seal = func(pk, info []byte) (enc, key []byte, err error) {
		if enc, key, err = hpkeseal.Seal(pk, info); err == nil && int(info[len(info)-1]) == batch { // DE, then FR
			key[0] ^= 1
		}
		return enc, key, err
	}
	pt.begun = func() { batch++ }
	s.submit()
	pt.approve()
	pt.connect()
	s.playAll()
	r := s.evaluated()
	require.Equal(t, secagg.SetOf(2, 3, 4, 5), r.Rounds[0].Survivors)
	require.Equal(t, secagg.SetOf(1, 3, 4, 5), r.Rounds[1].Survivors)
	for _, round := range r.Rounds[2:] {
		require.Equal(t, secagg.SetOf(1, 2, 3, 4), round.Survivors, "round %d", round.Number)
	}
	require.Len(t, r.Excluded, 1)
	require.Contains(t, r.Excluded[5], "2 members could not open its bundles, which is a count and no proof")
	s.checkSums(r)
}

// poisoned is a store that gives a test the machine the node works with.
type poisoned struct {
	*node.Memory
	machine atomic.Pointer[schedule.Machine]
}

// SaveRun keeps the machine at hand.
func (p *poisoned) SaveRun(r node.Run, m *schedule.Machine) error {
	if m != nil {
		p.machine.Store(m)
	}
	return p.Memory.SaveRun(r, m)
}

// TestNotFiniteStaysHere: NaN and Inf "never become messages" (S29): a node whose own computation goes wrong in the
// middle of training leaves in the words of a sentinel, without mask or chunk; the round is unharmed, and the node
// takes part in the next.
func TestNotFiniteStaysHere(t *testing.T) {
	s := setStage(t, testPlan(t, "rounds: 3", "rounds: 20"), fiveTables(t), nil)
	faults := map[string]float32{"PT": float32(math.NaN()), "PL": float32(math.Inf(1))}
	armed := map[string]*atomic.Bool{}
	for name, value := range faults {
		a, arm := s.actors[name], &atomic.Bool{}
		store, random, left := &poisoned{Memory: a.store}, a.config.Random, a.config.Hooks.Left
		a.config.Store, armed[name] = store, arm
		var healthy []float32
		a.config.Random = func(run node.RunID, step uint32, use node.Use) io.Reader { // called before the worker starts
			if step > 3 && use == node.UseOrder && arm.CompareAndSwap(true, false) {
				params := store.machine.Load().Params()
				healthy = slices.Clone(params)
				for i := range params {
					params[i] = value
				}
			}
			return random(run, step, use)
		}
		a.config.Hooks.Left = func(run node.RunID, round uint32, err error) { // called after it has ended
			copy(store.machine.Load().Params(), healthy)
			left(run, round, err)
		}
	}
	s.submit()
	s.playAll()
	for name := range faults {
		a := s.actors[name]
		armed[name].Store(true)
		eventually(t, name+" leaves", func() bool { return len(a.left()) > 0 })
		require.ErrorIs(t, a.left()[0], update.ErrNotFinite)
		round := a.fell()
		r := s.until("the round closes", func(r coordinator.Run) bool { return r.Rounds[round-1].Outcome != "" })
		require.Equal(t, "closed", r.Rounds[round-1].Outcome)
		require.Equal(t, 4, r.Rounds[round-1].Survivors.Len())
		if r.Rounds[round-1].K == 1 {
			require.Equal(t, []string{"advert", "share"}, a.said(r.ID, round))
		} else {
			require.Empty(t, a.said(r.ID, round))
		}
		eventually(t, name+" is back", func() bool { return a.last() > round })
	}
	r := s.evaluated()
	s.checkSums(r)
	for name := range faults {
		require.Len(t, s.actors[name].left(), 1)
	}
}
