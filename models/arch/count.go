package arch

import (
	"fmt"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
)

// Losses of a count label. Both have a log link: the output of the architecture
// is the logarithm of the expected count.
const (
	// Poisson is the loss of counts whose variance is their mean.
	Poisson = "poisson"
	// NegativeBinomial is the loss of counts whose variance is μ + μ²/k, k being
	// the dispersion (Hilbe 2011, NB2): of nearly all counts of cases.
	NegativeBinomial = "negative-binomial"
)

// DefaultDispersion is k of a plan that names none.
const DefaultDispersion = 8

// MaxLogMean bounds the log of an expected count: beyond ±16 (8.9 million, or
// one in 8.9 million) it counts as ±16, so that no row's weight overflows.
const MaxLogMean = 16

// Counts reports whether the architecture forecasts counts.
func (s Spec) Counts() bool { return s.Loss != "" || s.Kind == Linear }

// Flat reports whether the output is a weighted sum of the inputs.
func (s Spec) Flat() bool { return s.Kind == Logistic || s.Kind == Linear }

// K is the dispersion of the counts around their mean, 0 for Poisson.
func (s Spec) K() float64 { return s.WithDefaults().Dispersion }

// Words names the architecture for people: its kind and, of counts, the loss.
func (s Spec) Words() string {
	s = s.WithDefaults()
	switch s.Loss {
	case "":
		return s.Kind
	case NegativeBinomial:
		return fmt.Sprintf("%s (%s, dispersion %v)", s.Kind, s.Loss, s.Dispersion)
	}
	return fmt.Sprintf("%s (%s)", s.Kind, s.Loss)
}

// withCounts fills in loss and dispersion.
func (s Spec) withCounts() Spec {
	if s.Kind == Linear && s.Loss == "" {
		s.Loss = NegativeBinomial
	}
	if s.Loss == NegativeBinomial && s.Dispersion == 0 {
		s.Dispersion = DefaultDispersion
	}
	return s
}

// validateCounts checks loss and dispersion, after defaults.
func (s Spec) validateCounts() error {
	switch {
	case s.Loss == "" && s.Dispersion == 0:
		return nil
	case s.Loss != "" && s.Loss != Poisson && s.Loss != NegativeBinomial:
		return fmt.Errorf("architecture: loss %.40q is not known: want %s or %s, or none for a label that is positive or not", s.Loss, Poisson, NegativeBinomial)
	case s.Loss != NegativeBinomial && s.Dispersion != 0:
		return fmt.Errorf("architecture: dispersion belongs to loss %s", NegativeBinomial)
	case s.Kind == Trees:
		return fmt.Errorf("architecture: %s have no loss for counts: use %s or %s", Trees, Linear, MLP)
	case s.Kind == Logistic:
		return fmt.Errorf("architecture: %s is for a label that is positive or not: with loss %s use %s", Logistic, s.Loss, Linear)
	case s.Loss == NegativeBinomial && !(s.Dispersion >= 0.1 && s.Dispersion <= 1e6):
		return fmt.Errorf("architecture: dispersion %v is not between 0.1 and 1e6", s.Dispersion)
	}
	return nil
}

// Mean returns the expected count of an output, with the same bits on every
// processor.
func Mean(z float64) float64 {
	return trees.Exp(min(max(z, -MaxLogMean), MaxLogMean))
}

// Offsets returns the logarithms of exposures: what the output of a row begins
// with, so that its expected count is in proportion to its exposure. nil stays nil.
func Offsets(exposures []float32) []float32 {
	if exposures == nil {
		return nil
	}
	out := make([]float32, len(exposures))
	for i, e := range exposures {
		out[i] = float32(trees.Ln(float64(e)))
	}
	return out
}

const (
	// tail is where a term of a distribution is left out, as a share of its largest.
	tail = 1e-12
	// farthest ends a distribution: far above what a label may count.
	farthest = 16 * feature.MaxCount
)

// Interval returns the quantiles of the counts around an expected one: the least
// whole numbers that at least (1−share)/2 and (1+share)/2 of them do not exceed.
// k is the dispersion, 0 for Poisson. Probabilities are summed exactly, term
// after term outwards from the largest, each from its neighbour, up to 16 times
// the largest label; the bits are the same on every processor. The work grows
// with the spread of the counts.
func Interval(mean, k, share float64) (low, high int64) {
	up := func(j float64) float64 { // p(j+1) / p(j)
		if k == 0 {
			return mean / (j + 1)
		}
		return float64(float64((j+k)/(j+1)) * float64(mean/(mean+k)))
	}
	mode := mean
	if k > 0 {
		mode = float64(mean * max(k-1, 0) / k)
	}
	start := int64(mode)
	below, first := 0.0, start // of the terms before start
	for p := 1.0; first > 0; {
		p /= up(float64(first - 1))
		if p < tail {
			break
		}
		first--
		below += p
	}
	total := below
	for p, j := 1.0, start; p >= tail && j < farthest; j++ {
		total += p
		p = float64(p * up(float64(j)))
	}
	return quantiles(up, first, start, total, (1-share)/2)
}

// quantiles walks through the terms from first on, the one at start being 1.
func quantiles(up func(float64) float64, first, start int64, total, lower float64) (low, high int64) {
	p := 1.0
	for j := start; j > first; j-- {
		p /= up(float64(j - 1))
	}
	sum, j := p, first
	next := func(until float64) int64 {
		for sum < until && j < farthest {
			p = float64(p * up(float64(j)))
			sum += p
			j++
		}
		return j
	}
	low = next(float64(total * lower))
	return low, next(float64(total * (1 - lower)))
}
