package sim

import (
	"testing"

	"github.com/koinon-eu/koinon/benchmarks/direct"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/models/schedule"

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

// plainRun computes the plan without coordinator, nodes, masks or network: the encoded vectors of every step, added in
// the clear. each sees a vector and says whether it is in the sum; nil: all are.
func plainRun(t testing.TB, plan *federation.Plan, members []Member, seed uint64, each func(direct.Vector) bool) *schedule.Machine {
	t.Helper()
	machine, err := schedule.New(plan.Learning())
	require.NoError(t, err)
	return plainRest(t, plan, machine, members, seed, each)
}

// plainRest is plainRun from a machine on.
func plainRest(t testing.TB, plan *federation.Plan, machine *schedule.Machine, members []Member, seed uint64, each func(direct.Vector) bool) *schedule.Machine {
	t.Helper()
	r, err := direct.Run(t.Context(), direct.Config{Learning: plan.Learning(), Machine: machine, Members: members, Seed: seed, Summed: each})
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return r.Machine
}

// TestFederatedEqualsPlainSum: "Secure aggregation … exactly the survivors' sum": the model that comes out of five
// nodes over mTLS with masks is, bit for bit, that of the plain sums of the same vectors (S28, S61).
func TestFederatedEqualsPlainSum(t *testing.T) {
	for name, plan := range map[string]*federation.Plan{
		"fedadam":          testPlan(t),
		"fedavg":           testPlan(t, "{name: fedadam, rounds: 3}", "{name: fedavg, rounds: 2}"),
		"scaffold":         testPlan(t, "{name: fedadam, rounds: 3}", "{name: scaffold, rounds: 3}"),
		"fedadam, 15 bits": testPlan(t, "rounds: 3", "rounds: 2, bits: 15"),
		"trees":            treesPlan(t, smallTrees),
	} {
		t.Run(name, func(t *testing.T) {
			members := fiveTables(t)
			plain := plainRun(t, plan, members, 9, nil)
			require.Equal(t, digestOf(t, plain), runDigest(t, plan, members, 9))
		})
	}
}
