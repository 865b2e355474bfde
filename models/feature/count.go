package feature

import (
	"fmt"
	"math"
)

// KindCount is the kind of a label that counts: whole numbers from 0.
const KindCount = "count"

// Limits of a count label. With them every word of a sum over a cohort of the
// largest size stays within 63 bits (S46).
const (
	MaxCount     = 1 << 20 // the most that Label.Max may be
	MaxCountRows = 1 << 20 // rows of one table with a count label
	MaxMinCell   = 1000
	// ExposureOne is the scale of summed exposures: each is rounded to the
	// nearest 1/ExposureOne, which is also the smallest exposure.
	ExposureOne = 1 << 10
	MaxExposure = 1 << 24
)

// noBaseline is the baseline of a row whose field is empty.
var noBaseline = float32(math.NaN())

// IsCount reports whether the label is a count.
func (l Label) IsCount() bool { return l.Kind == KindCount }

// check holds a label to its kind.
func (l Label) check() error {
	switch l.Kind {
	case KindCount:
		return l.checkCount()
	case "":
	default:
		return fmt.Errorf("label: unknown kind %q; the kind is count, or left out for a label that is positive or not", l.Kind)
	}
	if l.Max != 0 || l.MinCell != 0 || l.Exposure != "" || l.Baseline != "" {
		return fmt.Errorf("label: max, min_cell, exposure and baseline belong to kind %s", KindCount)
	}
	return checkValue("label positive", l.Positive)
}

func (l Label) checkCount() error {
	if l.Positive != "" {
		return fmt.Errorf("label: a count has no positive value")
	}
	if l.Max < 1 || l.Max > MaxCount {
		return fmt.Errorf("label: max %d: say the most that one row may count, 1 to %d", l.Max, MaxCount)
	}
	if l.MinCell < 0 || l.MinCell > MaxMinCell {
		return fmt.Errorf("label: min_cell %d is not between 0 and %d", l.MinCell, MaxMinCell)
	}
	for _, c := range []struct{ what, name string }{{"label exposure", l.Exposure}, {"label baseline", l.Baseline}} {
		if c.name == "" {
			continue
		}
		if err := checkName(c.what, c.name); err != nil {
			return err
		}
		if c.name == l.Column {
			return fmt.Errorf("%s: column %s is the label itself", c.what, c.name)
		}
	}
	return nil
}

// checkLabelColumns checks the declarations of the columns that a count label
// names besides its own: numbers, which may be features too.
func (s *Schema) checkLabelColumns() error {
	for _, name := range []string{s.Label.Exposure, s.Label.Baseline} {
		c, ok := s.Column(name)
		if name == "" || !ok {
			continue
		}
		if c.Type != TypeNumber || !c.IsFeature() && c.Role != RoleIgnore {
			return fmt.Errorf("column %s goes with the label: it must be a number, and a feature or ignored", name)
		}
	}
	return nil
}

// bindCount binds what a count label names: rows to be scored need the
// exposure only.
func (b *Builder) bindCount(bind func(string, bool, func(*Feed))) {
	l := b.schema.Label
	bind(l.Column, b.lim.Scoring, b.bindCases)
	if l.Exposure != "" {
		bind(l.Exposure, false, b.bindExposure)
	}
	if l.Baseline != "" {
		bind(l.Baseline, b.lim.Scoring, b.bindBaseline)
	}
}

func (b *Builder) bindCases(in *Feed) {
	label, count, rows := []int8{}, []int32{}, 0
	in.store = func() { b.t.label, b.t.count = label, count }
	in.reset = func() { label, count = label[:0], count[:0] }
	rule := b.schema.Label
	in.add = func(f []byte) (reason string) {
		y, n := Unlabelled, int32(0)
		if len(f) == 0 {
			if rule.Empty != EmptySkip {
				reason = "label is empty; say empty: skip if such rows are to be left out"
			}
		} else if n, reason = rule.parse(f); reason == "" {
			y = int8(min(n, 1))
		}
		label, count = append(label, y), append(count, n)
		if rows++; rows == MaxCountRows+1 {
			reason = fmt.Sprintf("more than %d rows with a count", MaxCountRows)
		}
		return reason
	}
}

// parse reads a count.
func (l Label) parse(f []byte) (int32, string) {
	v, reason := parseNumber(f)
	switch {
	case reason != "":
		return 0, "label " + reason
	case isMissing(v):
		return 0, "label is blank"
	case v < 0:
		return 0, fmt.Sprintf("label %s is negative: a count is 0 or more", shorten(string(f)))
	case v > float32(l.Max):
		return 0, fmt.Sprintf("label %s is above max %d", shorten(string(f)), l.Max)
	case v != float32(int32(v)):
		return 0, fmt.Sprintf("label %s is not a whole number", shorten(string(f)))
	}
	return int32(v), l.small("label", v)
}

// small refuses a cell about too few people. Nobody is not too few.
func (l Label) small(what string, v float32) string {
	if v > 0 && v < float32(l.MinCell) {
		return fmt.Sprintf("%s counts fewer than %d people: put rows together, or leave it empty with empty: skip", what, l.MinCell)
	}
	return ""
}

