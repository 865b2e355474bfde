package metrics

import (
	"fmt"
	"slices"
)

// Parse reads the sum of up to 64 nodes' tallies and refuses one that no set
// of rows can have made (S48): negative counts, bins and cells that disagree,
// sums outside their cells, groups that do not add up to the whole, impossible
// gains. Words are copied.
func (s TallySchema) Parse(words []int64) (*Tally, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if len(words) != s.Words() {
		return nil, fmt.Errorf("tally: %d words, schema wants %d", len(words), s.Words())
	}
	words = slices.Clone(words)
	width := s.stratumWords()
	t := &Tally{Schema: s}
	t.Schema.Bins = s.bins()
	var err error
	if t.Stratum, err = s.stratum("overall", words[:width]); err != nil {
		return nil, err
	}
	at := width
	for _, g := range s.Groups {
		end := at + (len(g.Values)+1)*width
		strata, err := s.column(g, words[at:end], words[:width])
		if err != nil {
			return nil, err
		}
		t.groups = append(t.groups, strata)
		at = end
	}
	if t.Gain, err = parseGain(words[at:]); err != nil {
		return nil, err
	}
	return t, nil
}

func (s TallySchema) column(g GroupColumn, words, whole []int64) ([]Stratum, error) {
	width := s.stratumWords()
	var strata []Stratum
	left := slices.Clone(whole)
	for v := 0; v <= len(g.Values); v++ {
		part := words[v*width : (v+1)*width]
		name := g.Name + "=other"
		if v < len(g.Values) {
			name = g.Name + "=" + g.Values[v]
		}
		st, err := s.stratum(name, part)
		if err != nil {
			return nil, err
		}
		strata = append(strata, st)
		for i, w := range part {
			left[i] -= w // no overflow: every stratum's words are ≤ 2^62
			if left[i] < 0 {
				return nil, fmt.Errorf("tally: groups of %q exceed the whole at word %d", g.Name, i)
			}
		}
	}
	if i := slices.IndexFunc(left, func(w int64) bool { return w != 0 }); i >= 0 {
		return nil, fmt.Errorf("tally: groups of %q fall short of the whole at word %d", g.Name, i)
	}
	return strata, nil
}

func (s TallySchema) stratum(name string, w []int64) (Stratum, error) {
	bins := s.bins()
	st := Stratum{schema: TallySchema{Bins: bins}, Negative: w[:bins:bins], Positive: w[bins : 2*bins : 2*bins]}
	const most = maxPooled
	for i, n := range w[:2*bins] {
		if n < 0 || n > most {
			return st, fmt.Errorf("tally: %s: bin %d counts %d rows", name, i%bins, n)
		}
	}
	st.negatives, st.positives = sum(st.Negative), sum(st.Positive) // ≤ 2^11·2^36
	if n := st.Rows(); n > most {
		return st, fmt.Errorf("tally: %s: %d rows, at most %d", name, n, int64(most))
	}
	var cells Cell
	for i := range st.Cells {
		c := Cell{Rows: w[2*bins+3*i], Found: w[2*bins+3*i+1], Score: w[2*bins+3*i+2]}
		if err := c.check(i, st.Rows()); err != nil {
			return st, fmt.Errorf("tally: %s: %w", name, err)
		}
		st.Cells[i] = c
		cells.Rows, cells.Found = cells.Rows+c.Rows, cells.Found+c.Found
	}
	if cells.Rows != st.Rows() || cells.Found != st.positives {
		return st, fmt.Errorf("tally: %s: cells count %d rows with %d found, bins %d with %d", name, cells.Rows, cells.Found, st.Rows(), st.positives)
	}
	st.squared, st.logLoss = w[len(w)-2], w[len(w)-1]
	if st.squared < 0 || st.squared > st.Rows()*One {
		return st, fmt.Errorf("tally: %s: squared error %d over %d rows", name, st.squared, st.Rows())
	}
	if st.logLoss < 0 || st.logLoss > st.Rows()*(One<<6) {
		return st, fmt.Errorf("tally: %s: log loss %d over %d rows", name, st.logLoss, st.Rows())
	}
	return st, nil
}

// check bounds a cell: its rows score from i/10 to (i+1)/10, each rounded once.
func (c Cell) check(i int, rows int64) error {
	if c.Rows < 0 || c.Rows > rows || c.Found < 0 || c.Found > c.Rows {
		return fmt.Errorf("calibration cell %d: %d found among %d rows", i, c.Found, c.Rows)
	}
	low := c.Rows * (int64(i)*One/CalibrationCells - 1)
	high := c.Rows * (int64(i+1)*One/CalibrationCells + 1)
	if c.Score < low || c.Score > high {
		return fmt.Errorf("calibration cell %d: scores add to %d over %d rows", i, c.Score, c.Rows)
	}
	return nil
}

func parseGain(w []int64) (Gain, error) {
	g := Gain{Gained: w[0], sum: w[1], squares: w[2], Defined: w[3], variances: w[4]}
	if g.Defined < 0 || g.Defined > maxMembers || g.Gained < 0 || g.Gained > g.Defined {
		return g, fmt.Errorf("tally: %d of %d members gained", g.Gained, g.Defined)
	}
	limit := g.Defined * One
	if g.sum < -limit || g.sum > limit || g.squares < 0 || g.squares > limit {
		return g, fmt.Errorf("tally: gains of %d members add to %d, their squares to %d", g.Defined, g.sum, g.squares)
	}
	if g.variances < 0 || g.variances > g.Defined*VarianceOne {
		return g, fmt.Errorf("tally: variances of %d gains add to %d", g.Defined, g.variances)
	}
	// Cauchy–Schwarz, (Σg)² ≤ n·Σg², with one unit of rounding a member in each sum.
	if lean := max(abs(g.sum)-g.Defined, 0); lean*lean > g.Defined*(g.squares+g.Defined)*One {
		return g, fmt.Errorf("tally: gains add to %d, their squares only to %d", g.sum, g.squares)
	}
	return g, nil
}

func sum(x []int64) (n int64) {
	for _, v := range x {
		n += v
	}
	return n
}

func abs(x int64) int64 {
	if x < 0 {
		return -x
	}
	return x
}
