package dp

import "math"

// convention says how terms of a fractional order are summed.
type convention bool

const (
	// absolute sums |binomial| terms, as dp-accounting does today: an upper
	// bound, and what Epsilon uses.
	absolute convention = false
	// signed sums the series as it stands, as Opacus and older TensorFlow
	// Privacy do: the value itself, but for cancellation.
	signed convention = true
)

// orders are the Rényi orders at which Epsilon looks for its minimum: those of
// TensorFlow Privacy, and more above 64 for small promises.
var orders = func() (all []float64) {
	for i := 1; i < 100; i++ {
		all = append(all, 1+float64(i)/10)
	}
	for i := 11; i < 64; i++ {
		all = append(all, float64(i))
	}
	for base := 64.0; base < 1024; base *= 2 {
		for i := range 8 {
			all = append(all, base*(1+float64(i)/8))
		}
	}
	return append(all, 1024)
}()

// rdp is the Rényi divergence of order alpha of all steps of m. With sampling it
// is that of the mixture against the Gaussian, the larger of the two directions
// (Mironov, Talwar and Zhang 2019, theorem 5).
func (m Mechanism) rdp(alpha float64, c convention) float64 {
	steps := float64(m.Steps)
	switch {
	case m.Rate == 1:
		return steps * alpha / (2 * m.Noise * m.Noise)
	case alpha == math.Trunc(alpha):
		return steps * logMomentInt(m.Rate, m.Noise, alpha) / (alpha - 1)
	case c == signed:
		return steps * logMomentSigned(m.Rate, m.Noise, alpha) / (alpha - 1)
	default:
		return steps * logMomentAbsolute(m.Rate, m.Noise, alpha) / (alpha - 1)
	}
}

// logMomentInt is ln A_α for a whole α (section 3.3 of the same). The terms of
// the binomial sum to 1, so that A − 1 is summed and small rates lose no digits.
func logMomentInt(q, sigma, alpha float64) float64 {
	sum, logBinomial := math.Inf(-1), math.Log(alpha)
	logQ, log1Q := math.Log(q), math.Log1p(-q)
	for i := 2.0; i <= alpha; i++ {
		logBinomial += math.Log((alpha - i + 1) / i)
		sum = logAdd(sum, logBinomial+i*logQ+(alpha-i)*log1Q+logExpm1((i*i-i)/(2*sigma*sigma)))
	}
	return logAdd(0, sum)
}

// logExpm1 is ln(eˣ − 1) for x > 0.
func logExpm1(x float64) float64 {
	if x > 1 {
		return x + math.Log1p(-math.Exp(-x))
	}
	return math.Log(math.Expm1(x))
}

// fractional gives the logs of the two i-th terms of the series for a fractional
// order (section 3.3 of the same), without the sign of their binomial. Both fall
// with i once their binomial does.
type fractional struct{ q, sigma, alpha, z0 float64 }

func newFractional(q, sigma, alpha float64) fractional {
	return fractional{q: q, sigma: sigma, alpha: alpha, z0: sigma*sigma*math.Log(1/q-1) + .5}
}

func (f fractional) terms(i, logBinomial float64) (t0, t1 float64) {
	j := f.alpha - i
	logQ, log1Q, scale := math.Log(f.q), math.Log1p(-f.q), math.Sqrt2*f.sigma
	half := logBinomial - math.Ln2
	t0 = half + i*logQ + j*log1Q + (i*i-i)/(2*f.sigma*f.sigma) + logErfc((i-f.z0)/scale)
	t1 = half + j*logQ + i*log1Q + (j*j-j)/(2*f.sigma*f.sigma) + logErfc((f.z0-j)/scale)
	return t0, t1
}

const (
	maxTerms = 1000
	// rounding covers the last digits of the sum of a series whose value may be
	// within them of 1: a bound must not fall below what it bounds.
	rounding = 1e-14
)

// logMomentAbsolute is an upper bound of ln A_α for a fractional α. Past α the
// binomials from the i-th on sum to |C(α,i)|·i/α in absolute value and the rest
// of a term falls, so the tail is bounded by its first term times i/α.
func logMomentAbsolute(q, sigma, alpha float64) float64 {
	f := newFractional(q, sigma, alpha)
	sum, logBinomial := math.Inf(-1), 0.0
	for i := 0.0; ; i++ {
		if i > 0 {
			logBinomial += math.Log(math.Abs(alpha-i+1) / i)
		}
		term := logAdd(f.terms(i, logBinomial))
		if tail := term + math.Log(i/alpha); i > alpha && (i >= maxTerms || tail < sum-40) {
			return math.Max(0, logAdd(sum, tail)) + rounding
		}
		sum = logAdd(sum, term)
	}
}

// logMomentSigned is ln A_α by the alternating series, cut where the terms fall
// below e⁻⁶⁰ as the libraries of that convention do. It is a record of what they
// compute, and decides nothing.
func logMomentSigned(q, sigma, alpha float64) float64 {
	f := newFractional(q, sigma, alpha)
	a0, a1 := math.Inf(-1), math.Inf(-1)
	binomial := 1.0
	for i := 0.0; i < 2*maxTerms; i++ {
		if i > 0 {
			binomial *= (alpha - i + 1) / i
		}
		t0, t1 := f.terms(i, math.Log(math.Abs(binomial)))
		if binomial > 0 {
			a0, a1 = logAdd(a0, t0), logAdd(a1, t1)
		} else {
			a0, a1 = logSub(a0, t0), logSub(a1, t1)
		}
		if math.Max(t0, t1) < -60 {
			break
		}
	}
	return logAdd(a0, a1)
}

// logErfc is ln erfc(x), by its asymptotic series where erfc underflows.
func logErfc(x float64) float64 {
	if x < 25 {
		return math.Log(math.Erfc(x))
	}
	y := 1 / (x * x)
	return -x*x - math.Log(x*math.Sqrt(math.Pi)) + math.Log1p(y*(-1./2+y*(3./4+y*(-15./8+y*(105./16)))))
}
