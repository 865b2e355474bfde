package feature

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
)

// MissingError names the columns of a schema that a table's header lacks.
type MissingError struct{ Columns []string }

func (e *MissingError) Error() string {
	return "header: no column " + strings.Join(e.Columns, ", ")
}

func newBuilder(s *Schema, lim Limits, header, keep []string) (*Builder, error) {
	place, err := checkHeader(header, lim)
	if err != nil {
		return nil, err
	}
	b := &Builder{schema: s, lim: lim, width: len(header), t: &Table{
		schema: s, scoring: lim.Scoring, numbers: map[string][]float32{}, texts: map[string]coded{},
	}}
	var missing []string
	bind := func(column string, optional bool, open func(in *Feed)) {
		i, ok := place[column]
		if ok {
			in := &Feed{b: b, column: column, place: i, order: len(b.feeds), longest: lim.Field}
			open(in)
			b.feeds = append(b.feeds, in)
		} else if !optional {
			missing = append(missing, column)
		}
	}
	for _, c := range s.Columns {
		switch {
		case !c.IsFeature() && c.Role != RoleGroup:
		case c.Type == TypeNumber:
			bind(c.Name, false, func(in *Feed) { b.bindNumber(in, c) })
		default:
			bind(c.Name, c.Role == RoleGroup && lim.Scoring, func(in *Feed) { b.bindCategory(in, c) })
		}
	}
	b.bindRoles(bind)
	for _, name := range keep {
		if _, ok := b.t.texts[name]; !ok {
			bind(name, false, b.bindText)
		}
	}
	if len(missing) > 0 {
		return nil, &MissingError{Columns: missing}
	}
	for i, name := range header {
		if !slices.ContainsFunc(b.feeds, func(in *Feed) bool { return in.place == i }) {
			b.t.unread = append(b.t.unread, strings.Clone(name))
		}
	}
	return b, nil
}

// bindRoles binds id, label and split. Rows to be scored need neither of the
// last two.
func (b *Builder) bindRoles(bind func(string, bool, func(*Feed))) {
	s := b.schema
	if s.ID != "" {
		bind(s.ID, false, b.bindID)
	}
	if s.Label.IsCount() {
		b.bindCount(bind)
	} else {
		bind(s.Label.Column, b.lim.Scoring, b.bindLabel)
	}
	if s.Split != nil {
		bind(s.Split.Column, b.lim.Scoring, b.bindSplit)
	}
}

func (b *Builder) bindNumber(in *Feed, c Column) {
	n := &numbers{low: -math.MaxFloat32, high: math.MaxFloat32}
	if c.Range != nil && !b.lim.Scoring {
		n.low, n.high, n.declared = float32(c.Range[0]), float32(c.Range[1]), c.Range
	}
	in.numbers = n
	in.add = n.text
	in.store = func() { b.t.numbers[c.Name] = n.values }
	in.reset = func() { n.values = n.values[:0] }
	in.grow = func(rows int) { n.values = slices.Grow(n.values, rows) }
}

// textColumn lets an input append codes of a dictionary.
func (b *Builder) textColumn(in *Feed, d *dictionary) *[]int32 {
	b.t.texts[in.column] = coded{} // claims the name
	codes := new([]int32)
	in.store = func() { b.t.texts[in.column] = coded{*codes, d.names} }
	in.reset = func() { *codes = (*codes)[:0] }
	in.grow = func(rows int) { *codes = slices.Grow(*codes, rows) }
	return codes
}

func (b *Builder) bindCategory(in *Feed, c Column) {
	if c.Type == TypeBoolean {
		b.bindBoolean(in)
		return
	}
	d := newDictionary(c.Values)
	codes := b.textColumn(in, d)
	listed := len(c.Values) > 0
	in.add = func(f []byte) (reason string) {
		code := Missing
		if len(f) > 0 {
			known, ok := d.codes[string(f)]
			switch {
			case ok:
				code = known
			case listed && !b.lim.Scoring:
				reason = fmt.Sprintf("%q is not one of the listed values", shorten(string(f)))
			default:
				code = d.code(f)
			}
		}
		*codes = append(*codes, code)
		return reason
	}
}

