// Package ring holds the only arithmetic that masks take part in: vectors of
// 64-bit words added modulo 2^64, and the layout that says what the words of
// one vector mean (S43).
//
// Several parameters share a word. Each lives in a lane wide enough for the
// sum over every member, so one 64-bit addition adds all lanes of a word and
// no lane carries into the next (S47).
package ring

import "fmt"

// MaxWords bounds a vector: 2^27 words, 1 GiB (S9).
const MaxWords = 1 << 27

// FooterWords is the length of the footer [weight, clipped, 1] (S43).
const FooterWords = 3

// Layout tells how a vector is made up: ⌈Params/Lanes⌉ parameter words, Ints
// integer words, then the footer (S43). A vector without parameters may leave
// Lanes and Bits zero.
type Layout struct {
	Params int // parameters, each Bits wide before summing
	Lanes  int // parameters in one word
	Bits   int // bits of one encoded parameter
	Ints   int // two's complement integer words
}

// lanes lists the admitted pairs of S43: bits of a parameter, lanes in a word.
var lanes = [...]struct{ bits, lanes int }{{24, 2}, {15, 3}, {10, 4}, {8, 4}}

// LaneBits returns the width of a lane, ⌊64/Lanes⌋ bits (S43); 0 without lanes.
func (l Layout) LaneBits() int {
	if l.Lanes == 0 {
		return 0
	}
	return 64 / l.Lanes
}

// ParamWords returns ⌈Params/Lanes⌉, the words that hold parameters (S43).
func (l Layout) ParamWords() int {
	if l.Params <= 0 || l.Lanes <= 0 {
		return 0
	}
	return (l.Params-1)/l.Lanes + 1
}

// Words returns the length of the whole vector, footer included (S43).
func (l Layout) Words() int { return l.ParamWords() + l.Ints + FooterWords }

// Validate refuses a layout outside S43 and S9, or one whose lanes could
// overflow when that many members are added.
func (l Layout) Validate(members int) error {
	switch {
	case members < 1:
		return fmt.Errorf("layout for %d members", members)
	case l.Params < 0 || l.Ints < 0:
		return fmt.Errorf("layout has %d parameters and %d integers", l.Params, l.Ints)
	case l.Params == 0 && l.Ints == 0:
		return fmt.Errorf("layout has nothing to sum")
	case l.Params > 4*MaxWords || l.Ints > MaxWords:
		return fmt.Errorf("layout has more than %d words", MaxWords)
	}
	if l.Params > 0 || l.Lanes != 0 || l.Bits != 0 {
		if err := l.validateLanes(members); err != nil {
			return err
		}
	}
	if l.Words() > MaxWords {
		return fmt.Errorf("layout has %d words, more than %d", l.Words(), MaxWords)
	}
	return nil
}

func (l Layout) validateLanes(members int) error {
	for _, p := range lanes {
		if p.bits != l.Bits || p.lanes != l.Lanes {
			continue
		}
		// members·(2^bits − 1) < 2^LaneBits: the sum of a lane stays inside it.
		if uint64(members) > (uint64(1)<<l.LaneBits()-1)/(uint64(1)<<l.Bits-1) {
			return fmt.Errorf("layout with %d bits in %d lanes overflows with %d members", l.Bits, l.Lanes, members)
		}
		return nil
	}
	return fmt.Errorf("layout with %d bits in %d lanes", l.Bits, l.Lanes)
}
