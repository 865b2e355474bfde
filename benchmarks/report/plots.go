package report

import (
	"fmt"
	"html/template"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// cumulative is a place on the ROC and precision–recall curves: rows in a band
// or above it.
type cumulative struct{ low, found, other float64 }

// falling sums the bands from the highest score down.
func (r *Report) falling() []cumulative {
	var out []cumulative
	var c cumulative
	for i := len(r.Bands) - 1; i >= 0; i-- {
		b := r.Bands[i]
		c.low, c.found, c.other = b.Low, c.found+float64(b.Found), c.other+float64(b.Rows-b.Found)
		out = append(out, c)
	}
	return out
}

func whole(x float64) string { return percent(x) }

func (r *Report) plotROC() template.HTML {
	a := newAxes(linear(0, 1, whole), linear(0, 1, whole), "false alarms: share of the others flagged", "share of those found that is flagged")
	a.line("chance", a.x(0), a.y(0), a.x(1), a.y(1))
	points := [][2]float64{{a.x(0), a.y(0)}}
	for _, c := range r.falling() {
		points = append(points, [2]float64{a.x(c.other / float64(r.Rows-r.Found)), a.y(c.found / float64(r.Found))})
	}
	a.path("curve", points)
	title := "Receiver operating characteristic"
	if e := r.Overall.AUROC; e != nil {
		title += fmt.Sprintf(", area %s %s", decimals(e.Value, 3), interval(e, 3))
	}
	if o := r.Operating; o != nil && o.TPR != nil && o.FPR != nil {
		x := a.x(o.FPR.Value)
		a.line("whisker", x, a.y(o.TPR.Low), x, a.y(o.TPR.High))
		a.dot("mark", x, a.y(o.TPR.Value), 4.5)
		a.text("note", "start", x+9, a.y(o.TPR.Value)+13, "operating point")
		title += fmt.Sprintf("; at %s false alarms %s of those found are flagged", percent(o.FPR.Value), percent(o.TPR.Value))
	}
	return a.done(title)
}

func (r *Report) plotPrecision() template.HTML {
	most := float64(r.Found) / float64(r.Rows)
	for _, c := range r.falling() {
		most = max(most, c.found/(c.found+c.other))
	}
	if o := r.Operating; o != nil && o.PPV != nil {
		most = max(most, o.PPV.High)
	}
	a := newAxes(linear(0, 1, whole), linear(0, min(niceHigh(most*1.05), 1), whole), "share of those found that is flagged", "share found among the flagged")
	base := float64(r.Found) / float64(r.Rows)
	a.line("chance", a.x(0), a.y(base), a.x(1), a.y(base))
	var points [][2]float64
	for _, c := range r.falling() {
		points = append(points, [2]float64{a.x(c.found / float64(r.Found)), a.y(c.found / (c.found + c.other))})
	}
	a.path("curve", points)
	title := fmt.Sprintf("Precision against recall; average precision %s, at random %s", optional(r.Overall.AUPRC, 3), percent(base))
	if o := r.Operating; o != nil && o.TPR != nil && o.PPV != nil {
		x := a.x(o.TPR.Value)
		a.line("whisker", x, a.y(o.PPV.Low), x, a.y(o.PPV.High))
		a.dot("mark", x, a.y(o.PPV.Value), 4.5)
		a.text("note", "start", x+9, a.y(o.PPV.High)+3, "operating point")
		title += fmt.Sprintf("; at the operating point %s of the flagged are found", percent(o.PPV.Value))
	}
	a.text("note", "start", a.left+5, a.y(base)-5, "at random")
	return a.done(title)
}

func (r *Report) plotCalibration() template.HTML {
	low, high := 1.0, 0.0
	for _, b := range r.Bands {
		rate := metrics.Wilson(float64(b.Found), float64(b.Rows))
		low, high = min(low, b.Mean, rate.Low), max(high, b.Mean, rate.High)
	}
	s := odds(max(low*.8, 1e-5), min(high*1.1, 1-1e-5))
	a := newAxes(s, s, "score (mean of the band)", "share found, with interval")
	a.line("chance", a.x(s.low), a.y(s.low), a.x(s.high), a.y(s.high))
	for _, b := range r.Bands {
		rate := metrics.Wilson(float64(b.Found), float64(b.Rows))
		a.line("whisker", a.x(b.Mean), a.y(rate.Low), a.x(b.Mean), a.y(rate.High))
		a.dot("mark", a.x(b.Mean), a.y(rate.Value), 3.2)
	}
	title := fmt.Sprintf("Calibration in %d bands of the score, on a log-odds scale; calibration error %s", len(r.Bands), optional(r.Overall.ECE, 4))
	if e := r.Overall.OverExpected; e != nil {
		title += fmt.Sprintf(", found over expected %s %s", decimals(e.Value, 2), interval(e, 2))
	}
	return a.done(title)
}

func (r *Report) plotScores() template.HTML {
	bands := r.falling()
	lowest, highest := r.Bands[0], r.Bands[len(r.Bands)-1]
	s := odds(max(lowest.Mean*.7, 1e-5), max(min(highest.Mean*1.15, 1-1e-5), highest.Low))
	a := newAxes(s, linear(0, 1, whole), "score", "share at or above the score")
	var found, other [][2]float64
	found = append(found, [2]float64{a.x(s.high), a.y(0)})
	other = append(other, [2]float64{a.x(s.high), a.y(0)})
	for _, c := range bands {
		found = append(found, [2]float64{a.x(c.low), a.y(c.found / float64(r.Found))})
		other = append(other, [2]float64{a.x(c.low), a.y(c.other / float64(r.Rows-r.Found))})
	}
	title := "Share of cases at or above each score, found and not found"
	if o := r.Operating; o != nil && o.Threshold > s.low && o.Threshold < s.high {
		a.line("cut", a.x(o.Threshold), a.top, a.x(o.Threshold), a.bottom)
		a.text("note", "start", a.x(o.Threshold)+5, a.top+11, "threshold "+percent(o.Threshold))
		title += "; operating threshold " + percent(o.Threshold)
	}
	a.path("curve second", other)
	a.path("curve", found)
	first75, last25 := reaching(found, a.y(.75)), reaching(other, a.y(.25))
	a.text("note first-ink", "start", min(first75[0]+9, a.right-40), first75[1]+2, "found")
	a.text("note second-ink", "end", max(last25[0]-9, a.left+62), last25[1]+8, "not found")
	return a.done(title)
}

// reaching is the first point of a rising line at or above a height.
func reaching(points [][2]float64, y float64) [2]float64 {
	for _, p := range points {
		if p[1] <= y {
			return p
		}
	}
	return points[len(points)-1]
}
