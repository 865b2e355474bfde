package aggregate

import (
	"fmt"
	"math"
)

// Limits of the validation words. A row's loss is taken at most as MaxLoss, and
// a member's coarse weight at most as MaxJudges, so that the words of a cohort
// stay below 2^63 (S46): 255·MaxJudges·MaxLoss·LossUnit < 2^63.
const (
	LossUnit  = 1 << 20
	MaxLoss   = 64
	MaxJudges = 1 << 28
	StopWords = 2 // Σ⌊W·loss·2²⁰⌋ and ΣW
)

// maxPatience bounds the judgements without a better one.
const maxPatience = MaxRounds

// Stop is the plan's `algorithm.stop` block: some of the training rows do not
// train but judge, and training ends before `rounds` when they say that it gets
// no better. The zero value is off; then every row trains and the last
// parameters are the model.
type Stop struct {
	// Patience is how many judgements in a row may pass without a better one. 0 is off.
	Patience int `yaml:"patience,omitempty" json:"patience"`
	// Every is the training rounds from one judgement to the next; the first is of
	// the parameters that training starts from. 0 means 1.
	Every int `yaml:"every,omitempty" json:"every"`
	// Tolerance is the share of the best loss by which a better one must be below it. 0 means 0.0001.
	Tolerance float64 `yaml:"tolerance,omitempty" json:"tolerance"`
	// Validation is the share of training rows that judge, up to 0.5. 0 means 0.1.
	Validation float64 `yaml:"validation,omitempty" json:"validation"`
}

// On reports whether training may end early.
func (s Stop) On() bool { return s != Stop{} }

// Judges reports whether the sum of a training round, from 1, also judges the
// parameters that the round starts from.
func (s Stop) Judges(round int) bool { return s.On() && (round-1)%s.Every == 0 }

// Judgements is how many there are after so many training rounds.
func (s Stop) Judgements(rounds int) int {
	if !s.On() {
		return 0
	}
	return (rounds + s.Every - 1) / s.Every
}

// Better reports whether a loss a row is enough below the best one so far.
func (s Stop) Better(loss, best float64) bool {
	return loss < float64(best*(1-s.Tolerance))
}

// withDefaults fills every zero field of a block that is there.
func (s Stop) withDefaults() Stop {
	if s.On() {
		setInt(&s.Every, 1)
		setFloat(&s.Tolerance, 1e-4)
		setFloat(&s.Validation, 0.1)
	}
	return s
}

// validate is for a block with defaults, in a plan of so many rounds.
func (s Stop) validate(rounds int) error {
	if !s.On() {
		return nil
	}
	for _, r := range []struct {
		name     string
		v        float64
		min, max float64
	}{
		{"patience", float64(s.Patience), 1, maxPatience},
		{"every", float64(s.Every), 1, MaxRounds},
		{"tolerance", s.Tolerance, 1e-12, 0.5},
		{"validation", s.Validation, 1e-3, 0.5},
	} {
		if math.IsNaN(r.v) || r.v < r.min || r.v > r.max {
			return fmt.Errorf("algorithm: stop.%s %v is not between %v and %v", r.name, r.v, r.min, r.max)
		}
	}
	if s.Every >= rounds {
		return fmt.Errorf("algorithm: stop.every %d of %d rounds: nothing but the start would be judged", s.Every, rounds)
	}
	return nil
}
