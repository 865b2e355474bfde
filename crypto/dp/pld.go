package dp

import (
	"math"
	"math/bits"
	"math/cmplx"
)

const (
	// gridBits is the binary logarithm of the points of a loss distribution.
	gridBits = 16
	gridSize = 1 << gridBits
	// spare is the share of delta that what falls off the grid may take.
	spare = 1e-6
	// maxLoss is the largest loss whose exponential leaves room in a float64.
	maxLoss = 600
)

// PLD is the ε at delta of all mechanisms composed, by their privacy-loss
// distributions: an upper bound, tighter than Epsilon's and never above it. It
// is there to be reported; Epsilon decides.
//
// Each step's loss is put on a grid so that the hockey-stick divergence is right
// at every point of it and too large between them (connect the dots, Doroshenko
// et al. 2022), mass beyond the grid counts as infinite loss, and the steps are
// convolved by Fourier transform, for a record added and for one removed. What
// the transform wraps around is bounded (Chernoff) and added to δ. Its rounding is
// not bounded but measured, by the negative mass it leaves, and twice that is
// added too. Where losses above 600 matter, Epsilon's bound is returned.
func PLD(delta float64, ms ...Mechanism) (epsilon float64, err error) {
	renyi, _, err := Epsilon(delta, ms...)
	if err != nil || renyi == 0 {
		return renyi, err
	}
	span, tilt := reach(delta*spare, ms)
	if span > maxLoss {
		return renyi, nil
	}
	added := compose(ms, span, tilt, false).epsilon(delta)
	removed := compose(ms, span, tilt, true).epsilon(delta)
	return math.Min(renyi, math.Max(added, removed)), nil
}

// reach is a loss that all steps together exceed with a probability of at most
// tail, by Rényi divergence, and the exponent of Markov's inequality there. A
// loss below −reach is rarer still, by a factor exp(−reach).
func reach(tail float64, ms []Mechanism) (span, tilt float64) {
	span = math.Inf(1)
	for i, divergence := range curve(orders, absolute, ms) {
		lambda := orders[i] - 1
		if s := divergence - math.Log(tail)/lambda; s < span {
			span, tilt = s, lambda
		}
	}
	return span, tilt
}

// losses is a composed distribution on the grid: mass[i] at (i − gridSize/2)·step.
type losses struct {
	mass  []float64
	step  float64
	extra float64 // part of δ that no ε takes away
}

// compose convolves the steps of ms on a grid over [−span, span).
func compose(ms []Mechanism, span, tilt float64, removed bool) losses {
	out := losses{step: 2 * span / gridSize}
	product := make([]complex128, gridSize)
	for i := range product {
		product[i] = 1
	}
	var wrapped float64 // ln of the Chernoff bound
	for _, m := range ms {
		mass, infinite := m.losses(out.step, removed)
		steps := float64(m.Steps)
		out.extra += steps * infinite
		wrapped += steps * logMoment(mass, out.step, tilt)
		spectrum := make([]complex128, gridSize)
		for i, p := range mass { // loss 0 first
			spectrum[(i+gridSize/2)%gridSize] = complex(p, 0)
		}
		fft(spectrum)
		for i, s := range spectrum {
			product[i] *= cmplx.Pow(s, complex(steps, 0))
		}
	}
	out.extra += math.Exp(wrapped - tilt*span)
	for i, s := range product { // the inverse transform is the transform of the conjugate, as the result is real
		product[i] = cmplx.Conj(s)
	}
	fft(product)
	out.mass = make([]float64, gridSize)
	for i := range out.mass {
		p := real(product[(i+gridSize/2)%gridSize]) / gridSize
		if p < 0 {
			out.extra -= 2 * p
		}
		out.mass[i] = math.Max(p, 0)
	}
	return out
}

// logMoment is ln E[exp(lambda·loss)] over the finite losses.
func logMoment(mass []float64, step, lambda float64) float64 {
	sum := math.Inf(-1)
	for i, p := range mass {
		if p > 0 {
			sum = logAdd(sum, math.Log(p)+lambda*float64(i-gridSize/2)*step)
		}
	}
	return sum
}

