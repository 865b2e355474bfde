package aggregate

// fedAvgM is FedAvg with server momentum (Hsu, Qi, Brown 2019, §4.3):
// v ← β·v + Δ; w ← w − rate·v.
type fedAvgM struct {
	Problem
	velocity []float64
}

func (o *fedAvgM) Apply(params []float32, sum Sum) error {
	d, err := o.direction(params, sum)
	if err != nil {
		return err
	}
	for i := range params {
		o.velocity[i] = float64(o.Spec.Momentum*o.velocity[i]) + d[i]
		subtract(&params[i], float64(o.Spec.ServerRate*o.velocity[i]))
	}
	return nil
}

func (o *fedAvgM) AppendState(b []byte) []byte { return appendFloats(b, o.velocity...) }

func (o *fedAvgM) SetState(b []byte) error { return takeFloats(b, o.velocity) }