func (b *Builder) bindBoolean(in *Feed) {
	d := newDictionary([]string{"0", "1"})
	codes := b.textColumn(in, d)
	in.add = func(f []byte) (reason string) {
		code := Missing
		switch g := bytes.TrimSpace(f); {
		case len(g) == 0:
		case string(g) == "0" || bytes.EqualFold(g, []byte("false")):
			code = 0
		case string(g) == "1" || bytes.EqualFold(g, []byte("true")):
			code = 1
		default:
			reason = fmt.Sprintf("%q is none of 0, 1, true, false", shorten(string(f)))
		}
		*codes = append(*codes, code)
		return reason
	}
}

func (b *Builder) bindText(in *Feed) {
	d := newDictionary(nil)
	codes := b.textColumn(in, d)
	in.add = func(f []byte) string {
		code := Missing
		if len(f) > 0 {
			code = d.code(f)
		}
		*codes = append(*codes, code)
		return ""
	}
}

func (b *Builder) bindID(in *Feed) {
	ids := &identifiers{ends: []uint64{}}
	in.store = func() { b.t.ids = ids }
	in.reset = func() { ids.text, ids.ends = ids.text[:0], ids.ends[:0] }
	in.add = func(f []byte) string {
		ids.add(f)
		if len(f) == 0 {
			return "identifier is empty"
		}
		return ""
	}
}

func (b *Builder) bindLabel(in *Feed) {
	label := []int8{}
	in.store = func() { b.t.label = label }
	in.reset = func() { label = label[:0] }
	rule := b.schema.Label
	want, reason := parseNumber([]byte(rule.Positive))
	numeric := reason == ""
	in.add = func(f []byte) string {
		y, reason := Unlabelled, ""
		switch {
		case len(f) == 0:
			if rule.Empty != EmptySkip {
				reason = "label is empty; say empty: skip if such rows are to be left out"
			}
		case string(f) == rule.Positive:
			y = 1
		case numeric:
			y, reason = numericLabel(f, want)
		default:
			y = 0
		}
		label = append(label, y)
		if y == 0 && len(b.t.others) < 8 && !slices.Contains(b.t.others, string(f)) {
			b.t.others = append(b.t.others, string(f))
		}
		return reason
	}
}

// numericLabel compares as numbers, so that "1.0" is not taken for a negative.
// Where 1 is positive only 0 is negative: another number is a mistake.
func numericLabel(f []byte, want float32) (int8, string) {
	v, ok := decimal(f)
	reason := ""
	if !ok {
		v, reason = parseNumber(f)
	}
	switch {
	case reason != "":
		return Unlabelled, "label " + reason
	case isMissing(v):
		return Unlabelled, "label is blank"
	case v == want:
		return 1, ""
	case want == 1 && v != 0:
		return Unlabelled, fmt.Sprintf("label %s is neither 1 nor 0", shorten(string(f)))
	}
	return 0, ""
}

func (b *Builder) bindSplit(in *Feed) {
	split := []Split{}
	in.store = func() { b.t.split = split }
	in.reset = func() { split = split[:0] }
	rule := b.schema.Split
	in.add = func(f []byte) (reason string) {
		side := Train
		switch {
		case len(f) == 0:
			reason = "split value is empty"
		case rule.Test != "":
			if string(f) == rule.Test {
				side = Test
			}
		case !isDate(string(f)):
			reason = fmt.Sprintf("%q is not a date YYYY-MM-DD", shorten(string(f)))
		case string(f) > rule.TrainUntil:
			side = Test
			b.t.dated(f)
		default:
			b.t.dated(f)
		}
		split = append(split, side)
		return reason
	}
}
