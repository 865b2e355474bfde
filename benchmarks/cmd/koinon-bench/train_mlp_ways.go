package main

import (
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/train"
	"github.com/koinon-eu/koinon/node/train/autograd/stock"
)

// mlpWay is one way to train the same model.
type mlpWay struct {
	name  string
	epoch func() (rows int, loss float64, err error)
	after func() (loss float64, err error) // where an epoch does not see it; not timed
	close func() error
}

const (
	mlpRate = 1e-3
	// stockBatches is a run of Gorgonia's own operations: the others go through
	// all rows, which would take these long.
	stockBatches = 60
	// The noise of a plan of epsilon 3 over 15 rounds; cost does not depend on it.
	mlpClip, mlpNoise = 10, 1.226
)

func (b *mlpBench) ways(m *feature.Matrix) ([]mlpWay, error) {
	plan, err := b.ours("plan", m, false)
	if err != nil {
		return nil, err
	}
	graph, err := b.ours("graph", m, true)
	if err != nil {
		return nil, err
	}
	clipped, err := b.private("plan, clipped integers", m, 0)
	if err != nil {
		return nil, err
	}
	noisy, err := b.private("plan, clipped, noise", m, mlpNoise)
	if err != nil {
		return nil, err
	}
	own, err := b.stock(m)
	return []mlpWay{plan, graph, own, clipped, noisy}, err
}

// private is the training of a node under record-level privacy: Poisson batches,
// each row's gradient clipped and counted in integers, and noise once a step.
func (b *mlpBench) private(name string, m *feature.Matrix, noise float64) (mlpWay, error) {
	t, err := train.NewPrivateTrainer(train.Settings{Architecture: b.spec(), Rate: mlpRate, Batch: b.Batch, Seed: b.seed}, m, mlpClip, noise)
	if err != nil {
		return mlpWay{}, err
	}
	return mlpWay{name: name, epoch: func() (int, float64, error) {
		rows, err := t.Epoch()
		return rows, 0, err
	}, after: t.Loss, close: t.Close}, nil
}

// ours is the training of a node.
func (b *mlpBench) ours(name string, m *feature.Matrix, tape bool) (mlpWay, error) {
	t, err := train.NewTrainer(train.Settings{Architecture: b.spec(), Rate: mlpRate, Batch: b.Batch, Seed: b.seed}, m)
	if err != nil {
		return mlpWay{}, err
	}
	if tape {
		t.UseTape()
	}
	return mlpWay{name: name, epoch: func() (int, float64, error) {
		loss, err := t.Epoch()
		return m.Rows, loss, err
	}, close: t.Close}, nil
}

// stock goes through the first rows in their order.
func (b *mlpBench) stock(m *feature.Matrix) (mlpWay, error) {
	shape := arch.Shape{Numbers: m.Numbers}
	params, err := b.spec().InitialParameters(shape, b.seed)
	if err != nil {
		return mlpWay{}, err
	}
	n, err := stock.New(b.spec(), shape, b.Batch, params, mlpRate)
	if err != nil {
		return mlpWay{}, err
	}
	batches := min(m.Rows/b.Batch, stockBatches)
	return mlpWay{name: "stock Gorgonia", epoch: func() (int, float64, error) {
		sum := 0.0
		for i := range batches {
			from, to := i*b.Batch, (i+1)*b.Batch
			loss, err := n.Step(arch.Batch{Rows: b.Batch, X: m.X[from*m.Numbers : to*m.Numbers]}, m.Label[from:to])
			if err != nil {
				return 0, 0, err
			}
			sum += loss
		}
		return batches * b.Batch, sum / float64(batches), nil
	}, close: n.Close}, nil
}