// losses is the privacy loss of one step. Between two points of the grid the
// mass of either distribution is kept, by giving each point the share that keeps
// both: that is the chord of the hockey-stick divergence over exp(ε). What is
// below the grid stands at its first point.
func (m Mechanism) losses(step float64, removed bool) (mass []float64, infinite float64) {
	mass = make([]float64, gridSize)
	at := func(i int) float64 { return float64(i-gridSize/2) * step }
	lowest, _ := m.between(math.Inf(-1), at(0), removed)
	mass[0] = lowest
	for i := range gridSize - 1 {
		p, q := m.between(at(i), at(i+1), removed)
		upper := (p - q*math.Exp(at(i))) / -math.Expm1(-step)
		upper = math.Max(0, math.Min(upper, p))
		mass[i] += p - upper
		mass[i+1] += upper
	}
	infinite, _ = m.between(at(gridSize-1), math.Inf(1), removed)
	return mass, infinite
}

// between is the probability of a loss in (lo, hi] under the distribution that
// the loss is taken of and under the other one. With the record removed the
// first is the mixture (1−q)·N(0, σ²) + q·N(1, σ²) and the other N(0, σ²); added,
// the other way round.
func (m Mechanism) between(lo, hi float64, removed bool) (p, q float64) {
	if !removed {
		lo, hi = -hi, -lo
	}
	a, b := m.outcome(lo), m.outcome(hi)
	plain := gaussianMass(a/m.Noise, b/m.Noise)
	mixture := (1-m.Rate)*plain + m.Rate*gaussianMass((a-1)/m.Noise, (b-1)/m.Noise)
	if removed {
		return mixture, plain
	}
	return plain, mixture
}

// outcome is the x at which the density of the mixture is exp(l) times that of
// N(0, σ²); −∞ where it is nowhere that small.
func (m Mechanism) outcome(l float64) float64 {
	variance := m.Noise * m.Noise
	switch {
	case m.Rate == 1:
		return variance*l + .5
	case l > -1:
		return variance*math.Log1p(math.Max(-1, math.Expm1(l)/m.Rate)) + .5
	}
	return variance*math.Log(math.Max(0, math.Exp(l)-(1-m.Rate))/m.Rate) + .5
}

// gaussianMass is the standard normal probability of (a, b].
func gaussianMass(a, b float64) float64 {
	if a < 0 {
		a, b = -b, -a
	}
	if a < 0 { // on both sides of 0
		return .5 * (math.Erf(b/math.Sqrt2) - math.Erf(a/math.Sqrt2))
	}
	return .5 * (math.Erfc(a/math.Sqrt2) - math.Erfc(b/math.Sqrt2))
}

// delta is δ at epsilon ≥ 0.
func (l losses) delta(epsilon float64) float64 {
	sum := l.extra
	for i := gridSize - 1; i > gridSize/2; i-- {
		s := float64(i-gridSize/2) * l.step
		if s <= epsilon {
			break
		}
		sum += l.mass[i] * -math.Expm1(epsilon-s)
	}
	return sum
}

// epsilon is the least ε ≥ 0 whose δ is at most delta: from the largest loss
// down, δ(ε) = Σ mass − exp(ε)·Σ mass·exp(−loss) over the losses above ε.
func (l losses) epsilon(delta float64) float64 {
	left := delta - l.extra
	if left <= 0 {
		return math.Inf(1)
	}
	var p, q float64
	for i := gridSize - 1; i > gridSize/2; i-- {
		s := float64(i-gridSize/2) * l.step
		p, q = p+l.mass[i], q+l.mass[i]*math.Exp(-s)
		if p > left {
			if e := math.Log((p - left) / q); e >= s-l.step {
				return math.Max(e, 0)
			}
		}
	}
	return 0
}

// fft is the discrete Fourier transform in place; the length is a power of two.
func fft(a []complex128) {
	n := len(a)
	shift := 64 - (bits.Len(uint(n)) - 1)
	for i := range a {
		if j := int(bits.Reverse64(uint64(i)) >> shift); i < j {
			a[i], a[j] = a[j], a[i]
		}
	}
	root := make([]complex128, n/2)
	for i := range root {
		root[i] = cmplx.Rect(1, -2*math.Pi*float64(i)/float64(n))
	}
	for half := 1; half < n; half *= 2 {
		stride := n / (2 * half)
		for begin := 0; begin < n; begin += 2 * half {
			lower, upper := a[begin:begin+half], a[begin+half:begin+2*half]
			for k, u := range lower {
				v := upper[k] * root[k*stride]
				lower[k], upper[k] = u+v, u-v
			}
		}
	}
}
