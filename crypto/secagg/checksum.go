package secagg

import (
	"fmt"

	"github.com/koinon-eu/koinon/crypto/parallel"
	"github.com/koinon-eu/koinon/crypto/ring"
)

// CheckSum checks an unmasked sum over that many survivors for what honest
// members cannot exceed (S48): the footer's ones, lanes, unused bits, clipped,
// weight and integer words. A single plain vector is a sum over one. Errors
// wrap ErrRange and name nobody.
func CheckSum(layout ring.Layout, sum []uint64, survivors int, weightCap uint32, intMax uint64) error {
	if err := layout.Validate(survivors); err != nil {
		return fmt.Errorf("%w: %w", ErrRange, err)
	}
	if len(sum) != layout.Words() {
		return fmt.Errorf("%w: %d words, the layout has %d", ErrRange, len(sum), layout.Words())
	}
	n := uint64(survivors)
	params, rest := sum[:layout.ParamWords()], sum[layout.ParamWords():]
	ints, footer := rest[:layout.Ints], rest[layout.Ints:]
	switch weight, clipped, ones := footer[0], footer[1], footer[2]; {
	case ones != n:
		return fmt.Errorf("%w: footer counts %d members, %d survived", ErrRange, ones, n)
	case weight < 1 || weight > n*uint64(weightCap):
		return fmt.Errorf("%w: weight %d with a cap of %d", ErrRange, weight, weightCap)
	case clipped > n*uint64(layout.Params):
		return fmt.Errorf("%w: %d clipped of %d parameters", ErrRange, clipped, layout.Params)
	}
	if err := checkLanes(layout, params, n); err != nil {
		return err
	}
	for i, v := range ints {
		size := v
		if int64(v) < 0 {
			size = -v
		}
		if size > n*intMax {
			return fmt.Errorf("%w: integer %d is beyond %d", ErrRange, i, n*intMax)
		}
	}
	return nil
}

// checkLanes wants every used lane in [0, n(2^bits − 1)] and all else zero. Its
// error names the first word that is not so.
func checkLanes(l ring.Layout, words []uint64, n uint64) error {
	if len(words) == 0 {
		return nil
	}
	width := l.LaneBits()
	most := n * (uint64(1)<<l.Bits - 1)
	low := uint64(1)<<width - 1
	return parallel.Try(len(words), rangeWords, func(lo, hi int) error {
		for i, w := range words[lo:hi] {
			i += lo
			for lane := range l.Lanes {
				v := w >> (lane * width & 63) & low
				if v > most || v != 0 && i*l.Lanes+lane >= l.Params {
					return fmt.Errorf("%w: parameter %d is %d, at most %d", ErrRange, i*l.Lanes+lane, v, most)
				}
			}
			if used := l.Lanes * width; used < 64 && w>>used != 0 {
				return fmt.Errorf("%w: word %d has bits above its lanes", ErrRange, i)
			}
		}
		return nil
	})
}
