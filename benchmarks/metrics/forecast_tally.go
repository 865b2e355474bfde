package metrics

import (
	"fmt"
	"math"
	"slices"
)

// CountTally holds the summed words of an evaluation of forecasts; its embedded
// stratum is the whole cohort. Make one with CountSchema.Parse.
type CountTally struct {
	CountStratum
	Schema      CountSchema
	Alone, Base CountGain // over the nodes' own models, over the baseline
	groups      [][]CountStratum
}

// CountStratum are the summed rows of one group.
type CountStratum struct {
	Inside, Below, Above int64 // of the 80 % interval
	Paired               int64 // rows with a baseline
	Bands                [CountBands]CountBand
	deviance, pearson    int64
	pairedDeviance, base int64
}

// CountBand are the rows whose expected count is in one band.
type CountBand struct {
	Rows, Observed int64
	expected       int64
}

// Edges are those of a band of expected counts: [Low, High), the last one open.
func (CountBand) Edges(band int) (low, high float64) { return bandEdges(band) }

// Expected is the sum of the expected counts.
func (b CountBand) Expected() float64 { return float64(b.expected) / CountOne }

// Rows is the number of rows.
func (s CountStratum) Rows() int64 { return s.Inside + s.Below + s.Above }

// Observed is the sum of the counts.
func (s CountStratum) Observed() (n int64) {
	for _, b := range s.Bands {
		n += b.Observed
	}
	return n
}

// Expected is the sum of the expected counts.
func (s CountStratum) Expected() float64 {
	n := int64(0)
	for _, b := range s.Bands {
		n += b.expected
	}
	return float64(n) / CountOne
}

// Deviance is the mean Poisson deviance of a row, nil without rows.
func (s CountStratum) Deviance() *float64 { return per(float64(s.deviance)/CountOne, s.Rows()) }

// BaseDeviance is that of the baseline, over the rows that have one.
func (s CountStratum) BaseDeviance() *float64 { return per(float64(s.base)/CountOne, s.Paired) }

// MeanError is the mean of expected less observed count, nil without rows.
func (s CountStratum) MeanError() *float64 {
	return per(s.Expected()-float64(s.Observed()), s.Rows())
}

func per(x float64, rows int64) *float64 {
	if rows == 0 {
		return nil
	}
	x /= float64(rows)
	return &x
}

// Ratio is observed over expected, nil where nothing is expected.
func (s CountStratum) Ratio() *float64 {
	if e := s.Expected(); e > 0 {
		r := float64(s.Observed()) / e
		return &r
	}
	return nil
}

// Coverage is the share of rows inside their 80 % interval, with Wilson's interval.
func (s CountStratum) Coverage() *Estimate { return Wilson(float64(s.Inside), float64(s.Rows())) }

// BaseGain is by how much less deviance the model has than the baseline, as a
// share, over the rows that have one; nil where the baseline has none.
func (s CountStratum) BaseGain() *float64 {
	if s.base == 0 {
		return nil
	}
	g := 1 - float64(s.pairedDeviance)/float64(s.base)
	return &g
}

// Dispersion is k estimated by moments, Σμ / (χ² − rows) with Pearson's
// χ² = Σ (y−μ)²/μ; nil where counts scatter no more than Poisson's.
func (s CountStratum) Dispersion() *float64 {
	excess := float64(s.pearson)/CountOne - float64(s.Rows())
	if !(excess > 0) {
		return nil
	}
	k := s.Expected() / excess
	return &k
}

// CountGain is what the members of a sum gained over other forecasts.
type CountGain struct {
	// Defined counts the members whose gain is defined, AtLeast those that gain
	// as much as each of CountMargins (above zero for the first).
	Defined      int64
	AtLeast      [len(CountMargins)]int64
	sum, squares int64
}

// Mean is the mean gain of the members, nil when none has one.
func (g CountGain) Mean() *float64 { return per(float64(g.sum)/One, g.Defined) }

// Spread is the standard deviation of the gains between members, nil below two.
func (g CountGain) Spread() *float64 {
	return Gain{Defined: g.Defined, sum: g.sum, squares: g.squares}.Spread()
}

// Share is the share of members that gain at least one of CountMargins; false
// for another margin or when no member has a gain.
func (g CountGain) Share(margin float64) (float64, bool) {
	i := slices.Index(CountMargins[:], margin)
	if i < 0 || g.Defined == 0 {
		return 0, false
	}
	return float64(g.AtLeast[i]) / float64(g.Defined), true
}

// Group returns the stratum of one listed value of a group column, or false.
func (t *CountTally) Group(column, value string) (CountStratum, bool) {
	for c, g := range t.Schema.Groups {
		if v := slices.Index(g.Values, value); g.Name == column && v >= 0 {
			return t.groups[c][v], true
		}
	}
	return CountStratum{}, false
}

