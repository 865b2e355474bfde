// Package schedule is the deterministic machine that coordinator and members
// run side by side: three statistics sums build the encoder, training sums move
// the parameters, one evaluate sum gives the tally. Each side derives every
// step from the plan and the state, so the coordinator chooses only when a
// round is run (S73), and each recomputes the model from the published sum (S60).
package schedule

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/crypto/update"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
)

// Kind is what a step sums.
type Kind uint8

// Kinds of step. A plan has either train or grow steps.
const (
	Statistics Kind = 1
	Train      Kind = 2
	Grow       Kind = 3
	Evaluate   Kind = 4
)

// String returns the kind's word in logs and reports.
func (k Kind) String() string {
	switch k {
	case Statistics:
		return "statistics"
	case Train:
		return "train"
	case Grow:
		return "grow"
	case Evaluate:
		return "evaluate"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Config is the part of a plan that decides its steps.
type Config struct {
	Schema       *feature.Schema
	Architecture arch.Spec
	Algorithm    aggregate.Spec
	Seed         uint64   // of the initial parameters (S59)
	Members      int      // N of the cohort (S5)
	MinRows      uint32   // a member with fewer training rows declines (S44); 0 means 1
	RowsMax      uint32   // the most training rows of a member in a plan of trees (trees 7, 9); 0 follows from the statistics
	Bins         int      // score bins of the tally; 0 means metrics.DefaultBins
	Privacy      *Privacy // noise on every sum of training rows; nil: none
}

// WithDefaults returns the configuration with every zero field filled in.
func (c Config) WithDefaults() Config {
	c.Architecture = c.Architecture.WithDefaults()
	c.Algorithm = c.Algorithm.WithDefaults(c.Architecture)
	c.MinRows = max(c.MinRows, 1)
	if c.Bins == 0 {
		c.Bins = metrics.DefaultBins
	}
	return c
}

// Validate says what is wrong with a configuration, before or after defaults.
func (c Config) Validate() error {
	c = c.WithDefaults()
	if c.Schema == nil {
		return errors.New("schedule: no schema")
	}
	if err := c.Schema.Validate(); err != nil {
		return err
	}
	if err := c.Architecture.Validate(); err != nil {
		return err
	}
	if err := c.Algorithm.Validate(c.Architecture); err != nil {
		return err
	}
	if c.Members < 3 || c.Members > 255 { // S6
		return fmt.Errorf("schedule: %d members, want 3 to 255", c.Members)
	}
	if c.Algorithm.Bits == 15 && c.Members > 64 { // V3
		return fmt.Errorf("schedule: algorithm.bits 15 with %d members, it carries 64", c.Members)
	}
	if c.Privacy != nil {
		if err := c.Privacy.validate(c); err != nil {
			return fmt.Errorf("privacy: %w", err)
		}
	}
	return c.validateRows()
}

// validateRows checks the bound of rows that packed cells must hold (trees 7).
func (c Config) validateRows() error {
	if c.RowsMax > 0 {
		if c.Architecture.Kind != arch.Trees {
			return fmt.Errorf("schedule: rows_max is for %s only", arch.Trees)
		}
		if most := trees.MaxRows / c.Members; int64(c.RowsMax) > int64(most) {
			return fmt.Errorf("schedule: rows_max %d, with %d members at most %d", c.RowsMax, c.Members, most)
		}
	}
	return metrics.TallySchema{Bins: c.Bins}.Validate()
}

// Digest names the configuration with its defaults.
func (c Config) Digest() [32]byte {
	c = c.WithDefaults()
	schema := c.Schema.Digest()
	text, err := json.Marshal(struct {
		Schema       []byte         `json:"schema"`
		Architecture arch.Spec      `json:"architecture"`
		Algorithm    aggregate.Spec `json:"algorithm"`
		Seed         uint64         `json:"seed"`
		Members      int            `json:"members"`
		MinRows      uint32         `json:"min_rows"`
		Bins         int            `json:"bins"`
		RowsMax      uint32         `json:"rows_max,omitempty"`
		Privacy      *Privacy       `json:"privacy,omitempty"`
	}{schema[:], c.Architecture, c.Algorithm, c.Seed, c.Members, c.MinRows, c.Bins, c.RowsMax, c.Privacy})
	if err != nil { // only NaN or Inf can fail, and Validate refuses both
		panic("schedule: configuration does not marshal: " + err.Error())
	}
	return sha256.Sum256(append([]byte("koinon/schedule/config/v1"), text...))
}

// Step is one sum: what it asks, and how the answers are encoded.
type Step struct {
	Kind     Kind
	Ordinal  uint32   // number within the plan, from 1
	Query    [32]byte // digest of what is asked; part of σ
	Encoding update.Encoding
	MinRows  uint32
	Round    int    // training round, from 1; 0 for other kinds
	Place    uint32 // tree and level of a grow step (trees 42): tree·MaxDepth + level + 1; 0 for other kinds
}

// Number counts the step among those of its kind, from 1. It is the step's
// place in the plan, for which one survivor set is ever released (S33): unlike
// the ordinal it does not shift when the statistics take fewer sums.
func (s Step) Number() uint32 {
	switch s.Kind {
	case Train:
		return uint32(s.Round)
	case Grow:
		return s.Place
	case Evaluate:
		return 1
	}
	return s.Ordinal
}
