package dataset

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/dataset/postgres"
)

// Report says what a table holds and what is wrong with it. Its counts are
// those of one Member State and are for its own operator only.
type Report struct {
	File    string               `json:"file"`
	Schema  string               `json:"schema"`
	Rows    int                  `json:"rows"`
	Label   LabelReport          `json:"label"`
	Train   Side                 `json:"train"`
	Test    Side                 `json:"test"`
	Columns []ColumnReport       `json:"columns"`
	Groups  []GroupReport        `json:"groups"`
	Ignored []Ignored            `json:"ignored"`
	Notes   []string             `json:"notes"`             // worth a look, not wrong
	Wrong   []string             `json:"wrong"`             // wrong with the table as a whole
	Errors  []feature.FieldError `json:"errors"`            // wrong fields, by line and column, the first 100
	More    int                  `json:"more,omitempty"`    // wrong fields beyond those
	Stopped bool                 `json:"stopped,omitempty"` // reading stopped at the last wrong field
	ToDo    []Problem            `json:"to_do"`             // what is wrong or odd by column, and what to do
	Drift   *Drift               `json:"drift,omitempty"`   // against the rows of the last run, if those are known
	unread  map[string]int       // wrong fields by column
}

// OK reports whether the table may be used.
func (r *Report) OK() bool { return len(r.Wrong) == 0 && len(r.Errors) == 0 }

// LabelReport counts the labels. Rate is positives over labelled rows, 0 if
// there are none.
type LabelReport struct {
	Column    string   `json:"column"`
	Positive  string   `json:"positive"`
	Positives int      `json:"positives"`
	Negatives int      `json:"negatives"`
	Empty     int      `json:"empty"` // neither trained on nor tallied
	Rate      float64  `json:"rate"`
	Others    []string `json:"others"` // texts read as negative, at most 8
	// Count describes a label that counts; positives are then rows above zero.
	Count *CountReport `json:"count,omitempty"`
}

// Side counts the labelled rows of one side of the split.
type Side struct {
	Rows      int `json:"rows"`
	Positives int `json:"positives"`
}

// ColumnReport describes a feature or group column.
type ColumnReport struct {
	Column       string       `json:"column"`
	Type         feature.Type `json:"type"`
	Role         feature.Role `json:"role"`
	Missing      int          `json:"missing"`
	MissingShare float64      `json:"missing_share"`
	Min          *float32     `json:"min,omitempty"` // numbers
	Mean         *float64     `json:"mean,omitempty"`
	Max          *float32     `json:"max,omitempty"`
	Distinct     int          `json:"distinct,omitempty"` // categories
	Top          []ValueCount `json:"top,omitempty"`      // the most frequent, at most 5
}

// ValueCount is a value and the rows that hold it.
type ValueCount struct {
	Value string `json:"value"`
	Rows  int    `json:"rows"`
}

// GroupReport counts the rows of each value of a group column.
type GroupReport struct {
	Column string       `json:"column"`
	Values []GroupValue `json:"values"`
}

// GroupValue counts one group.
type GroupValue struct {
	Value     string `json:"value"`
	Rows      int    `json:"rows"`
	Labelled  int    `json:"labelled"`
	Positives int    `json:"positives"`
}

// Ignored is a column that is in the file and is not read.
type Ignored struct {
	Column string `json:"column"`
	Why    string `json:"why"`
}

// Check reads a table and reports on it. Denied are columns that a declaration
// forbids as features. An error means that there is nothing to report on: the
// file cannot be read, or its header does not fit the schema.
func Check(path string, s *feature.Schema, o Options, denied ...string) (*Report, error) {
	t, err := OpenWith(path, s, o.forReport(s))
	return newReport(path, t, err, s, o, denied)
}

// CheckSQL is Check of a table of a PostgreSQL server.
func CheckSQL(ctx context.Context, c postgres.Config, s *feature.Schema, o Options, denied ...string) (*Report, error) {
	t, _, err := OpenSQL(ctx, c, s, o.forReport(s))
	return newReport(nameSQL(c), t, err, s, o, denied)
}

