package train

import (
	"io"
	"math"
	"runtime"

	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train/autograd"
)

// privateWeight is every member's weight under privacy: a row count is itself a
// figure about the rows.
const privateWeight = 1

// privateStatistics adds this member's noise to its counts.
func privateStatistics(machine *schedule.Machine, counts []int64, rnd io.Reader) (Vector, error) {
	return Vector{Ints: counts, Rows: privateWeight}, addNoise(counts, machine.Statistics().Sigma(), rnd)
}

// privateVector answers a training step under privacy (Abadi et al. 2016,
// Algorithm 1). What leaves is made of nothing but noisy sums, the machine's
// state and the plan: one noisy gradient, which the server's optimiser takes, or
// the change that so many noisy steps of the member's own Adam make.
func (m *Member) privateVector(machine *schedule.Machine, step schedule.Step, rnd io.Reader) (Vector, error) {
	v, err := m.privateChange(machine, rnd)
	if err == nil && step.Judges {
		v.Ints, err = m.privateJudgement(machine, step, rnd)
	}
	return v, err
}

// privateJudgement returns the validation words under privacy: the losses of the
// rows that judge, each at most four nats and a whole number of units, added up
// with noise; and what number of rows that stands for. One row moves the first
// by at most schedule.JudgeUnit and the second not at all.
func (m *Member) privateJudgement(machine *schedule.Machine, step schedule.Step, rnd io.Reader) ([]int64, error) {
	cfg := machine.Config()
	sum := []int64{0}
	if rows := m.divide(machine).judge; rows != nil && rows.Rows > 0 {
		losses, err := losses(cfg.Architecture, machine.Params(), rows)
		if err != nil {
			return nil, err
		}
		for _, loss := range losses {
			if !(loss*aggregate.LossUnit <= schedule.JudgeUnit) {
				sum[0] += schedule.JudgeUnit
			} else {
				sum[0] += int64(loss * aggregate.LossUnit)
			}
		}
	}
	if err := addNoise(sum, cfg.Privacy.JudgeNoise*schedule.JudgeUnit, rnd); err != nil {
		return nil, err
	}
	most := int64(min(step.Encoding.IntMax, math.MaxInt64))
	return []int64{min(max(sum[0], -most), most), min(machine.Judges(), most)}, nil
}

// privateChange is the part of the vector that moves the parameters.
func (m *Member) privateChange(machine *schedule.Machine, rnd io.Reader) (Vector, error) {
	s, err := m.privateSteps(machine, rnd)
	if err != nil {
		return Vector{}, err
	}
	start := machine.Params()
	copy(s.params(), start)
	v := Vector{X: make([]float32, len(start)), Rows: privateWeight}
	if machine.Config().Algorithm.Local == aggregate.FullBatch {
		if err := s.noisySum(); err != nil {
			return Vector{}, err
		}
		for i, z := range s.sum {
			v.X[i] = float32(float64(z) * s.unit)
		}
		return v, nil
	}
	if err := s.descend(machine, start); err != nil {
		return Vector{}, err
	}
	for i, w := range s.params() {
		v.X[i] = w - start[i]
	}
	return v, nil
}

// privateSteps are a member's noisy steps of one round.
type privateSteps struct {
	objective *objective
	privacy   schedule.Privacy
	unit      float64 // of sum, as a part of a mean gradient
	all, rows []int32
	sum       []int64
	rnd       io.Reader
	noise     gaussian
	quiet     bool // without noise: benchmarks only
}

