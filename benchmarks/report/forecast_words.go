package report

import (
	"fmt"
	"strconv"
)

// forecastLimits is what every reader must know before using a forecast.
func forecastLimits() []string {
	return []string{
		"A forecast is an expected number of cases for planning. It says nothing about any person and decides nothing by itself.",
		"Numbers count what authorities recorded. They follow staffing and practice as well as what happened; a month without controls has no cases.",
		"Rows with fewer cases than the smallest cell are left out, so that small numbers are judged less than large ones.",
		"The interval of the coverage covers the chance in the test rows as if they were independent. Months and places are not, so that it is too narrow.",
		"Coverage is judged over all rows. A single place or month may be covered less.",
		"The dispersion estimated by moments is drawn down by few extreme months; whether the declared one serves, the coverage says.",
		"Deviances and sums of expected counts are sums of figures rounded to 1/1024 a row.",
		"A model learnt from past months does not foresee what has no precedent in them.",
	}
}

func gainShare(x *float64) string {
	if x == nil {
		return "–"
	}
	return signedPercent(*x)
}

func signedPercent(x float64) string {
	if x > 0 {
		return "+" + percent(x)
	}
	return percent(x)
}

// gainSentences say what members gained.
func (f *Forecasts) gainSentences() []string {
	sentence := func(g NodeGain, over string) string {
		if g.Mean == nil {
			return "No member can compare its forecasts with " + over + "."
		}
		text := fmt.Sprintf("%d of %d members have less deviance than with %s, %d at least 5 %% less and %d at least 10 %%; the mean gain is %s",
			g.Gained, g.Members, over, g.Five, g.Ten, signedPercent(*g.Mean))
		if g.Spread != nil {
			text += fmt.Sprintf(", the spread between members %s", percent(*g.Spread))
		}
		return text + "."
	}
	return []string{sentence(f.OverBase, "the baseline"), sentence(f.OverAlone, "a model of their own")}
}

// spreadWords says how counts are taken to scatter.
func (f *Forecasts) spreadWords() string {
	if f.Dispersion == 0 {
		return f.Loss
	}
	return fmt.Sprintf("%s, dispersion %s", f.Loss, strconv.FormatFloat(f.Dispersion, 'g', 4, 64))
}

func (f *Forecasts) overall() [][2]cell {
	row := func(name, value string) [2]cell { return [2]cell{{Value: name}, {Value: value}} }
	return [][2]cell{
		row("cases observed", count(f.Observed)),
		row("cases expected", count(int64(f.Expected+.5))),
		row("observed over expected", optional(f.Ratio, 3)),
		row("mean error of a row (expected less observed)", optional(f.MeanError, 2)),
		row("Poisson deviance of a row", optional(f.Deviance, 2)),
		row("of the baseline, on the "+count(f.Paired)+" rows that have one", optional(f.BaseDeviance, 2)),
		row("gain over the baseline", gainShare(f.BaseGain)),
		{{Value: "share of rows inside their 80 % interval"}, {estimate(f.Coverage, 3), interval(f.Coverage, 3)}},
		row("share below / above it", optional(f.Below, 3)+" / "+optional(f.Above, 3)),
		row("scatter in the plan", f.spreadWords()),
		row("dispersion estimated from the test rows", optional(f.Estimated, 2)),
	}
}

func (f *Forecasts) bandRows() (rows [][5]string) {
	for _, b := range f.Bands {
		name := "from " + decimals(b.Low, 0)
		if b.High != nil {
			name = decimals(b.Low, 0) + " to below " + decimals(*b.High, 0)
		}
		ratio := "–"
		if b.Expected > 0 {
			ratio = decimals(float64(b.Observed)/b.Expected, 3)
		}
		rows = append(rows, [5]string{name, count(b.Rows), count(b.Observed), count(int64(b.Expected + .5)), ratio})
	}
	return rows
}

// groupRows are group, rows, observed, expected, deviance, gain, coverage.
func (c CountColumn) groupRows() (rows [][7]cell) {
	for _, g := range c.Groups {
		row := [7]cell{{Value: g.Value, Range: g.Note}, {Value: "< 10"}, {Value: "·"}, {Value: "·"}, {Value: "·"}, {Value: "·"}, {Value: "·"}}
		if g.Rows != nil {
			row[1].Value = count(*g.Rows)
		}
		if g.Observed != nil && g.Expected != nil {
			row[2].Value, row[3].Value = count(*g.Observed), count(int64(*g.Expected+.5))
		}
		if g.Deviance != nil {
			row[4].Value = decimals(*g.Deviance, 2)
		}
		if g.BaseGain != nil {
			row[5].Value = gainShare(g.BaseGain)
		}
		if g.Coverage != nil {
			row[6] = cell{decimals(g.Coverage.Value, 3), interval(g.Coverage, 3)}
		}
		rows = append(rows, row)
	}
	return rows
}

func (f *Forecasts) tiles() []tile {
	coverage := tile{"rows inside their 80 % interval", "–", "not defined"}
	if e := f.Coverage; e != nil {
		coverage = tile{coverage.Name, percent(e.Value), fmt.Sprintf("95 %% interval %s to %s", percent(e.Low), percent(e.High))}
	}
	nodes := tile{"members that gain at least 5 %", "–", "no member has a baseline"}
	if f.OverBase.Members > 0 {
		nodes = tile{nodes.Name, fmt.Sprintf("%d of %d", f.OverBase.Five, f.OverBase.Members), "mean gain " + gainShare(f.OverBase.Mean)}
	}
	return []tile{
		{"less deviance than the baseline", gainShare(f.BaseGain), optional(f.Deviance, 2) + " against " + optional(f.BaseDeviance, 2) + " a row"},
		coverage, nodes,
		{"observed over expected", optional(f.Ratio, 3), count(f.Observed) + " observed, " + count(int64(f.Expected+.5)) + " expected"},
	}
}

// forecasts writes the sections of the model and its groups.
func (m *markdown) forecasts(f *Forecasts) {
	m.heading(2, "The forecasts")
	m.table("figure | value", func(row func(...string)) {
		for _, r := range f.overall() {
			row(r[0].Value, r[1].String())
		}
	})
	for _, s := range f.gainSentences() {
		m.para(md(s))
	}
	m.heading(2, "Calibration of the mean")
	m.table("expected count | rows | observed | expected | observed ÷ expected", func(row func(...string)) {
		for _, r := range f.bandRows() {
			row(r[:]...)
		}
	})
	for _, c := range f.Columns {
		m.heading(2, "Groups: "+spaced(c.Name))
		m.table("group | rows | observed | expected | deviance | gain over the baseline | inside 80 %", func(row func(...string)) {
			for _, g := range c.groupRows() {
				var cells []string
				for _, c := range g {
					cells = append(cells, c.String())
				}
				row(cells...)
			}
		})
	}
}

// forecastView is what the page shows of forecasts.
type forecastView struct {
	Overall   [][2]cell
	Sentences []string
	Bands     [][5]string
	Columns   []countColumnView
}

type countColumnView struct {
	Name string
	Rows [][7]cell
}

func (f *Forecasts) view() *forecastView {
	v := &forecastView{Overall: f.overall(), Sentences: f.gainSentences(), Bands: f.bandRows()}
	for _, c := range f.Columns {
		v.Columns = append(v.Columns, countColumnView{spaced(c.Name), c.groupRows()})
	}
	return v
}
