package federation_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlanRefusesTrees until rounds keep the rules for cohorts of trees. // trees 35, 37
func TestPlanRefusesTrees(t *testing.T) {
	_, err := parse("{kind: logistic, l2: 1.0}", "{kind: trees, trees: {trees: 50, depth: 4, rate: [0.2], cell: 10}}", "{name: fedadam, rounds: 60}", "{name: trees}")
	require.ErrorContains(t, err, "cohorts that differ by one member")
	_, err = parse("{kind: logistic, l2: 1.0}", "{kind: trees, trees: {depth: 40}}", "{name: fedadam, rounds: 60}", "{name: trees}")
	require.ErrorContains(t, err, "depth 40")
	_, err = parse("{kind: logistic, l2: 1.0}", "{kind: trees, trees: {growth: additive}}", "{name: fedadam, rounds: 60}", "{name: trees}")
	require.ErrorContains(t, err, "growth")
}
