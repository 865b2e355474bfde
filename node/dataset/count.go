package dataset

import (
	"fmt"

	"github.com/koinon-eu/koinon/models/feature"
)

// CountReport describes the counts of the labelled rows.
type CountReport struct {
	Cases      int64   `json:"cases"` // added up
	Mean       float64 `json:"mean"`
	Most       int32   `json:"most"`
	Zeros      int     `json:"zeros"`
	Dispersion float64 `json:"dispersion,omitempty"` // mean² / (variance − mean); 0: no more scatter than Poisson counts
	Baselines  int     `json:"baselines"`            // rows with a forecast that the model must beat
	Months     int     `json:"months,omitempty"`     // of training rows, where a date divides the table
	MinCell    int64   `json:"min_cell,omitempty"`   // of the schema: no smaller count but 0 is in the table
}

// count describes a label that counts.
func (r *Report) count(t *feature.Table) {
	counts := t.Counts()
	if counts == nil {
		return
	}
	c := &CountReport{MinCell: t.Schema().Label.MinCell}
	n, squares := 0.0, 0.0
	for i, y := range counts {
		if t.Label()[i] == feature.Unlabelled {
			continue
		}
		n++
		squares += float64(y) * float64(y)
		c.Cases += int64(y)
		c.Most = max(c.Most, y)
		if y == 0 {
			c.Zeros++
		}
	}
	if n > 0 {
		c.Mean = float64(c.Cases) / n
		if excess := squares/n - c.Mean*c.Mean - c.Mean; excess > 0 {
			c.Dispersion = c.Mean * c.Mean / excess
		}
	}
	for _, b := range t.Baseline() {
		if b == b { // not NaN
			c.Baselines++
		}
	}
	if t.Schema().Label.Baseline != "" && c.Baselines == 0 {
		r.note("baseline %s is empty in every row: nothing says whether the forecast is worth anything", t.Schema().Label.Baseline)
	}
	if split := t.Schema().Split; split != nil && split.TrainUntil != "" {
		if c.Months = months(t, split.Column); c.Months < twoYears {
			r.note("%d months train: in fewer than %d a season cannot be told from a trend", c.Months, twoYears)
		}
	}
	r.Label.Count = c
}

// twoYears are the least months to learn a season from.
const twoYears = 24

// months counts those in which labelled training rows lie. The column of dates
// must have been kept.
func months(t *feature.Table, column string) int {
	codes, names := t.Category(column)
	seen := map[string]bool{}
	for _, row := range t.Select(feature.SelectTrain) {
		if code := codes[row]; code != feature.Missing && len(names[code]) == len("2006-01-02") {
			seen[names[code][:7]] = true
		}
	}
	return len(seen)
}

// text says it in a line.
func (c *CountReport) text(l LabelReport) string {
	return fmt.Sprintf("label %s: %d cases in %d rows, mean %s, most %d, %d zero, %d empty; %d rows with a baseline; dispersion around one mean %s\n",
		l.Column, c.Cases, l.Positives+l.Negatives, short(c.Mean), c.Most, c.Zeros, l.Empty, c.Baselines, short(c.Dispersion))
}
