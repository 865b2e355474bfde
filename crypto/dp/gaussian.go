package dp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/bits"
)

// ErrOverflow is of noise, or of a sum with it, that does not fit 64 bits.
var ErrOverflow = errors.New("noised value does not fit 64 bits")

// The range of σ that NewGaussian takes: below it there is no noise to speak of,
// above it values have no room left.
const (
	MinSigma = 1.0 / (1 << 10)
	MaxSigma = 1 << 40
)

// Gaussian draws from the discrete Gaussian over the integers, P[x] ∝
// exp(−x²/2σ²), exactly: algorithms 1 to 3 of Canonne, Kamath and Steinke 2020,
// in integers. Every decision compares a uniform number, drawn 64 bits at a
// time, with a rational probability. Bounds of the probability in 64-bit
// integers decide nearly always; when they do not (about once in 2⁵⁰ draws) the
// rational itself does, with the same bits. So the values are those of the
// rational computation, whichever way it went.
//
// A Gaussian is not for use by two goroutines. Time depends on the values drawn.
type Gaussian struct {
	words
	t      uint64   // ⌊σ⌋ + 1, scale of the Laplace that is rejected from
	sigma2 *big.Rat // σ², exact
	s, h   uint64   // ⌊2⁵⁶·σ²/t²⌋ and ⌊2⁶⁰·t²/2σ²⌋
	fast   bool     // s and h fit: 1 ≤ σ
}

// NewGaussian returns a sampler for the exact rational value of sigma that takes
// its randomness from r in blocks. It refuses a sigma that is not a number in
// [MinSigma, MaxSigma].
func NewGaussian(sigma float64, r io.Reader) (*Gaussian, error) {
	if !(sigma >= MinSigma && sigma <= MaxSigma) {
		return nil, fmt.Errorf("sigma %v is not in [%v, %v]", sigma, MinSigma, float64(MaxSigma))
	}
	g := &Gaussian{words: words{r: r}, t: uint64(math.Floor(sigma)) + 1, fast: sigma >= 1}
	exact := new(big.Rat).SetFloat64(sigma)
	g.sigma2 = exact.Mul(exact, exact)
	t := new(big.Rat).SetInt(new(big.Int).SetUint64(g.t))
	ratio := new(big.Rat).Quo(g.sigma2, t.Mul(t, t))
	if g.fast {
		g.s = scaled(ratio, 56)
		g.h = scaled(ratio.Inv(ratio), 59)
	}
	return g, nil
}

// scaled is ⌊x·2ˢʰⁱᶠᵗ⌋.
func scaled(x *big.Rat, shift uint) uint64 {
	n := new(big.Int).Lsh(x.Num(), shift)
	return n.Quo(n, x.Denom()).Uint64()
}

// Next draws one value. Its error is the reader's, or ErrOverflow.
func (g *Gaussian) Next() (int64, error) {
	for {
		u, v, negative := g.laplace()
		if g.err != nil {
			return 0, g.err
		}
		hi, a := bits.Mul64(v, g.t)
		a, carry := bits.Add64(a, u, 0)
		if hi|carry != 0 || a > math.MaxInt64 {
			return 0, ErrOverflow
		}
		ok := g.accept(u, v, a)
		if g.err != nil {
			return 0, g.err
		}
		if ok && negative {
			return -int64(a), nil
		} else if ok {
			return int64(a), nil
		}
	}
}