// How many wrong fields are counted, and how many are listed.
const (
	countedErrors = 100_000
	listedErrors  = 100
)

func (o Options) forReport(s *feature.Schema) Options {
	o.Limits.Scoring = false // a report needs the label
	if o.Limits.Errors == 0 {
		o.Limits.Errors = countedErrors
	}
	if s.Label.IsCount() && s.Split != nil && s.Split.TrainUntil != "" {
		o.Keep = append(slices.Clone(o.Keep), s.Split.Column)
	}
	return o
}

func newReport(name string, t *feature.Table, err error, s *feature.Schema, o Options, denied []string) (*Report, error) {
	var wrong *feature.DataError
	if err != nil && !errors.As(err, &wrong) {
		return nil, err
	}
	r := &Report{File: name, Schema: s.Name, Rows: t.Rows()}
	if wrong != nil {
		r.Errors, r.Stopped = wrong.Errors, wrong.Stopped
		r.wrongFields(s)
	}
	r.label(t)
	r.Train.Rows, r.Train.Positives = t.Count(feature.SelectTrain)
	r.Test.Rows, r.Test.Positives = t.Count(feature.SelectTest)
	for _, c := range s.Columns {
		if c.IsFeature() || c.Role == feature.RoleGroup {
			r.column(t, c)
		}
		if c.IsFeature() && slices.Contains(denied, c.Name) {
			r.wrong("column %s is denied by the declaration and may not be a feature", c.Name)
		}
	}
	r.dates(t, o.today())
	r.ignored(t)
	r.identifiers(t)
	r.sides(s)
	if o.Last != nil {
		r.Drift = o.Last.Compare(t)
	}
	return r, nil
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *Report) wrong(format string, args ...any) {
	r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
}

func (r *Report) label(t *feature.Table) {
	l := t.Schema().Label
	r.Label = LabelReport{Column: l.Column, Positive: l.Positive, Others: t.NegativeLabels()}
	r.count(t)
	for _, y := range t.Label() {
		switch y {
		case 1:
			r.Label.Positives++
		case 0:
			r.Label.Negatives++
		default:
			r.Label.Empty++
		}
	}
	if n := r.Label.Positives + r.Label.Negatives; n > 0 {
		r.Label.Rate = float64(r.Label.Positives) / float64(n)
	}
	if len(r.Label.Others) > 1 {
		r.note("label %s: %d texts other than %q count as negative: %q", l.Column, len(r.Label.Others), l.Positive, r.Label.Others)
	}
}

// sides judges whether there is something to train on and to test.
func (r *Report) sides(s *feature.Schema) {
	n := r.Train.Rows
	if n == 0 {
		r.wrong("no labelled training row")
	} else if r.Label.Count != nil {
		if r.Train.Positives == 0 {
			r.note("every count of the %d training rows is zero: this node's own model has no figures", n)
		}
	} else if r.Train.Positives == 0 || r.Train.Positives == n {
		r.note("all %d labelled training rows have the same label: this node's own model has no figures", n)
	}
	if n > 0 && n < feature.Floor {
		r.note("only %d labelled training rows: a plan may ask for more (min_rows), and the whole cohort needs %d at least", n, feature.Floor)
	}
	if s.Split != nil && r.Test.Rows == 0 {
		r.note("no labelled test row: the node takes part in training only")
	}
}

func (r *Report) column(t *feature.Table, c feature.Column) {
	out := ColumnReport{Column: c.Name, Type: c.Type, Role: c.Role}
	if c.Type == feature.TypeNumber {
		out.number(t.Number(c.Name))
	} else {
		r.category(t, c, &out)
	}
	out.Missing -= r.unread[c.Name] // wrong fields are read as missing
	if t.Rows() > 0 {
		out.MissingShare = float64(out.Missing) / float64(t.Rows())
	}
	switch {
	case out.Missing == t.Rows():
		r.note("column %s is empty in every row", c.Name)
		r.problem(Problem{Column: c.Name, Kind: AllMissing})
	case out.Min != nil && *out.Min == *out.Max, c.Type != feature.TypeNumber && out.Distinct == 1:
		r.note("column %s holds one value only", c.Name)
	case out.MissingShare > .95:
		r.note("column %s is empty in %.1f %% of rows", c.Name, 100*out.MissingShare)
	}
	r.Columns = append(r.Columns, out)
}

