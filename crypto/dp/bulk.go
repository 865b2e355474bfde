package dp

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/bits"
)

// Bulk draws from the same distribution as Gaussian, as exactly and many times as
// fast, for large σ and many values.
//
// Magnitudes are drawn by rejection from an envelope of steps (Marsaglia and
// Tsang's ziggurat with upright strips): strip i holds 2ˢʰⁱᶠᵗ integers from i·2ˢʰⁱᶠᵗ
// on and has the whole height heights[i] ≥ top·f(i·2ˢʰⁱᶠᵗ), with f(x) = exp(−x²/2σ²).
// A point of it, (x, v), counts when v is below top·f(x). Below sure[i], which is
// at most top·f at the strip's end, that is so for every x of the strip, which
// settles 98 draws of 100; the rest is decided by f in float64 with a margin far
// beyond its error and, within the margin, by f in as many digits as it takes. So
// no rounding has a part in what is drawn, whatever the machine's exponential.
//
// A Bulk is not for use by two goroutines. Time depends on the values drawn.
type Bulk struct {
	*envelope
	r    io.Reader
	raw  [4096]byte
	left int
	err  error
}

// envelope is what a σ decides.
type envelope struct {
	sigma   float64
	shift   uint     // of the integers in a strip
	scale   uint     // top is 2ˢᶜᵃˡᵉ
	strips  int      // beyond them lies the tail
	heights []uint64 // of each strip; one more of the tail's first
	ends    []uint64 // points up to each strip's end; one more with the tail
	sure    []uint64
	guide   [guides + 1]uint16 // first strip that a point of this leading part may be in
	margin  float64
	points  uint64 // of both signs
	limit   uint64 // below it a word is drawn in vain (Lemire 2019)
}

const (
	// MinBulk is the least σ of a Bulk: strips must hold many integers.
	MinBulk = 1 << 10

	stripsPerSigma = 64 // at least half as many
	bulkReach      = 13 // σ that the strips cover: what lies beyond has a height of 2⁻¹²²
	drawBits       = 53 // that hold every point: so few that hardly a word is drawn in vain
	guideBits      = 10
	guides         = 1 << guideBits
	// floatMargin bounds the relative error of f in float64, which is below 2⁻⁴³:
	// x/σ and its square are good to 2⁻⁵¹ and γ ≤ 2⁷, and an exponential to 2⁻⁵⁰.
	floatMargin = 1.0 / (1 << 40)
	// tiny is where float64 loses digits, with room to spare.
	tiny = 1e-200
)

// NewBulk returns a sampler for the exact rational value of sigma, which must be
// in [MinBulk, MaxSigma]. It takes its randomness from r in blocks.
func NewBulk(sigma float64, r io.Reader) (*Bulk, error) {
	if !(sigma >= MinBulk && sigma <= MaxSigma) {
		return nil, fmt.Errorf("sigma %v is not in [%v, %v]", sigma, float64(MinBulk), float64(MaxSigma))
	}
	shift := uint(math.Ceil(math.Log2(sigma / stripsPerSigma)))
	e := &envelope{
		sigma: sigma, shift: shift, margin: floatMargin,
		strips: int(math.Ceil(bulkReach * sigma / math.Ldexp(1, int(shift)))),
		scale:  drawBits - 7 - shift, // all strips have fewer than 128 tops of points for each integer in one
	}
	e.heights, e.ends, e.sure = make([]uint64, e.strips+1), make([]uint64, e.strips+1), make([]uint64, e.strips)
	sum := uint64(0)
	for i := range e.heights {
		height := e.scaled(uint64(i) << shift)
		e.heights[i] = uint64(math.Ceil(height*(1+floatMargin))) + 1
		if i > 0 {
			e.sure[i-1] = uint64(max(0, math.Floor(height*(1-floatMargin))-1))
		}
		if i < e.strips {
			sum += e.heights[i] << shift
			e.ends[i] = sum
		}
	}
	e.ends[e.strips] = sum + e.heights[e.strips]<<(shift+tailShift+1)
	e.points = 2 * e.ends[e.strips]
	e.limit = -e.points % e.points
	strip := 0
	for i := range e.guide {
		for strip < e.strips && e.ends[strip] <= uint64(i)<<(drawBits-guideBits) {
			strip++
		}
		e.guide[i] = uint16(strip)
	}
	return &Bulk{envelope: e, r: r}, nil
}

