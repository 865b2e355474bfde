// Package budget is a node's memory of what it has given away: the sums it
// took part in, the steps it has released and for whom, the rounds it has seen. It is a
// hash-chained file that only grows, every entry is on disk before the act it
// is about, and it can do one thing: refuse.
package budget

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// Errors on which a participant branches.
var (
	ErrSpent    = errors.New("budget of the plan is spent")                    // ErrBudget of the protocol
	ErrReused   = errors.New("a vector was already masked in this round")      // S27
	ErrStale    = errors.New("round is not newer than the last")               // S13, S64
	ErrReleased = errors.New("step was already released with other survivors") // S33
)

// Kind of a step, as in the sum message.
type Kind uint8

// The kinds of steps.
const (
	Statistics Kind = 1
	Train      Kind = 2
	Grow       Kind = 3
	Evaluate   Kind = 4
)

var kindNames = map[Kind]string{Statistics: "statistics", Train: "train", Grow: "grow", Evaluate: "evaluate"}

// String is the kind's word.
func (k Kind) String() string {
	if name, ok := kindNames[k]; ok {
		return name
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) {
	if name, ok := kindNames[k]; ok {
		return []byte(name), nil
	}
	return nil, fmt.Errorf("unknown kind of step %d", uint8(k))
}

// UnmarshalText accepts the word of a kind.
func (k *Kind) UnmarshalText(text []byte) error {
	for kind, name := range kindNames {
		if name == string(text) {
			*k = kind
			return nil
		}
	}
	return fmt.Errorf("unknown kind of step %.40q", text)
}

// Run identifies a run, in hexadecimal in the file.
type Run [16]byte

// MarshalText implements encoding.TextMarshaler.
func (r Run) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, r[:]), nil }

// UnmarshalText accepts exactly 32 hexadecimal digits.
func (r *Run) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(r) {
		return fmt.Errorf("run %.40q: want 32 hexadecimal digits", text)
	}
	copy(r[:], b)
	return nil
}

// Limits of one plan. Zero is the default, a negative number is none at all.
type Limits struct {
	Evaluations int // different evaluation steps; default 3
}

func limit(v, otherwise int) int {
	if v == 0 {
		return otherwise
	}
	return max(v, 0)
}

func (l Limits) evaluations() int { return limit(l.Evaluations, 3) }
