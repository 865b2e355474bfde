package sim

import (
	"fmt"
	"testing"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"

	"github.com/stretchr/testify/require"
)

// ten are enough members to lose three (2·10/3 + 1 = 7).
var ten = []string{"AT", "BE", "DE", "ES", "FR", "IT", "NL", "PL", "PT", "SE"}

// soon does not wait long for whoever is lost before the evaluation.
func soon(c *coordinator.Config) { c.FullCohort = 25 }

func tenTables(t testing.TB) []Member {
	t.Helper()
	members := make([]Member, len(ten))
	for i, name := range ten {
		members[i] = Member{Name: name, Table: csvTable(t, uint64(i+1), 160+10*i, nil)}
	}
	return members
}

// machineOf returns a member's machine at the end of the run, and wants its state to be that of every other one.
func (s *stage) machineOf(r coordinator.Run, names ...string) *schedule.Machine {
	s.t.Helper()
	var out *schedule.Machine
	for _, name := range names {
		var m *schedule.Machine
		eventually(s.t, name+" has the whole run", func() bool {
			kept, machine, err := s.actors[name].store.Run(r.ID, s.plan.Learning())
			m = machine
			return err == nil && kept.Done
		})
		if out != nil {
			require.Equal(s.t, digestOf(s.t, out), digestOf(s.t, m), name)
		}
		out = m
	}
	return out
}

// requireApart is the oracle of trees 75: the difference of any two opened cohorts of statistics and histograms has no
// member, or at least m, on either side.
func requireApart(t testing.TB, r coordinator.Run, m int) {
	t.Helper()
	var opened []coordinator.Round
	for _, one := range r.Rounds {
		if one.Outcome == "closed" && one.Kind != schedule.Evaluate.String() {
			opened = append(opened, one)
		}
	}
	for i, a := range opened {
		for _, b := range opened[:i] {
			for _, d := range []secagg.Set{a.Survivors.Minus(b.Survivors), b.Survivors.Minus(a.Survivors)} {
				require.True(t, d.Len() == 0 || d.Len() >= m, "rounds %d and %d differ by %v", a.Number, b.Number, d)
			}
		}
	}
}

// TestTreesWaitForRestartedNode: a node that was killed in the middle of a tree and comes back is in the same tree: no
// sum opens without it, and the trees are those of all rows (trees 34, 54). It happens in each phase, and in batches.
func TestTreesWaitForRestartedNode(t *testing.T) {
	for _, packet := range []string{"sum", "survivors", "certificate", "result"} {
		t.Run(packet, func(t *testing.T) {
			s := setStage(t, treesPlan(t, smallTrees, "mask: 300", "mask: 250"), fiveTables(t), nil)
			dead := s.actors["PT"].dieOn(packet, 5)
			s.submit()
			s.playAll()
			select {
			case <-dead:
			case <-t.Context().Done():
				t.Fatal("PT never died")
			}
			s.actors["PT"].stop()
			s.actors["PT"].play()
			r := s.evaluated()
			for _, one := range r.Rounds {
				if one.Outcome == "closed" {
					require.Equal(t, 5, one.Survivors.Len(), "round %d", one.Number)
				}
			}
			requirePooled(t, s.machineOf(r, five...), s.cfg.Members)
		})
	}
}

// TestTreesShed: one of ten nodes is lost for good in the middle of a tree. After the deadline three are left out, two
// of them drawn (trees 38); the tree ends where it is, and the others go on to the whole number of trees. The lost one
// comes back for the evaluation alone. No difference of opened cohorts is below three (75).
func TestTreesShed(t *testing.T) {
	plan := treesPlan(t, smallTrees, "[DE, FR, IT, PL, PT], minimum: 4", "["+joined(ten)+"], minimum: 7", "mask: 300", "mask: 30")
	s := setStage(t, plan, tenTables(t), soon)
	dead := s.actors["NL"].dieOn("survivors", 5)
	s.submit()
	s.playAll()
	<-dead
	s.actors["NL"].stop()
	r := s.evaluated()
	requireApart(t, r, 3)
	sizes := map[int]int{}
	for _, one := range r.Rounds {
		if one.Outcome == "closed" && one.Kind == schedule.Grow.String() {
			sizes[one.Survivors.Len()]++
		}
	}
	require.NotZero(t, sizes[10])
	require.NotZero(t, sizes[7])
	require.Len(t, sizes, 2)
	rest := []string{"AT", "BE", "DE", "ES", "FR", "IT", "PL", "PT", "SE"}
	m := s.machineOf(r, rest...)
	require.Len(t, m.Forest().Trees(), 3, "a tree that was ended early counts")
}

