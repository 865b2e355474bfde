package train

import (
	"io"

	"github.com/koinon-eu/koinon/models/feature"
)

// Trainer trains one model on a table by Adam on mini-batches, epoch after
// epoch. It serves one goroutine at a time.
type Trainer struct {
	objective *objective
	adam      *adam
	params    []float32
	rows      []int32
	batch     int
	rnd       io.Reader
}

// NewTrainer starts at the initial parameters of the seed. Rows without a label
// are left out. Close it.
func NewTrainer(s Settings, m *feature.Matrix) (*Trainer, error) {
	m, err := labelled(m)
	if err != nil {
		return nil, err
	}
	o, err := newObjective(s.Architecture, m, miniShards(s.Batch), miniBatch(s.Batch))
	if err != nil {
		return nil, err
	}
	return newTrainer(s, m, o)
}

func newTrainer(s Settings, m *feature.Matrix, o *objective) (*Trainer, error) {
	params, err := s.start(m)
	if err != nil {
		return nil, err
	}
	return &Trainer{
		objective: o, adam: newAdam(len(params), s.Rate), params: params,
		rows: allRows(m.Rows), batch: s.Batch, rnd: seeded(s.Seed, 2),
	}, nil
}

// Epoch goes once through all rows, in an order drawn from the seed, and returns
// the mean loss on the way.
func (t *Trainer) Epoch() (float64, error) {
	return t.objective.epoch(t.adam, t.params, t.rows, t.batch, float64(len(t.rows)), nil, t.rnd)
}

// Params returns the parameters after the last epoch, not copied.
func (t *Trainer) Params() []float32 { return t.params }

// UseTape makes Gorgonia's tape machine run the graph; see autograd.Net.
func (t *Trainer) UseTape() { t.objective.engine.UseTape() }

// Close releases the graph.
func (t *Trainer) Close() error { return t.objective.close() }
