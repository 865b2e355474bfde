package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// drawing collects SVG elements. Text is escaped, numbers are rounded to a
// tenth of a unit, colours come from classes in style.css.
type drawing struct {
	b             strings.Builder
	width, height float64
}

func newDrawing(width, height float64) *drawing { return &drawing{width: width, height: height} }

func (d *drawing) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&d.b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

func (d *drawing) dot(class string, x, y, r float64) {
	fmt.Fprintf(&d.b, `<circle class="%s" cx="%.1f" cy="%.1f" r="%.1f"/>`, class, x, y, r)
}

func (d *drawing) path(class string, points [][2]float64) {
	if len(points) == 0 {
		return
	}
	fmt.Fprintf(&d.b, `<path class="%s" d="`, class)
	for i, p := range points {
		op := "L"
		if i == 0 {
			op = "M"
		}
		fmt.Fprintf(&d.b, "%s%.1f %.1f", op, p[0], p[1])
	}
	d.b.WriteString(`"/>`)
}

// text anchors at start, middle or end.
func (d *drawing) text(class, anchor string, x, y float64, s string) {
	fmt.Fprintf(&d.b, `<text class="%s" text-anchor="%s" x="%.1f" y="%.1f">%s</text>`, class, anchor, x, y, html.EscapeString(s))
}

func (d *drawing) sideways(x, y float64, s string) {
	fmt.Fprintf(&d.b, `<text class="name" text-anchor="middle" transform="translate(%.1f %.1f) rotate(-90)">%s</text>`, x, y, html.EscapeString(s))
}

// done wraps the elements; title is what a screen reader says.
func (d *drawing) done(title string) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">%s</svg>`, d.width, d.height, html.EscapeString(title), d.b.String())) //nolint:gosec // every text was escaped
}

// axes is a plotting area: x and y place values on it.
type axes struct {
	*drawing
	left, right, top, bottom float64
	x, y                     func(float64) float64
}

const (
	plotWidth  = 380
	plotHeight = 300
)

// tick is a labelled place on an axis.
type tick struct {
	at    float64
	label string
}

func newAxes(x, y scale, xName, yName string) *axes {
	a := &axes{drawing: newDrawing(plotWidth, plotHeight), left: 60, right: plotWidth - 20, top: 10, bottom: plotHeight - 44}
	a.x = func(v float64) float64 { return a.left + x.place(v)*(a.right-a.left) }
	a.y = func(v float64) float64 { return a.bottom - y.place(v)*(a.bottom-a.top) }
	for _, t := range y.ticks {
		a.line("grid", a.left, a.y(t.at), a.right, a.y(t.at))
		a.text("tick", "end", a.left-7, a.y(t.at)+4, t.label)
	}
	for _, t := range x.ticks {
		a.line("axis", a.x(t.at), a.bottom, a.x(t.at), a.bottom+4)
		a.text("tick", "middle", a.x(t.at), a.bottom+17, t.label)
	}
	a.line("axis", a.left, a.bottom, a.right, a.bottom)
	a.text("name", "middle", (a.left+a.right)/2, plotHeight-6, xName)
	a.sideways(11, (a.top+a.bottom)/2, yName)
	return a
}

// scale maps a range of values to [0, 1], clamped.
type scale struct {
	transform func(float64) float64
	low, high float64
	ticks     []tick
}

func (s scale) place(v float64) float64 {
	t := s.transform
	u := (t(v) - t(s.low)) / (t(s.high) - t(s.low))
	return min(max(u, 0), 1)
}

// linear has about four round ticks from low to high.
func linear(low, high float64, label func(float64) string) scale {
	s := scale{transform: func(v float64) float64 { return v }, low: low, high: high}
	step := niceStep((high - low) / 4)
	for k := math.Ceil(low/step - 1e-9); k*step <= high+1e-9; k++ {
		s.ticks = append(s.ticks, tick{k * step, label(k * step)})
	}
	return s
}

func niceStep(x float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*unit >= x*.999 {
			return m * unit
		}
	}
	return 10 * unit
}

// niceHigh is the least round number at or above x.
func niceHigh(x float64) float64 {
	step := niceStep(x / 4)
	return math.Ceil(x/step-1e-9) * step
}

// odds spaces probabilities by their log odds, so that rare ones have room.
func odds(low, high float64) scale {
	s := scale{low: low, high: high, transform: func(p float64) float64 {
		p = min(max(p, 1e-6), 1-1e-6)
		return math.Log(p / (1 - p))
	}}
	last := -1.0
	for _, p := range []float64{.0001, .0003, .001, .003, .01, .03, .1, .25, .5, .75, .9, .97, .99, .997, .999} {
		if u := s.place(p); p >= low && p <= high && u-last > .11 {
			s.ticks = append(s.ticks, tick{p, percent(p)})
			last = u
		}
	}
	return s
}
