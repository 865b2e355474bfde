package train

import (
	"crypto/rand"
	"math"
	"runtime"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train/autograd"
)

// PrivateTrainer trains one model on a table by the noisy steps of a private
// plan, for benchmarks of what they cost. It serves one goroutine at a time.
type PrivateTrainer struct {
	steps  *privateSteps
	adam   *adam
	decay  float64
	rounds int
}

// NewPrivateTrainer starts at the initial parameters of the seed, with batches of
// s.Batch rows in expectation. Noise 0 leaves the noise out, which a plan cannot.
// Close it.
func NewPrivateTrainer(s Settings, m *feature.Matrix, clip, noise float64) (*PrivateTrainer, error) {
	m, err := labelled(m)
	if err != nil {
		return nil, err
	}
	o, err := newObjective(s.Architecture, m, min(runtime.GOMAXPROCS(0), max(1, s.Batch/(2*autograd.CountRows))), autograd.CountRows)
	if err != nil {
		return nil, err
	}
	params, err := s.Architecture.InitialParameters(Shape(m), s.Seed)
	if err != nil {
		return nil, err
	}
	copy(o.engine.Params(), params)
	var random gaussian
	if noise > 0 {
		if random, err = newGaussian(noise * autograd.Units); err != nil {
			return nil, err
		}
	}
	rate := min(1, float64(s.Batch)/float64(m.Rows))
	return &PrivateTrainer{
		steps: &privateSteps{
			objective: o, privacy: schedule.Privacy{Noise: noise, Clip: clip, Rate: rate},
			unit: clip / autograd.Units / (rate * float64(m.Rows)), all: allRows(m.Rows),
			sum: make([]int64, len(params)), rnd: rand.Reader, noise: random, quiet: noise == 0,
		},
		adam: newAdam(len(params), s.Rate), decay: o.l2 / float64(m.Rows), rounds: int(math.Ceil(1 / rate)),
	}, nil
}

// Epoch takes as many steps as go once through the rows in expectation, and
// returns how many rows were in them.
func (t *PrivateTrainer) Epoch() (rows int, err error) {
	for range t.rounds {
		if err := t.steps.step(t.adam, t.decay, nil); err != nil {
			return 0, err
		}
		rows += len(t.steps.rows)
	}
	return rows, nil
}

// Loss returns the mean loss of the rows.
func (t *PrivateTrainer) Loss() (float64, error) {
	o := t.steps.objective
	loss, err := o.engine.Loss(o.data, o.labels, nil)
	return loss / float64(o.data.Rows), err
}

// Close releases the graph.
func (t *PrivateTrainer) Close() error { return t.steps.objective.close() }
