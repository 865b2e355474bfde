package update

import (
	"fmt"
	"io"
	"math"
)

// Encode implements S45 and S46: x (parameters) and ints become the words of
// the layout, with the footer [weight, clipped, 1]. rows is the member's row
// count; rnd gives three bytes a parameter, little-endian, for the unbiased
// rounding. Nothing is returned with an error: ErrNotFinite, ErrLength,
// ErrWeight, ErrRange, or that of rnd.
func (e Encoding) Encode(x []float32, ints []int64, rows uint32, rnd io.Reader) ([]uint64, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if len(x) != e.Layout.Params {
		return nil, fmt.Errorf("update has %d parameters, layout wants %d: %w", len(x), e.Layout.Params, ErrLength)
	}
	if len(ints) != e.Layout.Ints {
		return nil, fmt.Errorf("update has %d integers, layout wants %d: %w", len(ints), e.Layout.Ints, ErrLength)
	}
	weight := Weight(rows, e.WeightCap, e.WeightBits)
	if weight == 0 {
		return nil, fmt.Errorf("member has no rows: %w", ErrWeight)
	}
	for i, v := range x {
		if !finite(float64(v)) {
			return nil, fmt.Errorf("parameter %d: %w", i, ErrNotFinite)
		}
	}
	words := make([]uint64, e.Layout.Words())
	clipped, err := e.pack(words, x, weight, rnd)
	if err != nil {
		return nil, err
	}
	rest := words[e.Layout.ParamWords():]
	for i, v := range ints {
		if magnitude(v) > e.IntMax {
			return nil, fmt.Errorf("integer %d: %w", i, ErrRange)
		}
		rest[i] = uint64(v)
	}
	footer := rest[len(ints):]
	footer[0], footer[1], footer[2] = weight, clipped, 1
	return words, nil
}

// magnitude returns |v|, also for the smallest int64.
func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

// pack writes the rounded coordinates into their lanes (S45 steps 2–5) and
// returns how many were clamped. Every lane ends in [1, 2^b − 1].
func (e Encoding) pack(words []uint64, x []float32, weight uint64, rnd io.Reader) (clipped uint64, err error) {
	if len(x) == 0 {
		return 0, nil
	}
	half := e.half()
	limit := (half - 1) * fraction
	factor := 1.0
	if norm := math.Sqrt(sumSquares(x)); norm > e.ClipL2 {
		factor = e.ClipL2 / norm
	}
	scale := float64(float64(float64(weight)/float64(e.WeightCap))*float64(half-1)) / e.ClipInf
	lanes, width := e.Layout.Lanes, e.Layout.LaneBits()
	var random [3 * block]byte
	for start := 0; start < len(x); start += block {
		part := x[start:min(start+block, len(x))]
		if _, err := io.ReadFull(rnd, random[:3*len(part)]); err != nil {
			return 0, fmt.Errorf("rounding randomness: %w", err)
		}
		for i, f := range part {
			v := float64(float64(f) * factor)
			if v > e.ClipInf || v < -e.ClipInf {
				v = math.Copysign(e.ClipInf, v)
				clipped++
			}
			t := int64(math.RoundToEven(float64(float64(v*scale) * fraction)))
			t = min(max(t, -limit), limit)
			r := int64(random[3*i]) | int64(random[3*i+1])<<8 | int64(random[3*i+2])<<16
			p := start + i
			words[p/lanes] |= uint64((t+half*fraction+r)>>24) << (width * (p % lanes))
		}
	}
	return clipped, nil
}
