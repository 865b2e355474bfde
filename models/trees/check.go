package trees

import "fmt"

// decode reads a sum and checks what honest members' sums satisfy (trees 10).
// It returns the tree nodes that are now open, parents' subtraction included,
// in the order in which they stand in their trees.
func (m *Machine) decode(q *Query, sum []uint64) ([]open, error) {
	if q.Head > 0 {
		if err := m.checkHead(sum); err != nil {
			return nil, err
		}
	}
	sum = sum[q.Head:]
	var parts, out []open
	for i, p := range q.Parts {
		n := p.Grid.Cells * m.grow.scale.CellWords()
		hist, total, err := m.histogram(p.Grid, sum[:n])
		if err == nil && q.Level > 0 {
			err = m.step.pairs[i].check(total, hist)
		}
		if err != nil {
			return nil, fmt.Errorf("tree %d, node %d: %w", q.First+p.Tree, p.Node, err)
		}
		sum = sum[n:]
		parts = append(parts, open{p.Tree, p.Node, total, p.Grid, hist})
	}
	if q.Level == 0 {
		m.expose(parts)
		return m.worth(parts), nil
	}
	for i, small := range parts { // all checks hold
		large := m.step.pairs[i].subtract(small.hist)
		if large.node < small.node {
			small, large = large, small
		}
		out = append(out, small, large)
	}
	m.expose(out)
	return m.worth(out), nil
}

// Disclosure says how many cells of histograms, the subtracted ones included,
// the opened sums showed, and how many of them had less than five rows' average
// of Σh behind them: the figure that a run's report prints (trees 46).
type Disclosure struct{ Cells, Small int64 }

// Disclosure returns the figure over all sums so far.
func (m *Machine) Disclosure() Disclosure { return m.shown }

const fewRows = 5

// expose counts the cells of opened histograms that are not empty.
func (m *Machine) expose(all []open) {
	for _, o := range all {
		root := o.cell.H
		if m.step.level > 0 {
			root = m.step.roots[o.tree].H
		}
		least := float64(fewRows*float64(root)) / m.expectedRows()
		for _, c := range o.hist {
			if c.empty() {
				continue
			}
			if m.shown.Cells++; float64(c.H) < least {
				m.shown.Small++
			}
		}
	}
}

// worth leaves out what is too light to be split (trees 22).
func (m *Machine) worth(all []open) []open {
	out := all[:0]
	for _, o := range all {
		if m.step.level == 0 || m.grow.splittable(o.cell) {
			out = append(out, o)
		} else {
			m.grow.release(o.hist)
		}
	}
	return out
}

func (m *Machine) checkHead(sum []uint64) error {
	loss, weight := int64(sum[0]), int64(sum[1])
	most := float64(float64(m.cfg.capacity())*m.params.heaviest()) * LossUnit
	if loss < 0 || weight < 0 || float64(weight) > most || float64(loss) > float64(most*MaxLoss) || weight == 0 && loss > 0 {
		return fmt.Errorf("validation loss %d over weight %d: %w", loss, weight, ErrSum)
	}
	return nil
}

// histogram decodes the cells of one tree node. Every column has the same
// total, no cell has a negative ĥ, and no |ĝ| is beyond what R rows can give.
func (m *Machine) histogram(grid *Grid, words []uint64) ([]Cell, Cell, error) {
	hist := m.grow.cells(grid.Cells)
	limit := m.grow.scale.limit
	if m.grow.scale.Wide {
		for i := range hist {
			hist[i] = Cell{int64(words[2*i]), int64(words[2*i+1])}
		}
	} else {
		for i, w := range words {
			hist[i] = Cell{int64(int32(w >> 32)), int64(uint32(w))}
		}
	}
	var first Cell
	rest := hist
	for i := range grid.Columns {
		gc := &grid.Columns[i]
		var total Cell
		for _, c := range rest[:gc.Groups] {
			// Honest prefixes are within the limit too, so that nothing wraps unseen.
			if total = total.plus(c); c.H < 0 || beyond(c, limit) || beyond(total, limit) {
				return nil, Cell{}, fmt.Errorf("column %s: a cell of ĝ %d and ĥ %d: %w", m.bins.Columns[gc.Column].Name, c.G, c.H, ErrSum)
			}
		}
		rest = rest[gc.Groups:]
		if i == 0 {
			first = total
		}
		if total != first {
			return nil, Cell{}, fmt.Errorf("column %s: total ĝ %d and ĥ %d, the first has %d and %d: %w",
				m.bins.Columns[gc.Column].Name, total.G, total.H, first.G, first.H, ErrSum)
		}
	}
	return hist, first, nil
}

// beyond reports whether R rows cannot give such a sum.
func beyond(c Cell, limit int64) bool { return c.H > limit || c.G > limit || c.G < -limit }

// check compares the smaller child of a pair with its parent.
func (p *pair) check(total Cell, hist []Cell) error {
	if total != p.smallTotal {
		return fmt.Errorf("total ĝ %d and ĥ %d, the cut gave %d and %d: %w", total.G, total.H, p.smallTotal.G, p.smallTotal.H, ErrSum)
	}
	for i, c := range hist {
		if c.H > p.folded[i].H {
			return fmt.Errorf("cell %d: ĥ %d is above its parent's %d: %w", i, c.H, p.folded[i].H, ErrSum)
		}
	}
	return nil
}

// subtract gives the larger child: parent − smaller, exact (trees 21). It takes
// over the parent's cells.
func (p *pair) subtract(small []Cell) open {
	for i, c := range small {
		p.folded[i] = p.folded[i].minus(c)
	}
	return open{p.parent.tree, p.large, p.parent.cell.minus(p.smallTotal), p.grid, p.folded}
}
