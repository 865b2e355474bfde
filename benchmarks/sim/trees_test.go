package sim

import (
	"strings"
	"testing"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train"

	"github.com/stretchr/testify/require"
)

// treesPlan is the plan of these tests with trees, and further texts replaced.
func treesPlan(t testing.TB, params string, replace ...string) *federation.Plan {
	t.Helper()
	return testPlan(t, append([]string{
		"{kind: logistic, l2: 1.0}", "{kind: trees, trees: {" + params + "}}", "{name: fedadam, rounds: 3}", "{name: trees}",
	}, replace...)...)
}

// smallTrees are grown on a few hundred rows.
const smallTrees = "trees: 3, depth: 3, rate: [0.3], bins: 16, cell: 5, min_hessian: 1"

// TestTreesEqualPooled: trees grown over five nodes, with masks and over mTLS, are bit for bit those grown on all rows
// in one place over the same cells (trees 2, 72), in batches of any size, also with an end by validation loss and with
// several trees a step.
func TestTreesEqualPooled(t *testing.T) {
	members := fiveTables(t)
	for name, plan := range map[string]*federation.Plan{
		"one sum a batch": treesPlan(t, smallTrees, "minimum: 4}", "minimum: 4}\nbatch: 1"),
		"batches":         treesPlan(t, smallTrees),
		"patience":        treesPlan(t, "trees: 12, depth: 2, rate: [0.6], bins: 16, cell: 5, min_hessian: 1, patience: 2, validation: 0.2"),
		"trees a step":    treesPlan(t, "trees: 4, trees_per_step: 2, depth: 2, bins: 16, cell: 5, min_hessian: 1, columns: 0.7"),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Run(t.Context(), Config{Plan: plan, Members: members, Seed: 1, Log: testLog()})
			require.NoError(t, err)
			requirePooled(t, r.Machine, members)
			require.NotNil(t, r.Machine.Tally(), "the evaluation was summed")
		})
	}
}

// requirePooled wants the ensemble that one party with all rows would have grown.
func requirePooled(t testing.TB, m *schedule.Machine, members []Member) {
	t.Helper()
	work := make([]*train.Member, len(members))
	for i, member := range members {
		work[i] = train.NewMember(member.Table)
	}
	pooled, err := train.PooledForest(m, work)
	require.NoError(t, err)
	want, err := pooled.Marshal()
	require.NoError(t, err)
	got, err := m.Forest().Ensemble().Marshal()
	require.NoError(t, err)
	require.NotEmpty(t, m.Forest().Ensemble().Trees)
	require.Equal(t, want, got)
}

func joined(names []string) string { return strings.Join(names, ", ") }