func (c *ColumnReport) number(values []float32) {
	var lo, hi float32
	var sum float64
	n := 0
	for _, v := range values {
		if v != v { // NaN: missing
			c.Missing++
			continue
		}
		if n == 0 {
			lo, hi = v, v
		}
		lo, hi = min(lo, v), max(hi, v)
		sum += float64(v)
		n++
	}
	if n > 0 {
		mean := sum / float64(n)
		c.Min, c.Mean, c.Max = &lo, &mean, &hi
	}
}

func (r *Report) category(t *feature.Table, c feature.Column, out *ColumnReport) {
	codes, names := t.Category(c.Name)
	counts := make([]GroupValue, len(names))
	for i, code := range codes {
		if code == feature.Missing {
			out.Missing++
			continue
		}
		v := &counts[code]
		v.Value = names[code]
		v.Rows++
		switch t.Label()[i] {
		case 1:
			v.Positives++
			v.Labelled++
		case 0:
			v.Labelled++
		}
	}
	counts = slices.DeleteFunc(counts, func(v GroupValue) bool { return v.Rows == 0 })
	out.Distinct = len(counts)
	long := 0
	for _, v := range counts {
		if len(v.Value) > feature.MaxValueBytes {
			long++
		}
	}
	if long > 0 {
		r.note("column %s: %d values are longer than %d bytes and count as unknown", c.Name, long, feature.MaxValueBytes)
	}
	if len(c.Values) == 0 && out.Distinct > feature.MaxValues {
		r.note("column %s holds %d values: at most %d are learnt, each in %d rows of the whole cohort at least; the rest count as unknown", c.Name, out.Distinct, feature.MaxValues, feature.Floor)
	}
	if c.Role == feature.RoleGroup {
		group := slices.Clone(counts)
		slices.SortFunc(group, func(a, b GroupValue) int { return cmp.Compare(a.Value, b.Value) })
		r.Groups = append(r.Groups, GroupReport{c.Name, group})
	}
	slices.SortStableFunc(counts, func(a, b GroupValue) int { return b.Rows - a.Rows })
	for _, v := range counts[:min(5, len(counts))] {
		out.Top = append(out.Top, ValueCount{v.Value, v.Rows})
	}
}

// ignored lists the columns of the file that nothing reads.
func (r *Report) ignored(t *feature.Table) {
	for _, name := range t.Unread() {
		why := "not in the schema"
		if c, ok := t.Schema().Column(name); ok {
			why = "role ignore"
			if c.Why != "" {
				why += ": " + c.Why
			}
		}
		r.Ignored = append(r.Ignored, Ignored{name, why})
	}
}

// identifiers refuses a row counted twice.
func (r *Report) identifiers(t *feature.Table) {
	if t.Schema().ID == "" {
		return
	}
	order := t.Select(feature.SelectAll)
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(bytes.Compare(t.IDBytes(int(a)), t.IDBytes(int(b))), cmp.Compare(a, b))
	})
	twice := 0
	for i := 1; i < len(order); i++ {
		a, b := int(order[i-1]), int(order[i])
		if len(t.IDBytes(a)) == 0 || !bytes.Equal(t.IDBytes(a), t.IDBytes(b)) {
			continue
		}
		if twice++; twice <= 5 {
			r.wrong("column %s: rows %d and %d have the same identifier %q", t.Schema().ID, a+1, b+1, t.ID(a))
		}
	}
	if twice > 5 {
		r.wrong("column %s: %d more repeated identifiers", t.Schema().ID, twice-5)
	}
}
