package schedule

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
	"github.com/koinon-eu/koinon/models/trees/treestest"
)

func forestConfig(t testing.TB) Config {
	return Config{Schema: schemaOf(t), Architecture: arch.Spec{Kind: arch.Trees, Trees: &trees.Params{Trees: 3, Depth: 3}}, Seed: 5, Members: 3}
}

// growVector is a member's answer to any step of a plan of trees.
func growVector(t testing.TB, m *Machine, step Step, table *feature.Table, member int) ([]int64, uint32) {
	if step.Kind != Grow {
		_, ints, rows := vector(t, m, step, table, member)
		return ints, rows
	}
	slow, err := treestest.New(m.Forest().Bins(), m.Encoder(), table)
	require.NoError(t, err)
	var ints []int64
	for _, w := range slow.Vector(m.Forest()) {
		ints = append(ints, int64(w))
	}
	return ints, uint32(len(slow.Label))
}

func growSum(t testing.TB, m *Machine, step Step, members []*feature.Table) []uint64 {
	sum := make([]uint64, step.Encoding.Layout.Words())
	for i, table := range members {
		ints, rows := growVector(t, m, step, table, i)
		words, err := step.Encoding.Encode(nil, ints, rows, nil)
		require.NoError(t, err)
		for j, w := range words {
			sum[j] += w
		}
	}
	return sum
}

// TestGrow goes through a plan of trees on two machines, one of them stored and
// restored before every step. // trees 50, 53
func TestGrow(t *testing.T) {
	cfg, members := forestConfig(t), tables(t)
	a, err := New(cfg)
	require.NoError(t, err)
	b, err := New(cfg)
	require.NoError(t, err)
	places, queries := map[uint32]bool{}, map[[32]byte]bool{}
	var kinds []Kind
	for {
		step, more := a.Next()
		if !more {
			break
		}
		stored, err := b.MarshalBinary()
		require.NoError(t, err)
		b, err = UnmarshalMachine(cfg, stored)
		require.NoError(t, err)
		other, _ := b.Next()
		require.Equal(t, step, other)
		require.NoError(t, step.Encoding.Validate())
		require.False(t, queries[step.Query])
		queries[step.Query] = true
		kinds = append(kinds, step.Kind)
		if step.Kind == Grow {
			require.False(t, places[step.Number()], "one place a tree and level: trees 42")
			places[step.Number()] = true
		}
		before, err := a.Digest()
		require.NoError(t, err)
		sum := growSum(t, a, step, members)
		broken := append([]uint64(nil), sum...)
		broken[0] += 12345
		if step.Ordinal == 1 || step.Kind != Statistics { // the later ones hold no total to compare with
			require.Error(t, a.Apply(broken, 3))
		}
		same, err := a.Digest()
		require.NoError(t, err)
		require.Equal(t, before, same)
		require.NoError(t, a.Apply(sum, 3))
		require.NoError(t, b.Apply(sum, 3))
		x, err := a.Digest()
		require.NoError(t, err)
		y, err := b.Digest()
		require.NoError(t, err)
		require.Equal(t, x, y)
	}
	require.Equal(t, Evaluate, kinds[len(kinds)-1])
	require.Contains(t, places, uint32(1))
	require.True(t, a.Done())
	require.Len(t, a.Forest().Ensemble().Trees, 3)
	require.NotNil(t, a.Tally())
	require.Nil(t, a.Params())

	stored, err := a.MarshalBinary()
	require.NoError(t, err)
	for i := 0; i < len(stored); i += 11 {
		_, err := UnmarshalMachine(cfg, stored[:i])
		require.Error(t, err)
	}
	_, err = UnmarshalMachine(config(t, arch.Logistic, aggregate.FedAdam), stored)
	require.Error(t, err)
}

func TestForestConfig(t *testing.T) {
	cfg := forestConfig(t)
	require.NoError(t, cfg.Validate())
	require.Equal(t, cfg.Digest(), cfg.WithDefaults().Digest())
	other := cfg
	other.Architecture.Trees = &trees.Params{Trees: 4, Depth: 3}
	require.NotEqual(t, cfg.Digest(), other.Digest())
	both := cfg
	both.Architecture.Kind = arch.Logistic
	require.ErrorContains(t, both.Validate(), "has no trees")
	other.Architecture.Trees = &trees.Params{Depth: 99}
	require.ErrorContains(t, other.Validate(), "depth")
	for _, algorithm := range []aggregate.Spec{{Name: aggregate.FedAdam}, {Rounds: 2}, {Batch: 5}} {
		bad := cfg
		bad.Algorithm = algorithm
		require.ErrorContains(t, bad.Validate(), "no settings")
	}
	require.Equal(t, 9, cfg.WithDefaults().Algorithm.Rounds)
	for _, spec := range []arch.Spec{{Kind: arch.Trees, L2: 1}, {Kind: arch.Trees, Hidden: []int{3}}, {Kind: arch.Trees, Embedding: arch.Auto}} {
		require.Error(t, spec.Validate())
	}
	_, err := arch.NewModel(cfg.Architecture, arch.Shape{Numbers: 1}, nil)
	require.ErrorContains(t, err, "ensemble")
}
