package aggregate

import "fmt"

// scaffold is the server of SCAFFOLD (Karimireddy et al. 2020, Algorithm 1). A
// sum holds the mean change of the parameters and, behind it, that of the
// members' control variates:
//
//	w ← w + rate·Δw;  c ← c + (|S|/N)·Δc
//
// Means are weighted by rows, so that c is the weighted mean of the members'
// control variates while all of them take part.
type scaffold struct {
	Problem
	control []float64
}

func newScaffold(p Problem) (*scaffold, error) {
	if p.Members < 1 {
		return nil, fmt.Errorf("scaffold: %d members", p.Members)
	}
	return &scaffold{Problem: p, control: make([]float64, len(p.Decayed))}, nil
}

func (o *scaffold) Apply(params []float32, sum Sum) error {
	d := len(o.control)
	if len(params) != d || len(sum.Values) != 2*d {
		return fmt.Errorf("scaffold: %d parameters and a sum of %d, want %d and %d", len(params), len(sum.Values), d, 2*d)
	}
	if sum.Survivors < 1 || sum.Survivors > o.Members {
		return fmt.Errorf("scaffold: sum of %d members, the cohort has %d", sum.Survivors, o.Members)
	}
	share := float64(sum.Survivors) / float64(o.Members)
	for i := range params {
		subtract(&params[i], -float64(o.Spec.ServerRate*float64(sum.Values[i])))
		o.control[i] += float64(share * float64(sum.Values[d+i]))
	}
	return nil
}

func (o *scaffold) AppendState(b []byte) []byte { return appendFloats(b, o.control...) }

func (o *scaffold) SetState(b []byte) error { return takeFloats(b, o.control) }

// Control returns the server's control variate c of scaffold, which every
// member's local steps need; nil for other algorithms. It must not be changed.
func Control(o Optimizer) []float64 {
	if s, ok := o.(*scaffold); ok {
		return s.control
	}
	return nil
}
