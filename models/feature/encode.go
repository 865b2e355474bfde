package feature

import "fmt"

// Encode turns the selected rows into a matrix. The table must have been read
// under a schema with the same feature columns; group columns may be absent,
// which gives -1 for every row.
func (e *Encoder) Encode(t *Table, sel Selection) (*Matrix, error) {
	return e.EncodeRows(t, t.Select(sel))
}

// EncodeRows is Encode for the given rows of the table, in that order.
func (e *Encoder) EncodeRows(t *Table, rows []int32) (*Matrix, error) {
	return e.EncodeInto(t, rows, make([]float32, len(rows)*e.Numbers()), make([]int32, len(rows)*len(e.Categories())))
}

// encodeRows is how many rows are encoded at one time, all their columns: they
// stay in a cache, and memory that is a file is written from front to back.
const encodeRows = 4096

// EncodeInto is EncodeRows into memory of the caller's, all zero: X holds
// len(rows)·Numbers() floats and C len(rows)·len(Categories()) codes. It may be
// larger than what fits into memory, if it is a file's.
func (e *Encoder) EncodeInto(t *Table, rows []int32, x []float32, c []int32) (*Matrix, error) {
	m := &Matrix{Rows: len(rows), Numbers: e.Numbers(), Cards: e.Categories(), Row: rows, Label: pick(t.label, rows), X: x, C: c}
	m.Count, m.Baseline, m.Exposure = pick(t.count, rows), pick(t.baseline, rows), pick(t.exposure, rows)
	m.CountMean = e.CountMean()
	if len(x) != m.Rows*m.Numbers || len(c) != m.Rows*len(m.Cards) {
		return nil, fmt.Errorf("encode: memory for %d and %d values, want %d and %d", len(x), len(c), m.Rows*m.Numbers, m.Rows*len(m.Cards))
	}
	for _, n := range e.Number {
		if _, ok := t.numbers[n.Column]; !ok {
			return nil, fmt.Errorf("encode: table has no number column %s", n.Column)
		}
	}
	slots := make([][]int32, len(e.Category))
	for k, n := range e.Category {
		col, ok := t.texts[n.Column]
		if !ok {
			return nil, fmt.Errorf("encode: table has no category column %s", n.Column)
		}
		slots[k] = slotsOf(col.names, n.Values)
	}
	for from := 0; from < len(rows); from += encodeRows {
		to := min(from+encodeRows, len(rows))
		e.encode(t, rows[from:to], slots, m.X[from*m.Numbers:to*m.Numbers], m.C[from*len(m.Cards):to*len(m.Cards)])
	}
	for _, g := range e.Group {
		m.Groups = append(m.Groups, g.indices(t, rows))
	}
	return m, nil
}

// encode writes the numbers and slots of some rows.
func (e *Encoder) encode(t *Table, rows []int32, slots [][]int32, x []float32, c []int32) {
	at, stride := 0, len(x)/max(len(rows), 1)
	for _, n := range e.Number {
		at += n.fill(t.numbers[n.Column], rows, x[at:], stride)
	}
	stride = len(e.Category)
	for k, n := range e.Category {
		codes, missing := t.texts[n.Column].codes, int32(len(n.Values)+1)
		for i, r := range rows {
			slot := missing
			if code := codes[r]; code != Missing {
				slot = slots[k][code]
			}
			c[i*stride+k] = slot
		}
	}
}

// fill writes one column of X, and its indicator beside it; it returns how
// many columns it wrote.
func (n Number) fill(values []float32, rows []int32, x []float32, stride int) int {
	for i, r := range rows {
		v := values[r]
		switch {
		case !isMissing(v):
			v = max(min(v, n.High), n.Low)
			x[i*stride] = float32((float64(v) - n.Mean) / n.SD)
		case n.Indicator:
			x[i*stride+1] = 1
		}
	}
	if n.Indicator {
		return 2
	}
	return 1
}

// slotsOf maps the codes of a table's dictionary to slots.
func slotsOf(names, values []string) []int32 {
	place := make(map[string]int32, len(values))
	for i, v := range values {
		place[v] = int32(i)
	}
	out := make([]int32, len(names))
	for code, name := range names {
		slot, known := place[name]
		if !known {
			slot = int32(len(values)) // unknown
		}
		out[code] = slot
	}
	return out
}

func (g GroupColumn) indices(t *Table, rows []int32) []int16 {
	out := make([]int16, len(rows))
	col, ok := t.texts[g.Column]
	slot := slotsOf(col.names, g.Values)
	for i, r := range rows {
		out[i] = -1
		if !ok {
			continue
		}
		if code := col.codes[r]; code != Missing && int(slot[code]) < len(g.Values) {
			out[i] = int16(slot[code])
		}
	}
	return out
}
