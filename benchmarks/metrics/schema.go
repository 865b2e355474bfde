package metrics

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

const (
	// Octaves is the number of doublings of the odds the bins cover: odds from
	// 2^-16 to 2^16, probabilities from 1.5e-5 to 1-1.5e-5. Scores beyond fall
	// into the outermost bins.
	Octaves = 32
	// DefaultBins gives 16 bins a doubling of the odds: 4 to 6 % of the odds each.
	DefaultBins = 512
	// MaxBins bounds the width of a tally.
	MaxBins = 2048

	// CalibrationCells is the number of equal-width cells of [0, 1] for ECE.
	CalibrationCells = 10

	// One is the fixed-point scale of sums of scores, squared errors and log
	// losses. Each row's term is rounded to the nearest 1/One, so a mean is off
	// by at most 2^-21 < 5e-7.
	One = 1 << 20

	// MaxRows is the largest number of rows one node may tally.
	MaxRows = 1 << 30
	// IntMax bounds the absolute value of every word of one node's tally: rows
	// < 2^30, log loss < 2^6 a row at scale 2^20. With N ≤ 64 members
	// N·IntMax ≤ 2^62 < 2^63 (S46); more members have a lower bound.
	IntMax = 1 << 56

	maxGroups  = 32
	maxValues  = 1024
	maxName    = 256
	maxMembers = 255
	maxPooled  = 1 << 36 // rows of all members; their log losses add to less than 2^63
)

// GroupColumn names one group attribute and its values in tally order. A row
// whose value is not listed is counted in a further stratum, Other.
type GroupColumn struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// TallySchema fixes the order of the words of an evaluation tally (S52):
//
//	overall stratum, then for each group column each value's stratum and Other's, then GainWords words
//
// and a stratum is Bins counts of label 0, Bins counts of label 1,
// CalibrationCells × [rows, found, Σ score·One], Σ (score−label)²·One, Σ log loss·One.
//
// Groups are counted in bins as fine as the whole, so that group rates are
// exact at the operating threshold. Only sums over the cohort are ever opened.
type TallySchema struct {
	Groups []GroupColumn `json:"groups"`
	// Bins is 32, 64, … 2048; 0 means DefaultBins.
	Bins int `json:"bins"`
}

// Validate refuses a schema whose tally would be ambiguous or too wide.
func (s TallySchema) Validate() error {
	if b := s.bins(); b < Octaves || b > MaxBins || b&(b-1) != 0 {
		return fmt.Errorf("tally schema: %d bins, want a power of two from %d to %d", b, Octaves, MaxBins)
	}
	if len(s.Groups) > maxGroups {
		return fmt.Errorf("tally schema: %d group columns, at most %d", len(s.Groups), maxGroups)
	}
	columns := map[string]bool{}
	for _, g := range s.Groups {
		if err := g.validate(); err != nil {
			return err
		}
		if columns[g.Name] {
			return fmt.Errorf("tally schema: group column %q twice", g.Name)
		}
		columns[g.Name] = true
	}
	return nil
}

func (g GroupColumn) validate() error {
	if g.Name == "" || len(g.Name) > maxName {
		return fmt.Errorf("tally schema: group column name %.20q has %d bytes, want 1 to %d", g.Name, len(g.Name), maxName)
	}
	if len(g.Values) == 0 || len(g.Values) > maxValues {
		return fmt.Errorf("tally schema: group column %q has %d values, want 1 to %d", g.Name, len(g.Values), maxValues)
	}
	seen := map[string]bool{}
	for _, v := range g.Values {
		if len(v) > maxName {
			return fmt.Errorf("tally schema: group column %q: value %.20q has %d bytes, at most %d", g.Name, v, len(v), maxName)
		}
		if seen[v] {
			return fmt.Errorf("tally schema: group column %q: value %q twice", g.Name, v)
		}
		seen[v] = true
	}
	return nil
}

// Words returns the length of a tally in integer words, gain words included.
func (s TallySchema) Words() int {
	return s.strata()*s.stratumWords() + GainWords
}

// Digest identifies the schema; it is the query of the evaluate step (S52).
func (s TallySchema) Digest() [32]byte {
	b := binary.LittleEndian.AppendUint32([]byte("koinon/tally/1"), uint32(s.bins()))
	text := func(t string) {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t)))
		b = append(b, t...)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s.Groups)))
	for _, g := range s.Groups {
		text(g.Name)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(g.Values)))
		for _, v := range g.Values {
			text(v)
		}
	}
	return sha256.Sum256(b)
}

func (s TallySchema) bins() int {
	if s.Bins == 0 {
		return DefaultBins
	}
	return s.Bins
}

func (s TallySchema) strata() int {
	n := 1
	for _, g := range s.Groups {
		n += len(g.Values) + 1
	}
	return n
}

func (s TallySchema) stratumWords() int {
	return 2*s.bins() + 3*CalibrationCells + 2
}
