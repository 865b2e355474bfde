package train

import (
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/train/autograd"
)

// How a gradient is cut over cores. The numbers are constants because the
// order of additions follows from them, and with it the last bits.
const (
	fullShards = 4   // of a gradient over all rows
	fullBatch  = 256 // rows of one pass through the graph
)

// objective is the loss of a table under an architecture:
// (Σ loss(row) + ½·l2·‖w‖²) / rows over the weights that l2 applies to.
type objective struct {
	data    arch.Batch
	labels  []int8
	l2      float64
	decayed []bool
	runs    []run
	frozen  []run // parameters that local epochs leave as they are
	engine  *autograd.Engine
	params  []float32 // scratch
}

// run is a run of parameters that l2 applies to, or does not.
type run struct {
	from, to int
	decayed  bool
}

func runs(decayed []bool) (all []run) {
	for from := 0; from < len(decayed); {
		to := from + 1
		for to < len(decayed) && decayed[to] == decayed[from] {
			to++
		}
		all = append(all, run{from, to, decayed[from]})
		from = to
	}
	return all
}

func newObjective(spec arch.Spec, m *feature.Matrix, shards, batch int) (*objective, error) {
	shape := Shape(m)
	data := batchOf(m)
	data.Scale = lossScale(spec, m)
	if err := data.Check(shape); err != nil {
		return nil, err
	}
	engine, err := autograd.NewEngine(spec, shape, shards, batch)
	if err != nil {
		return nil, err
	}
	o := &objective{data: data, labels: m.Label, l2: spec.WithDefaults().L2, decayed: spec.Decayed(shape), engine: engine}
	o.params, o.runs = make([]float32, len(o.decayed)), runs(o.decayed)
	return o, nil
}

func (o *objective) close() error { return o.engine.Close() }

// sum writes Σ ∂loss/∂w over all rows into grad, without l2.
func (o *objective) sum(params []float32, grad []float64) (loss float64, err error) {
	return o.engine.Gradient(params, o.data, o.labels, nil, grad)
}

// value returns the objective and its gradient at w.
func (o *objective) value(w, grad []float64) (float64, error) {
	for i, v := range w {
		o.params[i] = float32(v)
	}
	loss, err := o.sum(o.params, grad)
	if err != nil {
		return 0, err
	}
	n := float64(o.data.Rows)
	for i := range grad {
		if o.decayed[i] {
			loss += 0.5 * o.l2 * w[i] * w[i]
			grad[i] += o.l2 * w[i]
		}
		grad[i] /= n
	}
	return loss / n, nil
}
