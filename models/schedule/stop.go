package schedule

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/koinon-eu/koinon/crypto/update"
	"github.com/koinon-eu/koinon/models/aggregate"
)

// judged is what early stopping remembers: the words of every judgement, and the
// parameters of the best one. All else follows from the words.
type judged struct {
	words  []int64 // Σ⌊W·loss·2²⁰⌋ and ΣW of each judgement
	best   int     // number of the best judgement, from 0
	params []float32
}

// count is the number of judgements.
func (j *judged) count() int { return len(j.words) / aggregate.StopWords }

// loss is the loss a row of a judgement; +Inf where no row judged.
func (j *judged) loss(i int) float64 {
	loss, weight := j.words[aggregate.StopWords*i], j.words[aggregate.StopWords*i+1]
	if weight == 0 {
		return math.Inf(1)
	}
	return float64(loss) / float64(weight) / aggregate.LossUnit
}

// add takes the words of a judgement and reports whether it is the best so far.
// One that no row made is: then everything that was trained is kept.
func (j *judged) add(s aggregate.Stop, words []int64) bool {
	j.words = append(j.words, words...)
	last := j.count() - 1
	loss := j.loss(last)
	if last > 0 && !math.IsInf(loss, 1) && !s.Better(loss, j.loss(j.best)) {
		return false
	}
	j.best = last
	return true
}

// Stopped reports whether early stopping has ended training before the planned
// rounds: so many judgements in a row were no better than the best.
func (m *Machine) Stopped() bool {
	m = m.active()
	stop := m.cfg.Algorithm.Stop
	return stop.On() && m.judged.count()-1-m.judged.best >= stop.Patience
}

// Losses returns the validation loss a row before every judged round, in nats;
// +Inf where no row judged. Judgement i is of the parameters after i·every
// rounds. Nil without early stopping.
func (m *Machine) Losses() []float64 {
	var out []float64
	m = m.active()
	for i := range m.judged.count() {
		out = append(out, m.judged.loss(i))
	}
	return out
}

// Chosen returns the parameters that are evaluated and released, and after how
// many training rounds they were reached: with early stopping those of the
// lowest validation loss, otherwise the final ones. The parameters after the
// last sum have none behind them that could judge them; they are chosen if all
// before them were the best yet, as trees are (trees 33). Callers must not
// change them.
func (m *Machine) Chosen() (params []float32, round int) {
	a := m.active()
	if j := &a.judged; j.count() > 0 && j.best < j.count()-1 {
		return j.params, m.round - a.round + j.best*a.cfg.Algorithm.Stop.Every
	}
	return a.params, m.round
}

// ChosenLoss returns the validation loss of Chosen, in nats a row; false where
// no row judged it.
func (m *Machine) ChosenLoss() (float64, bool) {
	a := m.active()
	_, round := a.Chosen()
	stop := a.cfg.Algorithm.Stop
	if !stop.On() || round%stop.Every != 0 || round/stop.Every >= a.judged.count() {
		return 0, false
	}
	loss := a.judged.loss(round / stop.Every)
	return loss, !math.IsInf(loss, 1)
}

// lossMax bounds a validation word of one member.
func lossMax(weightCap uint32) uint64 {
	return uint64(min(weightCap, aggregate.MaxJudges)) * aggregate.MaxLoss * aggregate.LossUnit
}

// train moves the parameters by a training sum and takes its judgement of those
// it started from. On an error nothing is changed.
func (m *Machine) train(step Step, mean update.Mean, survivors int) error {
	sum := aggregate.Sum{Values: mean.Values, Ints: mean.Ints, Weight: m.weight(mean.Weight, survivors), Survivors: survivors}
	var words []int64
	if step.Judges {
		n := len(sum.Ints) - aggregate.StopWords
		sum.Ints, words = sum.Ints[:n], sum.Ints[n:]
		if err := m.checkLoss(words[0], words[1]); err != nil {
			return err
		}
	}
	var before []float32
	if step.Judges {
		before = slices.Clone(m.params)
	}
	if err := m.optimizer.Apply(m.params, sum); err != nil {
		return err
	}
	m.round++
	if step.Judges && m.judged.add(m.cfg.Algorithm.Stop, words) {
		m.judged.params = before
	}
	return nil
}

// checkLoss refuses validation words that no honest members can have made.
// Noise may take the losses below zero.
func (m *Machine) checkLoss(loss, weight int64) error {
	if m.cfg.Privacy != nil && weight >= 0 && loss >= math.MinInt64/2 && loss <= math.MaxInt64/2 {
		return nil
	}
	if loss < 0 || weight < 0 || weight > math.MaxInt64/(aggregate.MaxLoss*aggregate.LossUnit) || loss > weight*aggregate.MaxLoss*aggregate.LossUnit {
		return fmt.Errorf("validation loss %d over weight %d: %w", loss, weight, update.ErrSum)
	}
	return nil
}

// appendJudged appends u32 count, the words of every judgement and, if there is
// one, the parameters of the best; nothing without early stopping.
func (m *Machine) appendJudged(b []byte) []byte {
	if !m.cfg.Algorithm.Stop.On() {
		return b
	}
	b = binary.BigEndian.AppendUint32(b, uint32(m.judged.count()))
	for _, w := range m.judged.words {
		b = binary.BigEndian.AppendUint64(b, uint64(w))
	}
	return appendParams(b, m.judged.params)
}

// restoreJudged takes back what appendJudged wrote after m.round rounds, and
// returns what follows it.
func (m *Machine) restoreJudged(b []byte) ([]byte, error) {
	stop := m.cfg.Algorithm.Stop
	if !stop.On() {
		return b, nil
	}
	count := stop.Judgements(m.round)
	if len(b) < 4 || int64(binary.BigEndian.Uint32(b)) != int64(count) || len(b)-4 < count*8*aggregate.StopWords {
		return nil, fmt.Errorf("%w: not %d judgements after round %d", errState, count, m.round)
	}
	b = b[4:]
	for range count {
		if m.Stopped() {
			return nil, fmt.Errorf("%w: judged after training had ended", errState)
		}
		words := []int64{int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))}
		if err := m.checkLoss(words[0], words[1]); err != nil {
			return nil, fmt.Errorf("%w: %w", errState, err)
		}
		m.judged.add(stop, words)
		b = b[8*aggregate.StopWords:]
	}
	if count == 0 {
		return b, nil
	}
	m.judged.params = make([]float32, len(m.params))
	return takeParams(m.judged.params, b)
}