// TestTreesStop: with five nodes nobody can be left out, so the loss of one ends growth, and the run closes with the
// trees it has (trees 39).
func TestTreesStop(t *testing.T) {
	s := setStage(t, treesPlan(t, smallTrees, "mask: 300", "mask: 30"), fiveTables(t), soon)
	dead := s.actors["PT"].dieOn("survivors", 7)
	s.submit()
	s.playAll()
	<-dead
	s.actors["PT"].stop()
	r := s.evaluated()
	requireApart(t, r, 3)
	m := s.machineOf(r, "DE", "FR", "IT", "PL")
	require.NotEmpty(t, m.Forest().Trees())
	require.Less(t, len(m.Forest().Trees()), 3)
	require.True(t, m.Forest().Done())
}

// TestTreesStopBeforeAnyTree: a member lost before there is a tree leaves nothing to evaluate: the run says so.
func TestTreesStopBeforeAnyTree(t *testing.T) {
	s := setStage(t, treesPlan(t, smallTrees, "mask: 300", "mask: 30"), fiveTables(t), soon)
	dead := s.actors["PT"].dieOn("result", 1)
	s.submit()
	s.playAll()
	<-dead
	s.actors["PT"].stop()
	r := s.finish()
	require.Equal(t, coordinator.Failed, r.State)
	require.Contains(t, r.Reason, "PT did not come back, and there is no tree yet")
}

// TestTreesCoordinatorKilledAtEachLevel: the coordinator is killed while it sums each level and once more after the
// cohort has changed; what comes out is what would have without (trees 53, 72).
func TestTreesCoordinatorKilledAtEachLevel(t *testing.T) {
	s := setStage(t, treesPlan(t, "trees: 2, depth: 3, rate: [0.3], bins: 16, cell: 5, min_hessian: 1"), fiveTables(t), nil)
	s.submit()
	s.playAll()
	for step := uint32(2); step <= 8; step++ {
		r := s.until(fmt.Sprintf("step %d", step), func(r coordinator.Run) bool { return r.Step >= step || r.State == coordinator.Evaluated })
		if r.State == coordinator.Evaluated {
			break
		}
		s.reboot()
	}
	r := s.evaluated()
	requireApart(t, r, 3)
	requirePooled(t, s.machineOf(r, five...), s.cfg.Members)
}

// TestTreesCoordinatorKilledAroundAChange: the change of a cohort is on record before anything follows from it, so a
// coordinator that is killed after it, and once more after a sum over the new cohort, goes on with that.
func TestTreesCoordinatorKilledAroundAChange(t *testing.T) {
	plan := treesPlan(t, smallTrees, "[DE, FR, IT, PL, PT], minimum: 4", "["+joined(ten)+"], minimum: 7", "mask: 300", "mask: 30")
	s := setStage(t, plan, tenTables(t), soon)
	dead := s.actors["NL"].dieOn("survivors", 5)
	s.submit()
	s.playAll()
	<-dead
	s.actors["NL"].stop()
	smaller := func(n int) func(coordinator.Run) bool {
		return func(r coordinator.Run) bool {
			for _, one := range r.Rounds {
				if one.Outcome == "closed" && one.Kind == schedule.Grow.String() && one.Survivors.Len() == 7 {
					n--
				}
			}
			return n <= 0
		}
	}
	s.until("a cohort of seven is open", func(r coordinator.Run) bool {
		last := r.Rounds[len(r.Rounds)-1]
		return last.K == 1 && last.Outcome == "" && last.Kind == schedule.Grow.String() && last.Number > 5
	})
	s.reboot()
	s.until("a sum over seven", smaller(1))
	s.reboot()
	r := s.evaluated()
	requireApart(t, r, 3)
	m := s.machineOf(r, "AT", "BE", "DE", "ES", "FR", "IT", "PL", "PT", "SE")
	require.Len(t, m.Forest().Trees(), 3)
}
