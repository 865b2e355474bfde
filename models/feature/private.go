package feature

import (
	"errors"
	"fmt"
	"math"
)

// Noise is what every member adds to its vector of private statistics: discrete
// Gaussian noise of Sigma·Δ₂ on each word, the whole of it each, so that a
// record's guarantee rests on its own node alone (trees 62).
type Noise struct {
	Sigma   float64 // σ/Δ₂ of one member: statistics_noise of the plan
	Members int     // most members in the sum; 0 counts as 1
}

// drown is how many standard deviations of its noise a count must have to be
// taken for rows: a category, missing numbers, cells, the rows themselves (trees 59).
const drown = 4

// NewPrivateStatistics returns the machine of a plan with record-level noise. It
// asks for one sum: rows, positives, and for each feature in schema order a
// block in which every row stands once (trees 59):
//
//	number      missing, then up to 128 cells over the declared range
//	category    one count a declared value, then missing
//
// Members add noise of Sigma() to what Count gives. What comes out of the sum may
// be negative and need not add up; the encoder and the spreads made of it are
// usable for every sum that Apply takes, or an error says that the noise leaves
// nothing. The schema must pass CheckPrivate.
func NewPrivateStatistics(s *Schema, n Noise) *Statistics {
	n.Members = max(n.Members, 1)
	st := &Statistics{schema: s, noise: &n}
	for _, c := range s.Columns {
		switch {
		case c.Role == RoleGroup:
			st.columns = append(st.columns, &declaredGroup{c.Name, declaredValues(c)})
		case !c.IsFeature():
		case c.Type == TypeNumber:
			st.columns = append(st.columns, newNoisyNumber(c))
		default:
			st.columns = append(st.columns, &noisyCategory{listedStat: listedStat{column: c.Name, values: declaredValues(c)}})
		}
	}
	return st
}

// declaredValues are the values of a category or boolean.
func declaredValues(c Column) []string {
	if c.Type == TypeBoolean {
		return []string{"0", "1"}
	}
	return c.Values
}

// CheckPrivate refuses a schema whose statistics would have to learn from the
// rows what noise then hides: a number must declare its range and a category its
// values.
func CheckPrivate(s *Schema) error {
	if s.Label.IsCount() {
		return errors.New("label: record-level privacy is for labels that are positive or not: a row that counts is an aggregate of people, and its count could outweigh all noise")
	}
	for _, c := range s.Columns {
		switch {
		case !c.IsFeature() && c.Role != RoleGroup:
		case c.Type == TypeNumber && c.Range == nil:
			return fmt.Errorf("column %s: with record-level privacy a number needs a declared range; nothing about its size may be learnt from single rows", c.Name)
		case c.Type == TypeCategory && len(c.Values) == 0:
			return fmt.Errorf("column %s: with record-level privacy a category needs its values declared; names are not learnt from rows", c.Name)
		}
	}
	return nil
}

// Sensitivity is Δ₂ of the private vector: the most, in Euclidean length, that
// one row added or removed changes it. The row counts once in rows, positives and
// every feature's block. It is 0 for statistics without noise.
func (s *Statistics) Sensitivity() float64 {
	if s.noise == nil {
		return 0
	}
	square := headWords
	for _, c := range s.columns {
		if c.words(1) > 0 {
			square++
		}
	}
	return math.Sqrt(float64(square))
}

// Sigma is the standard deviation, in rows, of the noise that each member adds to
// every word of its vector; 0 for statistics without noise.
func (s *Statistics) Sigma() float64 {
	if s.noise == nil {
		return 0
	}
	return s.noise.Sigma * s.Sensitivity()
}

// summedSigma is Sigma of a sum of all members.
func (s *Statistics) summedSigma() float64 {
	return float64(s.Sigma() * math.Sqrt(float64(s.noise.Members)))
}

// threshold is the fewest rows to which a noised count must come.
func threshold(sigma float64) int64 {
	return max(Floor, int64(math.Ceil(min(float64(drown*sigma), maxRows))))
}

// maxNoised bounds a word of a private sum, so that blocks add up in 64 bits.
const maxNoised = 1 << 48

// applyPrivate takes in the one private sum.
func (s *Statistics) applyPrivate(sum []int64) error {
	for i, w := range sum {
		if w < -maxNoised || w > maxNoised {
			return fmt.Errorf("statistics: word %d is %d, beyond any count with noise", i, w)
		}
	}
	sigma := s.summedSigma()
	rows := min(sum[0], maxRows)
	if least := threshold(sigma); rows < least {
		return fmt.Errorf("statistics: %d labelled training rows with noise in the whole cohort, at least %d are needed: "+
			"use more rows, fewer features or less noise", sum[0], least)
	}
	// A count of positives below the noise says only that they are few: half a
	// deviation is kept from either end, so that the base rate is not taken for 0.
	few := int64(math.Ceil(sigma / 2))
	s.rows, s.pos = rows, min(max(sum[1], few), rows-few)
	at := headWords
	for _, c := range s.columns {
		n := c.words(1)
		block := make([]int64, n)
		for i, w := range sum[at : at+n] {
			block[i] = min(max(w, -rows), rows)
		}
		if err := c.apply(1, rows, block); err != nil {
			return fmt.Errorf("statistics: column %s: %w", c.name(), err)
		}
		if d, ok := c.(denoiser); ok {
			d.denoise(sigma)
		}
		at += n
	}
	return nil
}

// denoiser is a column that drops counts which noise alone may have made.
type denoiser interface{ denoise(sigma float64) }

// errDrowned ends statistics whose every feature was lost in noise.
var errDrowned = errors.New("statistics: no feature column stands out of the noise: use more rows, fewer features or less noise")

// noisyCategory counts like a listed category, and keeps what stands out.
type noisyCategory struct {
	listedStat
	kept []int64 // rows of each slot: values, the rest, missing; 0 what noise hides
}

func (n *noisyCategory) apply(_ int, _ int64, block []int64) error {
	n.counts = block
	return nil
}

// denoise keeps values and missing of at least max(Floor, 4σ) rows. The others
// share the slot of unknown values, if together they stand out of their noise:
// negative counts are part of that sum, or noise alone would make one.
func (n *noisyCategory) denoise(sigma float64) {
	n.kept = make([]int64, len(n.values)+2)
	least, rest, dropped := threshold(sigma), int64(0), 0
	for i, c := range n.counts {
		slot := i
		if i == len(n.values) {
			slot++ // missing stands behind unknown
		}
		if c >= least {
			n.kept[slot] = c
		} else {
			rest, dropped = rest+c, dropped+1
		}
	}
	if rest >= threshold(float64(sigma*math.Sqrt(float64(dropped)))) {
		n.kept[len(n.values)] = rest
	}
}

// declaredGroup is a group column, whose values are declared: nothing is counted.
type declaredGroup struct {
	column string
	values []string
}

func (d *declaredGroup) name() string                        { return d.column }
func (d *declaredGroup) words(int) int                       { return 0 }
func (d *declaredGroup) count(int, *Table, []int32, []int64) {}
func (d *declaredGroup) apply(int, int64, []int64) error     { return nil }
func (d *declaredGroup) opened(_ int, b []byte) []byte       { return b }
