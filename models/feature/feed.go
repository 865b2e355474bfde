package feature

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Feed takes the values of one column, row after row, in whatever type its
// source has them. What does not fit the schema is reported by Builder.Next and
// stored as missing.
type Feed struct {
	b       *Builder
	column  string
	place   int
	order   int      // among the feeds: that of errors in one row
	numbers *numbers // of a number column
	add     func(field []byte) (reason string)
	store   func() // hands the collected values to the table
	reset   func()
	grow    func(rows int) // makes room; nil: as values come
	longest int            // bytes of a field
	given   int            // rows since the last Next
	wrong   int            // of them
	scratch []byte
}

// Column returns the column's name.
func (in *Feed) Column() string { return in.column }

// Place returns the column's place in the header, from 0.
func (in *Feed) Place() int { return in.place }

// Text gives one row the text of a field, with the rules of a CSV file: empty
// is missing. The text is not kept.
func (in *Feed) Text(f []byte) {
	if n := in.numbers; n != nil {
		if v, ok := decimal(f); ok && n.fits(v) && len(f) <= in.longest {
			n.values = append(n.values, v)
			in.given++
			return
		}
	}
	var reason string
	switch {
	case len(f) > in.longest:
		reason = fmt.Sprintf("field has %d bytes, at most %d", len(f), in.longest)
		f = nil
	case !utf8.Valid(f):
		reason = fmt.Sprintf("%q is not UTF-8", shorten(string(f)))
		f = nil
	}
	if r := in.add(f); reason == "" {
		reason = r
	}
	in.end(reason)
}

// end ends a row of this input.
func (in *Feed) end(reason string) {
	if reason != "" && in.wrong < in.b.lim.Errors {
		in.b.found = append(in.b.found, found{in.given, in, reason})
		in.wrong++
	}
	in.given++
}

// Null gives n rows a missing value.
func (in *Feed) Null(n int) {
	for range n {
		in.Text(nil)
	}
}

// Floats gives a row each of the values; NaN is missing.
func (in *Feed) Floats(values []float32) {
	if n := in.numbers; n != nil && n.plain(values) {
		n.values = append(n.values, values...)
		in.given += len(values)
		return
	}
	for _, v := range values {
		if v != v {
			in.Text(nil)
		} else {
			in.number(float64(v), 32)
		}
	}
}

// Doubles gives a row each of the values, rounded to 32 bits where the schema
// wants numbers; NaN is missing.
func (in *Feed) Doubles(values []float64) {
	for _, v := range values {
		if v != v {
			in.Text(nil)
		} else {
			in.number(v, 64)
		}
	}
}

// Ints gives a row each of the values; where null is not nil and says so, it is
// missing.
func (in *Feed) Ints(values []int64, null []bool) {
	for i, v := range values {
		switch {
		case null != nil && null[i]:
			in.Text(nil)
		case in.numbers != nil && in.numbers.fits(float32(v)):
			in.numbers.values = append(in.numbers.values, float32(v))
			in.given++
		default:
			in.scratch = strconv.AppendInt(in.scratch[:0], v, 10)
			in.Text(in.scratch)
		}
	}
}

// number gives one row a number of so many bits. Other columns than numbers
// take its shortest decimal, so that 3.0 is the category 3.
func (in *Feed) number(v float64, bits int) {
	if n := in.numbers; n != nil && n.fits(float32(v)) {
		n.values = append(n.values, float32(v)+0) // -0 is 0
		in.given++
		return
	}
	format := byte('f')
	if a := math.Abs(v); a >= 1e21 || a < 1e-6 && a > 0 {
		format = 'g'
	}
	in.scratch = strconv.AppendFloat(in.scratch[:0], v, format, -1, bits)
	in.Text(in.scratch)
}

// numbers collects a number column. Without a declared range every finite
// number is between low and high.
type numbers struct {
	values    []float32
	low, high float32
	declared  *[2]float64
}

func (n *numbers) fits(v float32) bool { return v >= n.low && v <= n.high }

// plain reports whether the values can be taken as they are.
func (n *numbers) plain(values []float32) bool {
	for _, v := range values {
		if !(v >= n.low && v <= n.high) && v == v || math.Float32bits(v) == 1<<31 {
			return false
		}
	}
	return true
}

func (n *numbers) text(f []byte) (reason string) {
	v, reason := parseNumber(f)
	if reason == "" && n.declared != nil && !isMissing(v) && !n.fits(v) {
		v = float32(math.NaN())
		reason = fmt.Sprintf("%s is outside the range %v to %v", shorten(string(f)), n.declared[0], n.declared[1])
	}
	n.values = append(n.values, v)
	return reason
}

// parseNumber reads a decimal number; empty is missing. Spellings of NaN and
// infinity, hexadecimal and decimal commas are not numbers.
func parseNumber(f []byte) (v float32, reason string) {
	nan := float32(math.NaN())
	f = bytes.TrimSpace(f)
	if len(f) == 0 {
		return nan, ""
	}
	for _, c := range f {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			if strings.EqualFold(strings.TrimLeft(string(f), "+-"), "nan") {
				return nan, fmt.Sprintf("%q is not a number; leave a missing value empty", shorten(string(f)))
			}
			return nan, fmt.Sprintf("%q is not a number", shorten(string(f)))
		}
	}
	x, err := strconv.ParseFloat(string(f), 32)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return nan, fmt.Sprintf("%s is too large for a 32-bit number", shorten(string(f)))
	case err != nil:
		return nan, fmt.Sprintf("%q is not a number", shorten(string(f)))
	case x == 0:
		return 0, "" // -0 is 0
	}
	return float32(x), ""
}

// dictionary gives each distinct text of a column a code.
type dictionary struct {
	codes map[string]int32
	names []string
}

func newDictionary(values []string) *dictionary {
	d := &dictionary{codes: make(map[string]int32, len(values)), names: slices.Clone(values)}
	for i, v := range values {
		d.codes[v] = int32(i)
	}
	return d
}

func (d *dictionary) code(f []byte) int32 {
	c, ok := d.codes[string(f)]
	if !ok {
		c = int32(len(d.names))
		name := string(f)
		d.codes[name] = c
		d.names = append(d.names, name)
	}
	return c
}

// identifiers are the texts of an id column, one after the other.
type identifiers struct {
	text []byte
	ends []uint64 // of each row's in text
}

func (x *identifiers) add(id []byte) {
	x.text = append(x.text, id...)
	x.ends = append(x.ends, uint64(len(x.text)))
}

func (x *identifiers) at(row int) []byte {
	from := uint64(0)
	if row > 0 {
		from = x.ends[row-1]
	}
	return x.text[from:x.ends[row]]
}

func (x *identifiers) pick(rows []int32) *identifiers {
	if x == nil {
		return nil
	}
	out := &identifiers{ends: make([]uint64, 0, len(rows))}
	for _, r := range rows {
		out.add(x.at(int(r)))
	}
	return out
}
