package dataset

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/koinon-eu/koinon/models/feature"
)

// WriteJSON writes the report as indented JSON; lists are never null.
func (r *Report) WriteJSON(w io.Writer) error {
	c := *r
	c.Columns, c.Groups, c.Ignored = filled(c.Columns), filled(c.Groups), filled(c.Ignored)
	c.Notes, c.Wrong, c.Errors = filled(c.Notes), filled(c.Wrong), filled(c.Errors)
	c.ToDo = filled(c.ToDo)
	c.Label.Others = filled(c.Label.Others)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(&c)
}

func filled[T any](v []T) []T {
	if v == nil {
		return []T{}
	}
	return v
}

// WriteText writes the report for a terminal.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d rows under schema %s\n", r.File, r.Rows, r.Schema)
	l := r.Label
	if l.Count != nil {
		b.WriteString(l.Count.text(l))
	} else {
		fmt.Fprintf(&b, "label %s: %d positive, %d negative, %d empty; rate %s\n", l.Column, l.Positives, l.Negatives, l.Empty, percent(l.Rate))
	}
	fmt.Fprintf(&b, "split: %d rows train (%d %s), %d rows test (%d %s)\n\n",
		r.Train.Rows, r.Train.Positives, r.positive(), r.Test.Rows, r.Test.Positives, r.positive())
	r.columnsText(&b)
	r.groupsText(&b)
	if len(r.Ignored) > 0 {
		b.WriteString("\nnot read\n")
		for _, i := range r.Ignored {
			fmt.Fprintf(&b, "  %s (%s)\n", i.Column, i.Why)
		}
	}
	r.Drift.text(&b)
	list(&b, "\nnotes\n", r.Notes)
	var errs []string
	for _, e := range r.Errors {
		errs = append(errs, e.Error())
	}
	if r.More > 0 {
		errs = append(errs, fmt.Sprintf("%d more wrong fields", r.More))
	}
	if r.Stopped {
		errs = append(errs, "reading stopped here; the figures above cover what was read")
	}
	list(&b, "\nerrors\n", append(errs, r.Wrong...))
	var todo []string
	for _, p := range r.ToDo {
		todo = append(todo, p.String(), "  "+p.Advice)
	}
	list(&b, "\nwhat to do\n", todo)
	if r.OK() {
		b.WriteString("\nno errors\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) columnsText(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "column\trole\ttype\tmissing\tvalues")
	for _, c := range r.Columns {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", c.Column, c.Role, c.Type, percent(c.MissingShare), c.summary())
	}
	_ = t.Flush() // a strings.Builder takes everything
}

// summary is the range of a number or the common values of a category.
func (c ColumnReport) summary() string {
	switch {
	case c.Min != nil:
		return fmt.Sprintf("%s to %s, mean %s", short(float64(*c.Min)), short(float64(*c.Max)), short(*c.Mean))
	case c.Type == feature.TypeNumber:
		return "none"
	}
	var top []string
	for _, v := range c.Top {
		top = append(top, fmt.Sprintf("%s %d", v.Value, v.Rows))
	}
	s := strings.Join(top, ", ")
	if more := c.Distinct - len(c.Top); more > 0 {
		s += fmt.Sprintf(", %d more", more)
	}
	return s
}

// positive is the word for rows with a label of 1.
func (r *Report) positive() string {
	if r.Label.Count != nil {
		return "above zero"
	}
	return "positive"
}

func (r *Report) groupsText(b *strings.Builder) {
	for _, g := range r.Groups {
		t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(t, "\n%s\trows\tlabelled\t%s\trate\t\n", g.Column, r.positive())
		for _, v := range g.Values {
			rate := "–"
			if v.Labelled > 0 {
				rate = percent(float64(v.Positives) / float64(v.Labelled))
			}
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t\n", v.Value, v.Rows, v.Labelled, v.Positives, rate)
		}
		_ = t.Flush()
	}
}

func list(b *strings.Builder, title string, items []string) {
	if len(items) == 0 {
		return
	}
	b.WriteString(title)
	for _, s := range items {
		b.WriteString("  " + s + "\n")
	}
}

func percent(x float64) string { return strconv.FormatFloat(100*x, 'f', 2, 64) + " %" }

func short(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }
