package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
)

// MaxBytes bounds the canonical JSON that Parse reads.
const MaxBytes = 16 << 20

// JSON is the canonical form: one line, keys in the order of the types, floats
// in their shortest form, ending in a newline. NaN and Inf are errors.
func (r *Report) JSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return b.Bytes(), nil
}

// Parse reads canonical JSON. It refuses any other form of it and what Build
// cannot have made: unknown gates, outcomes and rates, counts that disagree.
func Parse(b []byte) (*Report, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("report: %d bytes, at most %d", len(b), MaxBytes)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var r Report
	if err := dec.Decode(&r); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("report: more than one value")
	}
	if r.Format != Format {
		return nil, fmt.Errorf("report: format %.40q, want %q", r.Format, Format)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	again, err := r.JSON()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, b) {
		return nil, errors.New("report: not in canonical form")
	}
	return &r, nil
}

func (r *Report) check() error {
	for _, g := range r.Gates {
		if err := g.Gate.Validate(); err != nil {
			return err
		}
		if outcomeClass(g.Outcome) == "" {
			return fmt.Errorf("outcome %.40q", g.Outcome)
		}
	}
	if r.Verdict != verdict(r.Gates) {
		return fmt.Errorf("verdict %.40q, the gates say %q", r.Verdict, verdict(r.Gates))
	}
	for _, c := range r.Columns {
		for _, g := range c.Gaps {
			if metricNames[g.Rate] == "" {
				return fmt.Errorf("column %.40q: rate %.40q", c.Name, g.Rate)
			}
		}
	}
	if r.Forecasts != nil {
		return r.checkForecasts()
	}
	if r.Rows < 0 || r.Found < 0 || r.Found > r.Rows {
		return fmt.Errorf("%d found among %d rows", r.Found, r.Rows)
	}
	return r.checkBands()
}

// checkBands: bands partition the rows and the scores from 0 to 1.
func (r *Report) checkBands() error {
	if len(r.Bands) == 0 {
		return nil
	}
	edge := 0.0
	rows, found := r.Rows, r.Found
	for i, b := range r.Bands {
		if b.Low != edge || !(b.Low <= b.Mean && b.Mean <= b.High) || b.High > 1 {
			return fmt.Errorf("band %d reaches from %v to %v, mean %v", i, b.Low, b.High, b.Mean)
		}
		if b.Found < fairness.SmallCell || b.Found > b.Rows-fairness.SmallCell || b.Rows > rows || b.Found > found {
			return fmt.Errorf("band %d has %d found among %d rows", i, b.Found, b.Rows)
		}
		edge, rows, found = b.High, rows-b.Rows, found-b.Found
	}
	if edge != 1 || rows != 0 || found != 0 {
		return errors.New("bands do not add up to the whole")
	}
	return nil
}
