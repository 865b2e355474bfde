package federation_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
)

const treesLine = "{kind: trees, trees: {trees: 50, depth: 4, rate: [0.2], cell: 10}}"

// trees parses the plan of these tests with trees and a line more.
func trees(architecture, more string) (*federation.Plan, error) {
	return parse("{kind: logistic, l2: 1.0}", architecture, "{name: fedadam, rounds: 60}", "{name: trees}", "gates:", more+"\ngates:")
}

// TestPlanOfTrees: defaults, bounds and refusals (trees 7, 37, 57).
func TestPlanOfTrees(t *testing.T) {
	p, err := trees(treesLine, "")
	require.NoError(t, err)
	require.Equal(t, 3, p.Shed)
	b, ok := p.Bounds()
	require.True(t, ok)
	require.Equal(t, federation.Bounds{Sums: 200, Shed: 3}, b)
	body, err := p.Encode()
	require.NoError(t, err)
	again, err := federation.DecodePlan(body)
	require.NoError(t, err)
	require.Equal(t, p.Digest(), again.Digest())

	p, err = trees(treesLine, "rows_max: 200000\nshed: 2")
	require.NoError(t, err)
	b, _ = p.Bounds()
	require.Equal(t, int64(200000*len(p.Cohort.Members)), b.Rows)
	require.Equal(t, 11, b.Bits) // the table of trees 7
	require.False(t, b.Wide)
	require.NotEqual(t, p.Digest(), again.Digest())

	for name, c := range map[string]struct{ architecture, more, want string }{
		"one member":     {treesLine, "shed: 1", "cohorts that differ by one"},
		"more than t":    {treesLine, "shed: 9", "shed 9"},
		"too many rows":  {treesLine, "rows_max: 4000000000", "rows_max"},
		"depth":          {"{kind: trees, trees: {depth: 40}}", "", "depth 40"},
		"other growth":   {"{kind: trees, trees: {growth: other}}", "", "growth"},
		"noise":          {treesLine, "privacy: {secure_aggregation: required, dp: record}", "use `growth: additive`"},
		"logistic, shed": {"{kind: logistic, l2: 1.0}", "shed: 3", "shed"},
	} {
		t.Run(name, func(t *testing.T) {
			algorithm := []string{"{name: fedadam, rounds: 60}", "{name: trees}"}
			if strings.Contains(name, "logistic") {
				algorithm = nil
			}
			_, err := parse(append([]string{"{kind: logistic, l2: 1.0}", c.architecture, "gates:", c.more + "\ngates:"}, algorithm...)...)
			require.ErrorContains(t, err, c.want)
		})
	}
}

const additiveLine = "{kind: trees, trees: {growth: additive}}"

// TestPlanOfAdditiveTrees: without noise cohorts are held together as for other
// trees; with noise a sum goes on without whoever is missing, and rows in which
// nothing would show are refused. // trees 41, 57, 62, 64
func TestPlanOfAdditiveTrees(t *testing.T) {
	p, err := trees(additiveLine, "")
	require.NoError(t, err)
	require.True(t, p.Together())
	require.Equal(t, 3, p.Shed)
	require.Equal(t, 30, p.Algorithm.Rounds)

	const record = "privacy: {dp: record, epsilon: 1}"
	p, err = trees(additiveLine, record)
	require.NoError(t, err)
	require.False(t, p.Together())
	require.Zero(t, p.Shed)
	require.NotZero(t, p.Privacy.Noise)
	require.NotZero(t, p.Privacy.StatisticsNoise)
	b, ok := p.Bounds()
	require.True(t, ok)
	require.Equal(t, federation.Bounds{Sums: 30, Leavers: 1}, b)
	policy := federation.DefaultPolicy()
	require.NoError(t, policy.Allows(p), "min_shed is for sums without noise")
	body, err := p.Encode()
	require.NoError(t, err)
	again, err := federation.DecodePlan(body)
	require.NoError(t, err)
	require.Equal(t, p.Digest(), again.Digest())

	p, err = trees(additiveLine, "rows_max: 2000\n"+record)
	require.NoError(t, err)
	b, _ = p.Bounds()
	require.InDelta(t, 0.033, b.Noise, 0.003)
	require.Equal(t, 20, b.Bits)
	require.True(t, b.Wide)

	_, err = trees(additiveLine, "rows_max: 130\n"+record)
	require.ErrorContains(t, err, "too few rows for so much noise")
	_, err = trees(additiveLine, "shed: 3\n"+record)
	require.ErrorContains(t, err, "shed is for trees without noise")
	_, err = trees(treesLine, record)
	require.ErrorContains(t, err, "histogram trees publish every feature at every level; use `growth: additive`")
}

// TestPolicyOfTrees: a node's own m.
func TestPolicyOfTrees(t *testing.T) {
	p, err := trees(treesLine, "shed: 2")
	require.NoError(t, err)
	policy := federation.DefaultPolicy()
	require.ErrorContains(t, policy.Allows(p), "min_shed")
	policy.MinShed = 2
	require.NoError(t, policy.Allows(p))
	policy.MinShed = 1
	require.ErrorContains(t, policy.Validate(), "min_shed 1")
}
