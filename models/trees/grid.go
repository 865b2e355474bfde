package trees

import (
	"cmp"
	"slices"
)

// Cell is a decoded cell of a histogram: Σĝ and Σĥ.
type Cell struct{ G, H int64 }

func (c Cell) plus(o Cell) Cell  { return Cell{c.G + o.G, c.H + o.H} }
func (c Cell) minus(o Cell) Cell { return Cell{c.G - o.G, c.H - o.H} }
func (c Cell) empty() bool       { return c.G == 0 && c.H == 0 }

// GridColumn says how the root cells of one column are grouped.
type GridColumn struct {
	Column int      // of the bins
	Groups int      // cells of the histogram
	Map    []uint16 // group of each root cell; nil where every cell is a group
}

// group returns the group of a root cell.
func (g *GridColumn) group(cell int) int {
	if g.Map == nil {
		return cell
	}
	return int(g.Map[cell])
}

// Grid is the cells in which the histogram of a tree node is summed: the
// columns drawn for its tree, in order, each with its groups (trees 28).
type Grid struct {
	Columns []GridColumn
	Cells   int // over all columns
}

// rootGrid has every cell of the given columns.
func rootGrid(b *Bins, columns []int) *Grid {
	g := &Grid{}
	for _, c := range columns {
		g.Columns = append(g.Columns, GridColumn{Column: c, Groups: b.Columns[c].Cells})
		g.Cells += b.Columns[c].Cells
	}
	return g
}

// coarser groups the parent's groups for its children: need is c·h̄ in units of
// ĥ, share is H_S/H_P (trees 28). It returns the children's grid and the
// parent's histogram folded onto it. With need 0 the grid stays as it is.
func (p *growth) coarser(parent *Grid, hist []Cell, share, need float64) (*Grid, []Cell) {
	if need == 0 {
		return parent, hist
	}
	out := &Grid{Columns: make([]GridColumn, len(parent.Columns))}
	folded, whole := p.cells(len(hist))[:0], hist
	for i := range parent.Columns {
		pc := &parent.Columns[i]
		cells := hist[:pc.Groups]
		hist = hist[pc.Groups:]
		to, groups := p.regroup(pc, cells, share, need)
		child := GridColumn{Column: pc.Column, Groups: groups, Map: make([]uint16, p.bins.Columns[pc.Column].Cells)}
		for cell := range child.Map {
			child.Map[cell] = to[pc.group(cell)]
		}
		at := len(folded)
		folded = folded[:at+groups]
		clear(folded[at:])
		for j, c := range cells {
			folded[at+int(to[j])] = folded[at+int(to[j])].plus(c)
		}
		out.Columns[i] = child
		out.Cells += groups
	}
	p.release(whole)
	return out, folded
}

// cells returns room for a histogram, to be written whole.
func (p *growth) cells(n int) []Cell {
	for i := len(p.free) - 1; i >= 0; i-- {
		if cap(p.free[i]) >= n {
			out := p.free[i][:n]
			p.free[i] = p.free[len(p.free)-1]
			p.free = p.free[:len(p.free)-1]
			return out
		}
	}
	return make([]Cell, n)
}

// maxFree is how many histograms are kept for the next levels.
const maxFree = 64

// release takes a histogram back that nothing refers to any more.
func (p *growth) release(hist []Cell) {
	if len(p.free) < maxFree && cap(hist) > 0 {
		p.free = append(p.free, hist)
	}
}

// regroup walks the groups of one column and returns the coarser group of each
// and their number. Missing numbers stand alone; cells of a category without
// ĥ, which have no order, join the last group.
func (p *growth) regroup(pc *GridColumn, cells []Cell, share, need float64) ([]uint16, int) {
	col := &p.bins.Columns[pc.Column]
	to := p.to[:len(cells)]
	walk, alone := p.walk[:0], -1
	if col.IsCategory() {
		walk = p.ordered(walk, cells)
		p.walk = walk
	} else {
		n := len(cells)
		if col.ownMissing() {
			n--
			alone = n
		}
		for i := range n {
			walk = append(walk, ranked{cell: i})
		}
		p.walk = walk
	}
	groups, first, sum := 0, 0, 0.0 // first is where the open group begins
	for i, r := range walk {
		sum += float64(float64(cells[r.cell].H) * share)
		to[r.cell] = uint16(groups)
		if sum >= need {
			groups, first, sum = groups+1, i+1, 0
		}
	}
	if first < len(walk) { // the remainder
		if groups > 0 && sum < need/2 {
			for _, r := range walk[first:] {
				to[r.cell] = uint16(groups - 1)
			}
		} else {
			groups++
		}
	}
	if col.IsCategory() {
		groups = max(groups, 1)
		for j, c := range cells {
			if c.H <= 0 {
				to[j] = uint16(groups - 1)
			}
		}
	}
	if alone >= 0 {
		to[alone] = uint16(groups)
		groups++
	}
	return to, groups
}

// ranked is a cell with what it is ordered by.
type ranked struct {
	ratio float64
	cell  int
}

// ordered returns the cells of a category with ĥ > 0 by G/(H+category_smooth),
// ties by cell (trees 25). It writes them into order, which is empty.
func (p *growth) ordered(order []ranked, cells []Cell) []ranked {
	for i, c := range cells {
		if c.H > 0 {
			order = append(order, ranked{p.scale.G(c.G) / (p.scale.H(c.H) + p.smooth), i})
		}
	}
	slices.SortFunc(order, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.ratio, b.ratio), cmp.Compare(a.cell, b.cell))
	})
	return order
}
