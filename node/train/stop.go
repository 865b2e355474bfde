package train

import (
	"github.com/koinon-eu/koinon/crypto/update"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train/autograd"
	"github.com/koinon-eu/koinon/node/train/trees"
)

// divided is a member's training rows where training may stop early: those that
// train and those that judge.
type divided struct {
	learn, judge *feature.Matrix // judge is nil where none does
}

// divide separates the rows that judge from those that train, once. The draw
// follows from the plan alone. A member all of whose rows were drawn lets them
// train: it has no say in when to stop, but the sum needs its weight.
func (m *Member) divide(machine *schedule.Machine) divided {
	if m.divided.learn != nil {
		return m.divided
	}
	m.divided = divided{learn: m.train}
	cfg := machine.Config()
	if !cfg.Algorithm.Stop.On() {
		return m.divided
	}
	held := trees.Held(machine.Lot(), cfg.Algorithm.Stop.Validation, m.table, m.train.Row)
	learn := pick(m.train, func(row int) bool { return !held[row] })
	if learn.Rows > 0 || cfg.Privacy != nil { // under privacy no row's part may hang on another
		m.divided = divided{learn: learn, judge: pick(m.train, func(row int) bool { return held[row] })}
	}
	return m.divided
}

// judge appends the two validation words of a training step: ⌊W·loss·2²⁰⌋ and W,
// with the mean loss of the rows that judge under the machine's parameters and
// the coarse number of those rows, W. An exact number would be shown of a member
// that is missing once, by the difference of two sums; that is why the weight of
// the training rows is coarse, too (S44).
func (m *Member) judge(v *Vector, machine *schedule.Machine, step schedule.Step) error {
	rows, words := m.divided.judge, [aggregate.StopWords]int64{}
	if rows != nil && rows.Rows > 0 {
		loss, err := meanLoss(machine.Config().Architecture, machine.Params(), rows)
		if err != nil {
			return err
		}
		weight := update.Weight(uint32(rows.Rows), min(step.Encoding.WeightCap, aggregate.MaxJudges), step.Encoding.WeightBits)
		words[0], words[1] = int64(float64(weight)*loss*aggregate.LossUnit), int64(weight)
	}
	v.Ints = append(v.Ints, words[:]...)
	return nil
}

// meanLoss is the mean loss a row under a model, in nats, each row's at most
// aggregate.MaxLoss: cross-entropy or, of counts, the scaled half deviance that
// training lowers.
func meanLoss(spec arch.Spec, params []float32, m *feature.Matrix) (float64, error) {
	all, err := losses(spec, params, m)
	if err != nil {
		return 0, err
	}
	total := 0.0
	for _, loss := range all {
		if !(loss <= aggregate.MaxLoss) { // also of parameters that have gone astray
			loss = aggregate.MaxLoss
		}
		total += loss
	}
	return total / float64(m.Rows), nil
}

// losses are those of the rows of m, not all of them finite if the parameters
// have gone astray.
func losses(spec arch.Spec, params []float32, m *feature.Matrix) ([]float64, error) {
	model, err := arch.NewModel(spec, Shape(m), params)
	if err != nil {
		return nil, err
	}
	out := make([]float64, m.Rows)
	model.Logits(batchOf(m), out)
	scale := float64(lossScale(spec, m))
	for i, z := range out {
		if spec.Counts() {
			loss, _ := autograd.CountLoss(float64(m.Count[i]), z, spec.K())
			out[i] = loss * scale
		} else {
			out[i] = arch.Loss(z, m.Label[i])
		}
	}
	return out, nil
}
