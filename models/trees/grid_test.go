package trees_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/trees"
	"github.com/koinon-eu/koinon/models/trees/treestest"
)

// TestGrid: groups hold the rows expected, missing stands alone, cuts lie
// between groups, and the grids of a tree are nested. // trees 28
func TestGrid(t *testing.T) {
	const expect = 30.0
	r := newRun(t, trees.Params{Trees: 2, Depth: 5, Cell: number(expect), MinHessian: number(1)}, read(t, toySchema, toyText(4000, 3)))
	m, bins := r.machine, r.machine.Bins()
	grids := map[int32]*trees.Grid{} // of both children of a split
	fewer, checked := 0, 0
	for !m.Done() {
		q, _ := m.Query()
		growing, _ := m.Growing()
		parent := map[int32]int32{}
		for i := range growing[0] {
			if n := &growing[0][i]; !n.Leaf() {
				parent[n.Left], parent[n.Left+1] = int32(i), int32(i)
			}
		}
		if q.Level == 0 {
			clear(grids)
		}
		for _, p := range q.Parts {
			if q.Level == 0 {
				grids[0] = p.Grid
				continue
			}
			up := grids[parent[p.Node]]
			for i := range p.Grid.Columns {
				nested(t, bins, &up.Columns[i], &p.Grid.Columns[i])
				if p.Grid.Columns[i].Groups < up.Columns[i].Groups {
					fewer++
				}
				checked++
			}
			grids[p.Node] = p.Grid
			grids[sibling(growing[0], p.Node)] = p.Grid
		}
		r.step(t)
	}
	require.Greater(t, checked, 20)
	require.Greater(t, fewer, checked/2)

	off := newRun(t, trees.Params{Trees: 1, Depth: 3, Cell: number(0)}, read(t, toySchema, toyText(2000, 3)))
	for !off.machine.Done() {
		q, _ := off.machine.Query()
		for _, p := range q.Parts {
			for _, c := range p.Grid.Columns {
				require.Nil(t, c.Map, "0 turns the grid off")
			}
		}
		off.step(t)
	}
}

func sibling(t trees.Tree, node int32) int32 {
	for i := range t {
		if n := &t[i]; n.Left == node && node > 0 {
			return node + 1
		}
	}
	return node - 1
}

// nested checks that every group of the child is a union of the parent's.
func nested(t *testing.T, bins *trees.Bins, up, down *trees.GridColumn) {
	require.Equal(t, up.Column, down.Column)
	c := &bins.Columns[down.Column]
	require.Len(t, down.Map, c.Cells)
	to := map[int]uint16{}
	used := make([]bool, down.Groups)
	for cell, group := range down.Map {
		before := cell
		if up.Map != nil {
			before = int(up.Map[cell])
		}
		if was, ok := to[before]; ok {
			require.Equal(t, was, group)
		}
		to[before], used[group] = group, true
	}
	require.NotContains(t, used, false, "no group is empty")
	if !c.IsCategory() {
		values := len(c.Cuts) + 1
		for cell := 1; cell < values; cell++ {
			require.LessOrEqual(t, down.Map[cell-1], down.Map[cell], "numbers keep their order")
		}
		if values < c.Cells {
			require.Equal(t, down.Map[values-1]+1, down.Map[values], "missing stands alone")
		}
	}
}

// TestGroupsHoldWhatIsExpected looks at one split by hand: σ·ΣH_P ≥ c·h̄ in each
// group but the last, which has at least half.
func TestGroupsHoldWhatIsExpected(t *testing.T) {
	const expect = 25.0
	r := newRun(t, trees.Params{Trees: 1, Depth: 2, Cell: number(expect)}, read(t, toySchema, toyText(3000, 8)))
	r.step(t)
	q, _ := r.machine.Query()
	growing, _ := r.machine.Growing()
	require.Len(t, q.Parts, 1)
	small := q.Parts[0]
	hist := map[int][]float64{}
	var rootH, smallH float64
	for row, cells := range r.member.Cells {
		h := r.machine.Scale().H(r.member.Gradient(r.machine, row).H)
		rootH += h
		if treestest.At(r.machine.Bins(), growing[0], cells) == small.Node {
			smallH += h
		}
		for _, c := range small.Grid.Columns {
			if hist[c.Column] == nil {
				hist[c.Column] = make([]float64, c.Groups)
			}
			hist[c.Column][c.Map[cells[c.Column]]] += h
		}
	}
	need := expect * rootH / float64(len(r.member.Cells))
	for _, c := range small.Grid.Columns {
		col := &r.machine.Bins().Columns[c.Column]
		values := c.Groups
		if !col.IsCategory() && col.Cells == len(col.Cuts)+2 {
			values-- // missing may be lighter
		}
		for g, h := range hist[c.Column][:values] {
			least := need
			if g == values-1 {
				least = need / 2
			}
			require.GreaterOrEqual(t, h*smallH/rootH, least-1e-6, "column %s, group %d", col.Name, g)
		}
	}
}

// TestDisclosure counts the cells that are shown and how many are small; the
// grid leaves few of them. // trees 46
func TestDisclosure(t *testing.T) {
	table := read(t, toySchema, toyText(3000, 8))
	share := func(cell float64) float64 {
		r := newRun(t, trees.Params{Trees: 3, Depth: 4, Cell: number(cell), MinHessian: number(1)}, table)
		require.Zero(t, r.machine.Disclosure())
		r.step(t)
		d := r.machine.Disclosure()
		require.Positive(t, d.Cells)
		require.Zero(t, d.Small, "root cells have their floor of rows")
		r.finish(t)
		d = r.machine.Disclosure()
		return float64(d.Small) / float64(d.Cells)
	}
	off, on := share(0), share(20)
	require.Greater(t, off, 0.05)
	require.Less(t, on, off/3)
}
