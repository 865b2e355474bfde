package feature

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
)

// MaxEncoderBytes bounds the canonical JSON of an encoder.
const MaxEncoderBytes = 64 << 20

// Number is how one number column becomes an input: winsorised to [Low, High],
// then (x − Mean)/SD; missing is 0.
type Number struct {
	Column    string    `json:"column"`
	Low       float32   `json:"low"`
	High      float32   `json:"high"`
	Mean      float64   `json:"mean"`
	SD        float64   `json:"sd"`                  // > 0
	Indicator bool      `json:"indicator,omitempty"` // a second input is 1 where the value is missing
	Cuts      []float32 `json:"cuts"`                // at most 255, ascending; x ≤ cut goes left (trees 14)
}

// Category is how one category or boolean column becomes a slot: its values in
// order, then unknown, then missing.
type Category struct {
	Column    string   `json:"column"`
	Values    []string `json:"values"`
	Reference int      `json:"reference"` // the most frequent slot in training
}

// slots is the number of places of the column.
func (c Category) slots() int { return len(c.Values) + 2 }

// GroupColumn is a column that figures are reported by.
type GroupColumn struct {
	Column string   `json:"column"`
	Values []string `json:"values"`
}

// Dropped is a feature column that carries no information in training.
type Dropped struct {
	Column string `json:"column"`
	Reason string `json:"reason"`
}

// Input says where a source column stands in a Matrix; -1 is nowhere.
type Input struct {
	Column    string
	Number    int // column of X
	Indicator int // column of X that is 1 where the value is missing
	Category  int // column of C
}

// Encoder turns a table into a Matrix, the same way for training and scoring.
// It follows from a schema and the summed statistics and travels with the
// model. All lists are in schema order.
type Encoder struct {
	Schema    *Schema       `json:"schema"`
	Rows      int64         `json:"rows"`               // labelled training rows behind it
	Positives int64         `json:"positives"`          // of which positive; their counts added up, if the label is one
	Exposure  int64         `json:"exposure,omitempty"` // their exposures added up, in units of 1/ExposureOne
	Number    []Number      `json:"numbers"`
	Category  []Category    `json:"categories"`
	Group     []GroupColumn `json:"groups"`
	Dropped   []Dropped     `json:"dropped"`
}

// ParseEncoder reads the canonical JSON of an encoder and refuses any other
// spelling of it.
func ParseEncoder(b []byte) (*Encoder, error) {
	var e Encoder
	if err := strictJSON(b, MaxEncoderBytes, &e); err != nil {
		return nil, fmt.Errorf("encoder: %w", err)
	}
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if !bytes.Equal(b, e.Canonical()) {
		return nil, errors.New("encoder: JSON is not canonical")
	}
	return &e, nil
}

// Canonical returns the one JSON spelling of a valid encoder. It panics if a
// number is not finite, which Validate refuses.
func (e *Encoder) Canonical() []byte {
	c := *e
	if e.Schema != nil {
		s := *e.Schema
		s.Columns = slices.Clone(s.Columns)
		s.normalise()
		c.Schema = &s
	}
	c.Number, c.Category = filled(c.Number), filled(c.Category)
	c.Group, c.Dropped = filled(c.Group), filled(c.Dropped)
	for i := range c.Number {
		c.Number[i].Cuts = filled(c.Number[i].Cuts)
	}
	for i := range c.Category {
		c.Category[i].Values = filled(c.Category[i].Values)
	}
	for i := range c.Group {
		c.Group[i].Values = filled(c.Group[i].Values)
	}
	return mustJSON(&c)
}

// filled copies a list so that none is written as null.
func filled[T any](v []T) []T { return append(make([]T, 0, len(v)), v...) }

// Digest is the SHA-256 of the canonical JSON.
func (e *Encoder) Digest() [32]byte { return sha256.Sum256(e.Canonical()) }

