package metrics

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
)

const (
	// CountOne is the fixed-point scale of sums of expected counts, deviances and
	// Pearson terms: each row's is rounded to the nearest 1/CountOne, so a mean is
	// off by at most 1/2048.
	CountOne = 1 << 10
	// MaxCountRows is the most rows of one node's tally of forecasts.
	MaxCountRows = 1 << 20
	// CountBands is the number of bands of the expected count: below 1, then one
	// for each doubling, the last from 2^20 up.
	CountBands = 22
	// Share80 is the share of counts that an interval should hold.
	Share80 = .8
	// CountGainRows is the least number of rows on which a node compares two forecasts.
	CountGainRows = 10

	countHead   = 8       // words of a stratum before its bands
	maxCount    = 1 << 20 // of a label
	maxDeviance = 1 << 26 // of a row; what labels and the clamp of means allow is less
	// leastBaseline stands for a baseline below it, whose deviance would be infinite.
	leastBaseline = .5
)

// CountMargins are the improvements that a node counts itself among: above the
// first, at least the others.
var CountMargins = [3]float64{0, .05, .1}

const countGainWords = 3 + len(CountMargins)

// CountSchema fixes the order of the words of an evaluation of forecasts (S52):
//
//	overall stratum, then for each group column each value's stratum and Other's,
//	then two gains, over the node's own model and over the baseline
//
// A stratum is the rows inside, below and above their 80 % interval; the Poisson
// deviance and Pearson's χ²; of the rows with a baseline their number, the
// model's deviance and the baseline's; then CountBands × [rows, Σ count,
// Σ expected]. A gain is the nodes with a defined one, those above or at each of
// CountMargins, Σ gain·One and Σ gain²·One. Deviances, χ² and expected counts
// are in units of 1/CountOne. Each word of a node is at most IntMax.
type CountSchema struct {
	Groups []GroupColumn `json:"groups"`
}

// Validate refuses a schema whose tally would be ambiguous or too wide.
func (s CountSchema) Validate() error { return TallySchema{Groups: s.Groups}.Validate() }

const countStratumWords = countHead + 3*CountBands

// Words returns the length of a tally in integer words.
func (s CountSchema) Words() int {
	return TallySchema{Groups: s.Groups}.strata()*countStratumWords + 2*countGainWords
}

// Digest identifies the schema; it is the query of the evaluate step (S52).
func (s CountSchema) Digest() [32]byte {
	groups := TallySchema{Groups: s.Groups, Bins: DefaultBins}.Digest()
	return sha256.Sum256(append([]byte("koinon/tally of counts/1"), groups[:]...))
}

// Forecasts are one node's test rows. Means are expected counts, Low and High
// the ends of their 80 % intervals, Alone the expected counts of the node's own
// model (nil: none), Baseline other forecasts, NaN where a row has none (nil:
// none at all); Groups[c][row] is the value index of group column c or Other.
type Forecasts struct {
	Counts       []int32
	Means, Alone []float64
	Low, High    []int64
	Baseline     []float32
	Groups       [][]int16
}

func (f Forecasts) check(s CountSchema) error {
	n := len(f.Counts)
	if n > MaxCountRows {
		return fmt.Errorf("tally: %d rows, at most %d", n, MaxCountRows)
	}
	if len(f.Means) != n || len(f.Low) != n || len(f.High) != n || len(f.Groups) != len(s.Groups) ||
		f.Alone != nil && len(f.Alone) != n || f.Baseline != nil && len(f.Baseline) != n {
		return errors.New("tally: forecasts of different lengths")
	}
	for row, y := range f.Counts {
		if y < 0 || y > maxCount || !(f.Means[row] > 0 && f.Means[row] < 1e7) || f.Low[row] > f.High[row] {
			return fmt.Errorf("tally: row %d: count %d, expected %v from %d to %d", row, y, f.Means[row], f.Low[row], f.High[row])
		}
	}
	for c, g := range s.Groups {
		if len(f.Groups[c]) != n {
			return fmt.Errorf("tally: group column %q has %d rows, want %d", g.Name, len(f.Groups[c]), n)
		}
		for row, v := range f.Groups[c] {
			if v < Other || int(v) >= len(g.Values) {
				return fmt.Errorf("tally: row %d: group column %q has no value %d", row, g.Name, v)
			}
		}
	}
	return nil
}

// hasBaseline reports whether a row has one.
func (f Forecasts) hasBaseline(row int) bool {
	return f.Baseline != nil && !math.IsNaN(float64(f.Baseline[row]))
}

// Deviance is the Poisson deviance of a count y ≥ 0 from an expected one:
// 2·(y·ln(y/mean) − (y − mean)) (McCullagh and Nelder 1989, 2.3).
func Deviance(y, mean float64) float64 {
	d := mean - y
	if y > 0 {
		d += y * math.Log(y/mean)
	}
	return max(2*d, 0)
}

