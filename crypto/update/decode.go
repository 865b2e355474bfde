package update

import (
	"fmt"
	"math"

	"github.com/koinon-eu/koinon/crypto/parallel"
)

// Mean is a decoded sum.
type Mean struct {
	Values    []float32 // ΣW·x / ΣW, one a parameter
	Ints      []int64   // plain sums
	Weight    uint64    // ΣW, coarse rows
	Clipped   uint64    // clamped coordinates over all survivors
	Survivors int       // n = |U3|
}

// Decode checks a sum of n survivors (S48) and decodes it (S49). A sum that
// fails names nobody: no model is built from it (ErrSum, ErrLength).
func (e Encoding) Decode(sum []uint64, survivors int) (Mean, error) {
	if err := e.Validate(); err != nil {
		return Mean{}, err
	}
	if survivors < 1 || survivors > e.Members {
		return Mean{}, fmt.Errorf("%d survivors of %d members: %w", survivors, e.Members, ErrSum)
	}
	if len(sum) != e.Layout.Words() {
		return Mean{}, fmt.Errorf("sum has %d words, layout wants %d: %w", len(sum), e.Layout.Words(), ErrLength)
	}
	rest := sum[e.Layout.ParamWords():]
	mean := Mean{Survivors: survivors}
	if err := e.footer(&mean, rest[e.Layout.Ints:]); err != nil {
		return Mean{}, err
	}
	var err error
	if mean.Ints, err = e.integers(rest[:e.Layout.Ints], uint64(survivors)); err != nil {
		return Mean{}, err
	}
	if mean.Values, err = e.unpack(sum[:e.Layout.ParamWords()], int64(survivors), mean.Weight); err != nil {
		return Mean{}, err
	}
	return mean, nil
}

// footer checks [ΣW, clipped, n] against S48.
func (e Encoding) footer(mean *Mean, words []uint64) error {
	n := uint64(mean.Survivors)
	mean.Weight, mean.Clipped = words[0], words[1]
	switch {
	case words[2] != n:
		return fmt.Errorf("footer counts %d survivors, want %d: %w", words[2], n, ErrSum)
	case mean.Weight < 1 || mean.Weight > n*uint64(e.WeightCap):
		return fmt.Errorf("weight %d: %w", mean.Weight, ErrSum)
	case mean.Clipped > n*uint64(e.Layout.Params):
		return fmt.Errorf("%d clamped coordinates: %w", mean.Clipped, ErrSum)
	}
	return nil
}

// integers reads two's complement words, each of magnitude ≤ n·int_max (S46, S48).
func (e Encoding) integers(words []uint64, n uint64) ([]int64, error) {
	ints := make([]int64, len(words))
	for i, w := range words {
		ints[i] = int64(w)
		if magnitude(ints[i]) > n*e.IntMax {
			return nil, fmt.Errorf("integer %d is %d: %w", i, ints[i], ErrSum)
		}
	}
	return ints, nil
}

// unpack checks every lane sum to be in [n, n(2^b−1)] and all other bits to be
// zero (S48), then scales it: mean = (lane − n·B)·μ (S49).
func (e Encoding) unpack(words []uint64, n int64, weight uint64) ([]float32, error) {
	if len(words) == 0 {
		return nil, nil
	}
	lanes, width := e.Layout.Lanes, e.Layout.LaneBits()
	highest := n * (1<<e.Layout.Bits - 1)
	zero := n * e.half()
	mu := e.unit(weight)
	values := make([]float32, e.Layout.Params)
	err := parallel.Try(len(words), piece, func(lo, hi int) error {
		for i, w := range words[lo:hi] {
			first := (lo + i) * lanes
			out := values[first:min(first+lanes, len(values))]
			for l := range out {
				lane := int64(w & (1<<width - 1))
				if lane < n || lane > highest {
					return fmt.Errorf("parameter %d: lane sum %d: %w", first+l, lane, ErrSum)
				}
				out[l] = float32(float64(float64(lane-zero) * mu))
				w >>= width
			}
			if w != 0 {
				return fmt.Errorf("word %d has bits outside its lanes: %w", lo+i, ErrSum)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// unit returns μ, the mean that one unit of a lane stands for: products first,
// then one division (S49).
func (e Encoding) unit(weight uint64) float64 {
	return float64(e.ClipInf*float64(e.WeightCap)) / float64(float64(e.half()-1)*float64(weight))
}

// RoundingError returns the standard deviation that rounding adds to each
// coordinate of a mean, for uniform fractions: √(n/6)·μ (S50).
func (e Encoding) RoundingError(m Mean) float64 {
	if m.Weight == 0 || e.Layout.Params == 0 {
		return 0
	}
	return float64(math.Sqrt(float64(m.Survivors)/6) * e.unit(m.Weight))
}
