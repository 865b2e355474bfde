package aggregate

import "errors"

// fedAvg is FederatedAveraging (McMahan et al. 2017, Algorithm 1):
// w ← Σ (n_k/n)·w_k, written as a step of length server_rate along the mean
// change. At rate 1 it is the average itself. Under full-batch the mean is a
// gradient and the step is plain gradient descent (FedSGD).
type fedAvg struct{ Problem }

func (o fedAvg) Apply(params []float32, sum Sum) error {
	d, err := o.direction(params, sum)
	if err != nil {
		return err
	}
	for i := range params {
		subtract(&params[i], float64(o.Spec.ServerRate*d[i]))
	}
	return nil
}

func (fedAvg) AppendState(b []byte) []byte { return b }

func (fedAvg) SetState(b []byte) error {
	if len(b) != 0 {
		return errors.New("fedavg: optimiser state is not empty")
	}
	return nil
}
