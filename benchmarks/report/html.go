package report

import (
	"bytes"
	_ "embed" // the page and its style
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

//go:embed page.html
var pageText string

//go:embed forecast.html
var forecastText string

//go:embed style.css
var styleText string

var page = template.Must(template.Must(template.New("page").Parse(pageText)).Parse(forecastText))

// figure is a drawing with its title and what it shows.
type figure struct {
	Title, Note string
	Drawing     template.HTML
}

// cell is a table cell: a figure and, small beneath it, its interval.
type cell struct{ Value, Range string }

type view struct {
	*Report
	Style               template.CSS
	Headline, Outcome   string
	Tiles               []tile
	Facts               [][2]string
	GateRows            []gateRow
	Plots               []figure
	GainSentence, Count string
	Columns             []columnView
	Overall             [][2]cell
	BandRows            [][4]string
	RoundWords          []string
	OperatingSentence   string
	Forecast            *forecastView
}

type tile struct{ Name, Value, Detail string }

type gateRow struct {
	Name, Limit, Evidence, Outcome, Class, Reason, NotJudged string
	Figure                                                   cell
}

type columnView struct {
	Name    string
	Figures []figure
	Groups  []groupRow
	Gaps    []gapRow
}

type groupRow struct {
	Value, Note, Rows, Found string
	Cells                    []cell
}

type gapRow struct {
	Name, Pair, Ratio, NotJudged string
	Difference                   cell
}

// HTML is the report as one page that needs nothing else: no script, no font,
// no image from anywhere.
func (r *Report) HTML() ([]byte, error) {
	v := view{
		Report: r, Style: template.CSS(styleText), //nolint:gosec // our own file
		Headline: r.headline(), Outcome: outcomeClass(r.Verdict),
		Tiles: r.tiles(), Facts: r.facts(), GateRows: r.gateRows(),
		GainSentence: r.gainSentence(), Count: r.measured(),
		Overall: r.overallRows(), BandRows: r.bandRows(), RoundWords: r.roundWords(),
		OperatingSentence: r.operatingSentence(),
	}
	if r.Forecasts != nil {
		v.Forecast = r.Forecasts.view()
	}
	if len(r.Bands) > 0 {
		v.Plots = []figure{
			{"How well the score ranks", "ROC curve: what share of the cases found is flagged for each share of false alarms. The diagonal is chance.", r.plotROC()},
			{"What a flag is worth", "Precision–recall curve: of the flagged, what share is found.", r.plotPrecision()},
			{"Whether a score is a probability", "Calibration by band of the score, on a log-odds scale. On the diagonal, as many are found as the score says.", r.plotCalibration()},
			{"How scores are spread", "Share of cases at or above each score. The further apart the lines, the better the two are told apart.", r.plotScores()},
		}
	}
	for _, c := range r.Columns {
		v.Columns = append(v.Columns, r.columnView(c))
	}
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("report: page: %w", err)
	}
	return b.Bytes(), nil
}

func outcomeClass(o fairness.Outcome) string {
	return map[fairness.Outcome]string{
		fairness.Pass: "pass", fairness.Fail: "fail", fairness.NotEnough: "lack", fairness.AnswerRequired: "answer",
	}[o]
}

func (r *Report) tiles() []tile {
	if r.Forecasts != nil {
		return r.Forecasts.tiles()
	}
	auroc := tile{"AUROC", "–", "not defined"}
	if e := r.Overall.AUROC; e != nil {
		auroc = tile{"AUROC", decimals(e.Value, 3), "95 % interval " + interval(e, 3)}
	}
	tiles := []tile{auroc}
	if o := r.Operating; o != nil && o.TPR != nil && o.FPR != nil {
		tiles = append(tiles, tile{"found at " + percent(r.Plan.FPR) + " false alarms", percent(o.TPR.Value), fmt.Sprintf("95 %% interval %s to %s", percent(o.TPR.Low), percent(o.TPR.High))})
	}
	gain := tile{"members that gained", "–", "not defined"}
	if r.Gain.Mean != nil {
		gain.Value = fmt.Sprintf("%d of %d", r.Gain.Gained, r.Gain.Members)
		gain.Detail = "mean gain " + signed(r.Gain.Mean.Value) + " " + interval(r.Gain.Mean, 3)
	}
	tiles = append(tiles, gain)
	var worst *Gap
	var where string
	for _, c := range r.Columns {
		for i, g := range c.Gaps {
			if g.Rate == fairness.FPRGap && g.Difference != nil && (worst == nil || g.Difference.Value > worst.Difference.Value) {
				worst, where = &c.Gaps[i], c.Name
			}
		}
	}
	if worst != nil {
		tiles = append(tiles, tile{"largest gap in false alarms", points(worst.Difference.Value), spaced(where) + ", upper bound " + points(worst.Difference.High)})
	}
	return tiles
}

// points writes a difference of rates in percentage points.
func points(x float64) string { return decimals(x*100, 1) + " pts" }

func (r *Report) facts() [][2]string {
	p := r.Plan
	var out [][2]string
	add := func(name, value string) {
		if value != "" {
			out = append(out, [2]string{name, value})
		}
	}
	add("Purpose", p.Purpose)
	add("Unit", p.Unit)
	add("Target", p.Target)
	add("Use", p.Use)
	add("Federation", p.Federation)
	add("Members", strings.Join(p.Members, ", "))
	add("Model", p.Architecture)
	add("Training", p.Algorithm)
	if p.Privacy != nil {
		add("Privacy", p.Privacy.String())
	}
	add("Plan digest", p.Digest)
	add("Model digest", p.Artifact)
	return out
}

