package trees_test

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
	"github.com/koinon-eu/koinon/models/trees/treestest"
)

func toyEnsemble(t testing.TB) (*trees.Ensemble, *run) {
	r := newRun(t, trees.Params{Trees: 12, Depth: 4, MinHessian: number(2)}, read(t, toySchema, toyText(1500, 3)))
	return r.finish(t), r
}

// TestScore: the scorer walks as the trees are written, adds in tree order and
// allocates nothing. // trees 27
func TestScore(t *testing.T) {
	e, r := toyEnsemble(t)
	cells, err := e.Bins.Cells(r.encoder, r.table, r.table.Select(feature.SelectAll))
	require.NoError(t, err)
	scorer, err := e.NewScorer()
	require.NoError(t, err)
	out := make([]float64, len(r.member.Cells))
	require.NoError(t, scorer.Logits(cells, out))
	right := 0
	for i, row := range r.member.Cells {
		require.Equal(t, r.member.Score(r.machine, i), out[i])
		if out[i] > 0 == (r.member.Label[i] == 1) {
			right++
		}
		if i%50 == 0 {
			checkEffects(t, e, scorer, row)
		}
	}
	require.Greater(t, right, len(out)*7/10)
	require.Zero(t, testing.AllocsPerRun(10, func() { _ = scorer.Logits(cells, out) }))
	effects := make([]float64, len(e.Bins.Columns))
	require.Zero(t, testing.AllocsPerRun(10, func() { _ = scorer.Effects(r.member.Cells[0], effects) }))

	require.Error(t, scorer.Logits(cells[1:], out))
	bad := slices.Clone(cells)
	bad[1] = 60_000
	require.Error(t, scorer.Logits(bad, out))
	require.Error(t, scorer.Effects(bad[:4], effects))
	require.Error(t, scorer.Effects(bad[:3], effects))
}

// checkEffects compares with putting a reference in by hand.
func checkEffects(t *testing.T, e *trees.Ensemble, s *trees.Scorer, row []uint16) {
	effects, one := make([]float64, len(row)), make([]float64, 1)
	require.NoError(t, s.Effects(row, effects))
	require.NoError(t, s.Logits(row, one))
	whole := one[0]
	for c := range row {
		other := slices.Clone(row)
		other[c] = e.Bins.Columns[c].Reference
		require.NoError(t, s.Logits(other, one))
		require.InDelta(t, whole-one[0], effects[c], 1e-12)
	}
}

// TestBaseOnly: an ensemble without trees is the base rate. // trees 20
func TestBaseOnly(t *testing.T) {
	r := newRun(t, trees.Params{Weights: []float64{2, 3}}, read(t, toySchema, toyText(500, 3)))
	e := r.machine.Ensemble()
	rows, positives := float64(r.encoder.Rows), float64(r.encoder.Positives)
	require.InDelta(t, math.Log((3*positives+0.5)/(2*(rows-positives)+0.5)), e.Base, 1e-12)
	scorer, err := e.NewScorer()
	require.NoError(t, err)
	out := make([]float64, 1)
	require.NoError(t, scorer.Logits(r.member.Cells[0], out))
	require.Equal(t, e.Base, out[0])
}

func TestCodec(t *testing.T) {
	e, _ := toyEnsemble(t)
	b, err := e.Marshal()
	require.NoError(t, err)
	back, err := trees.Parse(b)
	require.NoError(t, err)
	require.Equal(t, e, back)
	d, err := e.Digest()
	require.NoError(t, err)
	again, err := back.Digest()
	require.NoError(t, err)
	require.Equal(t, d, again)
	for i := 0; i < len(b); i += 7 {
		_, err := trees.Parse(b[:i])
		require.ErrorIs(t, err, trees.ErrForm)
	}
	_, err = trees.Parse(append(bytes.Clone(b), 0))
	require.ErrorIs(t, err, trees.ErrForm)

	text, err := e.Bins.Marshal()
	require.NoError(t, err)
	bins, err := trees.ParseBins(text)
	require.NoError(t, err)
	require.Equal(t, e.Bins, bins)
	for i := range text {
		_, err := trees.ParseBins(text[:i])
		require.ErrorIs(t, err, trees.ErrForm)
	}
	_, err = trees.ParseBins(append(text, 0))
	require.ErrorIs(t, err, trees.ErrForm)
	_, err = (&trees.Bins{}).Marshal()
	require.Error(t, err)
}

