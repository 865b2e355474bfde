package sim

import (
	"testing"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/train"

	"github.com/stretchr/testify/require"
)

func digestOf(t testing.TB, m *schedule.Machine) [32]byte {
	t.Helper()
	d, err := m.Digest()
	require.NoError(t, err)
	return d
}

func runDigest(t testing.TB, plan *federation.Plan, members []Member, seed uint64) [32]byte {
	t.Helper()
	r, err := Run(t.Context(), Config{Plan: plan, Members: members, Seed: seed, Log: testLog()})
	require.NoError(t, err)
	return digestOf(t, r.Machine)
}

// TestSameSeedSameModel: "`koinon-bench run` with one seed gives the same artifact digest on one machine (there
// rounding also comes from the seed)". Keys, seeds and masks differ in each run; they leave no trace in the model.
func TestSameSeedSameModel(t *testing.T) {
	plan, members := testPlan(t), fiveTables(t)
	first := runDigest(t, plan, members, 3)
	require.Equal(t, first, runDigest(t, plan, members, 3))
	require.NotEqual(t, first, runDigest(t, plan, members, 4), "rounding follows the seed")
}

// vectorOf is what one member would put into a step in the clear.
type vectorOf struct {
	step   schedule.Step
	member string
	plain  train.Vector
	words  []uint64 // encoded, not masked
}

// plainRun computes the plan without coordinator, nodes, masks or network: the encoded vectors of every step, added in
// the clear. each sees a vector and says whether it is in the sum; nil: all are.
func plainRun(t testing.TB, plan *federation.Plan, members []Member, seed uint64, each func(vectorOf) bool) *schedule.Machine {
	t.Helper()
	machine, err := schedule.New(plan.Learning())
	require.NoError(t, err)
	return plainRest(t, machine, members, seed, each)
}

// plainRest is plainRun from a machine on.
func plainRest(t testing.TB, machine *schedule.Machine, members []Member, seed uint64, each func(vectorOf) bool) *schedule.Machine {
	t.Helper()
	s := &simulation{cfg: Config{Seed: seed}}
	workers := make([]*train.Member, len(members))
	for i, m := range members {
		workers[i] = train.NewMember(m.Table)
	}
	for {
		step, more := machine.Next()
		if !more {
			return machine
		}
		sum, survivors := make([]uint64, step.Encoding.Layout.Words()), 0
		for i, m := range members {
			random := s.random(m.Name)
			v, err := workers[i].Local(machine, step, random(node.RunID{}, step.Ordinal, node.UseOrder))
			require.NoError(t, err)
			words, err := step.Encoding.Encode(v.X, v.Ints, v.Rows, random(node.RunID{}, step.Ordinal, node.UseRounding))
			require.NoError(t, err)
			summed := each == nil || each(vectorOf{step, m.Name, v, words})
			workers[i].Settle(step, summed)
			if summed {
				ring.Add(sum, words)
				survivors++
			}
		}
		require.NoError(t, machine.Apply(sum, survivors))
	}
}

// TestFederatedEqualsPlainSum: "Secure aggregation … exactly the survivors' sum": the model that comes out of five
// nodes over mTLS with masks is, bit for bit, that of the plain sums of the same vectors (S28, S61).
func TestFederatedEqualsPlainSum(t *testing.T) {
	for name, plan := range map[string]*federation.Plan{
		"fedadam":          testPlan(t),
		"fedavg":           testPlan(t, "{name: fedadam, rounds: 3}", "{name: fedavg, rounds: 2}"),
		"scaffold":         testPlan(t, "{name: fedadam, rounds: 3}", "{name: scaffold, rounds: 3}"),
		"fedadam, 15 bits": testPlan(t, "rounds: 3", "rounds: 2, bits: 15"),
	} {
		t.Run(name, func(t *testing.T) {
			members := fiveTables(t)
			plain := plainRun(t, plan, members, 9, nil)
			require.Equal(t, digestOf(t, plain), runDigest(t, plan, members, 9))
		})
	}
}
