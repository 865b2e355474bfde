package trees

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/koinon-eu/koinon/models/feature"
)

// Column is how one input becomes cells. A number has one cell for each
// interval between its cuts and, unless too few rows miss it, one more for
// missing; a category has a cell for each value with enough rows and one,
// `other`, for all else (trees 16).
type Column struct {
	Name  string
	Cuts  []float32 // of a number, ascending: x ≤ Cuts[i] stands in cell i or below (trees 14)
	Slots []uint16  // of a category: the cell of each slot of the encoder; nil for a number
	Cells int
	// Missing is the cell of a missing number: the last one, or that which it is folded into.
	Missing uint16
	// Reference is the cell of the encoder's reference row, which explanations compare with.
	Reference uint16
}

// IsCategory reports whether the column is split by sets of cells.
func (c *Column) IsCategory() bool { return c.Slots != nil }

// ownMissing reports whether missing numbers have a cell of their own.
func (c *Column) ownMissing() bool { return !c.IsCategory() && int(c.Missing) == len(c.Cuts)+1 }

// Cell returns the cell of a number; NaN is missing.
func (c *Column) Cell(x float32) uint16 {
	var out [1]uint16
	c.fill([]float32{x}, []int32{0}, out[:])
	return out[0]
}

// fill writes the cells of the given rows of a number: how many cuts are below
// each. Cuts are searched by halves, without a branch that depends on a value:
// in no order as they are, every second guess of one would be wrong.
func (c *Column) fill(values []float32, rows []int32, out []uint16) {
	keys := make([]int64, len(c.Cuts))
	for i, cut := range c.Cuts {
		keys[i] = key(cut)
	}
	for i, r := range rows {
		x := values[r]
		if x != x {
			out[i] = c.Missing
			continue
		}
		k, lo, n := key(x), 0, len(keys)
		for n > 1 {
			half := n >> 1
			below := (keys[lo+half-1] - k) >> 63 // all ones if that cut is below x
			lo += half & int(below)
			n -= half
		}
		if n == 1 {
			lo -= int((keys[lo] - k) >> 63)
		}
		out[i] = uint16(lo)
	}
}

// key orders numbers as integers; −0 is 0 (trees 11).
func key(x float32) int64 {
	u := math.Float32bits(x + 0)
	return int64(u ^ (uint32(int32(u)>>31) | 1<<31))
}

// Bins says how rows become cells: one column for each input of an encoder, in
// its order (Encoder.Inputs).
type Bins struct{ Columns []Column }

// NewBins makes the cells from the statistics of a plan, after their last sum,
// and the encoder they built: at most bins cells a number besides missing, and
// floor rows behind each (trees 14–16). Columns of one cell stay in the list
// but are never sent. Under private statistics every declared value of a
// category has a cell, however many rows seem to hold it: the noise of the sums
// covers a rare value as well as any other, and what cells there are then says
// nothing of the rows.
func NewBins(s *feature.Statistics, e *feature.Encoder, bins, floor int) (*Bins, error) {
	spreads, err := s.Spreads(e)
	if err != nil {
		return nil, err
	}
	reference, inputs := e.ReferenceRow(), e.Inputs()
	declared := s.Sigma() > 0
	b := &Bins{Columns: make([]Column, len(spreads))}
	numbers := 0
	for i, sp := range spreads {
		if sp.Category {
			if declared {
				sp.Rows = apart(sp.Rows, int64(floor))
			}
			b.Columns[i] = categoryColumn(sp, int64(floor), int(reference.C[inputs[i].Category]))
			continue
		}
		b.Columns[i] = numberColumn(sp, bins, int64(floor), float32(e.Number[numbers].Mean))
		numbers++
	}
	if !slices.ContainsFunc(b.Columns, func(c Column) bool { return c.Cells > 1 }) {
		return nil, errors.New("trees: every feature column has one cell only, so that nothing can be split")
	}
	return b, nil
}

// apart counts at least floor rows for every declared value of a category.
func apart(slots []int64, floor int64) []int64 {
	out := slices.Clone(slots)
	for i := range len(out) - 2 { // then unknown and missing
		out[i] = max(out[i], floor)
	}
	return out
}

func numberColumn(sp feature.Spread, bins int, floor int64, reference float32) Column {
	c := Column{Name: sp.Column}
	ends := feature.Quantiles(sp.Rows, bins, floor)
	largest, most, from, all := 0, int64(-1), 0, int64(0)
	for i, end := range ends {
		var rows int64
		for _, n := range sp.Rows[from:end] {
			rows += n
		}
		all += rows
		if rows > most {
			largest, most = i, rows
		}
		if from = end; i < len(ends)-1 {
			c.Cuts = append(c.Cuts, sp.High[end-1])
		}
	}
	c.Cells, c.Missing = len(ends), uint16(largest)
	if sp.Missing >= floor && all >= floor {
		c.Missing = uint16(c.Cells)
		c.Cells++
	}
	c.Reference = c.Cell(reference)
	return c
}

func categoryColumn(sp feature.Spread, floor int64, reference int) Column {
	c := Column{Name: sp.Column, Slots: make([]uint16, len(sp.Rows))}
	values := len(sp.Rows) - 2 // then unknown and missing
	largest, most, other := 0, int64(-1), int64(0)
	for slot, rows := range sp.Rows {
		if slot >= values || rows < floor {
			other += rows
			continue
		}
		if rows > most {
			largest, most = c.Cells, rows
		}
		c.Slots[slot] = uint16(c.Cells)
		c.Cells++
	}
	rest := uint16(largest)
	if other >= floor || c.Cells == 0 {
		rest = uint16(c.Cells)
		c.Cells++
	}
	for slot, rows := range sp.Rows {
		if slot >= values || rows < floor {
			c.Slots[slot] = rest
		}
	}
	c.Missing = rest
	c.Reference = c.Slots[reference]
	return c
}

