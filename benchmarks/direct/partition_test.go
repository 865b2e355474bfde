package direct

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
)

const schemaText = `
name: direct
label: {column: y, positive: "1"}
columns:
  a: {type: number}
  b: {type: category}
  g: {type: category, role: group}
`

// tableOf reads rows of a, b, g, y and place, which is kept.
func tableOf(t testing.TB, rows []string) *feature.Table {
	t.Helper()
	schema, err := feature.ParseSchema([]byte(schemaText))
	require.NoError(t, err)
	text := "a,b,g,y,place\n" + strings.Join(rows, "\n") + "\n"
	table, err := feature.ReadCSV(strings.NewReader(text), schema, feature.Limits{}, "place")
	require.NoError(t, err)
	table, err = table.SplitFraction(0.3, 1)
	require.NoError(t, err)
	return table
}

// drawn makes n rows whose label follows a and b; edit has the last word on a, b, g, y and place.
func drawn(n int, seed uint64, edit func(i int, row []string)) []string {
	r := rand.New(rand.NewPCG(seed, 5))
	rows := make([]string, n)
	for i := range rows {
		a, b, y := r.NormFloat64(), r.IntN(4), "0"
		if a+float64(b)+r.NormFloat64() > 2.2 {
			y = "1"
		}
		row := []string{fmt.Sprintf("%.3f", a), fmt.Sprintf("k%d", b), []string{"f", "m"}[r.IntN(2)], y, fmt.Sprintf("p%d", i%5)}
		if edit != nil {
			edit(i, row)
		}
		rows[i] = strings.Join(row, ",")
	}
	return rows
}

func partition(t testing.TB, text, column string, nodes int) Partition {
	t.Helper()
	p, err := ParsePartition(text)
	require.NoError(t, err)
	require.Equal(t, text, p.String())
	p.Column, p.Nodes = column, nodes
	return p
}

// TestDivideKeepsEveryRow: whatever the way, each row is in exactly one node, one seed gives one division, and another
// seed another one where chance decides.
func TestDivideKeepsEveryRow(t *testing.T) {
	table := tableOf(t, drawn(2000, 1, nil))
	for _, p := range []Partition{
		partition(t, "column", "place", 0), partition(t, "order", "a", 6), partition(t, "order", "place", 3), partition(t, "iid", "", 7),
		partition(t, "size:1.5", "", 6), partition(t, "label:0.5", "", 8), partition(t, "label:0.1", "", 4), partition(t, "values:0.3", "place", 5),
	} {
		members, err := p.Divide(table, 3)
		require.NoError(t, err, p)
		again, err := p.Divide(table, 3)
		require.NoError(t, err)
		other, err := p.Divide(table, 4)
		require.NoError(t, err)
		var all []int32
		same := true
		for i, m := range members {
			require.GreaterOrEqual(t, m.Table.Rows(), leastRows, p)
			require.Equal(t, m.Table.Origin(), again[i].Table.Origin(), p)
			same = same && slices.Equal(m.Table.Origin(), other[i].Table.Origin())
			all = append(all, m.Table.Origin()...)
		}
		require.Equal(t, p.Natural(), same, p)
		slices.Sort(all)
		require.Len(t, all, table.Rows(), p)
		require.Len(t, slices.Compact(all), table.Rows(), p)
	}
}

// TestSkew: a small α or a large σ makes nodes unlike, a large α and iid make them alike.
func TestSkew(t *testing.T) {
	table := tableOf(t, drawn(6000, 2, nil))
	spread := func(text string, figure func(Member) float64) float64 {
		members, err := partition(t, text, "", 6).Divide(table, 9)
		require.NoError(t, err)
		low, high := 1e9, -1e9
		for _, m := range members {
			low, high = min(low, figure(m)), max(high, figure(m))
		}
		return high - low
	}
	rate := func(m Member) float64 {
		rows, positives := m.Table.Count(feature.SelectTrain)
		return float64(positives) / float64(rows)
	}
	size := func(m Member) float64 { return float64(m.Table.Rows()) }
	require.Less(t, spread("iid", rate), 0.1)
	require.Less(t, spread("label:500", rate), 0.1)
	require.Greater(t, spread("label:0.3", rate), 0.4)
	require.LessOrEqual(t, spread("iid", size), 1.0)
	require.Greater(t, spread("size:1.2", size), 1000.0)
}

// TestGamma: mean and variance of Γ(k, 1) are k.
func TestGamma(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range []float64{0.1, 0.5, 1, 4} {
		const n = 40_000
		sum, squares := 0.0, 0.0
		for range n {
			v := gamma(k, r)
			sum, squares = sum+v, squares+v*v
		}
		mean := sum / n
		require.InDelta(t, k, mean, 0.05*k+0.01, "shape %v", k)
		require.InDelta(t, k, squares/n-mean*mean, 0.1*k+0.02, "shape %v", k)
	}
}

func TestOthersAndRefusals(t *testing.T) {
	table := tableOf(t, drawn(500, 3, func(i int, row []string) {
		if row[4] = "big"; i%50 == 0 {
			row[4] = fmt.Sprintf("small/%d", i)
		} else if i%3 == 0 {
			row[4] = "a name that is far too long for a member"
		}
	}))
	p := Partition{Kind: Column, Column: "place", Least: 20}
	members, err := p.Divide(table, 1)
	require.NoError(t, err)
	var names []string
	for _, m := range members {
		names = append(names, m.Name)
	}
	require.Equal(t, []string{"big", "node-3", Others}, names)

	for text, want := range map[string]string{
		"zipf": "not known", "label": "want column", "iid:1": "want column", "label:x": "skew", "size:-1": "skew", "label:NaN": "skew",
	} {
		_, err := ParsePartition(text)
		require.ErrorContains(t, err, want, text)
	}
	for want, p := range map[string]Partition{
		"column nowhere":    {Kind: Column, Column: "nowhere"},
		"column nowhere: n": {Kind: Order, Column: "nowhere", Nodes: 3},
		"nowhere: not":      {Kind: Values, Column: "nowhere", Skew: 1, Nodes: 3},
		"do not make 60":    {Kind: IID, Nodes: 60},
		"less skew":         {Kind: Label, Skew: 0.01, Nodes: 30},
	} {
		_, err := p.Divide(table, 1)
		require.ErrorContains(t, err, want)
	}
}