// privateSteps prepares the steps of a round. A sum is divided by rate·n̄ with
// n̄ the rows of a mean member in the noisy statistics: the same for all members
// and all steps. The rows of a batch, and a member's own, are secret.
func (m *Member) privateSteps(machine *schedule.Machine, rnd io.Reader) (*privateSteps, error) {
	cfg := machine.Config()
	rows := m.divide(machine).learn
	expected := cfg.Privacy.Rate * machine.MeanRows() * (1 - cfg.Algorithm.Stop.Validation)
	shards := min(runtime.GOMAXPROCS(0), max(1, int(expected)/(2*autograd.CountRows)))
	if err := m.prepare(cfg.Architecture, rows, shards, autograd.CountRows); err != nil {
		return nil, err
	}
	noise, err := newGaussian(cfg.Privacy.Noise * autograd.Units)
	if err != nil {
		return nil, err
	}
	return &privateSteps{
		noise: noise, objective: m.objective, privacy: *cfg.Privacy, unit: cfg.Privacy.Clip / autograd.Units / expected,
		all: allRows(rows.Rows), sum: make([]int64, len(machine.Params())), rnd: rnd,
	}, nil
}

func (s *privateSteps) params() []float32 { return s.objective.engine.Params() }

// noisySum draws a batch and sums its rows' clipped gradients with noise: the
// only place where a training row is looked at. The noise is relative to
// autograd.Units, by which one row at most moves the integers.
func (s *privateSteps) noisySum() error {
	var err error
	if s.rows, err = draw(s.rows[:0], s.all, s.privacy.Rate, s.rnd); err != nil {
		return err
	}
	o := s.objective
	if err := o.engine.CountClipped(o.data, o.labels, s.rows, s.privacy.Clip, s.sum); err != nil {
		return err
	}
	if s.quiet {
		return nil
	}
	return s.noise.add(s.sum, s.rnd)
}

// step moves the parameters by one noisy sum.
func (s *privateSteps) step(a *adam, decay float64, near *proximal) error {
	if err := s.noisySum(); err != nil {
		return err
	}
	for i, z := range s.sum {
		a.grad[i] = float32(z)
	}
	s.objective.regularise(a.grad, s.params(), s.unit, decay, near)
	a.move(s.params())
	return nil
}

// descend takes the local steps of a round.
func (s *privateSteps) descend(machine *schedule.Machine, start []float32) error {
	cfg := machine.Config()
	a := newAdam(len(start), cfg.Algorithm.LocalRate)
	var near *proximal
	if cfg.Algorithm.Proximal > 0 {
		near = &proximal{mu: cfg.Algorithm.Proximal, start: start}
	}
	decay := s.objective.l2 / (machine.MeanRows() * float64(cfg.Members))
	for range cfg.LocalSteps() {
		if err := s.step(a, decay, near); err != nil {
			return err
		}
	}
	return nil
}

// noisePart is how many integers get their noise from one stream. It is fixed,
// so that the noise of given random bytes does not depend on the machine.
const noisePart = 4096

// addNoise adds exact discrete Gaussian noise to each integer, on all cores.
func addNoise(x []int64, sigma float64, rnd io.Reader) error {
	n, err := newGaussian(sigma)
	if err != nil {
		return err
	}
	return n.add(x, rnd)
}

// gaussian is a distribution of noise; bulk, which is as exact as the other and much faster,
// serves the large sigma of training steps.
type gaussian struct {
	sigma float64
	bulk  *dp.Bulk
}

func newGaussian(sigma float64) (n gaussian, err error) {
	n.sigma = sigma
	if sigma >= dp.MinBulk {
		n.bulk, err = dp.NewBulk(sigma, nil)
	}
	return n, err
}

func (n gaussian) add(x []int64, rnd io.Reader) error {
	parts := (len(x) + noisePart - 1) / noisePart
	streams := make([]*stream, parts)
	for i := range streams {
		var err error
		if streams[i], err = newStream(rnd); err != nil {
			return err
		}
	}
	return eachPart(parts, func(i int) error {
		part := x[i*noisePart : min((i+1)*noisePart, len(x))]
		if n.bulk != nil {
			g := n.bulk.From(streams[i])
			defer g.Wipe()
			return g.Add(part)
		}
		g, err := dp.NewGaussian(n.sigma, streams[i])
		if err != nil {
			return err
		}
		defer g.Wipe()
		return g.Add(part)
	})
}
