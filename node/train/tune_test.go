package train_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/train"
	"github.com/koinon-eu/koinon/node/train/trees"
)

// otherTable is toyTable with the labels turned: what is true elsewhere is false
// here, so that a member has much to gain.
func otherTable(t testing.TB, rows int) *feature.Table {
	table := toyTable(t, rows, 9, true)
	for i, y := range table.Label() {
		if y != feature.Unlabelled {
			table.Label()[i] = 1 - y
		}
	}
	return table
}

func tuned(t testing.TB, spec arch.Spec, table *feature.Table, change func(*train.Tuning)) (f *federation, start []float32, out *train.Tuned, test *feature.Matrix) {
	f = toyFederation(t, spec, aggregate.Spec{Rounds: 20})
	f.run(t, false)
	m := train.NewMember(table)
	rows, err := m.TrainRows(f.machine.Encoder())
	require.NoError(t, err)
	test, err = m.TestRows(f.machine.Encoder())
	require.NoError(t, err)
	s := train.Tuning{Architecture: spec, Rate: 0.01, Rows: f.machine.Encoder().Rows}
	change(&s)
	start = append([]float32(nil), f.machine.Params()...)
	out, err = train.FineTune(s, start, rows, table, [32]byte{4})
	require.NoError(t, err)
	require.Equal(t, f.machine.Params(), start, "the federated model is not touched")
	held := trees.Held([32]byte{4}, 0.2, table, rows.Row)
	judges := 0
	for _, h := range held {
		if h {
			judges++
		}
	}
	require.Equal(t, []int{rows.Rows - judges, judges}, []int{out.Learn, out.Judge.Rows})
	return f, start, out, test
}

func aurocOf(t testing.TB, spec arch.Spec, params []float32, test *feature.Matrix) float64 {
	scores, err := train.Scores(spec, params, test)
	require.NoError(t, err)
	return *auroc(t, scores, test.Label)
}

// TestFineTune: where the world is another one, it helps; where it is the same,
// it stops soon and does no harm; a strong proximal term lets nothing move.
func TestFineTune(t *testing.T) {
	for _, spec := range []arch.Spec{{Kind: arch.Logistic}, {Kind: arch.MLP, Hidden: []int{8}}} {
		t.Run(spec.Kind, func(t *testing.T) {
			_, start, out, test := tuned(t, spec, otherTable(t, 900), func(*train.Tuning) {})
			before, after := aurocOf(t, spec, start, test), aurocOf(t, spec, out.Params, test)
			t.Logf("elsewhere: %.3f → %.3f after %d of %d epochs, losses %.3f", before, after, out.Epochs, out.Ran, out.Losses)
			require.Less(t, before, 0.4)
			require.Greater(t, after, 0.6)
			require.Positive(t, out.Epochs)
			require.Less(t, out.Losses[out.Epochs], out.Losses[0])

			_, start, out, test = tuned(t, spec, toyTable(t, 900, 9, true), func(*train.Tuning) {})
			before, after = aurocOf(t, spec, start, test), aurocOf(t, spec, out.Params, test)
			t.Logf("alike: %.3f → %.3f after %d of %d epochs", before, after, out.Epochs, out.Ran)
			require.InDelta(t, before, after, 0.03)

			_, start, out, _ = tuned(t, spec, otherTable(t, 900), func(s *train.Tuning) { s.Proximal, s.Epochs, s.Rate = 1000, 3, 1e-6 })
			for i := range start {
				require.InDelta(t, start[i], out.Params[i], 1e-3)
			}
		})
	}
}

// TestFreezeEmbeddings: category vectors stay, the rest moves.
func TestFreezeEmbeddings(t *testing.T) {
	spec := arch.Spec{Kind: arch.MLP, Hidden: []int{8}}
	f, start, out, _ := tuned(t, spec, otherTable(t, 900), func(s *train.Tuning) { s.FreezeEmbeddings = true })
	for _, b := range spec.Blocks(f.machine.Shape()) {
		same := true
		for i := b.Offset; i < b.Offset+b.Len(); i++ {
			same = same && start[i] == out.Params[i]
		}
		require.Equal(t, b.Embedding, same, b.Name)
	}
}

// TestFineTuneRefuses what it cannot do.
func TestFineTuneRefuses(t *testing.T) {
	f := toyFederation(t, arch.Spec{Kind: arch.Logistic}, aggregate.Spec{Rounds: 1})
	f.run(t, false)
	table := toyTable(t, 60, 3, true)
	rows, err := train.NewMember(table).TrainRows(f.machine.Encoder())
	require.NoError(t, err)
	_, err = train.FineTune(train.Tuning{Architecture: arch.Spec{Kind: arch.Logistic}}, f.machine.Params(), rows, table, [32]byte{})
	require.ErrorIs(t, err, train.ErrFewRows)
	for want, s := range map[string]train.Tuning{
		"trees are not":  {Architecture: arch.Spec{Kind: arch.Trees}},
		"no embeddings":  {Architecture: arch.Spec{Kind: arch.Logistic}, FreezeEmbeddings: true},
		"epochs":         {Architecture: arch.Spec{Kind: arch.Logistic}, Epochs: -1},
		"validation 0.7": {Architecture: arch.Spec{Kind: arch.Logistic}, Validation: 0.7},
		"rate 2":         {Architecture: arch.Spec{Kind: arch.Logistic}, Rate: 2},
		"batch":          {Architecture: arch.Spec{Kind: arch.Logistic}, Batch: -1},
	} {
		require.ErrorContains(t, s.Validate(), want)
	}
}
