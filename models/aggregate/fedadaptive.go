package aggregate

import "math"

// adaptivity is τ of Reddi et al. (2021): how small a second moment still makes
// a step longer. The second moment starts at τ², as their Algorithm 2 wants.
const adaptivity = 1e-3

// adaptive is Algorithm 2 of Reddi et al. (2021) without its line for v:
//
//	m ← β1·m + (1−β1)·Δ;  v ← second(v, Δ²);  w ← w − rate · m/(√v + τ)
//
// There is no bias correction: v does not start at zero.
type adaptive struct {
	Problem
	second func(v, square float64) float64
	m, v   []float64
}

func newAdaptive(p Problem, second func(v, square float64) float64) *adaptive {
	n := len(p.Decayed)
	o := &adaptive{Problem: p, second: second, m: make([]float64, n), v: make([]float64, n)}
	for i := range o.v {
		o.v[i] = adaptivity * adaptivity
	}
	return o
}

func (o *adaptive) Apply(params []float32, sum Sum) error {
	d, err := o.direction(params, sum)
	if err != nil {
		return err
	}
	keep := 1 - beta1 // constant, rounded once at compile time
	for i, g := range d {
		o.m[i] = float64(beta1*o.m[i]) + float64(keep*g)
		o.v[i] = o.second(o.v[i], float64(g*g))
		step := o.m[i] / (math.Sqrt(o.v[i]) + adaptivity)
		subtract(&params[i], float64(o.Spec.ServerRate*step))
	}
	return nil
}

func (o *adaptive) AppendState(b []byte) []byte {
	return appendFloats(appendFloats(b, o.m...), o.v...)
}

func (o *adaptive) SetState(b []byte) error {
	m, v := make([]float64, len(o.m)), make([]float64, len(o.v))
	if err := takeFloats(b, m, v); err != nil {
		return err
	}
	for _, x := range v {
		if x < 0 {
			return errNegative
		}
	}
	o.m, o.v = m, v
	return nil
}
