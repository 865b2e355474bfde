package trees_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
)

const columnsSchema = `
name: columns
label: {column: y, positive: "1"}
columns:
  many: {type: number}
  few: {type: number}
  gaps: {type: number}
  holes: {type: number}
  same: {type: number}
  rare: {type: category}
  list: {type: category, values: [u, v, w]}
`

// columnsTable has 1000 rows: `many` are distinct, `few` has three values of
// which one is rare, 200 of `gaps` and 7 of `holes` are missing; `rare` has one
// value in 5 rows; in `list`, w stands in 9 rows and v in none.
func columnsTable(t testing.TB) *feature.Table {
	var b strings.Builder
	b.WriteString("y,many,few,gaps,holes,same,rare,list\n")
	for i := range 1000 {
		few, gaps, holes, rare, list := i%2, fmt.Sprint(i%10), fmt.Sprint(i%4), "x", "u"
		if i < 10 {
			few = 2
		}
		if i%5 == 0 {
			gaps = ""
		}
		if i < 7 {
			holes = ""
		}
		if i%3 == 0 {
			rare = "z"
		}
		if i >= 995 {
			rare = "odd"
		}
		if i < 9 {
			list = "w"
		}
		fmt.Fprintf(&b, "%d,%d.5,%d,%s,%s,4,%s,%s\n", i%2, i, few, gaps, holes, rare, list)
	}
	return read(t, columnsSchema, b.String())
}

// TestBins: cuts, the cell of missing, `other` and what is folded. // trees 14, 15, 16
func TestBins(t *testing.T) {
	table := columnsTable(t)
	s, e := statistics(t, table)
	bins, err := trees.NewBins(s, e, 8, 20)
	require.NoError(t, err)
	require.NoError(t, bins.Validate())
	require.NoError(t, bins.Match(e))
	byName := map[string]*trees.Column{}
	for i := range bins.Columns {
		byName[bins.Columns[i].Name] = &bins.Columns[i]
	}
	require.NotContains(t, byName, "same", "the encoder drops a constant column")
	require.Equal(t, []string{"list"}, bins.Constant(), "one cell is left after folding")

	cells, err := bins.Cells(e, table, table.Select(feature.SelectAll))
	require.NoError(t, err)
	counts := make([][]int, len(bins.Columns))
	for c := range counts {
		counts[c] = make([]int, bins.Columns[c].Cells)
		for i := c; i < len(cells); i += len(bins.Columns) {
			counts[c][cells[i]]++
		}
		for cell, n := range counts[c] {
			require.GreaterOrEqual(t, n, 20, "column %s, cell %d", bins.Columns[c].Name, cell)
		}
	}
	require.Equal(t, 8, byName["many"].Cells)
	for _, n := range counts[0] {
		require.InDelta(t, 125, n, 10)
	}
	require.Len(t, byName["few"].Cuts, 1, "a cell a value, but not for ten rows")
	require.InDelta(t, 0, byName["few"].Cuts[0], 1e-30, "the upper key of the cell of 0")
	require.Equal(t, uint16(len(byName["gaps"].Cuts)+1), byName["gaps"].Missing, "a cell of its own")
	require.Equal(t, 200, counts[2][byName["gaps"].Missing])
	require.Less(t, int(byName["holes"].Missing), len(byName["holes"].Cuts)+1, "folded into the largest cell")
	require.Equal(t, 2, byName["rare"].Cells, "x and z; odd joins the larger")
	require.Equal(t, byName["rare"].Missing, byName["rare"].Slots[len(byName["rare"].Slots)-1])

	for i := range byName["many"].Cuts { // x ≤ cut goes left
		cut := byName["many"].Cuts[i]
		require.Equal(t, uint16(i), byName["many"].Cell(cut))
		require.Equal(t, uint16(i+1), byName["many"].Cell(math.Nextafter32(cut, 1e9)))
	}
	require.Equal(t, byName["gaps"].Missing, byName["gaps"].Cell(float32(math.NaN())))
}

// TestBinsOtherEncoder: cells and encoder must come from the same sums.
func TestBinsOtherEncoder(t *testing.T) {
	s, e := statistics(t, columnsTable(t))
	bins, err := trees.NewBins(s, e, 8, 20)
	require.NoError(t, err)
	_, other := statistics(t, read(t, toySchema, toyText(400, 1)))
	require.Error(t, bins.Match(other))
	_, err = trees.NewBins(s, other, 8, 20)
	require.Error(t, err)
	_, err = bins.Cells(e, read(t, toySchema, toyText(40, 1)), []int32{0})
	require.Error(t, err)
	_, err = trees.NewBins(s, e, 8, 2000)
	require.ErrorContains(t, err, "one cell")
}

// TestCell counts cuts below a number, for any number of cuts.
func TestCell(t *testing.T) {
	cuts := []float32{-math.MaxFloat32, -7, -1e-30, 0, 1e-40, 3, 3.5, 1e30}
	for n := range cuts {
		c := trees.Column{Name: "x", Cuts: cuts[:n], Cells: n + 2, Missing: uint16(n + 1)}
		for _, x := range append([]float32{-5, 1e-35, -1e-35, float32(math.Copysign(0, -1)), 2, math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1))}, cuts...) {
			want := 0
			for _, cut := range cuts[:n] {
				if cut < x {
					want++
				}
			}
			require.Equal(t, uint16(want), c.Cell(x), "%v among %v", x, cuts[:n])
		}
		require.Equal(t, uint16(n+1), c.Cell(float32(math.NaN())))
	}
}