func (r *Report) gateRows() []gateRow {
	rows := make([]gateRow, len(r.Gates))
	for i, g := range r.Gates {
		rows[i] = gateRow{
			Name: gateName(g.Gate), Limit: gateLimit(g.Gate), Evidence: gateEvidence(g.Gate.Evidence),
			Outcome: string(g.Outcome), Class: outcomeClass(g.Outcome), Reason: strings.ReplaceAll(g.Reason, " -", " −"), NotJudged: strings.Join(unsaid(g), ", "),
		}
		if g.Value != nil {
			rows[i].Figure.Value = decimals(*g.Value, 3)
		}
		if g.Low != nil && g.High != nil {
			rows[i].Figure.Range = interval(&metrics.Estimate{Low: *g.Low, High: *g.High}, 3)
		}
	}
	return rows
}

// unsaid lists the groups not judged that the reason does not name.
func unsaid(g fairness.Result) (names []string) {
	words := strings.FieldsFunc(g.Reason, func(r rune) bool { return strings.ContainsRune(" ,;:()", r) })
	for _, name := range g.NotJudged {
		if !slices.Contains(words, name) {
			names = append(names, name)
		}
	}
	return names
}

func (r *Report) overallRows() [][2]cell {
	o := r.Overall
	at := func(name string, e *metrics.Estimate) [2]cell {
		return [2]cell{{Value: name}, {estimate(e, 3), interval(e, 3)}}
	}
	rows := [][2]cell{
		at("AUROC", o.AUROC),
		{{Value: "average precision (AUPRC)"}, {Value: optional(o.AUPRC, 3)}},
		at("share found at 1 % false alarms", o.TPRAtFPR.At1),
		at("share found at 5 % false alarms", o.TPRAtFPR.At5),
		at("share found at 10 % false alarms", o.TPRAtFPR.At10),
		at("found over expected", o.OverExpected),
		{{Value: "calibration error (ECE)"}, {Value: optional(o.ECE, 4)}},
		{{Value: "Brier score"}, {Value: optional(o.Brier, 4)}},
		{{Value: "log loss"}, {Value: optional(o.LogLoss, 4)}},
	}
	if op := r.Operating; op != nil {
		rows = append(rows, [2]cell{{Value: "operating threshold"}, {Value: decimals(op.Threshold, 4)}}, at("share flagged", op.Selection), at("share found among the flagged", op.PPV))
	}
	return rows
}

func (r *Report) operatingSentence() string {
	o := r.Operating
	if o == nil || o.Selection == nil || o.TPR == nil || o.PPV == nil {
		return ""
	}
	return fmt.Sprintf("At the operating point, the lowest threshold with at most %s false alarms, %s of all cases are flagged. Of the cases found, %s are among them; of the flagged, %s are found.",
		percent(r.Plan.FPR), percent(o.Selection.Value), percent(o.TPR.Value), percent(o.PPV.Value))
}

func (r *Report) bandRows() (rows [][4]string) {
	for _, b := range r.Bands {
		rows = append(rows, [4]string{percent(b.Low) + " to " + percent(b.High), count(b.Rows), count(b.Found), percent(float64(b.Found) / float64(b.Rows))})
	}
	return rows
}

func (r *Report) roundWords() (words []string) {
	for _, k := range r.Rounds {
		words = append(words, fmt.Sprintf("%s: %d, with at least %d of %d members in each sum", k.Kind, k.Rounds, k.Fewest, len(r.Plan.Members)))
	}
	for _, m := range r.Missing {
		words = append(words, fmt.Sprintf("round %d (%s) closed without %s", m.Round, m.Kind, strings.Join(m.Members, ", ")))
	}
	if h := r.Histograms; h != nil {
		words = append(words, fmt.Sprintf("histograms: %s cells were opened, %s of them (%s) with by weight fewer than five rows of all members together",
			count(h.Cells), count(h.Small), percent(h.Share)))
	}
	return words
}

func (r *Report) columnView(c Column) columnView {
	v := columnView{Name: spaced(c.Name), Figures: r.forests(c)}
	for _, g := range c.Groups {
		row := groupRow{Value: g.Value, Note: g.Note, Rows: groupRows(g), Found: groupFound(g)}
		for _, e := range []*metrics.Estimate{g.Selection, g.FPR, g.TPR, g.PPV, g.AUROC, g.OverExpected} {
			d := 3
			if e == g.OverExpected {
				d = 2
			}
			if e == nil {
				row.Cells = append(row.Cells, cell{Value: "·"})
				continue
			}
			row.Cells = append(row.Cells, cell{decimals(e.Value, d), interval(e, d)})
		}
		ece := "·"
		if g.ECE != nil {
			ece = decimals(*g.ECE, 4)
		}
		row.Cells = append(row.Cells, cell{Value: ece})
		v.Groups = append(v.Groups, row)
	}
	for _, g := range c.Gaps {
		row := gapRow{Name: metricNames[g.Rate], NotJudged: strings.Join(g.NotJudged, ", "), Ratio: optional(g.Ratio, 2)}
		if g.Difference != nil {
			row.Difference = cell{decimals(g.Difference.Value, 3), interval(g.Difference, 3)}
			row.Pair = g.Highest + " against " + g.Lowest
		} else {
			row.Difference, row.Pair = cell{Value: "·"}, "fewer than two groups to compare"
		}
		v.Gaps = append(v.Gaps, row)
	}
	return v
}
