package node_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node"
)

// privateSchema is schemaYAML with what a plan with noise may count.
var privateSchema = replace(schemaYAML, "  template_family: {type: category}\n", "")

// newPrivateFive is a federation under a plan with record-level privacy; more
// goes into the plan.
func newPrivateFive(t *testing.T, architecture, algorithm, more string) *federationOfFive {
	yaml := replace(planYAML, "{kind: logistic, l2: 1.0}", architecture)
	yaml = replace(yaml, "{name: fedadam, rounds: 3}", algorithm) + more +
		"privacy: {secure_aggregation: required, dp: record, epsilon: 99, noise: 1, statistics_noise: 1}\n"
	plan, err := federation.ParsePlan([]byte(yaml), func(name string) ([]byte, error) {
		return []byte(map[string]string{"schema.yaml": privateSchema, "declaration.yaml": declarationYAML}[name]), nil
	})
	require.NoError(t, err)
	schema, err := feature.ParseSchema([]byte(privateSchema))
	require.NoError(t, err)
	return newFiveWith(t, plan, func(name string, cfg *node.Config) {
		cfg.Policy = federation.DefaultPolicy()
		cfg.Policy.Privacy.Epsilon = federation.NoLimit
		var err error
		cfg.Table, err = feature.ReadCSV(bytes.NewReader([]byte(csv(uint64(len(name))))), schema, feature.Limits{})
		require.NoError(t, err)
	})
}

// TestPrivateRowsMax: a node with more rows than rows_max answers like the
// others where each node adds noise; a refusal would tell of a single row.
func TestPrivateRowsMax(t *testing.T) {
	f := newPrivateFive(t, "{kind: trees, trees: {growth: additive, epochs: 2}}", "{name: trees}", "rows_max: 250\n")
	train, _ := f.nodes["DE"].cfg.Table.Count(feature.SelectTrain)
	require.Greater(t, train, 250)
	for range 3 {
		require.NoError(t, f.playRound(20*time.Second, nil))
	}
	require.Empty(t, f.nodes["DE"].left())
}
