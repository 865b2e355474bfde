package trees

import (
	"fmt"
	"math"
)

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
	var out []open
	for i, p := range q.Parts {
		n := p.Grid.Cells * m.grow.scale.CellWords()
		part := open{tree: p.Tree, node: p.Node, grid: p.Grid}
		err := m.histogram(&part, sum[:n])
		sum = sum[n:]
		out = append(out, part)
		if err == nil && q.Level > 0 {
			var large open
			large, err = m.subtract(&m.step.pairs[i], part)
			out = append(out, large)
			if last := len(out) - 1; large.node < part.node {
				out[last-1], out[last] = large, part
			}
		}
		if err != nil {
			return nil, fmt.Errorf("tree %d, node %d: %w", q.First+p.Tree, p.Node, err)
		}
	}
	for i := range m.step.pairs { // all checks hold: the parents are needed no more
		m.grow.release(m.step.pairs[i].folded)
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
	for i := range all {
		o := &all[i]
		root := o.cell.H
		if m.step.level > 0 {
			root = m.step.roots[o.tree].H
		}
		least := int64(math.Ceil(float64(fewRows*float64(root)) / m.expectedRows()))
		shown, small := 0, 0
		for _, c := range o.hist {
			if c.empty() {
				continue
			}
			shown++
			if c.H < least {
				small++
			}
		}
		m.shown.Cells += int64(shown)
		m.shown.Small += int64(small)
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

// histogram decodes the cells of one tree node and its total. Every column has
// the same total, no cell has a negative ĥ, and no |ĝ| is beyond what R rows can
// give.
func (m *Machine) histogram(o *open, words []uint64) error {
	hist := m.grow.cells(o.grid.Cells)
	o.hist = hist
	m.unpack(hist, words)
	limit := m.grow.scale.limit
	for i := range o.grid.Columns {
		gc := &o.grid.Columns[i]
		var total Cell
		for _, c := range hist[:gc.Groups] {
			// Honest prefixes are within the limit too, so that nothing wraps unseen.
			if total = total.plus(c); c.H < 0 || beyond(total, limit) || beyond(c, limit) {
				return fmt.Errorf("column %s: a cell of ĝ %d and ĥ %d: %w", m.bins.Columns[gc.Column].Name, c.G, c.H, ErrSum)
			}
		}
		hist = hist[gc.Groups:]
		if i == 0 {
			o.cell = total
		}
		if total != o.cell {
			return fmt.Errorf("column %s: total ĝ %d and ĥ %d, the first has %d and %d: %w",
				m.bins.Columns[gc.Column].Name, total.G, total.H, o.cell.G, o.cell.H, ErrSum)
		}
	}
	return nil
}

// unpack reads the words of cells (trees 6).
func (m *Machine) unpack(hist []Cell, words []uint64) {
	if m.grow.scale.Wide {
		for i := range hist {
			hist[i] = Cell{int64(words[2*i]), int64(words[2*i+1])}
		}
		return
	}
	for i, w := range words {
		hist[i] = Cell{int64(int32(w >> 32)), int64(uint32(w))}
	}
}

// beyond reports whether R rows cannot give such a sum.
func beyond(c Cell, limit int64) bool { return c.H > limit || c.G > limit || c.G < -limit }

// subtract gives the larger child of a pair: parent − smaller, exact (trees 21).
// The smaller must have the total of its cut, and no cell above its parent's.
func (m *Machine) subtract(p *pair, small open) (open, error) {
	if small.cell != p.smallTotal {
		return open{}, fmt.Errorf("total ĝ %d and ĥ %d, the cut gave %d and %d: %w",
			small.cell.G, small.cell.H, p.smallTotal.G, p.smallTotal.H, ErrSum)
	}
	large := open{p.parent.tree, p.large, p.parent.cell.minus(p.smallTotal), p.grid, m.grow.cells(len(small.hist))}
	for i, c := range small.hist {
		d := p.folded[i].minus(c)
		if d.H < 0 {
			return open{}, fmt.Errorf("cell %d: ĥ %d is above its parent's %d: %w", i, c.H, p.folded[i].H, ErrSum)
		}
		large.hist[i] = d
	}
	return large, nil
}
