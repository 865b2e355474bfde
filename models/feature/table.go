package feature

import (
	"fmt"
	"math"
)

// Split says whether a row trains or tests.
type Split uint8

// The two sides of a split. Without a split rule every row trains.
const (
	Train Split = iota
	Test
)

// Selection picks rows of a table.
type Selection uint8

// The selections. A row without a label is in neither of the first two.
const (
	SelectTrain Selection = iota // labelled rows of the training side
	SelectTest                   // labelled rows of the test side
	SelectAll                    // every row, labelled or not: for scoring
)

// Unlabelled is the label of a row whose label is empty.
const Unlabelled int8 = -1

// Missing is the code of an empty category field.
const Missing int32 = -1

// coded is a text column: one int32 per row into a dictionary of its own.
type coded struct {
	codes []int32
	names []string
}

// Table is a national table held by column. It is read-only once made; slices
// it returns are its own and must not be changed.
type Table struct {
	schema  *Schema
	scoring bool // read for scoring: unlisted values are codes beyond the list
	rows    int
	numbers map[string][]float32
	texts   map[string]coded // categories, booleans, and kept columns
	label   []int8
	count   []int32 // of a count label
	split   []Split
	origin  []int32 // row in the file the table was read from, from 0
	ids     *identifiers

	exposure, baseline []float32 // columns that a count label names

	others []string // distinct label texts that count as negative, for the report
	unread []string // columns of the file that were left alone
	dates  [2]string
}

// Dates returns the first and the last date by which the rows were split; empty
// where they were not, and for a table that was not read from its source.
func (t *Table) Dates() (first, last string) { return t.dates[0], t.dates[1] }

// dated takes a date into account.
func (t *Table) dated(f []byte) {
	if t.dates[0] == "" || string(f) < t.dates[0] {
		t.dates[0] = string(f)
	}
	if string(f) > t.dates[1] {
		t.dates[1] = string(f)
	}
}

// Schema returns the schema the table was read under.
func (t *Table) Schema() *Schema { return t.schema }

// Rows returns the number of rows.
func (t *Table) Rows() int { return t.rows }

// Number returns a number column, one value a row, NaN for missing; nil if
// there is no such column.
func (t *Table) Number(column string) []float32 { return t.numbers[column] }

// Category returns a category, boolean or kept column: for each row a code
// into names, or Missing. Booleans have the names "0" and "1".
func (t *Table) Category(column string) (codes []int32, names []string) {
	c := t.texts[column]
	return c.codes, c.names
}

// Label returns 1, 0 or Unlabelled for each row; nil if the table was read for
// scoring and has no label column.
func (t *Table) Label() []int8 { return t.label }

// Split returns the side of each row.
func (t *Table) Split() []Split { return t.split }

// Origin returns for each row its number in the file, from 0, header excluded.
func (t *Table) Origin() []int32 { return t.origin }

// ID returns the identifier of a row, or "" if the schema names no id.
func (t *Table) ID(row int) string {
	if t.ids == nil {
		return ""
	}
	return string(t.ids.at(row))
}

// IDBytes is ID without a copy; the bytes must not be changed. nil if the
// schema names no id.
func (t *Table) IDBytes(row int) []byte {
	if t.ids == nil {
		return nil
	}
	return t.ids.at(row)
}

// NegativeLabels returns up to 8 distinct label texts that were read as
// negative, in order of appearance. More than one hints at a misspelling.
func (t *Table) NegativeLabels() []string { return t.others }

// Unread returns the columns of the file that were not read, in file order.
func (t *Table) Unread() []string { return t.unread }

// Select returns the rows of a selection, ascending.
func (t *Table) Select(sel Selection) []int32 {
	out := make([]int32, 0, t.rows)
	for i := range t.rows {
		if t.selected(i, sel) {
			out = append(out, int32(i))
		}
	}
	return out
}

func (t *Table) selected(row int, sel Selection) bool {
	if sel == SelectAll {
		return true
	}
	labelled := t.label != nil && t.label[row] != Unlabelled
	return labelled && (t.split[row] == Test) == (sel == SelectTest)
}