// TestEnsembleRefuses: trees that are none, or do not fit the columns.
func TestEnsembleRefuses(t *testing.T) {
	for name, change := range map[string]func(e *trees.Ensemble){
		"no cells":      func(e *trees.Ensemble) { e.Bins = nil },
		"base":          func(e *trees.Ensemble) { e.Base = math.NaN() },
		"empty tree":    func(e *trees.Ensemble) { e.Trees[1] = nil },
		"value":         func(e *trees.Ensemble) { e.Trees[0][1].Value = float32(math.Inf(1)) },
		"cover":         func(e *trees.Ensemble) { e.Trees[0][1].Cover = -1 },
		"cycle":         func(e *trees.Ensemble) { e.Trees[0][0].Left = 0 },
		"outside":       func(e *trees.Ensemble) { e.Trees[0][0].Left = 9999 },
		"orphans":       func(e *trees.Ensemble) { e.Trees[0][0] = trees.Node{Column: -1} },
		"column":        func(e *trees.Ensemble) { e.Trees[0][0].Column = 99 },
		"half leaf":     func(e *trees.Ensemble) { last(e.Trees[0]).MissingLeft = true },
		"cut":           func(e *trees.Ensemble) { numbered(e).Cell = 999 },
		"set of number": func(e *trees.Ensemble) { numbered(e).Set = []uint64{1} },
		"set":           func(e *trees.Ensemble) { category(e).Set = nil },
		"cells":         func(e *trees.Ensemble) { category(e).Set[0] |= 1 << 63 },
		"cuts":          func(e *trees.Ensemble) { e.Bins.Columns[0].Cuts[1] = e.Bins.Columns[0].Cuts[0] },
		"missing":       func(e *trees.Ensemble) { e.Bins.Columns[0].Missing = 500 },
		"reference":     func(e *trees.Ensemble) { e.Bins.Columns[0].Reference = 500 },
		"slot":          func(e *trees.Ensemble) { e.Bins.Columns[2].Slots[0] = 500 },
		"unknown":       func(e *trees.Ensemble) { s := e.Bins.Columns[2].Slots; s[len(s)-2] = (s[len(s)-1] + 1) % 2 },
		"name":          func(e *trees.Ensemble) { e.Bins.Columns[0].Name = "" },
	} {
		e, _ := toyEnsemble(t)
		change(e)
		require.Error(t, e.Validate(), name)
		_, err := e.Marshal()
		require.Error(t, err, name)
		_, err = e.NewScorer()
		require.Error(t, err, name)
	}
}

func last(t trees.Tree) *trees.Node { return &t[len(t)-1] }

func find(e *trees.Ensemble, set bool) *trees.Node {
	for _, t := range e.Trees {
		for i := range t {
			if !t[i].Leaf() && (t[i].Set != nil) == set {
				return &t[i]
			}
		}
	}
	panic("no such split")
}

func numbered(e *trees.Ensemble) *trees.Node { return find(e, false) }
func category(e *trees.Ensemble) *trees.Node { return find(e, true) }

// FuzzParse: no bytes panic, what is accepted is canonical and scores.
func FuzzParse(f *testing.F) {
	e, _ := toyEnsemble(f)
	for _, n := range []int{0, 1, 3} {
		b, err := (&trees.Ensemble{Bins: e.Bins, Base: e.Base, Trees: e.Trees[:n]}).Marshal()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := trees.Parse(b)
		if err != nil {
			return
		}
		again, err := e.Marshal()
		require.NoError(t, err)
		require.Equal(t, b, again)
		s, err := e.NewScorer()
		require.NoError(t, err)
		row, out := make([]uint16, len(e.Bins.Columns)), make([]float64, 1)
		for c := range row {
			row[c] = uint16(e.Bins.Columns[c].Cells - 1)
		}
		require.NoError(t, s.Logits(row, out))
		want := e.Base
		for _, tree := range e.Trees {
			want += float64(tree[treestest.At(e.Bins, tree, row)].Value)
		}
		require.Equal(t, want, out[0])
	})
}
