package train_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train"
)

// TestPrivateFewRows: a member with no training row, or a few, answers every step,
// the evaluation of its test rows included: staying away would tell of a row.
func TestPrivateFewRows(t *testing.T) {
	p := &schedule.Privacy{Noise: 1, StatisticsNoise: 1, Clip: 1, Rate: 0.2}
	for name, f := range map[string]*federation{
		"logistic": privateFederation(t, arch.Spec{Kind: arch.Logistic}, aggregate.Spec{Rounds: 1}, p),
		"mlp":      privateFederation(t, arch.Spec{Kind: arch.MLP, Hidden: []int{4}}, aggregate.Spec{Rounds: 1}, p),
		"trees":    noisyForest(t, 1, 1),
	} {
		t.Run(name, func(t *testing.T) {
			var few []*train.Member
			schema := f.machine.Config().Schema
			fewest := 60
			for seed := range uint64(12) {
				table, err := toyTableOf(t, schema, 60, 5, true).SplitFraction(0.95, seed)
				require.NoError(t, err)
				rows, _ := table.Count(feature.SelectTrain)
				fewest = min(fewest, rows)
				m := train.NewMember(table)
				m.SetRunKey([32]byte{7})
				few = append(few, m)
			}
			require.Zero(t, fewest)
			for {
				step, more := f.machine.Next()
				if !more {
					break
				}
				for _, m := range few {
					v, err := m.Local(f.machine, step, stream(1, 1, 1))
					require.NoError(t, err, step.Kind)
					_, err = step.Encoding.Encode(v.X, v.Ints, v.Rows, stream(1, 2, 3))
					require.NoError(t, err, step.Kind)
				}
				f.step(t, step)
			}
		})
	}
}
