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
	m := &Matrix{Rows: len(rows), Numbers: e.Numbers(), Cards: e.Categories(), Row: rows, Label: pick(t.label, rows)}
	m.Count, m.Baseline, m.Exposure = pick(t.count, rows), pick(t.baseline, rows), pick(t.exposure, rows)
	m.CountMean = e.CountMean()
	m.X = make([]float32, m.Rows*m.Numbers)
	m.C = make([]int32, m.Rows*len(m.Cards))
	x := 0
	for _, c := range e.Number {
		values, ok := t.numbers[c.Column]
		if !ok {
			return nil, fmt.Errorf("encode: table has no number column %s", c.Column)
		}
		x += c.fill(values, rows, m.X[min(x, len(m.X)):], m.Numbers) // no rows: nothing to cut
	}
	slots := make([]int32, len(rows))
	for k, c := range e.Category {
		if err := c.Slots(t, rows, slots); err != nil {
			return nil, err
		}
		for i, slot := range slots {
			m.C[i*len(m.Cards)+k] = slot
		}
	}
	for _, g := range e.Group {
		m.Groups = append(m.Groups, g.indices(t, rows))
	}
	return m, nil
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
