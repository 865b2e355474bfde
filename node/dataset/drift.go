package dataset

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/koinon-eu/koinon/models/feature"
)

// What a Summary keeps of a column.
const (
	summaryBins   = 10      // of a number: tenths of the rows that hold one
	summaryNames  = 200     // of a category, the most frequent
	summarySample = 200_000 // values by which the tenths are found
)

// The conventional thresholds of the population stability index, here also of
// the relative change of the label rate.
const (
	DriftWatch = 0.1
	DriftAct   = 0.25
)

// Summary describes the rows of a run, so that the rows of the next can be
// compared with them. Its counts are those of one Member State: it is for this
// machine only.
type Summary struct {
	Time     time.Time       `json:"time"`
	Run      string          `json:"run"`
	Schema   string          `json:"schema"`
	Rows     int             `json:"rows"`
	Labelled int             `json:"labelled"`
	Positive int             `json:"positive"`
	Columns  []ColumnSummary `json:"columns"`
}

// ColumnSummary is the distribution of a feature: rows without a value, and
// rows by bin. The bins of a number end at Edges, each inclusive, the last has
// no end. Those of a category are Names, and one of all other values.
type ColumnSummary struct {
	Column  string       `json:"column"`
	Type    feature.Type `json:"type"`
	Missing int          `json:"missing"`
	Edges   []float32    `json:"edges,omitempty"`
	Names   []string     `json:"names,omitempty"`
	Bins    []int        `json:"bins"`
}

// Drift compares a table with the rows of the last run. PSI is the population
// stability index Σ (p−q)·ln(p/q) over the bins of a column, rows without a
// value being one of them.
type Drift struct {
	Since   time.Time     `json:"since"` // of the last run
	Run     string        `json:"run"`
	Rows    int           `json:"rows"` // of the last run
	Label   LabelDrift    `json:"label"`
	Columns []ColumnDrift `json:"columns"` // features in the order of the schema
}

// LabelDrift compares the rates of positive labels. Change is relative.
type LabelDrift struct {
	Before  float64 `json:"before"`
	Now     float64 `json:"now"`
	Change  float64 `json:"change"`
	Verdict Verdict `json:"verdict"`
}

// ColumnDrift compares a feature. Shares are of all rows.
type ColumnDrift struct {
	Column        string  `json:"column"`
	PSI           float64 `json:"psi"`
	Noise         float64 `json:"noise"` // a PSI that as many rows of an unchanged distribution seldom exceed
	MissingBefore float64 `json:"missing_before"`
	MissingNow    float64 `json:"missing_now"`
	Unseen        float64 `json:"unseen,omitempty"` // values of a category that the last run's rows did not hold
	Verdict       Verdict `json:"verdict"`
}

// Verdict is what to do about a drift.
type Verdict string

// The verdicts. A difference that chance explains is Stable however large.
const (
	Stable Verdict = "stable"
	Watch  Verdict = "watch" // from DriftWatch on
	Act    Verdict = "act"   // from DriftAct on
)

func verdict(size float64, chance bool) Verdict {
	switch {
	case chance || size < DriftWatch:
		return Stable
	case size < DriftAct:
		return Watch
	}
	return Act
}

// Summarize describes the rows of a table.
func Summarize(t *feature.Table, run string, now time.Time) *Summary {
	s := &Summary{Time: now, Run: run, Schema: t.Schema().Name, Rows: t.Rows()}
	s.Labelled, s.Positive = labels(t)
	for _, c := range t.Schema().Features() {
		out := ColumnSummary{Column: c.Name, Type: c.Type}
		if c.Type == feature.TypeNumber {
			out.Edges = edges(t.Number(c.Name))
		} else {
			out.Names = names(t, c.Name)
		}
		out.Missing, out.Bins, _ = out.count(t)
		s.Columns = append(s.Columns, out)
	}
	return s
}

func labels(t *feature.Table) (labelled, positive int) {
	for _, y := range t.Label() {
		if y != feature.Unlabelled {
			labelled++
			positive += int(y)
		}
	}
	return labelled, positive
}

// edges returns where the tenths of the values end, equal ones once.
func edges(values []float32) []float32 {
	var sample []float32
	step := max(1, len(values)/summarySample)
	for i := 0; i < len(values); i += step {
		if v := values[i]; v == v {
			sample = append(sample, v)
		}
	}
	if len(sample) == 0 {
		return nil
	}
	slices.Sort(sample)
	var out []float32
	for i := 1; i < summaryBins; i++ {
		out = append(out, sample[(len(sample)-1)*i/summaryBins])
	}
	return slices.Compact(out)
}

// names returns the most frequent values, by frequency.
func names(t *feature.Table, column string) []string {
	codes, names := t.Category(column)
	counts := make([]int, len(names))
	for _, code := range codes {
		if code != feature.Missing {
			counts[code]++
		}
	}
	order := make([]int, 0, len(names))
	for i, n := range counts {
		if n > 0 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(counts[b]-counts[a], cmp.Compare(names[a], names[b])) })
	var out []string
	for _, i := range order[:min(summaryNames, len(order))] {
		out = append(out, names[i])
	}
	return out
}

