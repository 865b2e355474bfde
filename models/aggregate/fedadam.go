package aggregate

import "math"

// Constants of Adam as Kingma and Ba (2015) give them. The small τ (FedAdam's
// degree of adaptivity) lets columns that few rows touch move as far as others.
const (
	beta1 = 0.9
	beta2 = 0.999
	tau   = 1e-8
)

// fedAdam is FedAdam (Reddi et al. 2021, Algorithm 2) with the bias correction
// of Kingma and Ba (2015, Algorithm 1), the powers β^t by repeated multiplication:
//
//	m ← β1·m + (1−β1)·Δ;  v ← β2·v + (1−β2)·Δ²
//	w ← w − rate · (m/(1−β1^t)) / (√(v/(1−β2^t)) + τ)
//
// A coordinate no member's rows touch has m = v = 0 and stays where it is.
type fedAdam struct {
	Problem
	power1, power2 float64 // β1^t, β2^t
	m, v           []float64
}

func newFedAdam(p Problem) *fedAdam {
	n := len(p.Decayed)
	return &fedAdam{Problem: p, power1: 1, power2: 1, m: make([]float64, n), v: make([]float64, n)}
}

func (o *fedAdam) Apply(params []float32, sum Sum) error {
	d, err := o.direction(params, sum)
	if err != nil {
		return err
	}
	o.power1, o.power2 = float64(o.power1*beta1), float64(o.power2*beta2)
	c1, c2 := 1-o.power1, 1-o.power2
	keep1, keep2 := 1-beta1, 1-beta2 // constants, rounded once at compile time
	for i, g := range d {
		o.m[i] = float64(beta1*o.m[i]) + float64(keep1*g)
		o.v[i] = float64(beta2*o.v[i]) + float64(keep2*float64(g*g))
		step := o.m[i] / c1 / (math.Sqrt(o.v[i]/c2) + tau)
		subtract(&params[i], float64(o.Spec.ServerRate*step))
	}
	return nil
}

func (o *fedAdam) AppendState(b []byte) []byte {
	b = appendFloats(b, o.power1, o.power2)
	return appendFloats(appendFloats(b, o.m...), o.v...)
}

func (o *fedAdam) SetState(b []byte) error {
	powers := make([]float64, 2)
	if err := takeFloats(b, powers, o.m, o.v); err != nil {
		return err
	}
	o.power1, o.power2 = powers[0], powers[1]
	return nil
}
