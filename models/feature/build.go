package feature

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// builder collects the columns of a table record by record.
type builder struct {
	schema  *Schema
	lim     Limits
	width   int // fields of a record
	sinks   []sink
	finish  []func() // hand the collected columns to the table
	t       *Table
	rows    int
	errs    []FieldError
	stopped bool
}

// sink stores one field of each record; a non-empty reason is an error of the
// field, which is then stored as missing.
type sink struct {
	place  int
	column string
	add    func(field string) (reason string)
}

// MissingError names the columns of a schema that a table's header lacks.
type MissingError struct{ Columns []string }

func (e *MissingError) Error() string {
	return "header: no column " + strings.Join(e.Columns, ", ")
}

func newBuilder(s *Schema, lim Limits, header, keep []string) (*builder, error) {
	place, err := checkHeader(header, lim)
	if err != nil {
		return nil, err
	}
	b := &builder{schema: s, lim: lim, width: len(header), t: &Table{
		schema: s, scoring: lim.Scoring, numbers: map[string][]float32{}, texts: map[string]coded{},
	}}
	var missing []string
	bind := func(column string, optional bool, open func() func(string) string) {
		i, ok := place[column]
		if ok {
			b.sinks = append(b.sinks, sink{i, column, open()})
		} else if !optional {
			missing = append(missing, column)
		}
	}
	for _, c := range s.Columns {
		switch {
		case !c.IsFeature() && c.Role != RoleGroup:
		case c.Type == TypeNumber:
			bind(c.Name, false, func() func(string) string { return b.numberSink(c) })
		default:
			bind(c.Name, c.Role == RoleGroup && lim.Scoring, func() func(string) string { return b.categorySink(c) })
		}
	}
	b.bindRoles(bind)
	for _, name := range keep {
		if _, ok := b.t.texts[name]; !ok {
			bind(name, false, func() func(string) string { return b.textSink(name) })
		}
	}
	if len(missing) > 0 {
		return nil, &MissingError{Columns: missing}
	}
	for i, name := range header {
		if !slices.ContainsFunc(b.sinks, func(s sink) bool { return s.place == i }) {
			b.t.unread = append(b.t.unread, strings.Clone(name))
		}
	}
	return b, nil
}

// bindRoles binds id, label and split. Rows to be scored need neither of the
// last two.
func (b *builder) bindRoles(bind func(string, bool, func() func(string) string)) {
	s := b.schema
	if s.ID != "" {
		bind(s.ID, false, b.idSink)
	}
	if s.Label.IsCount() {
		b.bindCount(bind)
	} else {
		bind(s.Label.Column, b.lim.Scoring, b.labelSink)
	}
	if s.Split != nil {
		bind(s.Split.Column, b.lim.Scoring, b.splitSink)
	}
}

// add stores one record; line gives the line of a field.
func (b *builder) add(rec []string, line func(field int) int) {
	if b.rows == b.lim.Rows {
		b.report(line(0), "", fmt.Sprintf("more than %d rows", b.lim.Rows))
		b.stopped = true
		return
	}
	b.rows++
	for _, s := range b.sinks {
		f := rec[s.place]
		var reason string
		switch {
		case len(f) > b.lim.Field:
			reason = fmt.Sprintf("field has %d bytes, at most %d", len(f), b.lim.Field)
			f = ""
		case !utf8.ValidString(f):
			reason = fmt.Sprintf("%q is not UTF-8", shorten(f))
			f = ""
		}
		if r := s.add(f); reason == "" {
			reason = r
		}
		if reason != "" {
			b.report(line(s.place), s.column, reason)
		}
	}
}

func (b *builder) report(line int, column, reason string) {
	if !b.full() {
		b.errs = append(b.errs, FieldError{line, column, reason})
	}
}

func (b *builder) full() bool { return b.stopped || len(b.errs) >= b.lim.Errors }

func (b *builder) table() (*Table, error) {
	t := b.t
	t.rows = b.rows
	for _, f := range b.finish {
		f()
	}
	if t.split == nil {
		t.split = make([]Split, b.rows)
	}
	t.origin = make([]int32, b.rows)
	for i := range t.origin {
		t.origin[i] = int32(i)
	}
	if len(b.errs) > 0 {
		return t, &DataError{Errors: b.errs, Stopped: b.stopped || b.full()}
	}
	if b.rows == 0 {
		return nil, errors.New("table has a header but no rows")
	}
	return t, nil
}

func (b *builder) numberSink(c Column) func(string) string {
	var column []float32
	b.finish = append(b.finish, func() { b.t.numbers[c.Name] = column })
	nan := float32(math.NaN())
	return func(f string) string {
		v, reason := parseNumber(f)
		if reason == "" && c.Range != nil && !b.lim.Scoring && !isMissing(v) {
			if lo, hi := float32(c.Range[0]), float32(c.Range[1]); v < lo || v > hi {
				v, reason = nan, fmt.Sprintf("%s is outside the range %v to %v", shorten(f), c.Range[0], c.Range[1])
			}
		}
		column = append(column, v)
		return reason
	}
}

