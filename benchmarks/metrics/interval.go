package metrics

import "math"

// Z95 is the normal quantile of a two-sided 95 % interval.
const Z95 = 1.959963984540054

// Estimate is a figure with its interval, Low ≤ Value ≤ High.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Excludes reports whether x lies outside the interval.
func (e Estimate) Excludes(x float64) bool { return x < e.Low || x > e.High }

// Wilson is the rate x/n with Wilson's score interval; nil when n is 0.
func Wilson(x, n float64) *Estimate {
	if n <= 0 {
		return nil
	}
	const zz = Z95 * Z95
	p := x / n
	centre := (p + zz/2/n) / (1 + zz/n)
	half := float64(Z95*math.Sqrt(float64(p*(1-p))/n+zz/4/n/n)) / (1 + zz/n)
	return &Estimate{Value: p, Low: min(p, max(centre-half, 0)), High: max(p, min(centre+half, 1))}
}

// Newcombe is the difference a − b of two independent rates with the hybrid
// score interval made of their Wilson intervals.
func Newcombe(a, b Estimate) Estimate {
	d := a.Value - b.Value
	down := hypot(a.Value-a.Low, b.High-b.Value)
	up := hypot(a.High-a.Value, b.Value-b.Low)
	return Estimate{Value: d, Low: max(d-down, -1), High: min(d+up, 1)}
}

func hypot(x, y float64) float64 { return math.Sqrt(float64(x*x) + float64(y*y)) }

// Katz is the ratio (x/n)/(y/m) of two independent rates with the logarithmic
// interval; nil when a count is 0.
func Katz(x, n, y, m float64) *Estimate {
	if x <= 0 || y <= 0 || n <= 0 || m <= 0 {
		return nil
	}
	r := x / n / (y / m)
	half := math.Exp(Z95 * math.Sqrt(1/x-1/n+1/y-1/m))
	return &Estimate{Value: r, Low: r / half, High: r * half}
}

// ObservedOverExpected is found/expected with Byar's approximation to the
// Poisson interval at normal quantile z; nil when nothing was expected.
func ObservedOverExpected(found, expected, z float64) *Estimate {
	if expected <= 0 {
		return nil
	}
	low := 0.0
	if found > 0 {
		r := 1 - 1/(9*found) - z/(3*math.Sqrt(found))
		low = float64(found*cube(max(r, 0))) / expected
	}
	f := found + 1
	high := float64(f*cube(1-1/(9*f)+z/(3*math.Sqrt(f)))) / expected
	return &Estimate{Value: found / expected, Low: low, High: high}
}

func cube(x float64) float64 { return float64(float64(x*x) * x) }

// QuantileFor is the normal quantile of a two-sided interval that holds for k
// figures together with at least 95 % (Bonferroni): Φ(z) = 1 − .025/k. It is
// found by bisection on the series of Φ, so every machine gets the same bits.
func QuantileFor(k int) float64 {
	if k <= 1 {
		return Z95
	}
	tail := .025 / float64(k)
	low, high := 1.0, 6.0
	for range 60 {
		z := (low + high) / 2
		if .5-phiAboveHalf(z) > tail {
			low = z
		} else {
			high = z
		}
	}
	return high
}

// phiAboveHalf is Φ(z) − ½ for 0 ≤ z ≤ 6 to about 1e-9: φ(0)·Σ (−1)^k z^(2k+1)/(2^k k! (2k+1)).
func phiAboveHalf(z float64) float64 {
	const density = 0.3989422804014327
	term, total := z, z
	for k := 1; k < 120; k++ {
		term = -float64(term*float64(z*z)) / float64(2*k)
		total += term / float64(2*k+1)
	}
	return float64(density * total)
}