// Count returns the number of rows of a selection and how many are positive.
func (t *Table) Count(sel Selection) (rows, positives int) {
	for i := range t.rows {
		if t.selected(i, sel) {
			rows++
			if t.label != nil && t.label[i] == 1 {
				positives++
			}
		}
	}
	return rows, positives
}

// Subset returns a table of the given rows, in that order. It panics if a row
// is out of range.
func (t *Table) Subset(rows []int32) *Table {
	out := &Table{
		schema: t.schema, scoring: t.scoring, rows: len(rows), others: t.others, unread: t.unread,
		numbers: make(map[string][]float32, len(t.numbers)),
		texts:   make(map[string]coded, len(t.texts)),
		count:   pick(t.count, rows), exposure: pick(t.exposure, rows), baseline: pick(t.baseline, rows),
		label: pick(t.label, rows), split: pick(t.split, rows), origin: pick(t.origin, rows), ids: t.ids.pick(rows),
	}
	for name, v := range t.numbers {
		out.numbers[name] = pick(v, rows)
	}
	for name, c := range t.texts {
		out.texts[name] = coded{pick(c.codes, rows), c.names}
	}
	return out
}

func pick[T any](v []T, rows []int32) []T {
	if v == nil {
		return nil
	}
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = v[r]
	}
	return out
}

// Where returns the rows whose category or kept column holds value.
func (t *Table) Where(column, value string) (*Table, error) {
	c, ok := t.texts[column]
	if !ok {
		return nil, fmt.Errorf("column %s: not a category and not kept when the table was read", column)
	}
	var rows []int32
	for i, code := range c.codes {
		if code != Missing && c.names[code] == value {
			rows = append(rows, int32(i))
		}
	}
	return t.Subset(rows), nil
}

// Partition divides the table by the values of a category or kept column, in
// order of first appearance. Rows where it is missing are an error.
func (t *Table) Partition(column string) (names []string, parts []*Table, err error) {
	c, ok := t.texts[column]
	if !ok {
		return nil, nil, fmt.Errorf("column %s: not a category and not kept when the table was read", column)
	}
	place := make([]int, len(c.names))
	var rows [][]int32
	for i, code := range c.codes {
		if code == Missing {
			return nil, nil, fmt.Errorf("row %d, column %s: empty, and the table is divided by it", t.origin[i]+1, column)
		}
		if place[code] == 0 {
			rows = append(rows, nil)
			names = append(names, c.names[code])
			place[code] = len(rows)
		}
		rows[place[code]-1] = append(rows[place[code]-1], int32(i))
	}
	for _, r := range rows {
		parts = append(parts, t.Subset(r))
	}
	return names, parts, nil
}

// SplitBy returns the table with another split: rows whose category or kept
// column holds test are test rows, all others train.
func (t *Table) SplitBy(column, test string) (*Table, error) {
	c, ok := t.texts[column]
	if !ok {
		return nil, fmt.Errorf("column %s: not a category and not kept when the table was read", column)
	}
	split, found := make([]Split, t.rows), false
	for i, code := range c.codes {
		if code != Missing && c.names[code] == test {
			split[i], found = Test, true
		}
	}
	if !found {
		return nil, fmt.Errorf("column %s: no row holds %q, so nothing would be tested", column, test)
	}
	out := *t
	out.split = split
	return &out, nil
}

// SplitFraction returns the table with another split: a row is a test row if a
// hash of the seed and its number in the file falls below fraction, in (0, 1).
// The side of a row does not depend on the other rows of the table.
func (t *Table) SplitFraction(fraction float64, seed uint64) (*Table, error) {
	if !(fraction > 0 && fraction < 1) {
		return nil, fmt.Errorf("test fraction %v is not between 0 and 1", fraction)
	}
	split := make([]Split, t.rows)
	for i, r := range t.origin {
		h := mix(mix(seed) ^ uint64(uint32(r)))
		if float64(h>>11)/(1<<53) < fraction {
			split[i] = Test
		}
	}
	out := *t
	out.split = split
	return &out, nil
}

// mix is the finaliser of SplitMix64.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

func isMissing(v float32) bool { return math.IsNaN(float64(v)) }
