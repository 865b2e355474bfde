// Package treestest is a member of a federation of trees as the specification
// words it, row by row and without any haste: what faster members are compared
// with, and what drives the machine in its own tests.
package treestest

import (
	"math"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
)

// Member holds rows in cells, row by row, and their labels. It draws no rows
// and rounds to nearest.
type Member struct {
	Cells [][]uint16
	Label []int8
	Held  []bool // rows that judge; nil for none
}

// New bins the labelled training rows of a table.
func New(bins *trees.Bins, e *feature.Encoder, t *feature.Table) (*Member, error) {
	rows := t.Select(feature.SelectTrain)
	flat, err := bins.Cells(e, t, rows)
	if err != nil {
		return nil, err
	}
	m := &Member{}
	for i, r := range rows {
		n := len(bins.Columns)
		m.Cells = append(m.Cells, flat[i*n:(i+1)*n])
		m.Label = append(m.Label, t.Label()[r])
	}
	return m, nil
}

// At returns the node of a tree in which a row stands.
func At(bins *trees.Bins, t trees.Tree, row []uint16) int32 {
	at := int32(0)
	for !t[at].Leaf() {
		n := &t[at]
		if n.GoesLeft(&bins.Columns[n.Column], row[n.Column]) {
			at = n.Left
		} else {
			at = n.Left + 1
		}
	}
	return at
}

// Score returns a row's log-odds under the machine's closed trees (trees 27).
func (m *Member) Score(machine *trees.Machine, row int) float64 {
	z := machine.Base()
	for _, t := range machine.Trees() {
		z += float64(t[At(machine.Bins(), t, m.Cells[row])].Value)
	}
	return z
}

// Gradient returns ĝ and ĥ of a row (trees 5).
func (m *Member) Gradient(machine *trees.Machine, row int) trees.Cell {
	if m.Held != nil && m.Held[row] {
		return trees.Cell{}
	}
	p, y := trees.Sigmoid(m.Score(machine, row)), float64(m.Label[row])
	w, s := machine.Params().Weights[m.Label[row]], machine.Scale()
	return trees.Cell{
		G: int64(math.RoundToEven(math.Ldexp(w, s.Bits) * (p - y))),
		H: int64(math.RoundToEven(math.Ldexp(w, s.HessianBits) * float64(p*(1-p)))),
	}
}

// Vector returns the member's words for the next query.
func (m *Member) Vector(machine *trees.Machine) []uint64 {
	q, _ := machine.Query()
	growing, _ := machine.Growing()
	out := make([]uint64, q.Words)
	if q.Head > 0 {
		m.judge(machine, out)
	}
	for row, cells := range m.Cells {
		g, at := m.Gradient(machine, row), q.Head
		for _, p := range q.Parts {
			node := At(machine.Bins(), growing[p.Tree], cells)
			for _, c := range p.Grid.Columns {
				if node == p.Node {
					add(out[at:], machine.Scale(), group(c, cells[c.Column]), g)
				}
				at += c.Groups * machine.Scale().CellWords()
			}
		}
	}
	return out
}

func group(c trees.GridColumn, cell uint16) int {
	if c.Map != nil {
		cell = c.Map[cell]
	}
	return int(cell)
}

func add(out []uint64, s trees.Scale, cell int, g trees.Cell) {
	if s.Wide {
		out[2*cell] += uint64(g.G)
		out[2*cell+1] += uint64(g.H)
	} else {
		out[cell] += uint64(g.G)<<32 + uint64(g.H)
	}
}

func (m *Member) judge(machine *trees.Machine, out []uint64) {
	for row, held := range m.Held {
		if held {
			w, z := machine.Params().Weights[m.Label[row]], m.Score(machine, row)
			l := max(z, 0) - float64(z*float64(m.Label[row])) + trees.Ln(1+trees.Exp(-math.Abs(z)))
			out[0] += uint64(float64(float64(w*l) * trees.LossUnit))
			out[1] += uint64(w * trees.LossUnit)
		}
	}
}

// Sum adds the members' vectors for the next query.
func Sum(machine *trees.Machine, members ...*Member) []uint64 {
	q, _ := machine.Query()
	sum := make([]uint64, q.Words)
	for _, m := range members {
		for i, w := range m.Vector(machine) {
			sum[i] += w
		}
	}
	return sum
}
