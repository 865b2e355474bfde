package update

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/koinon-eu/koinon/crypto/parallel"
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
	squares := sumSquares(x)
	if err := notFinite(x, squares); err != nil {
		return nil, err
	}
	words := make([]uint64, e.Layout.Words())
	var clipped uint64
	if len(x) > 0 { // without parameters, Bits and Lanes may be zero (S43)
		var err error
		if clipped, err = e.scaling(squares, weight).pack(words, x, rnd); err != nil {
			return nil, err
		}
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

// notFinite names the first NaN or infinity of x (S45 step 1). squares, the sum
// of its squares, tells whether to look: float32 squares cannot overflow float64.
func notFinite(x []float32, squares float64) error {
	if finite(squares) {
		return nil
	}
	i := slices.IndexFunc(x, func(v float32) bool { return !finite(float64(v)) })
	return fmt.Errorf("parameter %d: %w", i, ErrNotFinite)
}

// scaling takes a parameter to its lane (S45 steps 2–5).
type scaling struct {
	factor      float64 // f of step 2
	clip        float64 // clip_inf of step 3
	scale       float64 // κ of step 4
	half, limit int64   // B and (B−1)·2^24
	lanes       int     // in a word: 2, 3 or 4 (S43)
}

func (e Encoding) scaling(squares float64, weight uint64) scaling {
	half := e.half()
	s := scaling{factor: 1, clip: e.ClipInf, half: half, limit: (half - 1) * fraction, lanes: e.Layout.Lanes}
	if norm := math.Sqrt(squares); norm > e.ClipL2 {
		s.factor = e.ClipL2 / norm
	}
	s.scale = float64(float64(float64(weight)/float64(e.WeightCap))*float64(half-1)) / e.ClipInf
	return s
}

// pack writes the rounded coordinates into their lanes and returns how many
// were clamped. Every lane ends in [1, 2^b − 1]. A reader gives its bytes in
// order, so the randomness of a batch is read first and its pieces then shared
// out.
func (s scaling) pack(words []uint64, x []float32, rnd io.Reader) (clipped uint64, err error) {
	random := make([]byte, 3*min(len(x), batch)+1) // one more, see packPiece
	defer clear(random)
	var clamped [batch / piece]uint64
	for len(x) > 0 {
		now := x[:min(len(x), batch)]
		if _, err := io.ReadFull(rnd, random[:3*len(now)]); err != nil {
			return 0, fmt.Errorf("rounding randomness: %w", err)
		}
		parallel.Each(len(now), piece, func(lo, hi int) {
			clamped[lo/piece] += s.packPiece(words[lo/s.lanes:], now[lo:hi], random[3*lo:])
		})
		words, x = words[len(now)/s.lanes:], x[len(now):]
	}
	for _, n := range clamped {
		clipped += n
	}
	return clipped, nil
}

// packPiece fills words from their first lane on. random has three bytes a
// parameter and one more, which is read with the last three and dropped. Lanes
// are made first and joined afterwards: each loop fits the registers.
func (s scaling) packPiece(words []uint64, x []float32, random []byte) (clamped uint64) {
	var buf [part]uint64
	for len(x) > 0 {
		n := min(len(x), part)
		lanes := buf[:(n+s.lanes-1)/s.lanes*s.lanes]
		clear(lanes[n:]) // unused lanes are zero (S43)
		clamped += s.round(lanes, x[:n], random)
		s.join(words, lanes)
		words, x, random = words[len(lanes)/s.lanes:], x[n:], random[3*n:]
	}
	clear(buf[:])
	return clamped
}

// round takes each parameter to its lane (S45 steps 3–5).
func (s scaling) round(lanes []uint64, x []float32, random []byte) (clamped uint64) {
	factor, clip, scale, limit, zero := s.factor, s.clip, s.scale, s.limit, s.half*fraction
	lanes = lanes[:len(x)]
	for i, f := range x {
		v := float64(float64(f) * factor)
		if v > clip {
			v = clip
			clamped++
		} else if v < -clip {
			v = -clip
			clamped++
		}
		t := roundToEven(float64(float64(v*scale) * fraction))
		t = min(max(t, -limit), limit)
		r := int64(binary.LittleEndian.Uint32(random[3*i:3*i+4]) & (fraction - 1))
		lanes[i] = uint64((t + zero + r) >> 24)
	}
	return clamped
}

// join makes words of lanes (S43).
func (s scaling) join(words, lanes []uint64) {
	words = words[:len(lanes)/s.lanes]
	switch s.lanes {
	case 2:
		for i := range words {
			l := (*[2]uint64)(lanes[2*i:])
			words[i] = l[0] | l[1]<<32
		}
	case 3:
		for i := range words {
			l := (*[3]uint64)(lanes[3*i:])
			words[i] = l[0] | l[1]<<21 | l[2]<<42
		}
	default:
		for i := range words {
			l := (*[4]uint64)(lanes[4*i:])
			words[i] = l[0] | l[1]<<16 | l[2]<<32 | l[3]<<48
		}
	}
}

// roundToEven is int64(math.RoundToEven(v)) for |v| < 2^51, and far outside
// beyond that: at 1.5·2^52 the unit of a float64 is one, so the addition rounds
// and leaves the integer in the low bits.
func roundToEven(v float64) int64 {
	const unit = 3 << 51
	return int64(math.Float64bits(float64(v+unit)) - math.Float64bits(unit))
}
