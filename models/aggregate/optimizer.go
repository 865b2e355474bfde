package aggregate

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Sum is one decoded training sum.
type Sum struct {
	Values    []float32 // ΣW·x / ΣW: mean gradient (full-batch) or mean change (mini-batch)
	Ints      []int64   // newton: gradient and Hessian in fixed point
	Weight    uint64    // ΣW, coarse rows
	Survivors int       // members in the sum; scaffold reads it
}

// Optimizer moves the parameters by what one sum says. It is deterministic (S61).
type Optimizer interface {
	// Apply changes params in place. On an error nothing is changed.
	Apply(params []float32, sum Sum) error
	// AppendState appends the canonical bytes of the optimiser's memory, big-endian.
	AppendState(b []byte) []byte
	// SetState takes back what AppendState wrote, and only that.
	SetState(b []byte) error
}

// Problem is what an optimiser has to know about the parameters.
type Problem struct {
	Spec    Spec
	L2      float64 // coefficient of ½·l2·‖w‖² beside the sum of losses
	Decayed []bool  // one a parameter: whether l2 applies
	Members int     // N of the cohort; scaffold reads it
}

// New makes the optimiser that the specification, defaults filled in, names.
func New(p Problem) (Optimizer, error) {
	switch p.Spec.Name {
	case FedAdam:
		return newFedAdam(p), nil
	case FedAdagrad:
		return newAdaptive(p, adagrad), nil
	case FedAvg, FedProx: // they differ at the members only
		return fedAvg{p}, nil
	case FedAvgM:
		return &fedAvgM{Problem: p, velocity: make([]float64, len(p.Decayed))}, nil
	case FedYogi:
		return newAdaptive(p, yogi), nil
	case Newton:
		if n := len(p.Decayed); n > MaxNewtonColumns {
			return nil, fmt.Errorf("newton: %d columns, at most %d: use fedadam", n, MaxNewtonColumns)
		}
		return newton{p}, nil
	case Scaffold:
		return newScaffold(p)
	}
	return nil, fmt.Errorf("algorithm: name %q is not known", p.Spec.Name)
}

var errNegative = errors.New("optimiser state has a negative second moment")

// Digest names parameters and the optimiser's memory together.
func Digest(params []float32, o Optimizer) [32]byte {
	b := []byte("koinon/model/v1")
	b = binary.BigEndian.AppendUint32(b, uint32(len(params)))
	for _, v := range params {
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(v))
	}
	return sha256.Sum256(o.AppendState(b))
}

// direction returns what is to be subtracted: for gradients the mean plus
// l2·w/ΣW, for changes of parameters the mean with its sign turned.
func (p Problem) direction(params []float32, sum Sum) ([]float64, error) {
	if len(params) != len(p.Decayed) || len(sum.Values) != len(params) {
		return nil, fmt.Errorf("%s: %d parameters and a sum of %d, want %d", p.Spec.Name, len(params), len(sum.Values), len(p.Decayed))
	}
	if sum.Weight == 0 {
		return nil, fmt.Errorf("%s: sum without weight", p.Spec.Name)
	}
	decay := p.L2 / float64(sum.Weight)
	d := make([]float64, len(params))
	for i, v := range sum.Values {
		if p.Spec.Local != FullBatch {
			d[i] = -float64(v)
			continue
		}
		d[i] = float64(v)
		if p.Decayed[i] {
			d[i] += float64(decay * float64(params[i]))
		}
	}
	return d, nil
}

// subtract moves a parameter by step and rounds it once to float32.
func subtract(param *float32, step float64) { *param = float32(float64(*param) - step) }

func appendFloats(b []byte, values ...float64) []byte {
	for _, v := range values {
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// takeFloats fills dst from b, whose length must match; only finite values are accepted.
func takeFloats(b []byte, dst ...[]float64) error {
	n := 0
	for _, d := range dst {
		n += len(d)
	}
	if len(b) != 8*n {
		return fmt.Errorf("optimiser state has %d bytes, want %d", len(b), 8*n)
	}
	for _, d := range dst {
		for i := range d {
			d[i] = math.Float64frombits(binary.BigEndian.Uint64(b))
			if math.IsNaN(d[i]) || math.IsInf(d[i], 0) {
				return fmt.Errorf("optimiser state is not finite")
			}
			b = b[8:]
		}
	}
	return nil
}
