package artifact

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
	"github.com/koinon-eu/koinon/models/trees/treestest"
)

// forest grows an ensemble on the toy table.
func forest(t testing.TB) *Model {
	rows := table(t)
	statistics := feature.NewStatistics(rows.Schema())
	for !statistics.Done() {
		sum, err := statistics.Count(rows)
		require.NoError(t, err)
		require.NoError(t, statistics.Apply(sum))
	}
	encoder, err := statistics.Encoder()
	require.NoError(t, err)
	spec := arch.Spec{Kind: arch.Trees, Trees: &trees.Params{Trees: 6, Depth: 3}}.WithDefaults()
	bins, err := trees.NewBins(statistics, encoder, spec.Trees.Bins, spec.Trees.Floor)
	require.NoError(t, err)
	machine, err := trees.New(trees.Config{Params: *spec.Trees, Rows: encoder.Rows, Positives: encoder.Positives}, bins)
	require.NoError(t, err)
	member, err := treestest.New(bins, encoder, rows)
	require.NoError(t, err)
	for !machine.Done() {
		require.NoError(t, machine.Apply(treestest.Sum(machine, member)))
	}
	m := model(t, arch.Logistic)
	m.Header.Architecture, m.Params, m.Ensemble = spec, nil, machine.Ensemble()
	return m
}

// TestForest: an ensemble travels and scores as any model, and its factors are
// what putting a column to its reference changes.
func TestForest(t *testing.T) {
	m := forest(t)
	b, err := m.Marshal()
	require.NoError(t, err)
	again, err := Parse(b)
	require.NoError(t, err)
	require.Equal(t, m.Ensemble, again.Ensemble)
	require.Equal(t, m.Header, again.Header)
	for i := range b {
		_, err := Parse(b[:i])
		require.ErrorIs(t, err, ErrForm)
	}
	_, err = Parse(append(append([]byte(nil), b...), 0))
	require.ErrorIs(t, err, ErrForm)

	leaves := 0
	for _, tree := range m.Ensemble.Trees {
		for i := range tree {
			if tree[i].Leaf() {
				leaves++
			}
		}
	}
	require.Equal(t, leaves, m.Parameters())
	require.Equal(t, len(model(t, arch.MLP).Params), model(t, arch.MLP).Parameters())

	scorer, err := again.NewScorer()
	require.NoError(t, err)
	rows := table(t)
	advice, err := scorer.Score(rows, 2)
	require.NoError(t, err)
	require.Len(t, advice, rows.Rows())
	cells, err := m.Ensemble.Bins.Cells(m.Encoder, rows, rows.Select(feature.SelectAll))
	require.NoError(t, err)
	own, err := m.Ensemble.NewScorer()
	require.NoError(t, err)
	logits := make([]float64, rows.Rows())
	require.NoError(t, own.Logits(cells, logits))
	explained := 0
	for i, a := range advice {
		require.Equal(t, arch.Sigmoid(logits[i]), a.Score)
		require.Equal(t, rows.ID(i), a.ID)
		require.LessOrEqual(t, len(a.Factors), 2)
		for _, f := range a.Factors {
			require.NotZero(t, f.Effect)
			explained++
		}
	}
	require.Positive(t, explained)
	require.Error(t, scorer.Logits(m.Encoder.ReferenceRow(), make([]float64, 1)))
	require.Empty(t, scorer.Explain(m.Encoder.ReferenceRow(), 0, 3, nil))
}

// TestForestRefuses a model whose parts do not belong together.
func TestForestRefuses(t *testing.T) {
	for name, change := range map[string]func(m *Model){
		"no ensemble":     func(m *Model) { m.Ensemble = nil },
		"parameters":      func(m *Model) { m.Params = []float32{1} },
		"another kind":    func(m *Model) { m.Header.Architecture = arch.Spec{Kind: arch.Logistic} },
		"broken ensemble": func(m *Model) { m.Ensemble.Trees[0] = nil },
		"other columns":   func(m *Model) { m.Ensemble.Bins.Columns[0].Name = "other" },
	} {
		m := forest(t)
		change(m)
		_, err := m.Marshal()
		require.Error(t, err, name)
		_, err = m.NewScorer()
		require.Error(t, err, name)
	}
}
