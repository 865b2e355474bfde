package report

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

const (
	forestWidth = 310
	forestRow   = 24
)

// forest draws one figure of every group with its interval and a reference.
type forest struct {
	title     string
	column    Column
	of        func(Group) *metrics.Estimate
	reference float64
	label     func(float64) string
	refName   string
}

func (f forest) draw() template.HTML {
	high := f.reference
	drawn := 0
	for _, g := range f.column.Groups {
		if e := f.of(g); e != nil {
			high = max(high, e.High)
			drawn++
		}
	}
	if drawn == 0 {
		return ""
	}
	n := float64(len(f.column.Groups))
	d := newDrawing(forestWidth, n*forestRow+46)
	left, right, top, bottom := 96.0, float64(forestWidth-56), 20.0, 20+n*forestRow
	s := linear(0, niceHigh(high), f.label)
	x := func(v float64) float64 { return left + s.place(v)*(right-left) }
	for _, t := range s.ticks {
		d.line("grid", x(t.at), top, x(t.at), bottom)
		d.text("tick", "middle", x(t.at), bottom+16, t.label)
	}
	d.line("cut", x(f.reference), top-4, x(f.reference), bottom)
	d.text("note", "middle", min(max(x(f.reference), left+24), right-24), top-8, f.refName)
	parts := make([]string, 0, len(f.column.Groups))
	for i, g := range f.column.Groups {
		y := top + (float64(i)+.5)*forestRow
		d.text("group", "end", left-10, y+4, shorten(g.Value, 13))
		e := f.of(g)
		if e == nil {
			d.text("note", "start", left+6, y+4, "not shown")
			parts = append(parts, g.Value+" not shown")
			continue
		}
		d.line("whisker", x(e.Low), y, x(e.High), y)
		d.dot("mark", x(e.Value), y, 4)
		d.text("group", "start", right+10, y+4, f.label(e.Value))
		parts = append(parts, fmt.Sprintf("%s %s", g.Value, f.label(e.Value)))
	}
	return d.done(f.title + " by " + spaced(f.column.Name) + ": " + strings.Join(parts, ", "))
}

func shorten(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}

// forests are the group plots that have anything to show.
func (r *Report) forests(c Column) []figure {
	var out []figure
	add := func(f forest, note string) {
		f.column = c
		if drawn := f.draw(); drawn != "" {
			out = append(out, figure{f.title, note, drawn})
		}
	}
	if r.Operating != nil && r.Operating.FPR != nil {
		add(forest{
			title: "False alarms", of: func(g Group) *metrics.Estimate { return g.FPR },
			reference: r.Operating.FPR.Value, refName: "all " + percent(r.Operating.FPR.Value), label: percent,
		}, "Share of the cases not found that is flagged all the same, at the operating point.")
	}
	if r.Operating != nil && r.Operating.TPR != nil {
		add(forest{
			title: "Share found", of: func(g Group) *metrics.Estimate { return g.TPR },
			reference: r.Operating.TPR.Value, refName: "all " + percent(r.Operating.TPR.Value), label: percent,
		}, "Share of the cases found that is flagged, at the operating point.")
	}
	add(forest{
		title: "Found over expected", of: func(g Group) *metrics.Estimate { return g.OverExpected },
		reference: 1, refName: "as expected", label: func(x float64) string { return strings.TrimSuffix(strings.TrimRight(decimals(x, 2), "0"), ".") },
	}, "Cases found ÷ the sum of the scores. Below 1 the score is too high for the group, above 1 too low; or its labels are not what they seem.")
	return out
}
