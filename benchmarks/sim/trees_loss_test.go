package sim

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/link"

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

// requireApart is the oracle of trees 75: it puts all opened sums of statistics and histograms together, as vectors of
// who is in them, and looks at each difference and, by elimination, at every combination of them: none has fewer than m
// members.
func requireApart(t testing.TB, r coordinator.Run, m int) {
	t.Helper()
	var opened []secagg.Set
	for _, one := range r.Rounds {
		if one.Outcome == "closed" && one.Kind != schedule.Evaluate.String() {
			opened = append(opened, one.Survivors)
		}
	}
	require.NotEmpty(t, opened)
	for i, a := range opened {
		for _, b := range opened[:i] {
			for _, d := range []secagg.Set{a.Minus(b), b.Minus(a)} {
				require.True(t, d.Len() == 0 || d.Len() >= m, "sums over %v and %v differ by %v", a, b, d)
			}
		}
	}
	require.GreaterOrEqual(t, smallestCombination(opened), m)
}

// smallestCombination brings the indicator vectors of sets into reduced row echelon form over the rationals, and returns
// the fewest members that a row of it has.
func smallestCombination(sets []secagg.Set) int {
	var rows [][]*big.Rat
	for _, s := range sets {
		row := make([]*big.Rat, 256)
		for m := range row {
			row[m] = new(big.Rat)
			if s.Has(uint8(m)) {
				row[m].SetInt64(1)
			}
		}
		rows = append(rows, row)
	}
	rank := 0
	for column := 0; column < 256 && rank < len(rows); column++ {
		pivot := slices.IndexFunc(rows[rank:], func(r []*big.Rat) bool { return r[column].Sign() != 0 })
		if pivot < 0 {
			continue
		}
		rows[rank], rows[rank+pivot] = rows[rank+pivot], rows[rank]
		scale := new(big.Rat).Inv(rows[rank][column])
		for m := range rows[rank] {
			rows[rank][m] = new(big.Rat).Mul(rows[rank][m], scale)
		}
		for i, row := range rows {
			if i == rank || row[column].Sign() == 0 {
				continue
			}
			factor := row[column]
			for m := range row {
				row[m] = new(big.Rat).Sub(row[m], new(big.Rat).Mul(factor, rows[rank][m]))
			}
		}
		rank++
	}
	least := 256
	for _, row := range rows[:rank] {
		n := 0
		for _, v := range row {
			if v.Sign() != 0 {
				n++
			}
		}
		least = min(least, n)
	}
	return least
}

// kill makes a member's node vanish when a packet of that type of this or a later round reaches it; what it returns waits
// for that. A busy machine may abort a round, so that no certain one can be waited for.
func (s *stage) kill(name, packet string, round uint32) (killed func()) {
	a := s.actors[name]
	dead := a.dieWhen(func(m link.Message) bool { return m.Type == packet && m.Round >= round })
	return func() {
		s.t.Helper()
		select {
		case <-dead:
		case <-time.After(60 * time.Second):
			s.t.Fatalf("%s never saw %s of round %d", name, packet, round)
		}
		a.stop()
	}
}