// parseNumber reads a decimal number; empty is missing. Spellings of NaN and
// infinity, hexadecimal and decimal commas are not numbers.
func parseNumber(f string) (v float32, reason string) {
	nan := float32(math.NaN())
	f = strings.TrimSpace(f)
	if f == "" {
		return nan, ""
	}
	for i := range len(f) {
		if c := f[i]; (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			if strings.EqualFold(strings.TrimLeft(f, "+-"), "nan") {
				return nan, fmt.Sprintf("%q is not a number; leave a missing value empty", shorten(f))
			}
			return nan, fmt.Sprintf("%q is not a number", shorten(f))
		}
	}
	x, err := strconv.ParseFloat(f, 32)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return nan, fmt.Sprintf("%s is too large for a 32-bit number", shorten(f))
	case err != nil:
		return nan, fmt.Sprintf("%q is not a number", shorten(f))
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

func (d *dictionary) code(f string) int32 {
	c, ok := d.codes[f]
	if !ok {
		c = int32(len(d.names))
		f = strings.Clone(f) // the record's memory must not live on
		d.codes[f] = c
		d.names = append(d.names, f)
	}
	return c
}

// textColumn returns the column a sink appends its codes to.
func (b *builder) textColumn(name string, d *dictionary) *[]int32 {
	b.t.texts[name] = coded{} // claims the name
	codes := new([]int32)
	b.finish = append(b.finish, func() { b.t.texts[name] = coded{*codes, d.names} })
	return codes
}

func (b *builder) categorySink(c Column) func(string) string {
	if c.Type == TypeBoolean {
		return b.booleanSink(c.Name)
	}
	d := newDictionary(c.Values)
	codes := b.textColumn(c.Name, d)
	listed := len(c.Values) > 0
	return func(f string) (reason string) {
		code := Missing
		if f != "" {
			known, ok := d.codes[f]
			switch {
			case ok:
				code = known
			case listed && !b.lim.Scoring:
				reason = fmt.Sprintf("%q is not one of the listed values", shorten(f))
			default:
				code = d.code(f)
			}
		}
		*codes = append(*codes, code)
		return reason
	}
}

func (b *builder) booleanSink(column string) func(string) string {
	d := newDictionary([]string{"0", "1"})
	codes := b.textColumn(column, d)
	return func(f string) (reason string) {
		code := Missing
		switch g := strings.TrimSpace(f); {
		case g == "":
		case g == "0" || strings.EqualFold(g, "false"):
			code = 0
		case g == "1" || strings.EqualFold(g, "true"):
			code = 1
		default:
			reason = fmt.Sprintf("%q is none of 0, 1, true, false", shorten(f))
		}
		*codes = append(*codes, code)
		return reason
	}
}

func (b *builder) textSink(column string) func(string) string {
	d := newDictionary(nil)
	codes := b.textColumn(column, d)
	return func(f string) string {
		code := Missing
		if f != "" {
			code = d.code(f)
		}
		*codes = append(*codes, code)
		return ""
	}
}

func (b *builder) idSink() func(string) string {
	b.t.ids = []string{}
	return func(f string) string {
		b.t.ids = append(b.t.ids, strings.Clone(f))
		if f == "" {
			return "identifier is empty"
		}
		return ""
	}
}

func (b *builder) labelSink() func(string) string {
	b.t.label = []int8{}
	rule := b.schema.Label
	want, reason := parseNumber(rule.Positive)
	numeric := reason == ""
	return func(f string) string {
		y, reason := Unlabelled, ""
		switch {
		case f == "":
			if rule.Empty != EmptySkip {
				reason = "label is empty; say empty: skip if such rows are to be left out"
			}
		case f == rule.Positive:
			y = 1
		case numeric:
			y, reason = numericLabel(f, want)
		default:
			y = 0
		}
		b.t.label = append(b.t.label, y)
		if y == 0 && len(b.t.others) < 8 && !slices.Contains(b.t.others, f) {
			b.t.others = append(b.t.others, strings.Clone(f))
		}
		return reason
	}
}

// numericLabel compares as numbers, so that "1.0" is not taken for a negative.
// Where 1 is positive only 0 is negative: another number is a mistake.
func numericLabel(f string, want float32) (int8, string) {
	v, reason := parseNumber(f)
	switch {
	case reason != "":
		return Unlabelled, "label " + reason
	case isMissing(v):
		return Unlabelled, "label is blank"
	case v == want:
		return 1, ""
	case want == 1 && v != 0:
		return Unlabelled, fmt.Sprintf("label %s is neither 1 nor 0", shorten(f))
	}
	return 0, ""
}

func (b *builder) splitSink() func(string) string {
	b.t.split = []Split{}
	rule := b.schema.Split
	return func(f string) (reason string) {
		side := Train
		switch {
		case f == "":
			reason = "split value is empty"
		case rule.Test != "":
			if f == rule.Test {
				side = Test
			}
		case !isDate(f):
			reason = fmt.Sprintf("%q is not a date YYYY-MM-DD", shorten(f))
		case f > rule.TrainUntil:
			side = Test
		}
		b.t.split = append(b.t.split, side)
		return reason
	}
}
