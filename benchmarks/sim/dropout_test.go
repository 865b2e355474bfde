package sim

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/direct"
	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/node/link"

	"github.com/stretchr/testify/require"
)

// dieOn makes the node vanish, as a process that is killed, the moment a packet of this type of this round reaches it
// and before it can answer. What was stored stays.
func (a *actor) dieOn(kind string, round uint32) (dead <-chan struct{}) {
	return a.dieWhen(func(m link.Message) bool { return m.Type == kind && m.Round == round })
}

// dieFrom is dieOn in that round or a later one.
func (a *actor) dieFrom(kind string, round uint32) (dead <-chan struct{}) {
	return a.dieWhen(func(m link.Message) bool { return m.Type == kind && m.Round >= round })
}

// abortedIn returns the place of the round that two losses in a phase have ended, -1 if there is none.
func abortedIn(r coordinator.Run, phase string) int {
	return slices.IndexFunc(r.Rounds, func(one coordinator.Round) bool {
		return strings.HasPrefix(one.Outcome, "aborted: "+phase+": 3 of 5 members answered, 4 needed")
	})
}

func (a *actor) dieWhen(is func(link.Message) bool) (dead <-chan struct{}) {
	gone, once := make(chan struct{}), sync.Once{}
	received := a.config.Received
	a.config.Received = func(m link.Message) {
		received(m)
		if is(m) {
			once.Do(func() {
				a.die()
				close(gone)
			})
		}
	}
	return gone
}

// checkSums recomputes the run from plain vectors with the survivors that the coordinator names, and compares the
// model of every node with it: each published sum was exactly the survivors' sum.
func (s *stage) checkSums(r coordinator.Run) {
	s.t.Helper()
	in := map[uint32]secagg.Set{} // by step
	for _, round := range r.Rounds {
		if round.Outcome == "closed" {
			in[round.Step] = round.Survivors
		}
	}
	index := map[string]uint8{}
	for i, m := range s.cfg.Members {
		index[m.Name] = uint8(i + 1)
	}
	plain := plainRun(s.t, s.plan, s.cfg.Members, s.cfg.Seed, func(v direct.Vector) bool {
		return in[v.Step.Ordinal].Has(index[v.Member])
	})
	for name, a := range s.actors {
		eventually(s.t, name+" has the last sum", func() bool {
			run, _, err := a.store.Run(r.ID, s.plan.Learning())
			return err == nil && run.Done
		})
		_, machine, err := a.store.Run(r.ID, s.plan.Learning())
		require.NoError(s.t, err)
		require.Equal(s.t, digestOf(s.t, plain), digestOf(s.t, machine), name)
	}
}

// TestDropoutInEachPhase: "A node that dies is a dropout, comes back by itself and joins the next round", "with five
// nodes one may be killed in any phase, also after its Agree" (S8, S64). In one run a node dies in each phase of a
// training round and is started again; the run completes and every sum is the survivors' sum. Each round has a key set-up
// of its own here; TestDropoutInABatch has none.
func TestDropoutInEachPhase(t *testing.T) {
	s := setStage(t, testPlan(t, "rounds: 3", "rounds: 12", "gates:", "batch: 1\ngates:"), fiveTables(t), nil)
	deaths := []struct {
		member, packet string
		round          uint32 // rounds 1 to 3 are statistics
		lost           string // phase in which the coordinator lost it; empty: its vector is in the sum
	}{
		{"DE", "spec", 4, "advertise"},
		{"FR", "advert", 6, "share"},
		{"IT", "share", 8, "mask"},
		{"PL", "survivors", 10, ""},
		{"PT", "certificate", 12, ""},
		{"DE", "result", 14, ""},
	}
	var dead []<-chan struct{}
	for _, d := range deaths {
		dead = append(dead, s.actors[d.member].dieOn(d.packet, d.round))
	}
	s.submit()
	s.playAll()
	for i, d := range deaths {
		select {
		case <-dead[i]:
		case <-t.Context().Done():
			t.Fatalf("%s never saw %s of round %d", d.member, d.packet, d.round)
		}
		s.until("the round closes", func(r coordinator.Run) bool {
			return len(r.Rounds) >= int(d.round) && r.Rounds[d.round-1].Outcome != ""
		})
		s.actors[d.member].stop()
		s.actors[d.member].play()
	}
	r := s.evaluated()
	for _, d := range deaths {
		round := r.Rounds[d.round-1]
		require.Equal(t, "closed", round.Outcome, "%s in round %d", d.member, d.round)
		if d.lost == "" { // t = 4 others are enough to open the sum, in which it is
			require.Equal(t, 5, round.Survivors.Len())
			continue
		}
		require.Equal(t, 4, round.Survivors.Len())
		require.Len(t, round.Lost, 1, "round %d", d.round)
		require.Equal(t, d.lost, round.Lost[0].Phase.String())
		require.Equal(t, d.member, s.simulation.coordinator.Names(secagg.SetOf(round.Lost[0].Member))[0])
	}
	require.Equal(t, 5, r.Rounds[len(r.Rounds)-1].Survivors.Len(), "evaluation waits for the whole cohort")
	s.checkSums(r)
}

// TestTwoDropoutsAbort: "one more aborts with a reason" and "a second loss in the same round aborts it" (S8), "once any
// node has answered Unmask, only with the same survivors" (S35): two nodes die at once, in Agree of one training step
// and in Unmask of the next. Both rounds abort with a reason in words, the run goes on when the nodes are back.
func TestTwoDropoutsAbort(t *testing.T) {
	plan := testPlan(t, "rounds: 3", "rounds: 2", "agree: 300", "agree: 60", "unmask: 300", "unmask: 60")
	s := setStage(t, plan, fiveTables(t), nil)
	pair := []*actor{s.actors["PL"], s.actors["PT"]}
	var dead []<-chan struct{}
	for _, a := range pair {
		dead = append(dead, a.dieFrom("survivors", 4), a.dieFrom("certificate", 6))
	}
	s.submit()
	s.playAll()
	phases := []string{"agree", "unmask"}
	for i, phase := range phases {
		for _, gone := range []<-chan struct{}{dead[i], dead[2+i]} {
			select {
			case <-gone:
			case <-time.After(time.Minute):
				s.t.Fatalf("nobody died in %s", phase)
			}
		}
		s.until("the round ends", func(r coordinator.Run) bool { return abortedIn(r, phase) >= 0 })
		for _, a := range pair {
			a.stop()
			a.play()
		}
	}
	r := s.evaluated()
	for _, phase := range phases {
		at := abortedIn(r, phase)
		round, again := r.Rounds[at], r.Rounds[at+1]
		require.Equal(t, round.Step, again.Step, "the same step again")
		for again.Outcome != "closed" { // a busy machine may miss a deadline besides
			at++
			again = r.Rounds[at+1]
		}
		require.Equal(t, round.Step, again.Step)
		require.Equal(t, 5, again.Survivors.Len())
	}
	s.checkSums(r)
}