// TestTreesWaitForRestartedNode: a node that was killed in the middle of a tree and comes back is in the same tree: no
// sum opens without it, and the trees are those of all rows (S74, S78). It happens in each phase, and in batches.
func TestTreesWaitForRestartedNode(t *testing.T) {
	for _, packet := range []string{"sum", "survivors", "certificate", "result"} {
		t.Run(packet, func(t *testing.T) {
			s := setStage(t, treesPlan(t, smallTrees, "mask: 300", "mask: 250"), fiveTables(t), nil)
			killed := s.kill("PT", packet, 5)
			s.submit()
			s.playAll()
			killed()
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
// of them drawn (S77); the tree ends where it is, and the others go on to the whole number of trees. The lost one
// comes back for the evaluation alone. No difference of opened cohorts is below three (75).
func TestTreesShed(t *testing.T) {
	plan := treesPlan(t, smallTrees, "[DE, FR, IT, PL, PT], minimum: 4", "["+joined(ten)+"], minimum: 7", "mask: 300", "mask: 50")
	s := setStage(t, plan, tenTables(t), soon)
	killed := s.kill("NL", "survivors", 5)
	s.submit()
	s.playAll()
	killed()
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
	_, report, err := s.simulation.coordinator.Candidate(r.ID)
	require.NoError(t, err)
	shown := m.Forest().Disclosure()
	require.Positive(t, shown.Cells)
	require.Equal(t, []int64{shown.Cells, shown.Small}, []int64{report.Histograms.Cells, report.Histograms.Small}) // trees 46
}

// TestTreesStop: with five nodes nobody can be left out, so the loss of one ends growth, and the run closes with the
// trees it has (trees 39).
func TestTreesStop(t *testing.T) {
	s := setStage(t, treesPlan(t, smallTrees, "mask: 300", "mask: 50"), fiveTables(t), soon)
	killed := s.kill("PT", "survivors", 7)
	s.submit()
	s.playAll()
	killed()
	r := s.evaluated()
	requireApart(t, r, 3)
	m := s.machineOf(r, "DE", "FR", "IT", "PL")
	require.NotEmpty(t, m.Forest().Trees())
	require.Less(t, len(m.Forest().Trees()), 3)
	require.True(t, m.Forest().Done())
}

// TestTreesWaitBeforeAnyTree: a member lost before there is a tree leaves nothing to evaluate: the run says whom it
// waits for, and goes on when it is back.
func TestTreesWaitBeforeAnyTree(t *testing.T) {
	s := setStage(t, treesPlan(t, smallTrees, "mask: 300", "mask: 20"), fiveTables(t), soon)
	killed := s.kill("PT", "result", 1)
	s.submit()
	s.playAll()
	killed()
	s.until("it says so", func(r coordinator.Run) bool { return strings.Contains(r.Reason, "waiting for PT; without them") })
	s.actors["PT"].play()
	r := s.evaluated()
	requirePooled(t, s.machineOf(r, five...), s.cfg.Members)
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
	plan := treesPlan(t, smallTrees, "[DE, FR, IT, PL, PT], minimum: 4", "["+joined(ten)+"], minimum: 7", "mask: 300", "mask: 50")
	s := setStage(t, plan, tenTables(t), soon)
	killed := s.kill("NL", "survivors", 5)
	s.submit()
	s.playAll()
	killed()
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

// TestTreesWelcome: who was left out, and waits, is in a later tree again, once the lost one is back too: as many as were
// left out, at a first level (S78).
func TestTreesWelcome(t *testing.T) {
	plan := treesPlan(t, "trees: 40, depth: 2, rate: [0.1], bins: 16, cell: 5, min_hessian: 1", "[DE, FR, IT, PL, PT], minimum: 4", "["+joined(ten)+"], minimum: 7", "mask: 300", "mask: 50")
	s := setStage(t, plan, tenTables(t), soon)
	killed := s.kill("NL", "survivors", 5)
	s.submit()
	s.playAll()
	killed()
	s.until("a sum over seven", func(r coordinator.Run) bool {
		return slices.ContainsFunc(r.Rounds, func(one coordinator.Round) bool { return one.Outcome == "closed" && one.Survivors.Len() == 7 })
	})
	s.actors["NL"].play()
	r := s.evaluated()
	requireApart(t, r, 3)
	last := r.Rounds[len(r.Rounds)-2]
	require.Equal(t, schedule.Grow.String(), last.Kind)
	require.Equal(t, 10, last.Survivors.Len())
	require.Len(t, s.machineOf(r, ten...).Forest().Trees(), 40)
}

// TestTreesHistories: nodes come and go at random, for good or not, and the coordinator is killed now and then. Whatever
// comes of it, no combination of opened sums shows fewer than m members (trees 75), and who reaches the end has one model.
func TestTreesHistories(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			plan := treesPlan(t, "trees: 12, depth: 2, rate: [0.1], bins: 16, cell: 5, min_hessian: 1", "[DE, FR, IT, PL, PT], minimum: 4",
				"["+joined(ten)+"], minimum: 7", "mask: 300", "mask: 40", "advertise: 300, share: 300", "advertise: 25, share: 25")
			s := setStage(t, plan, tenTables(t), func(c *coordinator.Config) { c.FullCohort, c.MaxAborts = 25, 6 })
			random := rand.New(rand.NewPCG(seed, 12))
			s.submit()
			s.playAll()
			away := map[string]bool{}
			for turn := 0; turn < 14; turn++ {
				time.Sleep(time.Duration(random.IntN(250)) * time.Millisecond)
				name := ten[random.IntN(len(ten))]
				switch {
				case turn%7 == 6:
					s.reboot()
				case away[name]:
					s.actors[name].play()
					delete(away, name)
				case len(away) < 3:
					s.actors[name].stop()
					away[name] = random.IntN(3) == 0
					if !away[name] {
						s.actors[name].play()
						delete(away, name)
					}
				}
			}
			for name := range away {
				s.actors[name].play()
			}
			r := s.finish()
			requireApart(t, r, 3)
			if r.State == coordinator.Evaluated {
				require.NotEmpty(t, s.machineOf(r, ten...).Forest().Trees())
			}
			t.Log(r.State, r.Reason, len(r.Rounds))
		})
	}
}

// TestTreesRunKey: a node draws rows by a key that it keeps with the run, so one that was started again in the middle of
// a tree goes on with the same rows (S79): with others its histograms would not fit those of the levels before, and no
// sum would pass (trees 10).
func TestTreesRunKey(t *testing.T) {
	s := setStage(t, treesPlan(t, smallTrees+", rows: 0.6", "mask: 300", "mask: 250"), fiveTables(t), soon)
	killed := s.kill("PT", "result", 5)
	s.submit()
	s.playAll()
	killed()
	s.actors["PT"].play()
	r := s.evaluated()
	for _, one := range r.Rounds {
		require.NotContains(t, one.Outcome, "refused")
	}
	kept, _, err := s.actors["PT"].store.Run(r.ID, s.plan.Learning())
	require.NoError(t, err)
	require.NotZero(t, kept.Key)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", kept, kept, kept), fmt.Sprint(kept.Key[0], " ", kept.Key[1]))
}

// TestTreesRowsMax: a node with more rows than the plan bears refuses it (S79).
func TestTreesRowsMax(t *testing.T) {
	s := setStage(t, treesPlan(t, smallTrees, "gates:", "rows_max: 200\ngates:"), fiveTables(t), func(c *coordinator.Config) { c.MaxAborts = 1 })
	s.submit()
	s.playAll()
	require.Equal(t, coordinator.Failed, s.finish().State)
	eventually(t, "PT refuses", func() bool { return len(s.actors["PT"].left()) > 0 })
	require.ErrorIs(t, s.actors["PT"].left()[0], secagg.ErrPolicy)
}

// TestTreesOtherTable: a node whose table changed in the middle of a run says so and stays out (S79), and is taken for
// lost; the ledger would let the new rows into other cohorts (S75), but no level fits the one before.
func TestTreesOtherTable(t *testing.T) {
	s := setStage(t, treesPlan(t, smallTrees, "mask: 300", "mask: 50"), fiveTables(t), func(c *coordinator.Config) { c.FullCohort, c.MaxAborts = 25, 4 })
	pt := s.actors["PT"]
	pt.config.Snapshot = func() ([32]byte, error) { return [32]byte{1}, nil }
	killed := s.kill("PT", "result", 5)
	s.submit()
	s.playAll()
	killed()
	pt.config.Snapshot = func() ([32]byte, error) { return [32]byte{2}, nil }
	pt.play()
	r := s.until("the run is over", func(r coordinator.Run) bool { return r.State == coordinator.Evaluated || r.State == coordinator.Failed })
	require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
	left := pt.left()
	require.ErrorIs(t, left[len(left)-1], secagg.ErrNoData)
	require.ErrorContains(t, left[len(left)-1], "changed since")
	require.NotEmpty(t, s.machineOf(r, "DE", "FR", "IT", "PL").Forest().Trees())
}
