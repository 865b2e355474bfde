package node_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/chain"
)

// privateSchema is schemaYAML with what a plan with noise may count.
var privateSchema = replace(schemaYAML, "  template_family: {type: category}\n", "")

// countingLedger remembers what was reserved, and what had left by then.
type countingLedger struct {
	*node.MemoryLedger
	mu     sync.Mutex
	spends []budget.Spend
}

func (l *countingLedger) Spend(now int64, s budget.Spend, limit budget.Privacy) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spends = append(l.spends, s)
	return l.MemoryLedger.Spend(now, s, limit)
}

// draws returns the different vectors of a step, and how often one was reserved.
func (l *countingLedger) draws(step uint32) (different map[chain.Digest]bool, reserved int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	different = map[chain.Digest]bool{}
	for _, s := range l.spends {
		if s.Step == step {
			different[s.Draw], reserved = true, reserved+1
		}
	}
	return different, reserved
}

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
		cfg.Ledger = &countingLedger{MemoryLedger: cfg.Ledger.(*node.MemoryLedger)}
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

// TestPrivateStepAgain: a step that is repeated has the very same vector, which
// costs nothing more; a node that was started again makes another one and counts
// it, but for trees, whose noise follows from the key of the run.
func TestPrivateStepAgain(t *testing.T) {
	for name, c := range map[string]struct {
		architecture, algorithm string
		after                   int // a restart, how many different vectors there are
	}{
		"network": {"{kind: logistic, l2: 1.0}", "{name: fedadam, rounds: 2}", 2},
		"trees":   {"{kind: trees, trees: {growth: additive, epochs: 2}}", "{name: trees}", 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newPrivateFive(t, c.architecture, c.algorithm, "")
			require.NoError(t, f.playRound(20*time.Second, nil)) // statistics
			err := f.playRound(2*time.Second, func(p secagg.Phase) {
				if p == secagg.PhaseMask { // all vectors are here
					f.nodes["PL"].kill()
					f.nodes["PT"].kill()
				}
			})
			require.ErrorIs(t, err, errAborted)
			for _, name := range []string{"PL", "PT"} {
				f.nodes[name].start(t)
			}
			f.ready(5)
			require.NoError(t, f.playRound(20*time.Second, nil))
			for name, want := range map[string]int{"DE": 1, "PL": c.after} {
				different, reserved := f.nodes[name].cfg.Ledger.(*countingLedger).draws(2)
				require.Len(t, different, want, name)
				require.Equal(t, 2, reserved, name)
			}
		})
	}
}
