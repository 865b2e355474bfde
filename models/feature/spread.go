package feature

import "fmt"

// Spread says how the training rows of one input lie over its values, as far
// as the sums tell. Trees make their own cells of it.
type Spread struct {
	Column   string
	Category bool
	// Rows counts, for a number, the rows of each populated interval,
	// ascending; for a category those of each slot, unknown and missing last.
	Rows []int64
	// High is the upper end of each interval of a number (inclusive).
	High []float32
	// Missing counts the rows without a value of a number.
	Missing int64
}

// Spreads returns the spread of every input of the encoder that these sums
// built, in the order of Encoder.Inputs. It fails before the last sum.
func (s *Statistics) Spreads(e *Encoder) ([]Spread, error) {
	if !s.Done() {
		return nil, fmt.Errorf("statistics: sum %d is still to come", s.step())
	}
	found := make(map[string]Spread, len(s.columns))
	for _, c := range s.columns {
		found[c.name()] = s.spread(c)
	}
	var out []Spread
	for _, in := range e.Inputs() {
		sp, ok := found[in.Column]
		if !ok || sp.Category != (in.Category >= 0) {
			return nil, fmt.Errorf("statistics: encoder of another schema: column %s", in.Column)
		}
		out = append(out, sp)
	}
	return out, nil
}

func (s *Statistics) spread(c statColumn) Spread {
	switch st := c.(type) {
	case *listedStat:
		return Spread{Column: st.column, Category: true, Rows: st.slots()}
	case *learntStat:
		return Spread{Column: st.column, Category: true, Rows: st.slots(s.rows)}
	case *noisyCategory:
		return Spread{Column: st.column, Category: true, Rows: st.kept}
	case *numberStat:
		return numberSpread(st.column, st.missing, st.root.leaves(nil, 0, 0))
	case *noisyNumber:
		return numberSpread(st.column, st.missing, st.leaves)
	}
	return Spread{Column: c.name()}
}

func numberSpread(column string, missing int64, leaves []leaf) Spread {
	out := Spread{Column: column, Missing: missing}
	for _, l := range leaves {
		out.Rows, out.High = append(out.Rows, l.rows), append(out.High, l.high())
	}
	return out
}

// slots returns the rows of each slot: the values, unknown, missing.
func (l *listedStat) slots() []int64 {
	return append(append([]int64(nil), l.counts[:len(l.values)]...), 0, l.counts[len(l.values)])
}

// slots returns the rows of each slot: the names, unknown, missing. all is the
// number of rows behind the first sum.
func (l *learntStat) slots(all int64) []int64 {
	unknown := all - l.missing
	for _, n := range l.rows {
		unknown -= n
	}
	return append(append([]int64(nil), l.rows...), max(unknown, 0), l.missing)
}

// Quantiles groups intervals, given by their rows in ascending order, into at
// most cells groups from below and returns where each ends (trees 14 and 15):
// a group closes at its share of the rows left, with floor rows in it and
// above it; a heavy interval closes the group before it if that is nearer to
// the share. With no more intervals than cells each interval of floor rows is
// a group.
func Quantiles(intervals []int64, cells int, floor int64) (ends []int) {
	few := len(intervals) <= cells
	var left, have int64 // rows not yet in a closed group; rows in the open one
	for _, n := range intervals {
		left += n
	}
	closable := func() bool { return have >= floor && left-have >= floor && cells-len(ends) > 1 }
	for i, n := range intervals {
		share := int64(cells - len(ends))
		over, under := (have+n)*share-left, left-have*share
		if closable() && (few || over > 0 && over > under) {
			ends, left, have = append(ends, i), left-have, 0
		}
		have += n
		if closable() && have*int64(cells-len(ends)) >= left {
			ends, left, have = append(ends, i+1), left-have, 0
		}
	}
	return append(ends, len(intervals))
}

// Slots writes the slot of each of the given rows of the table into out: the
// values in order, then unknown, then missing.
func (c Category) Slots(t *Table, rows, out []int32) error {
	col, ok := t.texts[c.Column]
	if !ok {
		return fmt.Errorf("encode: table has no category column %s", c.Column)
	}
	slot := slotsOf(col.names, c.Values)
	for i, r := range rows {
		if code := col.codes[r]; code == Missing {
			out[i] = int32(len(c.Values) + 1)
		} else {
			out[i] = slot[code]
		}
	}
	return nil
}