// Constant names the columns of one cell, which no split can use.
func (b *Bins) Constant() []string {
	var out []string
	for _, c := range b.Columns {
		if c.Cells < 2 {
			out = append(out, c.Name)
		}
	}
	return out
}

// Fill writes the cell of each of the given rows of a table in one column into
// out, which has a place for each. The encoder is the one the bins were made with.
func (b *Bins) Fill(e *feature.Encoder, column int, t *feature.Table, rows []int32, out []uint16) error {
	c := &b.Columns[column]
	if !c.IsCategory() {
		values := t.Number(c.Name)
		if values == nil && t.Rows() > 0 {
			return fmt.Errorf("trees: table has no number column %s", c.Name)
		}
		c.fill(values, rows, out)
		return nil
	}
	k := slices.IndexFunc(e.Category, func(x feature.Category) bool { return x.Column == c.Name })
	if k < 0 {
		return fmt.Errorf("trees: encoder has no category column %s", c.Name)
	}
	slots := make([]int32, len(rows))
	if err := e.Category[k].Slots(t, rows, slots); err != nil {
		return err
	}
	for i, slot := range slots {
		out[i] = c.Slots[slot]
	}
	return nil
}

// Cells returns the cells of the given rows of a table, row by row: row i has
// the places [i·len(Columns), (i+1)·len(Columns)).
func (b *Bins) Cells(e *feature.Encoder, t *feature.Table, rows []int32) ([]uint16, error) {
	width := len(b.Columns)
	out, column := make([]uint16, width*len(rows)), make([]uint16, len(rows))
	for c := range b.Columns {
		if err := b.Fill(e, c, t, rows, column); err != nil {
			return nil, err
		}
		for i, v := range column {
			out[i*width+c] = v
		}
	}
	return out, nil
}

// Match refuses an encoder that these bins were not made with.
func (b *Bins) Match(e *feature.Encoder) error {
	inputs := e.Inputs()
	if len(inputs) != len(b.Columns) {
		return fmt.Errorf("trees: %d columns, encoder has %d inputs", len(b.Columns), len(inputs))
	}
	cards := e.Categories()
	for i, in := range inputs {
		c := &b.Columns[i]
		switch {
		case in.Column != c.Name:
			return fmt.Errorf("trees: column %d is %s, encoder has %s", i, c.Name, in.Column)
		case (in.Category >= 0) != c.IsCategory() || c.IsCategory() && cards[in.Category] != len(c.Slots):
			return fmt.Errorf("trees: column %s is of another kind or width than in the encoder", c.Name)
		}
	}
	return nil
}

// Validate says what is wrong with the cells.
func (b *Bins) Validate() error {
	if len(b.Columns) == 0 || len(b.Columns) > feature.MaxColumns {
		return fmt.Errorf("trees: %d columns, want 1 to %d", len(b.Columns), feature.MaxColumns)
	}
	for i := range b.Columns {
		if err := b.Columns[i].validate(); err != nil {
			return fmt.Errorf("trees: column %s: %w", b.Columns[i].Name, err)
		}
	}
	return nil
}

// maxCells is the most cells of a column: every listed value and `other`.
const maxCells = feature.MaxValues + 1

func (c *Column) validate() error {
	if c.Name == "" || len(c.Name) > feature.MaxNameBytes {
		return fmt.Errorf("name of %d bytes", len(c.Name))
	}
	if c.Cells < 1 || c.Cells > maxCells || int(c.Missing) >= c.Cells || int(c.Reference) >= c.Cells {
		return fmt.Errorf("%d cells, missing in %d, reference in %d", c.Cells, c.Missing, c.Reference)
	}
	if c.IsCategory() {
		return c.validateSlots()
	}
	if n := len(c.Cuts) + 1; n > MaxBins || c.Cells != n && (c.Cells != n+1 || int(c.Missing) != n) {
		return fmt.Errorf("%d cells for %d cuts", c.Cells, len(c.Cuts))
	}
	for i, cut := range c.Cuts {
		if v := float64(cut); math.IsNaN(v) || math.IsInf(v, 0) || i > 0 && cut <= c.Cuts[i-1] {
			return fmt.Errorf("cut %d is out of order", i)
		}
	}
	return nil
}

func (c *Column) validateSlots() error {
	if len(c.Slots) < 2 || len(c.Slots) > feature.MaxValues+2 || len(c.Cuts) > 0 {
		return fmt.Errorf("%d slots and %d cuts", len(c.Slots), len(c.Cuts))
	}
	if last := c.Slots[len(c.Slots)-1]; last != c.Missing || c.Slots[len(c.Slots)-2] != last {
		return errors.New("unknown and missing do not share a cell")
	}
	used := make([]bool, c.Cells)
	for _, cell := range c.Slots {
		if int(cell) >= c.Cells {
			return fmt.Errorf("slot in cell %d of %d", cell, c.Cells)
		}
		used[cell] = true
	}
	if slices.Contains(used, false) {
		return errors.New("a cell without a slot")
	}
	return nil
}
