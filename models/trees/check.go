package trees

import (
	"fmt"
	"math"

	"github.com/koinon-eu/koinon/crypto/parallel"
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
	out, parts := m.room(q, sum[q.Head:])
	err := parallel.Try(len(parts), partsAtOnce, func(from, to int) error {
		for i := from; i < to; i++ {
			if err := m.open(&parts[i]); err != nil {
				return fmt.Errorf("tree %d, node %d: %w", q.First+q.Parts[i].Tree, q.Parts[i].Node, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range m.step.pairs { // all checks hold: the parents are needed no more
		m.grow.release(m.step.pairs[i].folded)
	}
	m.expose(out)
	return m.worth(out), nil
}

// partsAtOnce is how many histograms are worth a change of processor.
const partsAtOnce = 2

// part is one histogram of a sum while it is decoded.
type part struct {
	words        []uint64
	pair         *pair // nil at level 0
	small, large *open
}

// room lays out what a sum opens, in the order in which it stands in the trees.
func (m *Machine) room(q *Query, sum []uint64) ([]open, []part) {
	each := 1
	if q.Level > 0 {
		each = 2
	}
	out, parts := make([]open, each*len(q.Parts)), make([]part, len(q.Parts))
	for i, p := range q.Parts {
		n := p.Grid.Cells * m.grow.scale.CellWords()
		t := part{words: sum[:n], small: &out[each*i]}
		if q.Level > 0 {
			t.pair, t.large = &m.step.pairs[i], &out[each*i+1]
			if t.pair.large < p.Node {
				t.small, t.large = t.large, t.small
			}
			*t.large = open{tree: p.Tree, node: t.pair.large, grid: p.Grid, hist: m.grow.cells(p.Grid.Cells)}
		}
		*t.small = open{tree: p.Tree, node: p.Node, grid: p.Grid, hist: m.grow.cells(p.Grid.Cells)}
		parts[i], sum = t, sum[n:]
	}
	return out, parts
}

// open decodes one histogram and, below the root, subtracts it from its parent's.
func (m *Machine) open(t *part) error {
	err := m.histogram(t.small, t.words)
	if err == nil && t.pair != nil {
		err = m.subtract(t)
	}
	return err
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
	hist := o.hist
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
func (m *Machine) subtract(t *part) error {
	p, small, large := t.pair, t.small, t.large
	if small.cell != p.smallTotal {
		return fmt.Errorf("total ĝ %d and ĥ %d, the cut gave %d and %d: %w",
			small.cell.G, small.cell.H, p.smallTotal.G, p.smallTotal.H, ErrSum)
	}
	large.cell = p.parent.cell.minus(p.smallTotal)
	for i, c := range small.hist {
		d := p.folded[i].minus(c)
		if d.H < 0 {
			return fmt.Errorf("cell %d: ĥ %d is above its parent's %d: %w", i, c.H, p.folded[i].H, ErrSum)
		}
		large.hist[i] = d
	}
	return nil
}
