package train_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/models/trees"
	"github.com/koinon-eu/koinon/node/train"
)

func forest(t testing.TB, p trees.Params) *federation {
	var tables []*feature.Table
	for i, rows := range []int{1500, 400, 90, 700} {
		tables = append(tables, toyTable(t, rows, uint64(i), i != 2))
	}
	f := newFederation(t, schedule.Config{Schema: tables[0].Schema(), Architecture: arch.Spec{Kind: arch.Trees, Trees: &p}, Seed: 3}, tables)
	for i, m := range f.members {
		m.SetRunKey([32]byte{1, byte(i)})
	}
	return f
}

// TestForest grows trees through the schedule's own encoding: the federated
// model is better than those of nodes alone, a node of one class has no own
// model, and a member that joins late gives the same vectors. // trees 54, 76
func TestForest(t *testing.T) {
	f := forest(t, trees.Params{Trees: 30, Depth: 3, Rows: 0.9})
	for {
		step, more := f.machine.Next()
		if !more {
			break
		}
		if step.Kind == schedule.Grow && step.Ordinal%7 == 0 {
			late := forest(t, trees.Params{Trees: 30, Depth: 3, Rows: 0.9})
			want, err := f.members[0].Local(f.machine, step, nil)
			require.NoError(t, err)
			got, err := late.members[0].Local(f.machine, step, nil)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		f.step(t, step)
	}
	require.Len(t, f.machine.Forest().Ensemble().Trees, 30)
	require.Greater(t, f.machine.Tally().AUROC().Value, 0.75)
	alone, federated := f.alone(t)
	require.Greater(t, federated, alone)
	x, err := f.members[2].Evaluate(f.machine)
	require.NoError(t, err)
	require.Nil(t, x.Alone, "one class")
	require.NotNil(t, f.members[0].Figures().Alone)
}

// TestForestNeedsAKey where rows are drawn. // trees 8, 31
func TestForestNeedsAKey(t *testing.T) {
	f := forest(t, trees.Params{Trees: 2, Rows: 0.5})
	step := f.until(t, schedule.Grow)
	f.members[0].SetRunKey([32]byte{})
	_, err := f.members[0].Local(f.machine, step, nil)
	require.ErrorIs(t, err, train.ErrNoRunKey)
}

// TestPooledForest: pooled rows give the federated ensemble, bit for bit. // trees 2, 72
func TestPooledForest(t *testing.T) {
	f := forest(t, trees.Params{Trees: 10, Depth: 4, Columns: 0.7})
	_, err := train.PooledForest(f.machine, f.members)
	require.ErrorContains(t, err, "no trees")
	f.run(t, false)
	pooled, err := train.PooledForest(f.machine, f.members)
	require.NoError(t, err)
	require.Equal(t, f.machine.Forest().Ensemble(), pooled)
	_, err = train.PooledForest(f.machine, nil)
	require.ErrorContains(t, err, "no rows")
}
