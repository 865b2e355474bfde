// Package update turns a member's vector into words that can be summed under
// masks, and the sum back into a mean: clip, scale by the coarse weight, round
// without bias, pack into lanes (S43–S50). Floats are float64, each operation
// rounded on its own, so that every member decodes a sum to the same bits (S61).
package update

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/koinon-eu/koinon/crypto/parallel"
	"github.com/koinon-eu/koinon/crypto/ring"
)

// Errors a caller branches on: each refuses input before it becomes a message (S29).
var (
	// ErrNotFinite refuses NaN and infinities.
	ErrNotFinite = errors.New("update is not finite")
	// ErrLength refuses a vector whose length is not that of the layout.
	ErrLength = errors.New("wrong length")
	// ErrWeight refuses a member without rows and a weight cap of zero.
	ErrWeight = errors.New("weight out of range")
	// ErrRange refuses an integer beyond int_max.
	ErrRange = errors.New("integer out of range")
	// ErrSum refuses a sum that no honest survivors can have made (S48).
	ErrSum = errors.New("sum out of range")
)

const (
	block    = 4096    // S45: partial sums of squares
	fraction = 1 << 24 // S45: units of a lane's fraction before rounding

	// piece is how many parameters one processor takes at a time: whole blocks
	// and, as each admitted number of lanes divides it, whole words (S43).
	piece = 3 * block
	part  = piece / 8  // parameters whose lanes are held before they are joined
	batch = 16 * piece // parameters whose randomness is held at once, 576 KiB
)

// Encoding fixes how vectors become words. Both sides derive it from the plan
// and the state (S73).
type Encoding struct {
	Layout     ring.Layout
	ClipL2     float64 // Euclidean bound of a member's vector
	ClipInf    float64 // bound of each coordinate
	WeightCap  uint32  // rows that count as the full weight
	WeightBits uint8   // leading bits of the row count that are kept; 0 = exact
	Members    int     // N of the cohort (S5)
	IntMax     uint64  // bound of each integer word
}

// Validate checks the layout (S43), N·weight_cap < 2^63 (S44) and
// N·int_max < 2^63 (S46), and, where there are parameters, that the clips are
// positive and finite.
func (e Encoding) Validate() error {
	if e.Members < 1 {
		return fmt.Errorf("encoding: %d members", e.Members)
	}
	if err := e.Layout.Validate(e.Members); err != nil {
		return err
	}
	if e.WeightCap == 0 || !below63(e.Members, uint64(e.WeightCap)) {
		return fmt.Errorf("encoding: weight cap %d: %w", e.WeightCap, ErrWeight)
	}
	if e.WeightBits > 32 {
		return fmt.Errorf("encoding: %d weight bits: %w", e.WeightBits, ErrWeight)
	}
	if !below63(e.Members, e.IntMax) {
		return fmt.Errorf("encoding: int_max %d times %d members: %w", e.IntMax, e.Members, ErrRange)
	}
	for _, clip := range []float64{e.ClipL2, e.ClipInf} {
		if e.Layout.Params > 0 && (!finite(clip) || clip <= 0) {
			return fmt.Errorf("encoding: clip %v is not positive and finite", clip)
		}
	}
	return nil
}

// below63 reports whether n·v < 2^63.
func below63(n int, v uint64) bool {
	hi, lo := bits.Mul64(uint64(n), v)
	return hi == 0 && lo < 1<<63
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// half returns B = 2^(b−1), the lane value of zero.
func (e Encoding) half() int64 { return 1 << (e.Layout.Bits - 1) }

// Weight implements S44: min(rows, limit) with its top `keep` bits kept and the
// rest zeroed; keep = 0 is exact. The result of at least one row is at least 1.
func Weight(rows, limit uint32, keep uint8) uint64 {
	v := min(rows, limit)
	if drop := bits.Len32(v) - int(keep); keep > 0 && drop > 0 {
		v = v >> drop << drop
	}
	return uint64(v)
}

// sumSquares returns Σx² in blocks of 4 096, block sums in order (S45 step 2):
// the same bits however many processors work on the blocks.
func sumSquares(x []float32) float64 {
	sums := make([]float64, (len(x)+block-1)/block)
	parallel.Each(len(x), piece, func(lo, hi int) {
		if hi-lo == piece {
			b := lo / block
			sums[b], sums[b+1], sums[b+2] = threeBlocks((*[piece]float32)(x[lo:hi]))
			return
		}
		for start := lo; start < hi; start += block {
			sum := 0.0
			for _, v := range x[start:min(start+block, hi)] {
				sum += float64(float64(v) * float64(v))
			}
			sums[start/block] = sum
		}
	})
	total := 0.0
	for _, sum := range sums {
		total += sum
	}
	return total
}

// threeBlocks returns the block sums of a piece. Each addition waits for the one
// before it, so three sums at a time take as long as one.
func threeBlocks(x *[piece]float32) (s0, s1, s2 float64) {
	for i := range block {
		a, b, c := float64(x[i]), float64(x[block+i]), float64(x[2*block+i])
		s0 += float64(a * a)
		s1 += float64(b * b)
		s2 += float64(c * c)
	}
	return s0, s1, s2
}