// From returns a sampler of the same distribution that reads r.
func (b *Bulk) From(r io.Reader) *Bulk { return &Bulk{envelope: b.envelope, r: r} }

// scaled is top·f(x) in float64.
func (e *envelope) scaled(x uint64) float64 {
	a := float64(x) / e.sigma
	return math.Ldexp(math.Exp(-0.5*a*a), int(e.scale))
}

// Next draws one value. Its error is the reader's.
func (b *Bulk) Next() (int64, error) {
	e := b.envelope
	for {
		sign, low := bits.Mul64(b.word(), e.points)
		if b.err != nil {
			return 0, b.err
		}
		if low < e.limit {
			continue
		}
		point := sign >> 1
		i := int(e.guide[point>>(drawBits-guideBits)])
		for i < e.strips && point >= e.ends[i] {
			i++
		}
		if i == e.strips {
			if x, ok := b.tail(); ok {
				return withSign(x, sign), b.err
			}
			continue
		}
		if i > 0 {
			point -= e.ends[i-1]
		}
		v, x := point>>e.shift, uint64(i)<<e.shift|point&(1<<e.shift-1)
		if (v < e.sure[i] || b.under(v, x, 0)) && (x > 0 || sign&1 == 0) && b.err == nil {
			return withSign(x, sign), nil
		}
	}
}

func withSign(x, sign uint64) int64 {
	mask := -int64(sign & 1)
	return (int64(x) ^ mask) - mask
}

// Add adds a value of its own to each x. With an error x is partly noised and
// must not be used: the reader's error, or ErrOverflow.
func (b *Bulk) Add(x []int64) error {
	for i := range x {
		n, err := b.Next()
		if err != nil {
			return err
		}
		sum := x[i] + n
		if (sum > x[i]) != (n > 0) {
			return ErrOverflow
		}
		x[i] = sum
	}
	return nil
}

// tailShift: a strip of the tail is as wide as so many others, at least one σ.
const tailShift = 6

// tail draws a point of the envelope beyond the strips, of which strip j has the
// height of the tail's first over 2ʲ. From 13σ on f falls by much more in one σ.
func (b *Bulk) tail() (x uint64, ok bool) {
	j := uint(0)
	for b.word()&1 == 1 && b.err == nil {
		j++
	}
	x = uint64(b.strips)<<b.shift + uint64(j)<<(b.shift+tailShift) + b.word()&(1<<(b.shift+tailShift)-1)
	return x, b.under(b.below(b.heights[b.strips]), x, j) && b.err == nil
}

// under is whether (v + U)/2ʲ is below top·f(x) for U uniform in [0, 1).
func (b *Bulk) under(v, x uint64, j uint) bool {
	y := math.Ldexp(b.scaled(x), int(j))
	if y < tiny {
		return b.resolve(v, x, j)
	}
	if float64(v)+1 <= y*(1-b.margin)*(1-0x1p-50) { // v as a float64 is good to 2⁻⁵³
		return true
	}
	if float64(v) >= y*(1+b.margin)*(1+0x1p-50) {
		return false
	}
	return b.resolve(v, x, j)
}