// count puts the rows of a table into the bins.
func (c *ColumnSummary) count(t *feature.Table) (missing int, bins []int, unseen int) {
	if c.Type == feature.TypeNumber {
		bins = make([]int, len(c.Edges)+1)
		for _, v := range t.Number(c.Column) {
			if v != v {
				missing++
				continue
			}
			at, _ := slices.BinarySearch(c.Edges, v)
			bins[at]++
		}
		return missing, bins, 0
	}
	bins = make([]int, len(c.Names)+1)
	codes, names := t.Category(c.Column)
	place := map[string]int{}
	for i, name := range c.Names {
		place[name] = i
	}
	at := make([]int, len(names))
	for i, name := range names {
		var known bool
		if at[i], known = place[name]; !known {
			at[i] = len(c.Names)
		}
	}
	for _, code := range codes {
		if code == feature.Missing {
			missing++
			continue
		}
		bins[at[code]]++
	}
	if len(c.Names) < summaryNames { // else the last bin held some before
		unseen = bins[len(c.Names)]
	}
	return missing, bins, unseen
}

// Compare compares a table with the rows that s describes. Features that s does
// not know are left out.
func (s *Summary) Compare(t *feature.Table) *Drift {
	d := &Drift{Since: s.Time, Run: s.Run, Rows: s.Rows, Columns: []ColumnDrift{}}
	labelled, positive := labels(t)
	d.Label = compareLabels(s.Positive, s.Labelled, positive, labelled)
	for _, f := range t.Schema().Features() {
		i := slices.IndexFunc(s.Columns, func(c ColumnSummary) bool { return c.Column == f.Name && c.Type == f.Type })
		if i >= 0 && s.Rows > 0 && t.Rows() > 0 {
			d.Columns = append(d.Columns, s.Columns[i].compare(t, s.Rows))
		}
	}
	return d
}

func (c *ColumnSummary) compare(t *feature.Table, before int) ColumnDrift {
	missing, bins, unseen := c.count(t)
	n, m := float64(before), float64(t.Rows())
	d := ColumnDrift{
		Column: c.Column, MissingBefore: float64(c.Missing) / n, MissingNow: float64(missing) / m, Unseen: float64(unseen) / m,
	}
	used := 0
	was, is := append(slices.Clone(c.Bins), c.Missing), append(bins, missing)
	for i := range was {
		if was[i] == 0 && is[i] == 0 {
			continue
		}
		used++
		p, q := share(is[i], m), share(was[i], n)
		d.PSI += (p - q) * math.Log(p/q)
	}
	// Of an unchanged distribution PSI is about (1/n + 1/m)·χ² with one degree
	// of freedom less than there are bins (Yurdakul 2018).
	d.Noise = (1/n + 1/m) * chiSquared(float64(max(used-1, 1)))
	d.Verdict = verdict(d.PSI, d.PSI <= d.Noise)
	return d
}

// share is that of a bin, half a row in an empty one, so that its logarithm is
// finite.
func share(rows int, of float64) float64 { return max(float64(rows), .5) / of }

// rare is the 99.9 % quantile of the normal distribution.
const rare = 3.0902

// chiSquared is the 99.9 % quantile with k degrees of freedom (Wilson, Hilferty
// 1931).
func chiSquared(k float64) float64 {
	h := 2 / (9 * k)
	root := 1 - h + rare*math.Sqrt(h)
	return k * root * root * root
}

func compareLabels(positive, labelled, nowPositive, nowLabelled int) LabelDrift {
	var d LabelDrift
	d.Verdict = Stable
	if labelled == 0 || nowLabelled == 0 {
		return d
	}
	n, m := float64(labelled), float64(nowLabelled)
	d.Before, d.Now = float64(positive)/n, float64(nowPositive)/m
	d.Change = d.Now/share(positive, n) - 1
	if positive == 0 && nowPositive == 0 {
		d.Change = 0
	}
	both := float64(positive+nowPositive) / (n + m)
	chance := math.Abs(d.Now-d.Before) <= rare*math.Sqrt(both*(1-both)*(1/n+1/m))
	d.Verdict = verdict(math.Abs(d.Change), chance)
	return d
}

// Acts lists what drifted beyond DriftAct, the label first.
func (d *Drift) Acts() (columns []string) {
	if d.Label.Verdict == Act {
		columns = append(columns, "label")
	}
	for _, c := range d.Columns {
		if c.Verdict == Act {
			columns = append(columns, c.Column)
		}
	}
	return columns
}

func (d *Drift) text(b *strings.Builder) {
	if d == nil {
		return
	}
	fmt.Fprintf(b, "\ndrift since the run of %s (%d rows): from %v on watch, from %v on act\n", d.Since.UTC().Format(time.DateOnly), d.Rows, DriftWatch, DriftAct)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  label\trate %s → %s\tchange %+.2f\t%s\n", percent(d.Label.Before), percent(d.Label.Now), d.Label.Change, d.Label.Verdict)
	for _, c := range d.Columns {
		verdict := string(c.Verdict)
		if c.PSI >= DriftWatch && c.Verdict == Stable {
			verdict += ", too few rows to tell"
		}
		if c.Unseen > 0 {
			verdict += fmt.Sprintf("; %s of rows hold values not seen before", percent(c.Unseen))
		}
		fmt.Fprintf(t, "  %s\tmissing %s → %s\tPSI %.3f\t%s\n", c.Column, percent(c.MissingBefore), percent(c.MissingNow), c.PSI, verdict)
	}
	_ = t.Flush()
}
