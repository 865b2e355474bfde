package trees

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
)

// lanes is the number of columns of up to 256 cells that share a block: one
// byte each of a 64-bit word a row. The histograms of a block are 16 KB, so
// that they stay in the fastest cache.
const lanes = 8

// place says where a column's cells are kept.
type place struct {
	wide  bool
	index int // of the block, or of the wide column
	lane  int // in the block
}

// Data is a member's labelled rows in cells: 1 byte a row and column, 2 above
// 256 cells. It is read-only and may serve several growers.
type Data struct {
	bins   *trees.Bins
	rows   int
	blocks [][]uint64
	lanes  []int // used in each block
	wide   [][]uint16
	place  []place // of each column; constant ones have none
	label  []int8
	keys   []uint64 // what a row is known by where rows are drawn
}

// NewData bins the given rows of a table, which must have labels. Columns of
// one cell are left out.
func NewData(bins *trees.Bins, e *feature.Encoder, t *feature.Table, rows []int32, threads int) (*Data, error) {
	if err := bins.Match(e); err != nil {
		return nil, err
	}
	if len(t.Label()) != t.Rows() {
		return nil, errors.New("trees: table has no labels")
	}
	d := &Data{bins: bins, rows: len(rows), place: make([]place, len(bins.Columns))}
	for _, r := range rows {
		if t.Label()[r] == feature.Unlabelled {
			return nil, errors.New("trees: a row without a label")
		}
		d.label = append(d.label, t.Label()[r])
	}
	d.keys = recordKeys(t, rows)
	d.layOut()
	errs := make([]error, len(d.blocks)+len(d.wide))
	parallel(threads, len(errs), func(_, task int) { errs[task] = d.fill(task, e, t, rows) })
	return d, errors.Join(errs...)
}

// layOut gives each column its place.
func (d *Data) layOut() {
	for i, c := range d.bins.Columns {
		switch {
		case c.Cells < 2:
		case c.Cells > 256:
			d.place[i] = place{wide: true, index: len(d.wide)}
			d.wide = append(d.wide, make([]uint16, d.rows))
		default:
			if n := len(d.lanes); n == 0 || d.lanes[n-1] == lanes {
				d.lanes = append(d.lanes, 0)
				d.blocks = append(d.blocks, make([]uint64, d.rows))
			}
			n := len(d.lanes) - 1
			d.place[i] = place{index: n, lane: d.lanes[n]}
			d.lanes[n]++
		}
	}
}

// fill bins the columns of one block, or one wide column.
func (d *Data) fill(task int, e *feature.Encoder, t *feature.Table, rows []int32) error {
	wide := task >= len(d.blocks)
	if wide {
		task -= len(d.blocks)
	}
	cells := make([]uint16, len(rows))
	for c, p := range d.place {
		if d.bins.Columns[c].Cells < 2 || p.wide != wide || p.index != task {
			continue
		}
		if err := d.bins.Fill(e, c, t, rows, cells); err != nil {
			return err
		}
		if wide {
			copy(d.wide[task], cells)
			continue
		}
		block, shift := d.blocks[task], 8*p.lane
		for i, cell := range cells {
			block[i] |= uint64(cell) << shift
		}
	}
	return nil
}

// recordKeys names each row by its identifier or, without one, by its number in
// the file.
func recordKeys(t *feature.Table, rows []int32) []uint64 {
	out := make([]uint64, len(rows))
	for i, r := range rows {
		if id := t.ID(int(r)); id != "" {
			h := sha256.Sum256([]byte(id))
			out[i] = binary.BigEndian.Uint64(h[:])
		} else {
			out[i] = uint64(t.Origin()[r])
		}
	}
	return out
}

// Pool puts the rows of several members of one federation together, in order.
// Only who owns all tables can call it: benchmarks and demo.
func Pool(parts ...*Data) (*Data, error) {
	if len(parts) == 0 {
		return nil, errors.New("trees: no rows to pool")
	}
	first := parts[0]
	out := &Data{
		bins: first.bins, lanes: first.lanes, place: first.place,
		blocks: make([][]uint64, len(first.blocks)), wide: make([][]uint16, len(first.wide)),
	}
	for _, d := range parts {
		if d.bins != first.bins {
			return nil, errors.New("trees: rows in different cells")
		}
		out.rows += d.rows
		out.label, out.keys = append(out.label, d.label...), append(out.keys, d.keys...)
		for i, b := range d.blocks {
			out.blocks[i] = append(out.blocks[i], b...)
		}
		for i, w := range d.wide {
			out.wide[i] = append(out.wide[i], w...)
		}
	}
	return out, nil
}

// Rows returns the number of rows.
func (d *Data) Rows() int { return d.rows }

// Count returns the number of rows, and how many are positive.
func (d *Data) Count() (rows, positives int) {
	for _, y := range d.label {
		positives += int(y)
	}
	return d.rows, positives
}

// cell returns the cell of a row in a column.
func (d *Data) cell(column, row int) uint16 {
	p := d.place[column]
	if p.wide {
		return d.wide[p.index][row]
	}
	return uint16(uint8(d.blocks[p.index][row] >> (8 * p.lane)))
}