// resolve decides under with more digits of U and of f until they differ.
func (b *Bulk) resolve(v, x uint64, j uint) bool {
	gamma := new(big.Rat).SetFrac(new(big.Int).SetUint64(x), big.NewInt(1))
	gamma.Quo(gamma, new(big.Rat).SetFloat64(b.sigma))
	gamma.Mul(gamma, gamma)
	gamma.Quo(gamma, big.NewRat(2, 1))
	point := new(big.Int).SetUint64(v)
	for digits := uint(64); b.err == nil; digits += 64 {
		point.Lsh(point, 64).Add(point, new(big.Int).SetUint64(b.word()))
		lo, hi := expBounds(gamma, digits+192) // of e^−γ·2^(digits+192)
		at := new(big.Int).Lsh(point, 192)     // compared with top·2ʲ·2^(digits+192)·f
		lo.Lsh(lo, b.scale+j)
		hi.Lsh(hi, b.scale+j)
		if new(big.Int).Add(at, new(big.Int).Lsh(big.NewInt(1), 192)).Cmp(lo) <= 0 {
			return true
		}
		if at.Cmp(hi) >= 0 {
			return false
		}
	}
	return false
}

// expBounds returns integers around e^−γ·2ᵈⁱᵍⁱᵗˢ, for γ ≥ 0.
func expBounds(gamma *big.Rat, digits uint) (lo, hi *big.Int) {
	// e^−γ is e^(−γ/2ᵏ) squared k times; the series of that alternates and falls.
	k := uint(max(0, new(big.Int).Quo(gamma.Num(), gamma.Denom()).BitLen()+1))
	work := digits + 2*k + 32
	one := new(big.Int).Lsh(big.NewInt(1), work)
	small := new(big.Int).Lsh(gamma.Num(), work)
	small.Quo(small, new(big.Int).Lsh(gamma.Denom(), k)) // ⌊γ/2ᵏ⌋
	loT, hiT := expSeries(small, one, work)
	// γ/2ᵏ is below small + 1, so that its exponential is above less one unit.
	loT.Sub(loT, big.NewInt(1))
	for range k {
		loT.Mul(loT, loT).Rsh(loT, work)
		hiT.Mul(hiT, hiT).Rsh(hiT, work).Add(hiT, big.NewInt(1))
	}
	shift := work - digits
	return loT.Rsh(loT, shift), hiT.Rsh(hiT, shift).Add(hiT, big.NewInt(1))
}

// expSeries bounds e^−z·one for z = small/one in [0, 1) by two sums of its
// series, each term cut to within one unit.
func expSeries(small, one *big.Int, work uint) (lo, hi *big.Int) {
	sum, term := new(big.Int).Set(one), new(big.Int).Set(one)
	n := int64(0)
	for term.Sign() > 0 {
		n++
		term.Mul(term, small).Rsh(term, work).Quo(term, big.NewInt(n))
		if n&1 == 1 {
			sum.Sub(sum, term)
		} else {
			sum.Add(sum, term)
		}
	}
	// Each of n terms is off by less than two units, and so is what is left out.
	slack := big.NewInt(2*n + 4)
	return new(big.Int).Sub(sum, slack), sum.Add(sum, slack)
}

// word returns 64 random bits. After an error of the reader it is the largest one.
func (b *Bulk) word() uint64 {
	if b.left == 0 && !b.fill() {
		return math.MaxUint64
	}
	b.left -= 8
	return binary.LittleEndian.Uint64(b.raw[b.left&(len(b.raw)-1):])
}

func (b *Bulk) fill() bool {
	if b.err != nil {
		return false
	}
	if _, err := io.ReadFull(b.r, b.raw[:]); err != nil {
		b.err = fmt.Errorf("read noise: %w", err)
		return false
	}
	b.left = len(b.raw)
	return true
}

// below is uniform in [0, n) (Lemire 2019).
func (b *Bulk) below(n uint64) uint64 {
	hi, lo := bits.Mul64(b.word(), n)
	if lo < n {
		for limit := -n % n; lo < limit && b.err == nil; {
			hi, lo = bits.Mul64(b.word(), n)
		}
	}
	return hi
}

// Wipe forgets the randomness that was read, used or not.
func (b *Bulk) Wipe() {
	clear(b.raw[:])
	b.left = 0
}
