package dp

import (
	"fmt"
	"math"
	"sort"
	"strconv"
)

// Epsilon is the ε at delta of all mechanisms composed, by Rényi divergence: the
// bound that decides. order is the Rényi order it is reached at. Fractional
// orders are summed in absolute value, which is the larger of the two
// conventions in use. No mechanism at all costs nothing.
func Epsilon(delta float64, ms ...Mechanism) (epsilon, order float64, err error) {
	if err := validate(delta, ms); err != nil {
		return 0, 0, err
	}
	epsilon, order = best(delta, orders, curve(orders, absolute, ms))
	return epsilon, order, nil
}

// curve is the sum of the divergences of ms at each order.
func curve(orders []float64, c convention, ms []Mechanism) []float64 {
	sum := make([]float64, len(orders))
	for _, m := range ms {
		for i, alpha := range orders {
			sum[i] += m.rdp(alpha, c)
		}
	}
	return sum
}

// Covered returns the least noise of four significant digits that m covers.
func Covered(m Mechanism) (float64, error) {
	if err := m.Validate(); err != nil {
		return 0, err
	}
	i := sort.Search(decades*9000, func(i int) bool { return m.Covers(fourDigits(i)) })
	if i == decades*9000 {
		return 0, fmt.Errorf("a mechanism that costs next to nothing: %w", ErrUnreachable)
	}
	return fourDigits(i), nil
}

// Covers reports whether m costs at least as much, at every order that Epsilon
// looks at, as one Gaussian mechanism of that noise which sees every record:
// who has paid for m may answer with it instead.
func (m Mechanism) Covers(noise float64) bool {
	if m.Validate() != nil || !(noise > 0) {
		return false
	}
	for i, divergence := range curve(orders, absolute, []Mechanism{m}) {
		if orders[i]/(2*noise*noise) > divergence {
			return false
		}
	}
	return true
}

// best is the least ε over the orders.
func best(delta float64, orders, divergence []float64) (epsilon, order float64) {
	epsilon = math.Inf(1)
	for i, alpha := range orders {
		if e := convert(delta, alpha, divergence[i]); e < epsilon {
			epsilon, order = e, alpha
		}
	}
	return epsilon, order
}

// convert turns a Rényi divergence into ε at delta: proposition 12 of Canonne,
// Kamath and Steinke 2020 and, where the divergence bounds the total variation
// by delta alone (Bretagnolle and Huber), zero.
func convert(delta, alpha, divergence float64) float64 {
	if delta*delta+math.Expm1(-divergence) > 0 {
		return 0
	}
	return math.Max(0, divergence+math.Log1p(-1/alpha)-math.Log(delta*alpha)/(alpha-1))
}

// slack keeps the last digits of one machine's logarithms from deciding on
// another whether a promise holds.
const slack = 1e-9

// NoiseFor returns the least noise of four significant digits with which extra
// and Mechanism{rate, noise, steps} composed stay within epsilon at delta, by
// the bound of Epsilon. It returns ErrUnreachable when extra alone exceeds it, or
// when it would take noise beyond 9.999·10⁶.
func NoiseFor(epsilon, delta, rate float64, steps uint64, extra ...Mechanism) (float64, error) {
	if !(epsilon > 0 && epsilon <= math.MaxFloat64) {
		return 0, fmt.Errorf("epsilon %v is not a positive number", epsilon)
	}
	if err := validate(delta, append([]Mechanism{{Rate: rate, Noise: 1, Steps: steps}}, extra...)); err != nil {
		return 0, err
	}
	base := curve(orders, absolute, extra)
	holds := func(noise float64) bool {
		total := curve(orders, absolute, []Mechanism{{Rate: rate, Noise: noise, Steps: steps}})
		for i := range total {
			total[i] += base[i]
		}
		e, _ := best(delta, orders, total)
		return e <= epsilon*(1-slack)
	}
	lo, hi := 0, decades*9000
	for lo < hi {
		if mid := (lo + hi) / 2; holds(fourDigits(mid)) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	if lo == decades*9000 {
		return 0, fmt.Errorf("epsilon %v at delta %v: %w", epsilon, delta, ErrUnreachable)
	}
	return fourDigits(lo), nil
}

// decades of noise that NoiseFor searches, from 0.01 up.
const decades = 9

// fourDigits is the i-th number of four significant digits from 0.01.
func fourDigits(i int) float64 {
	x, err := strconv.ParseFloat(fmt.Sprintf("%de%d", 1000+i%9000, i/9000-5), 64)
	if err != nil {
		return math.NaN()
	}
	return x
}