// Validate checks that every feature of the schema stands in exactly one list,
// every group in one, in schema order, and that all figures are usable.
func (e *Encoder) Validate() error {
	if e.Schema == nil {
		return errors.New("encoder: no schema")
	}
	if err := e.Schema.Validate(); err != nil {
		return fmt.Errorf("encoder: %w", err)
	}
	if err := e.checkTotals(); err != nil {
		return err
	}
	num, cat, drop, group := e.Number, e.Category, e.Dropped, e.Group
	for _, c := range e.Schema.Columns {
		var err error
		switch {
		case c.Role == RoleGroup:
			if len(group) == 0 || group[0].Column != c.Name {
				return fmt.Errorf("encoder: no group %s", c.Name)
			}
			err, group = checkValues(c, group[0].Values), group[1:]
		case !c.IsFeature():
		case len(drop) > 0 && drop[0].Column == c.Name:
			err, drop = checkText("reason", drop[0].Reason), drop[1:]
		case c.Type == TypeNumber && len(num) > 0 && num[0].Column == c.Name:
			err, num = num[0].check(), num[1:]
		case c.Type != TypeNumber && len(cat) > 0 && cat[0].Column == c.Name:
			if r := cat[0].Reference; r < 0 || r >= cat[0].slots() {
				err = fmt.Errorf("reference %d of %d slots", r, cat[0].slots())
			} else {
				err = checkValues(c, cat[0].Values)
			}
			cat = cat[1:]
		default:
			return fmt.Errorf("encoder: no column %s", c.Name)
		}
		if err != nil {
			return fmt.Errorf("encoder: column %s: %w", c.Name, err)
		}
	}
	if len(num)+len(cat)+len(drop)+len(group) > 0 {
		return errors.New("encoder: columns out of order or not in the schema")
	}
	return nil
}

// checkValues holds the values of a column to those its schema lists, or to
// byte order if it lists none.
func checkValues(c Column, values []string) error {
	listed := c.Values
	if c.Type == TypeBoolean {
		listed = []string{"0", "1"}
	}
	if len(listed) > 0 {
		if !slices.Equal(values, listed) {
			return errors.New("values differ from the schema's")
		}
		return nil
	}
	if len(values) > MaxValues {
		return fmt.Errorf("%d values, at most %d", len(values), MaxValues)
	}
	for i, v := range values {
		if err := checkValue("value", v); err != nil {
			return err
		}
		if i > 0 && values[i-1] >= v {
			return fmt.Errorf("value %q is out of order", v)
		}
	}
	return nil
}

func (n Number) check() error {
	for _, v := range []float64{float64(n.Low), float64(n.High), n.Mean, n.SD} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("a figure is not finite")
		}
	}
	if n.Low > n.High || n.SD <= 0 || len(n.Cuts) > maxCuts {
		return fmt.Errorf("low %v, high %v, sd %v, %d cuts", n.Low, n.High, n.SD, len(n.Cuts))
	}
	for i, c := range n.Cuts {
		if isMissing(c) || math.IsInf(float64(c), 0) || i > 0 && n.Cuts[i-1] >= c {
			return fmt.Errorf("cut %d is out of order", i)
		}
	}
	return nil
}

// Numbers returns the number of columns of X.
func (e *Encoder) Numbers() int {
	n := len(e.Number)
	for _, c := range e.Number {
		if c.Indicator {
			n++
		}
	}
	return n
}

// NumberNames returns a name for each column of X.
func (e *Encoder) NumberNames() []string {
	var out []string
	for _, c := range e.Number {
		out = append(out, c.Column)
		if c.Indicator {
			out = append(out, c.Column+" missing")
		}
	}
	return out
}

// Categories returns the number of slots of each column of C.
func (e *Encoder) Categories() []int {
	out := make([]int, len(e.Category))
	for i, c := range e.Category {
		out[i] = c.slots()
	}
	return out
}

// SlotName names a slot of a column of C: a value, "(unknown)" or "(missing)".
func (e *Encoder) SlotName(category, slot int) string {
	switch v := e.Category[category].Values; slot - len(v) {
	case 0:
		return "(unknown)"
	case 1:
		return "(missing)"
	default:
		return v[slot]
	}
}

// GroupValues returns the values of a group column, in the order of the
// indices in Matrix.Groups.
func (e *Encoder) GroupValues(column string) []string {
	for _, g := range e.Group {
		if g.Column == column {
			return g.Values
		}
	}
	return nil
}

// Inputs returns the features that are not dropped, in schema order, with
// their places in a Matrix.
func (e *Encoder) Inputs() []Input {
	var out []Input
	num, cat, x := 0, 0, 0
	for _, c := range e.Schema.Features() {
		switch {
		case num < len(e.Number) && e.Number[num].Column == c.Name:
			in := Input{c.Name, x, -1, -1}
			x++
			if e.Number[num].Indicator {
				in.Indicator = x
				x++
			}
			out = append(out, in)
			num++
		case cat < len(e.Category) && e.Category[cat].Column == c.Name:
			out = append(out, Input{c.Name, -1, -1, cat})
			cat++
		}
	}
	return out
}

// ReferenceRow returns one row that stands for nobody: every number at its
// mean and present, every category at its most frequent slot. Explanations
// compare a row with it.
func (e *Encoder) ReferenceRow() *Matrix {
	m := &Matrix{Rows: 1, Numbers: e.Numbers(), Cards: e.Categories(), Row: []int32{-1}}
	m.X = make([]float32, m.Numbers)
	for _, c := range e.Category {
		m.C = append(m.C, int32(c.Reference))
	}
	return m
}
