package dataset

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/models/feature"
)

// Kind says in what way the values of a column do not fit, or are odd.
type Kind string

// The kinds of problems.
const (
	OutOfRange   Kind = "out_of_range"    // numbers outside the declared range
	Unlisted     Kind = "unlisted"        // categories that the schema does not list
	NoNumber     Kind = "no_number"       // text in a number column, or a number too large
	NoBoolean    Kind = "no_boolean"      // neither 0 nor 1 nor true nor false
	NoDate       Kind = "no_date"         // no day of the calendar, or a year of other than four digits
	DateAhead    Kind = "date_ahead"      // a date after today
	DateLongPast Kind = "date_long_past"  // a date before 1900
	NoLabel      Kind = "no_label"        // the label is empty, or not as declared
	NoIdentifier Kind = "no_identifier"   // the identifier is empty
	AllMissing   Kind = "all_missing"     // no row holds a value
	Malformed    Kind = "malformed_field" // not UTF-8, too long, a wrong number of fields
)

// Problem is what is wrong or odd in one column, in all its rows together.
type Problem struct {
	Column string  `json:"column,omitempty"` // empty: of whole rows
	Kind   Kind    `json:"kind"`
	Rows   int     `json:"rows,omitempty"`  // 0: not counted
	Share  float64 `json:"share,omitempty"` // of the rows that were read
	What   string  `json:"what"`
	Advice string  `json:"advice"`
}

// String is one line.
func (p Problem) String() string {
	where := "rows"
	if p.Column != "" {
		where = "column " + p.Column
	}
	if p.Rows == 0 {
		return where + ": " + p.What
	}
	return fmt.Sprintf("%s: %d %s (%s of rows)", where, p.Rows, p.What, percent(p.Share))
}

// advice is what a problem is, and what to do about it.
var advice = map[Kind]struct{ what, do string }{
	OutOfRange:   {"numbers are outside the declared range", "look at the unit and at sentinels such as 999 for unknown, which must be left empty; if the values are right, the schema's range is wrong: tell the plan's authors"},
	Unlisted:     {"values are not among those that the schema lists", "map this authority's codes to the listed ones; if a value is missing in the list, tell the plan's authors"},
	NoNumber:     {"values are not numbers", "write numbers with a point and without units or thousands separators, and leave missing ones empty"},
	NoBoolean:    {"values are neither 0, 1, true nor false", "map them, and leave missing ones empty"},
	NoDate:       {"values are not dates YYYY-MM-DD", "mend impossible days, and leave out rows with placeholders such as infinity: without a date it is not known on which side of the split they belong"},
	DateAhead:    {"dates after today", "correct the year at the source: rows dated ahead are test rows and spoil the figures"},
	DateLongPast: {"dates before 1900", "correct the year at the source: placeholders such as 0001-01-01 make training rows of cases whose date is not known"},
	NoLabel:      {"labels are empty or not as the schema declares", "write the declared texts; a case without a decision has an empty label, which the schema must allow (empty: skip)"},
	NoIdentifier: {"identifiers are empty", "give every row its identifier, or ask the plan's authors for a schema without id"},
	AllMissing:   {"no row holds a value", "look at the export or the query for a name or a join that went wrong; if this authority does not record it, tell the plan's authors before the plan is signed"},
	Malformed:    {"fields or rows are malformed", "export the table again, in UTF-8, quoted as RFC 4180 says"},
}

func (r *Report) problem(p Problem) {
	a := advice[p.Kind]
	if p.What == "" {
		p.What = a.what
	}
	p.Advice = a.do
	if r.Rows > 0 {
		p.Share = float64(p.Rows) / float64(r.Rows)
	}
	r.ToDo = append(r.ToDo, p)
}

// wrongFields counts wrong fields by column and kind, and leaves the first in
// the list.
func (r *Report) wrongFields(s *feature.Schema) {
	r.unread = map[string]int{}
	type place struct {
		column string
		kind   Kind
	}
	counts := map[place]int{}
	for _, e := range r.Errors {
		counts[place{e.Column, kindOf(s, e)}]++
		r.unread[e.Column]++
	}
	for p, n := range counts {
		r.problem(Problem{Column: p.column, Kind: p.kind, Rows: n})
	}
	slices.SortFunc(r.ToDo, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Kind, b.Kind))
	})
	if more := len(r.Errors) - listedErrors; more > 0 {
		r.Errors, r.More = r.Errors[:listedErrors], more
	}
}

// kindOf tells the kind of a wrong field by its column's role and type, and by
// the words of package feature where one column can be wrong in two ways.
func kindOf(s *feature.Schema, e feature.FieldError) Kind {
	c, _ := s.Column(e.Column)
	switch {
	case e.Column == "", strings.Contains(e.Reason, "UTF-8"), strings.HasPrefix(e.Reason, "field has"):
		return Malformed
	case e.Column == s.Label.Column:
		return NoLabel
	case e.Column == s.ID:
		return NoIdentifier
	case s.Split != nil && e.Column == s.Split.Column:
		return NoDate
	case strings.Contains(e.Reason, "outside the range"):
		return OutOfRange
	case c.Type == feature.TypeNumber:
		return NoNumber
	case c.Type == feature.TypeBoolean:
		return NoBoolean
	}
	return Unlisted
}

func (o Options) today() string {
	if o.Today != "" {
		return o.Today
	}
	return time.Now().UTC().Format(time.DateOnly)
}

// dates looks for days that no case can have.
func (r *Report) dates(t *feature.Table, today string) {
	split := t.Schema().Split
	if split == nil {
		return
	}
	first, last := t.Dates()
	if last > today {
		r.problem(Problem{Column: split.Column, Kind: DateAhead, What: fmt.Sprintf("dates after today, the last %s", last)})
	}
	if first != "" && first < "1900" {
		r.problem(Problem{Column: split.Column, Kind: DateLongPast, What: fmt.Sprintf("dates before 1900, the first %s", first)})
	}
}
