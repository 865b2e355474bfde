// Package dp is the arithmetic of differential privacy: exact discrete Gaussian
// noise over the integers, and accountants that say what a number of noisy sums
// reveals about one record.
//
// The unit is one record that is added or removed. Noise is given relative to
// the L2 sensitivity of the integers that leave a node, never to that of the
// reals they were rounded from. The accountants compute with the continuous
// Gaussian. For sums without sampling the discrete one is never worse (Canonne,
// Kamath and Steinke 2020, theorem 4); for sampled ones the two differ by a
// factor within 1 ± 2·exp(−2π²σ²) in each coordinate, with σ in units of the
// integers, which is 1 ± 2·10⁻¹³⁷ at σ = 4.
//
// The package is pure: randomness comes from the caller, who takes it from the
// operating system and never from the seed of a model.
package dp

import (
	"errors"
	"fmt"
	"math"
)

// ErrUnreachable is of NoiseFor: no noise keeps the promise, because what is
// composed with it is over it alone.
var ErrUnreachable = errors.New("no noise keeps the promised epsilon")

const (
	minNoise = 1e-3
	maxNoise = 1e9
	maxSteps = 1 << 40
)

// Mechanism is a number of steps of the Poisson-subsampled Gaussian (Mironov,
// Talwar and Zhang 2019).
type Mechanism struct {
	Rate  float64 `json:"rate"`  // probability of a record to be in a step, 0 < rate ≤ 1
	Noise float64 `json:"noise"` // σ/Δ₂ of one step
	Steps uint64  `json:"steps"` // composed steps, at least 1
}

// Validate refuses a mechanism that has no accounting: a rate outside (0, 1],
// noise outside [0.001, 10⁹] or not a number, no steps or more than 2⁴⁰.
func (m Mechanism) Validate() error {
	switch {
	case !(m.Rate > 0 && m.Rate <= 1):
		return fmt.Errorf("sampling rate %v is not in (0, 1]", m.Rate)
	case !(m.Noise >= minNoise && m.Noise <= maxNoise):
		return fmt.Errorf("noise %v is not in [%v, %v]", m.Noise, minNoise, maxNoise)
	case m.Steps < 1 || m.Steps > maxSteps:
		return fmt.Errorf("%d steps are not in 1 to %d", m.Steps, uint64(maxSteps))
	}
	return nil
}

func validate(delta float64, ms []Mechanism) error {
	if !(delta > 0 && delta < 1) {
		return fmt.Errorf("delta %v is not in (0, 1)", delta)
	}
	for i, m := range ms {
		if err := m.Validate(); err != nil {
			return fmt.Errorf("mechanism %d: %w", i+1, err)
		}
	}
	return nil
}

// logAdd is ln(eᵃ + eᵇ).
func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// logSub is ln(eᵃ − eᵇ) for a ≥ b.
func logSub(a, b float64) float64 {
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log(-math.Expm1(b-a))
}