// OtherRows returns the stratum of the rows whose value of the column is
// missing or not listed, or false for a column the schema does not have.
func (t *CountTally) OtherRows(column string) (CountStratum, bool) {
	for c, g := range t.Schema.Groups {
		if g.Name == column {
			return t.groups[c][len(g.Values)], true
		}
	}
	return CountStratum{}, false
}

// Parse reads the sum of nodes' tallies and refuses one that no set of rows can
// have made (S48).
func (s CountSchema) Parse(words []int64) (*CountTally, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if len(words) != s.Words() {
		return nil, fmt.Errorf("tally: %d words, schema wants %d", len(words), s.Words())
	}
	t := &CountTally{Schema: s}
	var err error
	if t.CountStratum, err = parseStratum("overall", words[:countStratumWords]); err != nil {
		return nil, err
	}
	at := countStratumWords
	for _, g := range s.Groups {
		left := slices.Clone(words[:countStratumWords])
		var strata []CountStratum
		for v := 0; v <= len(g.Values); v++ {
			name := g.Name + "=other"
			if v < len(g.Values) {
				name = g.Name + "=" + g.Values[v]
			}
			part := words[at : at+countStratumWords]
			st, err := parseStratum(name, part)
			if err != nil {
				return nil, err
			}
			for i, w := range part {
				if left[i] -= w; left[i] < 0 { // no overflow: no word is negative
					return nil, fmt.Errorf("tally: groups of %q exceed the whole at word %d", g.Name, i)
				}
			}
			strata, at = append(strata, st), at+countStratumWords
		}
		if i := slices.IndexFunc(left, func(w int64) bool { return w != 0 }); i >= 0 {
			return nil, fmt.Errorf("tally: groups of %q fall short of the whole at word %d", g.Name, i)
		}
		t.groups = append(t.groups, strata)
	}
	if t.Alone, err = parseCountGain(words[at : at+countGainWords]); err != nil {
		return nil, err
	}
	t.Base, err = parseCountGain(words[at+countGainWords:])
	return t, err
}

func parseStratum(name string, w []int64) (CountStratum, error) {
	s := CountStratum{
		Inside: w[0], Below: w[1], Above: w[2], deviance: w[3], pearson: w[4],
		Paired: w[5], pairedDeviance: w[6], base: w[7],
	}
	fail := func(format string, args ...any) (CountStratum, error) {
		return s, fmt.Errorf("tally: "+name+": "+format, args...)
	}
	const most = maxMembers * MaxCountRows
	for i, v := range w {
		if v < 0 || i < 3 && v > most {
			return fail("word %d is %d", i, v)
		}
	}
	rows := s.Rows()
	if rows > most || s.Paired > rows || s.pairedDeviance > s.deviance {
		return fail("%d rows, %d of them with a baseline", rows, s.Paired)
	}
	for _, sum := range []struct{ v, rows int64 }{{s.deviance, rows}, {s.pearson, rows}, {s.pairedDeviance, s.Paired}, {s.base, s.Paired}} {
		if sum.v/(maxDeviance*CountOne) > sum.rows || sum.rows == 0 && sum.v > 0 {
			return fail("deviances add to %d over %d rows", sum.v, sum.rows)
		}
	}
	banded := int64(0)
	for i := range s.Bands {
		b := CountBand{Rows: w[countHead+3*i], Observed: w[countHead+3*i+1], expected: w[countHead+3*i+2]}
		if b.Rows > rows || b.Observed > b.Rows*maxCount || !b.fits(i) {
			return fail("band %d: %d rows with %d observed, %d expected", i, b.Rows, b.Observed, b.expected)
		}
		s.Bands[i] = b
		banded += b.Rows
	}
	if banded != rows {
		return fail("bands count %d rows, intervals %d", banded, rows)
	}
	return s, nil
}

// fits reports whether the expected counts of so many rows can be in a band,
// each rounded once.
func (b CountBand) fits(band int) bool {
	low, high := bandEdges(band)
	if band == CountBands-1 {
		high = 1e7
	}
	rows := float64(b.Rows)
	e := float64(b.expected)
	return e >= rows*(low*CountOne-1) && e <= math.Ceil(rows*(high*CountOne+1))
}

func parseCountGain(w []int64) (CountGain, error) {
	n := len(CountMargins)
	g := CountGain{Defined: w[0], sum: w[1+n], squares: w[2+n]}
	last := g.Defined
	for i := range g.AtLeast {
		g.AtLeast[i] = w[1+i]
		if g.AtLeast[i] < 0 || g.AtLeast[i] > last {
			return g, fmt.Errorf("tally: %d of %d members gained", g.AtLeast[i], g.Defined)
		}
		last = g.AtLeast[i]
	}
	_, err := parseGain([]int64{g.AtLeast[0], g.sum, g.squares, g.Defined, 0})
	return g, err
}
