package report

import (
	"fmt"
	"strings"
)

// Markdown is the report for readers of text: the same sections as the page,
// without the plots.
func (r *Report) Markdown() []byte {
	var m markdown
	m.heading(1, r.Plan.Name+": evaluation report")
	m.para("**" + string(r.Verdict) + "**. " + md(r.headline()))
	m.para(fmt.Sprintf("Measured on %s, summed under masks over %d members. No figure of a single member is in this report.", r.measured(), len(r.Plan.Members)))
	m.heading(2, "Gates")
	m.table("gate | must hold | least evidence | figure | outcome | reason", func(row func(...string)) {
		for _, g := range r.gateRows() {
			reason := g.Reason
			if g.NotJudged != "" {
				reason += ". Not judged: " + g.NotJudged
			}
			row(g.Name, g.Limit, g.Evidence, g.Figure.String(), g.Outcome, reason)
		}
	})
	if r.Forecasts != nil {
		m.forecasts(r.Forecasts)
	} else {
		m.model(r)
	}
	m.heading(2, "What is not shown, and why")
	m.list(r.Suppressed)
	m.heading(2, "Limits")
	m.list(r.Limits)
	m.heading(2, "Record")
	var record []string
	for _, f := range r.facts() {
		record = append(record, f[0]+": "+f[1])
	}
	m.list(append(record, r.roundWords()...))
	return []byte(m.b.String())
}

// measured says what the figures are from.
func (r *Report) measured() string {
	if r.Forecasts != nil {
		return count(r.Rows) + " rows, " + count(r.Forecasts.Observed) + " cases"
	}
	return count(r.Rows) + " rows, " + count(r.Found) + " found"
}

// model writes the sections of the model and its groups.
func (m *markdown) model(r *Report) {
	m.heading(2, "The model")
	m.para(md(r.operatingSentence()))
	m.table("figure | value", func(row func(...string)) {
		for _, f := range r.overallRows() {
			row(f[0].Value, f[1].String())
		}
	})
	m.para(md(r.gainSentence()))
	for _, c := range r.Columns {
		m.column(r, c)
	}
}

func (m *markdown) column(r *Report, c Column) {
	m.heading(2, "Groups: "+spaced(c.Name))
	v := r.columnView(c)
	m.table("group | rows | found | flagged | FPR | TPR | PPV | AUROC | found ÷ expected | ECE", func(row func(...string)) {
		for _, g := range v.Groups {
			name := g.Value
			if g.Note != "" {
				name += " (" + g.Note + ")"
			}
			cells := []string{name, g.Rows, g.Found}
			for _, e := range g.Cells {
				cells = append(cells, e.String())
			}
			row(cells...)
		}
	})
	m.table("largest gap | difference | ratio | between | not judged", func(row func(...string)) {
		for _, g := range v.Gaps {
			row(g.Name, g.Difference.String(), g.Ratio, g.Pair, g.NotJudged)
		}
	})
}

func (c cell) String() string { return strings.TrimSpace(c.Value + " " + c.Range) }

type markdown struct{ b strings.Builder }

func (m *markdown) heading(level int, s string) {
	fmt.Fprintf(&m.b, "%s %s\n\n", strings.Repeat("#", level), md(s))
}

func (m *markdown) para(s string) {
	if s != "" {
		m.b.WriteString(s + "\n\n")
	}
}

func (m *markdown) list(items []string) {
	if len(items) == 0 {
		items = []string{"nothing"}
	}
	for _, s := range items {
		m.b.WriteString("- " + md(s) + "\n")
	}
	m.b.WriteString("\n")
}

// table writes nothing when fill adds no row.
func (m *markdown) table(header string, fill func(row func(cells ...string))) {
	rows := 0
	fill(func(cells ...string) {
		if rows == 0 {
			m.b.WriteString("| " + header + " |\n|" + strings.Repeat(" --- |", strings.Count(header, "|")+1) + "\n")
		}
		rows++
		for _, c := range cells {
			m.b.WriteString("| " + md(c) + " ")
		}
		m.b.WriteString("|\n")
	})
	if rows > 0 {
		m.b.WriteString("\n")
	}
}

var mdEscapes = strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "&lt;", ">", "&gt;", "&", "&amp;", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[", "]", "\\]", "\n", " ", "\r", " ")

// md makes text from outside mean itself in Markdown.
func md(s string) string { return mdEscapes.Replace(s) }
