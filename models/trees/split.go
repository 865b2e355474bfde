package trees

import "github.com/koinon-eu/koinon/crypto/parallel"

// growth holds what the search for splits needs: the cells, the scale and the
// penalties, with scratch space.
type growth struct {
	bins  *Bins
	scale Scale

	l1, l2, gamma, minHessian  float64
	categoryL2, smooth, expect float64 // expect is c, the rows expected behind a cell

	walk []ranked
	to   []uint16
	free [][]Cell // histograms to be used again
}

func newGrowth(p Params, bins *Bins, scale Scale) *growth {
	g := &growth{
		bins: bins, scale: scale,
		l1: p.L1, l2: *p.L2, gamma: p.Gain, minHessian: *p.MinHessian,
		categoryL2: *p.CategoryL2, smooth: *p.CategorySmooth, expect: *p.Cell,
	}
	most := 0
	for _, c := range bins.Columns {
		most = max(most, c.Cells)
	}
	g.to, g.walk = make([]uint16, most), make([]ranked, 0, most)
	return g
}

// few is the number of category cells up to which λ alone holds children back (trees 25).
const few = 4

// soft is T_α.
func (p *growth) soft(g float64) float64 {
	switch {
	case g > p.l1:
		return g - p.l1
	case g < -p.l1:
		return g + p.l1
	}
	return 0
}

// score is S(G, H) = T_α(G)²/(H + λ) (trees 24), 0 where nothing stands.
func (p *growth) score(g, h, l2 float64) float64 {
	d := h + l2
	if d <= 0 {
		return 0
	}
	if p.l1 > 0 {
		g = p.soft(g)
	}
	return float64(g*g) / d
}

// value is a leaf's value, float32(−η·T_α(G)/(H+λ)) (trees 27).
func (p *growth) value(c Cell, rate float64) float32 {
	h := p.scale.H(c.H) + p.l2
	if h <= 0 {
		return 0
	}
	return float32(-float64(rate*p.soft(p.scale.G(c.G))) / h)
}

// candidate is the best split found so far.
type candidate struct {
	gain   float64
	column int // of the bins; -1 for none
	left   Cell

	cell        uint16   // number: root cells up to this one go left
	missingLeft bool     // number with a cell for missing
	set         []uint64 // category: root cells that go left
}

// search finds the best split of every open tree node: the columns of its grid in order, and in each the candidates
// in the order of trees 25; one must be strictly better than all before it, and than none at all. Columns do not
// depend on each other, so they are searched on as many processors as there are.
func (p *growth) search(all []open) []candidate {
	var tasks []column
	for i := range all {
		tasks = p.columns(tasks, &all[i], i)
	}
	parallel.Each(len(tasks), columnsAtOnce, func(from, to int) {
		for i := range tasks[from:to] {
			p.searchColumn(&tasks[from+i])
		}
	})
	out := make([]candidate, len(all))
	for i := range out {
		out[i].column = -1
	}
	for i := range tasks {
		if t := &tasks[i]; t.best.gain > out[t.open].gain {
			out[t.open] = t.best
		}
	}
	return out
}

// columnsAtOnce is how many columns are worth a change of processor.
const columnsAtOnce = 8

// column is the search in one column of an open tree node.
type column struct {
	open   int
	grid   *GridColumn
	cells  []Cell
	total  Cell
	parent float64 // S of the parent, and γ
	best   candidate
}

// columns appends the searches of one open node.
func (p *growth) columns(to []column, o *open, number int) []column {
	parent := float64(p.score(p.scale.G(o.cell.G), p.scale.H(o.cell.H), p.l2) + p.gamma)
	hist := o.hist
	for i := range o.grid.Columns {
		gc := &o.grid.Columns[i]
		to = append(to, column{number, gc, hist[:gc.Groups], o.cell, parent, candidate{column: -1}})
		hist = hist[gc.Groups:]
	}
	return to
}

func (p *growth) searchColumn(t *column) {
	if p.bins.Columns[t.grid.Column].IsCategory() {
		p.bestSet(t.grid, t.cells, t.total, t.parent, &t.best)
	} else {
		p.bestCut(t.grid, t.cells, t.total, t.parent, &t.best)
	}
}

// try evaluates one candidate; l2 is that of the children.
func (p *growth) try(left, total Cell, l2, parent float64, best *candidate) bool {
	hl, hr := p.scale.H(left.H), p.scale.H(total.H-left.H)
	if hl < p.minHessian || hr < p.minHessian {
		return false
	}
	gain := p.score(p.scale.G(left.G), hl, l2) + p.score(p.scale.G(total.G-left.G), hr, l2) - parent
	if !(gain > best.gain) {
		return false
	}
	best.gain, best.left = gain, left
	return true
}

// bestCut tries the cuts of a number: ascending with missing right, then
// missing alone, then ascending with missing left (trees 25).
func (p *growth) bestCut(gc *GridColumn, cells []Cell, total Cell, parent float64, best *candidate) {
	col := &p.bins.Columns[gc.Column]
	values, missing := cells, Cell{}
	if col.ownMissing() {
		values, missing = cells[:len(cells)-1], cells[len(cells)-1]
	}
	left := false
	found := p.ascend(values, Cell{}, total, parent, best) // group of the cut
	if !missing.empty() {
		if p.try(total.minus(missing), total, p.l2, parent, best) {
			found = len(values) - 1
		}
		if i := p.ascend(values, missing, total, parent, best); i >= 0 {
			found, left = i, true
		}
	}
	if found < 0 {
		return
	}
	if missing.empty() && col.ownMissing() { // trees 26
		left = best.left.H >= total.H-best.left.H
	}
	best.column, best.missingLeft, best.set = gc.Column, left, nil
	best.cell = lastCell(gc, found, len(col.Cuts)+1)
}

// ascend tries every cut between the cells of a number, from below; what stands
// left of the first is given. It returns the cell below the best cut, -1 if none
// was better than before. It is the loop that growth spends its time in, so it
// looks only at cuts that leave min_hessian on both sides.
func (p *growth) ascend(cells []Cell, left, total Cell, parent float64, best *candidate) int {
	found, gain := -1, best.gain
	for i, c := range cells[:len(cells)-1] {
		if c.empty() {
			continue
		}
		left.G += c.G
		left.H += c.H
		hl, hr := p.scale.H(left.H), p.scale.H(total.H-left.H)
		if hl < p.minHessian {
			continue
		}
		if hr < p.minHessian {
			break
		}
		g := p.score(p.scale.G(left.G), hl, p.l2) + p.score(p.scale.G(total.G-left.G), hr, p.l2) - parent
		if g > gain {
			found, gain = i, g
			best.gain, best.left = g, left
		}
	}
	return found
}

// lastCell returns the last root cell of a group of a number with so many cells.
func lastCell(gc *GridColumn, group, cells int) uint16 {
	if gc.Map == nil {
		return uint16(group)
	}
	last := 0
	for cell := range cells {
		if int(gc.Map[cell]) == group {
			last = cell
		}
	}
	return uint16(last)
}

// bestSet tries every prefix of a category's cells in the order of trees 25.
func (p *growth) bestSet(gc *GridColumn, cells []Cell, total Cell, parent float64, best *candidate) {
	order := p.ordered(make([]ranked, 0, len(cells)), cells)
	l2 := p.l2
	if len(order) > few {
		l2 += p.categoryL2
	}
	found, sum := -1, Cell{}
	for i := 0; i < len(order)-1; i++ {
		sum = sum.plus(cells[order[i].cell])
		if p.try(sum, total, l2, parent, best) {
			found = i
		}
	}
	if found < 0 {
		return
	}
	in := make([]bool, len(cells))
	for _, r := range order[:found+1] {
		in[r.cell] = true
	}
	n := p.bins.Columns[gc.Column].Cells
	best.column, best.missingLeft, best.cell = gc.Column, false, 0
	best.set = make([]uint64, setWords(n))
	for cell := range n {
		if in[gc.group(cell)] {
			best.set[cell>>6] |= 1 << (cell & 63)
		}
	}
}

// setWords is the length of a set of cells.
func setWords(cells int) int { return (cells + 63) / 64 }

// expected is c·h̄ in units of ĥ, from a tree's root total and the rows expected in it (trees 28).
func (p *growth) expected(rootH int64, rows float64) float64 {
	if p.expect == 0 || rows <= 0 {
		return 0
	}
	return float64(p.expect*float64(rootH)) / rows
}

// splittable reports whether a tree node of this total may have children of min_hessian each.
func (p *growth) splittable(total Cell) bool {
	return p.scale.H(total.H) >= 2*p.minHessian && total.H > 0
}
