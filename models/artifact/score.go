package artifact

import (
	"errors"
	"math"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

// Factor says how far one column moved a row's logit: the logit as it is, less
// the logit with the column at its reference (a number at its mean, a category
// at its most frequent value). Positive raises the score. Of a forecast it is the
// logarithm of the expected count that moves: e^Effect multiplies it.
type Factor struct {
	Column string  `json:"column"`
	Effect float64 `json:"effect"`
}

// Advisory is what a person is shown for one row.
type Advisory struct {
	Row     int     `json:"row"`          // in the table, from 0
	ID      string  `json:"id,omitempty"` // if the schema names an id
	Score   float64 `json:"score"`        // probability, or expected count
	Band    string  `json:"band"`
	Flagged bool    `json:"flagged"` // at or above the operating threshold
	// Interval holds about 80 % of the counts around Score, which is then the
	// expected count; of other models it is zero.
	Interval [2]int64 `json:"-"`
	Factors  []Factor `json:"factors"`
}

// Scorer scores rows with one model. It keeps scratch space, so that a row
// costs no allocation, and serves one goroutine at a time.
type Scorer struct {
	model     *Model
	trees     *treeScorer // of an ensemble, instead of all below
	forward   *arch.Model
	inputs    []feature.Input
	reference *feature.Matrix
	x         []float32 // a row, then the same with one column at its reference
	c         []int32
	columns   []int // of inputs: the column of each of these but the first
	out       []float64
}

// NewScorer prepares a model for scoring.
func (m *Model) NewScorer() (*Scorer, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	if m.Ensemble != nil {
		t, err := newTreeScorer(m.Ensemble)
		return &Scorer{model: m, trees: t, inputs: m.Encoder.Inputs()}, err
	}
	forward, err := arch.NewModel(m.Header.Architecture, m.Shape(), m.Params)
	if err != nil {
		return nil, err
	}
	s := &Scorer{model: m, forward: forward, inputs: m.Encoder.Inputs(), reference: m.Encoder.ReferenceRow()}
	n := 1 + len(s.inputs)
	s.x, s.c = make([]float32, n*s.reference.Numbers), make([]int32, n*len(s.reference.Cards))
	s.columns, s.out = make([]int, 0, n), make([]float64, n)
	return s, nil
}

// Score advises on each row of the table, with up to factors factors a row.
func (s *Scorer) Score(t *feature.Table, factors int) ([]Advisory, error) {
	logits, explain, err := s.rows(t)
	if err != nil {
		return nil, err
	}
	factors = min(max(factors, 0), len(s.inputs))
	all := make([]Factor, 0, factors*len(logits))
	out := make([]Advisory, len(logits))
	for i, z := range logits {
		from := len(all)
		if factors > 0 {
			all = explain(i, factors, all)
		}
		if s.model.Forecasts() {
			out[i] = s.forecast(z, Advisory{Row: i, ID: t.ID(i), Factors: all[from:len(all):len(all)]})
			continue
		}
		p := arch.Sigmoid(z)
		out[i] = Advisory{
			Row: i, ID: t.ID(i), Score: p, Band: s.model.Header.Band(p),
			Flagged: p >= s.model.Header.Threshold, Factors: all[from:len(all):len(all)],
		}
	}
	return out, nil
}

// rows returns the log-odds of every row of a table, and what explains them:
// it appends up to k factors of a row to dst.
func (s *Scorer) rows(t *feature.Table) ([]float64, func(row, k int, dst []Factor) []Factor, error) {
	if s.trees != nil {
		return s.trees.rows(s.model.Encoder, t)
	}
	rows, err := s.model.Encoder.Encode(t, feature.SelectAll)
	if err != nil {
		return nil, nil, err
	}
	logits := make([]float64, rows.Rows)
	explain := func(row, k int, dst []Factor) []Factor { return s.Explain(rows, row, k, dst) }
	return logits, explain, s.Logits(rows, logits)
}

// Logits writes the log-odds of encoded rows, or the logarithms of their expected
// counts, into out, which has a place for each. Trees refuse: they score tables only.
func (s *Scorer) Logits(rows *feature.Matrix, out []float64) error {
	if s.trees != nil {
		return errMatrix
	}
	if len(out) != rows.Rows {
		return errors.New("artifact: no place for every row")
	}
	batch := arch.Batch{Rows: rows.Rows, X: rows.X, C: rows.C, Offset: arch.Offsets(rows.Exposure)}
	if err := batch.Check(s.model.Shape()); err != nil {
		return err
	}
	s.forward.Logits(batch, out)
	return nil
}

// Explain appends the k factors that moved a row's logit most, strongest
// first, to dst. Equal effects keep the order of the schema; columns without
// effect are left out. rows must be encoded by this model's encoder; trees, which
// score tables only, have no factors here.
func (s *Scorer) Explain(rows *feature.Matrix, row, k int, dst []Factor) []Factor {
	if s.trees != nil {
		return dst
	}
	k0, c0 := rows.Numbers, len(rows.Cards)
	s.vary(rows.X[row*k0:(row+1)*k0], rows.C[row*c0:(row+1)*c0])
	n := 1 + len(s.columns)
	s.forward.Logits(arch.Batch{Rows: n, X: s.x[:n*k0], C: s.c[:n*c0]}, s.out[:n])
	first := len(dst)
	for i, z := range s.out[1:n] {
		if effect := s.out[0] - z; effect != 0 {
			dst = insert(dst, first, k, Factor{Column: s.inputs[s.columns[i]].Column, Effect: effect})
		}
	}
	return dst
}

// vary writes a row and, for each column that is not at its reference, the row
// with that column there. A network takes them through its layers together.
func (s *Scorer) vary(x []float32, c []int32) {
	copy(s.x, x)
	copy(s.c, c)
	s.columns = s.columns[:0]
	for i, in := range s.inputs {
		n := 1 + len(s.columns)
		nx, nc := s.x[n*len(x):(n+1)*len(x)], s.c[n*len(c):(n+1)*len(c)]
		copy(nx, x)
		copy(nc, c)
		changed := false
		for _, at := range [2]int{in.Number, in.Indicator} {
			if at >= 0 && nx[at] != s.reference.X[at] {
				nx[at], changed = s.reference.X[at], true
			}
		}
		if at := in.Category; at >= 0 && nc[at] != s.reference.C[at] {
			nc[at], changed = s.reference.C[at], true
		}
		if changed {
			s.columns = append(s.columns, i)
		}
	}
}

// forecast fills in the expected count and its 80 % interval.
func (s *Scorer) forecast(z float64, a Advisory) Advisory {
	a.Score, a.Band = arch.Mean(z), s.model.Header.Bands[0].Name
	a.Interval[0], a.Interval[1] = arch.Interval(a.Score, s.model.Header.Architecture.K(), .8)
	return a
}

// insert keeps dst[first:] the k strongest factors in descending order.
func insert(dst []Factor, first, k int, f Factor) []Factor {
	at := len(dst)
	for at > first && math.Abs(dst[at-1].Effect) < math.Abs(f.Effect) {
		at--
	}
	if at-first >= k {
		return dst
	}
	if len(dst)-first < k {
		dst = append(dst, f)
	}
	copy(dst[at+1:], dst[at:])
	dst[at] = f
	return dst
}