// Count tallies one node's rows.
func (s CountSchema) Count(f Forecasts) ([]int64, error) {
	if err := errors.Join(s.Validate(), f.check(s)); err != nil {
		return nil, err
	}
	words := make([]int64, s.Words())
	for row := range f.Counts {
		terms := f.terms(row)
		band := countHead + 3*band(f.Means[row])
		add := func(stratum []int64) {
			for i, t := range terms[:countHead] {
				stratum[i] += t
			}
			for i, t := range terms[countHead:] {
				stratum[band+i] += t
			}
		}
		add(words)
		at := countStratumWords
		for c, g := range s.Groups {
			v := int(f.Groups[c][row])
			if v == Other {
				v = len(g.Values)
			}
			add(words[at+v*countStratumWords:])
			at += (len(g.Values) + 1) * countStratumWords
		}
	}
	f.gains(words[len(words)-2*countGainWords:])
	return words, nil
}

// terms are what a row adds to the head of its strata and to its band.
func (f Forecasts) terms(row int) (t [countHead + 3]int64) {
	y, mean := float64(f.Counts[row]), f.Means[row]
	switch {
	case int64(f.Counts[row]) < f.Low[row]:
		t[1] = 1
	case int64(f.Counts[row]) > f.High[row]:
		t[2] = 1
	default:
		t[0] = 1
	}
	t[3] = scaled(Deviance(y, mean))
	t[4] = scaled((y - mean) * (y - mean) / mean)
	if f.hasBaseline(row) {
		t[5], t[6], t[7] = 1, t[3], scaled(Deviance(y, baseline(f.Baseline[row])))
	}
	t[8], t[9], t[10] = 1, int64(f.Counts[row]), int64(math.RoundToEven(mean*CountOne))
	return t
}

func baseline(v float32) float64 { return max(float64(v), leastBaseline) }

func scaled(x float64) int64 { return int64(math.RoundToEven(min(x, maxDeviance) * CountOne)) }

// band is the band of an expected count.
func band(mean float64) int {
	_, exponent := math.Frexp(mean)
	return min(max(exponent, 0), CountBands-1)
}

// bandEdges are those of a band of expected counts, the last one open.
func bandEdges(band int) (low, high float64) {
	if band > 0 {
		low = float64(int64(1) << (band - 1))
	}
	if band == CountBands-1 {
		return low, math.Inf(1)
	}
	return low, float64(int64(1) << band)
}

// Gains returns by how much less deviance the forecasts have than those of the
// node's own model and than the baseline, as a share; nil where that is not
// defined: on fewer than CountGainRows rows, or where the other has none.
func (f Forecasts) Gains() (alone, base *float64) {
	all := func(int) bool { return f.Alone != nil }
	alone = f.gain(all, func(row int) float64 { return f.Alone[row] })
	base = f.gain(f.hasBaseline, func(row int) float64 { return baseline(f.Baseline[row]) })
	return alone, base
}

func (f Forecasts) gain(has func(row int) bool, other func(row int) float64) *float64 {
	own, others, rows := 0.0, 0.0, 0
	for row, y := range f.Counts {
		if has(row) {
			own += Deviance(float64(y), f.Means[row])
			others += Deviance(float64(y), other(row))
			rows++
		}
	}
	if rows < CountGainRows || !(others > 0) {
		return nil
	}
	g := 1 - own/others
	return &g
}

// gains writes the two gains.
func (f Forecasts) gains(words []int64) {
	alone, base := f.Gains()
	for _, g := range []*float64{alone, base} {
		if g != nil {
			v := max(*g, -1)
			words[0] = 1
			for i, margin := range CountMargins {
				if v > 0 && v >= margin {
					words[1+i] = 1
				}
			}
			words[1+len(CountMargins)], words[2+len(CountMargins)] = fixed(v), fixed(v*v)
		}
		words = words[countGainWords:]
	}
}

// ForecastFigures are the figures of one set of rows. An undefined figure is
// null in JSON.
type ForecastFigures struct {
	Rows     int       `json:"rows"`
	Observed int64     `json:"observed"`
	Expected float64   `json:"expected"`
	Deviance *float64  `json:"poisson_deviance"`          // a row
	Alone    *float64  `json:"alone_poisson_deviance"`    // of the node's own model
	Base     *float64  `json:"baseline_poisson_deviance"` // a row with a baseline
	Coverage *Estimate `json:"coverage80"`
	// OverAlone and OverBase are the gains over both, on the rows that have them.
	OverAlone *float64 `json:"gain_over_alone"`
	OverBase  *float64 `json:"gain_over_baseline"`
}

// Figures computes the figures of the rows.
func (f Forecasts) Figures() ForecastFigures {
	out := ForecastFigures{Rows: len(f.Counts)}
	deviance, alone, base, inside, paired := 0.0, 0.0, 0.0, 0.0, int64(0)
	for row, n := range f.Counts {
		y := float64(n)
		out.Observed, out.Expected = out.Observed+int64(n), out.Expected+f.Means[row]
		deviance += Deviance(y, f.Means[row])
		if int64(n) >= f.Low[row] && int64(n) <= f.High[row] {
			inside++
		}
		if f.Alone != nil {
			alone += Deviance(y, f.Alone[row])
		}
		if f.hasBaseline(row) {
			base += Deviance(y, baseline(f.Baseline[row]))
			paired++
		}
	}
	rows := int64(len(f.Counts))
	out.Deviance, out.Base, out.Coverage = per(deviance, rows), per(base, paired), Wilson(inside, float64(rows))
	if f.Alone != nil {
		out.Alone = per(alone, rows)
	}
	out.OverAlone, out.OverBase = f.Gains()
	return out
}
