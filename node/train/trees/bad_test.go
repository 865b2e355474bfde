package trees_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
	local "github.com/koinon-eu/koinon/node/train/trees"
)

// rowsOf makes a table of the toy schema; row gives one record.
func rowsOf(t testing.TB, rows int, row func(i int, r *rand.Rand) string) *feature.Table {
	schema, err := feature.ParseSchema([]byte(toySchema))
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(8, 8))
	var b strings.Builder
	b.WriteString("y,a,b,c,d,e\n")
	for i := range rows {
		b.WriteString(row(i, r) + "\n")
	}
	table, err := feature.ReadCSV(strings.NewReader(b.String()), schema, feature.Limits{})
	require.NoError(t, err)
	return table
}

// TestBadTables: each either works or says what to do. // trees 15, 16, 76
func TestBadTables(t *testing.T) {
	good := toyTable(t, 2000, 3)
	p := trees.Params{Trees: 5, Depth: 4}
	works := func(t *testing.T, members ...*feature.Table) *trees.Ensemble {
		f := newFederation(t, p, local.Options{Threads: 1}, members...)
		f.run(t)
		e := f.machine.Ensemble()
		require.Len(t, e.Trees, 5)
		scorer, err := e.NewScorer()
		require.NoError(t, err)
		for _, m := range members {
			cells, err := e.Bins.Cells(f.encoder, m, m.Select(feature.SelectAll))
			require.NoError(t, err)
			require.NoError(t, scorer.Logits(cells, make([]float64, m.Rows())))
		}
		return e
	}
	t.Run("constant column", func(t *testing.T) {
		table := rowsOf(t, 500, func(i int, r *rand.Rand) string {
			return fmt.Sprintf("%d,7,%d,same,1,%d", i%2, r.IntN(9), i%3)
		})
		for _, c := range works(t, table).Bins.Columns {
			require.Contains(t, []string{"b", "e"}, c.Name)
		}
	})
	t.Run("every column constant", func(t *testing.T) {
		s := feature.NewStatistics(good.Schema())
		table := rowsOf(t, 100, func(i int, _ *rand.Rand) string { return fmt.Sprintf("%d,7,7,same,1,2", i%2) })
		for !s.Done() {
			v, err := s.Count(table)
			require.NoError(t, err)
			require.NoError(t, s.Apply(v))
		}
		_, err := s.Encoder()
		require.ErrorContains(t, err, "constant or empty")
	})
	t.Run("all missing at one node", func(t *testing.T) {
		works(t, good, rowsOf(t, 300, func(i int, _ *rand.Rand) string { return fmt.Sprintf("%d,,,,,", i%2) }))
	})
	t.Run("one class at one node", func(t *testing.T) {
		works(t, good, rowsOf(t, 300, func(i int, r *rand.Rand) string { return fmt.Sprintf("1,%d,%d,c1,0,1", r.IntN(5), i) }))
	})
	t.Run("one class everywhere", func(t *testing.T) {
		e := works(t, rowsOf(t, 300, func(i int, r *rand.Rand) string { return fmt.Sprintf("0,%d,%d,c1,0,1", r.IntN(5), i) }))
		require.Negative(t, e.Base)
	})
	t.Run("ten rows at one node", func(t *testing.T) {
		works(t, good, rowsOf(t, 10, func(i int, _ *rand.Rand) string { return fmt.Sprintf("%d,%d,,c%d,0,1", i%2, i, i) }))
	})
	t.Run("no labelled rows at one node", func(t *testing.T) {
		works(t, good, rowsOf(t, 10, func(i int, _ *rand.Rand) string { return fmt.Sprintf(",%d,,c%d,0,1", i, i) }))
	})
	t.Run("ten rows in all", func(t *testing.T) {
		s := feature.NewStatistics(good.Schema())
		v, err := s.Count(rowsOf(t, 10, func(i int, _ *rand.Rand) string { return fmt.Sprintf("%d,%d,,c%d,0,1", i%2, i, i) }))
		require.NoError(t, err)
		require.ErrorContains(t, s.Apply(v), "at least 20")
	})
	t.Run("a category at one node only", func(t *testing.T) {
		e := works(t, good, rowsOf(t, 60, func(i int, _ *rand.Rand) string { return fmt.Sprintf("%d,%d,,only here,0,1", i%2, i) }))
		require.NotEmpty(t, e.Bins.Columns)
	})
	t.Run("100,000 categories", func(t *testing.T) {
		table := rowsOf(t, 100_000, func(i int, r *rand.Rand) string {
			return fmt.Sprintf("%d,%d,%d,code %d,%d,1", r.IntN(2), r.IntN(50), r.IntN(50), i, i%2)
		})
		for _, c := range works(t, table).Bins.Columns {
			require.NotEqual(t, "c", c.Name, "no value stands in 20 rows")
		}
	})
	t.Run("another table", func(t *testing.T) {
		f := newFederation(t, p, local.Options{}, good)
		other := wideTable(t, 100, 3)
		_, err := local.NewData(f.machine.Bins(), f.encoder, other, other.Select(feature.SelectTrain), 1)
		require.ErrorContains(t, err, "no number column")
		unlabelled := rowsOf(t, 3, func(int, *rand.Rand) string { return ",1,1,c1,0,1" })
		_, err = local.NewData(f.machine.Bins(), f.encoder, unlabelled, []int32{0}, 1)
		require.ErrorContains(t, err, "without a label")
		g := newFederation(t, p, local.Options{}, good)
		data, err := local.NewData(g.machine.Bins(), g.encoder, good, good.Select(feature.SelectTrain), 1)
		require.NoError(t, err)
		_, err = local.NewGrower(f.machine, data, local.Options{})
		require.ErrorContains(t, err, "another machine")
	})
}
