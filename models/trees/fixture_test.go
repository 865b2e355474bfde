package trees_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
	"github.com/koinon-eu/koinon/models/trees/treestest"
)

const toySchema = `
name: toy
label: {column: y, positive: "1"}
columns:
  a: {type: number}
  b: {type: number}
  c: {type: category}
  d: {type: category, values: [p, q, r]}
`

// toyText draws integers only: golden digests must not hang on printing floats.
// A third of b is missing, c has rare values, r stands in no row.
func toyText(rows int, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 9))
	var b strings.Builder
	b.WriteString("y,a,b,c,d\n")
	for range rows {
		x, z, c, d := r.IntN(400)-200, r.IntN(50), r.IntN(8)*r.IntN(8), r.IntN(2)
		q := x*(z-25)/20 + 40*(c%3) - 30*d
		text := fmt.Sprint(z)
		if r.IntN(3) == 0 {
			text, q = "", q+60
		}
		y := 0
		if q+r.IntN(300)-150 > 30 {
			y = 1
		}
		fmt.Fprintf(&b, "%d,%d,%s,c%d,%s\n", y, x, text, c, []string{"p", "q"}[d])
	}
	return b.String()
}

func read(t testing.TB, schema, text string) *feature.Table {
	s, err := feature.ParseSchema([]byte(schema))
	require.NoError(t, err)
	table, err := feature.ReadCSV(strings.NewReader(text), s, feature.Limits{})
	require.NoError(t, err)
	return table
}

func statistics(t testing.TB, table *feature.Table) (*feature.Statistics, *feature.Encoder) {
	s := feature.NewStatistics(table.Schema())
	for !s.Done() {
		counts, err := s.Count(table)
		require.NoError(t, err)
		require.NoError(t, s.Apply(counts))
	}
	e, err := s.Encoder()
	require.NoError(t, err)
	return s, e
}

// run is a machine with one slow member.
type run struct {
	machine *trees.Machine
	member  *treestest.Member
	encoder *feature.Encoder
	table   *feature.Table
}

func newRun(t testing.TB, p trees.Params, table *feature.Table) *run {
	s, e := statistics(t, table)
	bins, err := trees.NewBins(s, e, p.WithDefaults().Bins, p.WithDefaults().Floor)
	require.NoError(t, err)
	m, err := trees.New(trees.Config{Params: p, Rows: e.Rows, Positives: e.Positives}, bins)
	require.NoError(t, err)
	member, err := treestest.New(bins, e, table)
	require.NoError(t, err)
	return &run{m, member, e, table}
}

func (r *run) step(t testing.TB) {
	require.NoError(t, r.machine.Apply(treestest.Sum(r.machine, r.member)))
}

func (r *run) finish(t testing.TB) *trees.Ensemble {
	for !r.machine.Done() {
		r.step(t)
	}
	return r.machine.Ensemble()
}

func number(v float64) *float64 { return &v }