// Add adds a value of its own to each x. With an error x is partly noised and
// must not be used: the reader's error, or ErrOverflow.
func (g *Gaussian) Add(x []int64) error {
	for i := range x {
		n, err := g.Next()
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

// laplace draws from the discrete Laplace of scale t (algorithm 2): u + t·v with
// a sign.
func (g *Gaussian) laplace() (u, v uint64, negative bool) {
	for g.err == nil {
		u = g.below(g.t)
		lo, _ := bits.Div64(u, 0, g.t)
		if !g.bernoulliExp(lo, lo, func() *big.Rat { return ratio(u, g.t) }) {
			continue
		}
		for v = 0; g.bernoulliExp1(); v++ {
		}
		if negative = g.word()&1 == 1; !negative || u|v != 0 {
			return u, v, negative
		}
	}
	return 0, 0, false
}

// accept is true with probability exp(−γ), γ = (a − σ²/t)²/2σ², for a = u + t·v
// (algorithm 3).
func (g *Gaussian) accept(u, v, a uint64) bool {
	n, lo, top := g.gamma(u, v, a)
	for ; n > 0; n-- {
		if !g.bernoulliExp1() {
			return false
		}
	}
	return g.bernoulliExp(lo, top, func() *big.Rat { return fraction(g.exactGamma(a)) })
}

// gamma is the whole part of γ, and bounds of the rest for bernoulliExp.
//
// With w = v + u/t − σ²/t², γ = w²·t²/2σ². The bounds have 56 fractional bits:
// d is within 1 of |w|, and each product is cut downward for the lower one and
// upward for the upper one. v ≤ 9 keeps w² under 2⁷ and γ under 2⁸.
func (g *Gaussian) gamma(u, v, a uint64) (n, lo, top uint64) {
	if g.fast && v <= 9 {
		q, _ := bits.Div64(u, 0, g.t)
		x := v<<56 | q>>8
		d := max(x, g.s) - min(x, g.s)
		lo := mulShift(mulShift(d-min(d, 1), d-min(d, 1), 56), g.h, 60)
		hi := mulShift(mulShift(d+1, d+1, 56)+1, g.h+1, 60) + 1
		if lo>>56 == hi>>56 {
			return lo >> 56, lo << 8, hi<<8 - 1
		}
	}
	x := g.exactGamma(a)
	whole := new(big.Int).Quo(x.Num(), x.Denom()) // of 64 bits, as a/σ is of 32: v counts draws, and σ ≥ 2⁻¹⁰
	return whole.Uint64(), 0, math.MaxUint64
}

// exactGamma is γ.
func (g *Gaussian) exactGamma(a uint64) *big.Rat {
	x := ratio(a, 1)
	x.Sub(x, new(big.Rat).Quo(g.sigma2, ratio(g.t, 1)))
	x.Mul(x, x)
	return x.Quo(x, new(big.Rat).Add(g.sigma2, g.sigma2))
}

// mulShift is ⌊x·y/2ˢʰⁱᶠᵗ⌋, which the caller knows to fit.
func mulShift(x, y uint64, shift uint) uint64 {
	hi, lo := bits.Mul64(x, y)
	return hi<<(64-shift) | lo>>shift
}

func ratio(a, b uint64) *big.Rat {
	return new(big.Rat).SetFrac(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
}

func fraction(x *big.Rat) *big.Rat {
	whole := new(big.Int).Quo(x.Num(), x.Denom())
	return new(big.Rat).Sub(x, new(big.Rat).SetInt(whole))
}

// words is a stream of random words whose first error stays. From then on every
// word is the largest one, with which each loop here ends: no trial succeeds.
type words struct {
	r     io.Reader
	block [512]uint64
	left  int
	err   error
}

func (w *words) word() uint64 {
	if w.left == 0 && !w.fill() {
		return math.MaxUint64
	}
	w.left--
	x := w.block[w.left]
	w.block[w.left] = 0
	return x
}

func (w *words) fill() bool {
	if w.err != nil {
		return false
	}
	var raw [8 * len(w.block)]byte
	defer clear(raw[:])
	if _, w.err = io.ReadFull(w.r, raw[:]); w.err != nil {
		w.err = fmt.Errorf("read noise: %w", w.err)
		return false
	}
	for i := range w.block {
		w.block[len(w.block)-1-i] = binary.LittleEndian.Uint64(raw[8*i:])
	}
	w.left = len(w.block)
	return true
}

// Wipe forgets the randomness that is read and unused. What was used is
// forgotten as it is used.
func (w *words) Wipe() {
	clear(w.block[:])
	w.left = 0
}

// below is uniform in [0, n) (Lemire 2019).
func (w *words) below(n uint64) uint64 {
	hi, lo := bits.Mul64(w.word(), n)
	if lo < n {
		for limit := -n % n; lo < limit && w.err == nil; {
			hi, lo = bits.Mul64(w.word(), n)
		}
	}
	return hi
}

// bernoulliExp is true with probability exp(−γ) (algorithm 1): the number of the
// first failure of Bernoulli(γ/k), k = 1, 2, …, is odd. γ in [0, 1) is given by
// bounds, lo ≤ 2⁶⁴γ ≤ top + 1, and by exact where they leave it open.
func (w *words) bernoulliExp(lo, top uint64, exact func() *big.Rat) bool {
	for k := uint64(1); ; k++ {
		u := w.word()
		over, begin := bits.Mul64(u, k)
		end, carry := bits.Add64(begin, k, 0)
		switch {
		case over == 0 && carry == 0 && end <= lo:
			continue
		case over > 0 || begin > top:
			return k&1 == 1
		}
		if x := exact(); !w.resolve(u, x.Quo(x, ratio(k, 1))) {
			return k&1 == 1
		}
	}
}

// bernoulliExp1 is the same for γ = 1, whose first trial always succeeds.
func (w *words) bernoulliExp1() bool {
	for k := uint64(2); ; k++ {
		u := w.word()
		over, begin := bits.Mul64(u, k)
		end, carry := bits.Add64(begin, k, 0)
		switch {
		case over == 0 && (carry == 0 || end == 0):
			continue
		case over > 0:
			return k&1 == 1
		}
		if !w.resolve(u, ratio(1, k)) {
			return k&1 == 1
		}
	}
}

// resolve is whether a uniform number that begins with the 64 bits of u is below
// p, drawing more of it while that is open.
func (w *words) resolve(u uint64, p *big.Rat) bool {
	rest, scale := new(big.Rat).Set(p), new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), 64))
	for one := big.NewRat(1, 1); w.err == nil; u = w.word() {
		rest.Mul(rest, scale)
		rest.Sub(rest, ratio(u, 1))
		if rest.Sign() <= 0 {
			return false
		}
		if rest.Cmp(one) >= 0 {
			return true
		}
	}
	return false
}