func (b *Builder) bindExposure(in *Feed) {
	values := []float32{}
	in.store = func() { b.t.exposure = values }
	in.reset = func() { values = values[:0] }
	in.add = func(f []byte) string {
		v, reason := parseNumber(f)
		switch {
		case reason != "":
			reason = "exposure " + reason
		case isMissing(v):
			reason = "exposure is empty"
		case v < 1./ExposureOne || v > MaxExposure:
			reason = fmt.Sprintf("exposure %s is not between 1/%d and %d: choose another unit", shorten(string(f)), ExposureOne, MaxExposure)
		}
		if reason != "" {
			v = 1
		}
		values = append(values, v)
		return reason
	}
}

func (b *Builder) bindBaseline(in *Feed) {
	values := []float32{}
	in.store = func() { b.t.baseline = values }
	in.reset = func() { values = values[:0] }
	rule := b.schema.Label
	in.add = func(f []byte) string {
		v, reason := parseNumber(f)
		switch {
		case reason != "":
			v, reason = noBaseline, "baseline "+reason
		case v < 0 || v > MaxCount:
			v, reason = noBaseline, fmt.Sprintf("baseline %s is not between 0 and %d", shorten(string(f)), MaxCount)
		case !isMissing(v):
			reason = rule.small("baseline", v)
		}
		values = append(values, v)
		return reason
	}
}

// Counts returns the count of each row, 0 for a row without one; nil for other
// labels and for a table without the label's column. Label then says 1 for a
// count above 0.
func (t *Table) Counts() []int32 { return t.count }

// Baseline returns for each row the forecast that a model must beat, NaN where
// there is none; nil if the schema names no such column.
func (t *Table) Baseline() []float32 { return t.baseline }

// head is the number of words before the first block: rows and positives, of
// which the second adds up the counts of a count label; then the exposures, if
// the schema names such a column, in units of 1/ExposureOne.
func (s *Statistics) head() int {
	if s.schema.Label.Exposure != "" {
		return headWords + 1
	}
	return headWords
}

// countHead fills the words before the first block.
func (s *Statistics) countHead(t *Table, rows []int32, out []int64) {
	out[0] = int64(len(rows))
	for _, r := range rows {
		if t.count != nil {
			out[1] += int64(t.count[r])
		} else {
			out[1] += int64(t.label[r])
		}
		if t.exposure != nil {
			out[2] += int64(math.RoundToEven(float64(t.exposure[r]) * ExposureOne))
		}
	}
}

// checkHead refuses words that no rows can have made.
func (s *Statistics) checkHead(step int, sum []int64) error {
	rows, pos := sum[0], sum[1]
	if rows < 0 || rows > s.schema.Label.maxRows() || pos < 0 || pos > rows*s.schema.Label.most() {
		return fmt.Errorf("statistics: sum %d counts %d positives in %d rows", step, pos, rows)
	}
	if step == 1 && rows < Floor {
		return fmt.Errorf("statistics: %d labelled training rows in the whole cohort, at least %d are needed", rows, Floor)
	}
	if s.head() > headWords && (sum[2] < rows || sum[2] > rows*ExposureOne*MaxExposure) {
		return fmt.Errorf("statistics: sum %d has exposures of %d in %d rows", step, sum[2], rows)
	}
	return nil
}

// most is what one row can add to the positives.
func (l Label) most() int64 {
	if l.IsCount() {
		return l.Max
	}
	return 1
}

// maxRows bounds the rows of a federation: 255 members' tables.
func (l Label) maxRows() int64 {
	if l.IsCount() {
		return 255 * MaxCountRows
	}
	return maxRows
}

// checkTotals bounds the figures that an encoder carries of the first sum.
func (e *Encoder) checkTotals() error {
	if e.Rows < 1 || e.Rows > e.Schema.Label.maxRows() || e.Positives < 0 || e.Positives > e.Rows*e.Schema.Label.most() {
		return fmt.Errorf("encoder: %d positives in %d rows", e.Positives, e.Rows)
	}
	if exposed := e.Schema.Label.Exposure != ""; exposed != (e.Exposure != 0) ||
		exposed && (e.Exposure < e.Rows || e.Exposure > e.Rows*ExposureOne*MaxExposure) {
		return fmt.Errorf("encoder: exposures of %d in %d rows", e.Exposure, e.Rows)
	}
	return nil
}

// CountMean is the mean count of the training rows behind the encoder, half a
// count added so that it is above zero; 0 unless the label is a count.
func (e *Encoder) CountMean() float64 {
	if !e.Schema.Label.IsCount() {
		return 0
	}
	return (float64(e.Positives) + 0.5) / float64(e.Rows)
}

// ExposureMean is the mean exposure of those rows, 1 without exposures.
func (e *Encoder) ExposureMean() float64 {
	if e.Exposure == 0 {
		return 1
	}
	return float64(e.Exposure) / ExposureOne / float64(e.Rows)
}
