package schedule

import (
	"errors"
	"fmt"
	"math"

	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/crypto/update"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

// MaxLocalSteps bounds the training steps of a member in one round.
const MaxLocalSteps = 100_000

// validate says what is wrong with the numbers, and which settings of c have no
// guarantee under noise.
func (p Privacy) validate(c Config) error {
	statistics := dp.Mechanism{Rate: 1, Noise: p.StatisticsNoise, Steps: 1}
	if err := statistics.Validate(); err != nil {
		return fmt.Errorf("statistics_noise: %w", err)
	}
	if err := (dp.Mechanism{Rate: p.rate(c), Noise: p.Noise, Steps: 1}).Validate(); err != nil {
		return err
	}
	if err := feature.CheckPrivate(c.Schema); err != nil {
		return err
	}
	switch {
	case c.Start != nil:
		return errors.New("warm_start with privacy.dp: the promise would leave out what the release says about the same rows")
	case c.MinRows > 1:
		return fmt.Errorf("min_rows %d: a member that declines because of its rows tells their number; want 1", c.MinRows)
	}
	if c.Architecture.Kind == arch.Trees {
		return p.validateTrees(c)
	}
	if !(p.Clip >= 1e-6 && p.Clip <= 1e6) {
		return fmt.Errorf("clip %v is not between 1e-06 and 1e+06", p.Clip)
	}
	switch c.Algorithm.Name {
	case aggregate.Newton:
		return fmt.Errorf("algorithm %s sums second derivatives, which clipping does not bound; want a gradient algorithm such as %s", aggregate.Newton, aggregate.FedAdam)
	case aggregate.Scaffold:
		return fmt.Errorf("algorithm %s corrects each step by the noise of the steps before it; want %s or %s", aggregate.Scaffold, aggregate.FedAvgM, aggregate.FedProx)
	}
	if err := p.validateJudges(c); err != nil {
		return err
	}
	if steps := c.localSteps(); steps > MaxLocalSteps {
		return fmt.Errorf("rate %v makes %v local steps a round, at most %d", p.Rate, steps, MaxLocalSteps)
	}
	return nil
}

// validateJudges checks the noise of validation words.
func (p Privacy) validateJudges(c Config) error {
	if !c.Algorithm.Stop.On() {
		if p.JudgeNoise != 0 {
			return errors.New("judge_noise is for plans with algorithm.stop")
		}
		return nil
	}
	switch {
	case c.Schema.ID == "":
		return errors.New("algorithm.stop needs a schema with an id: rows are drawn to judge by it, and by nothing that another row moves")
	case c.Search != nil && len(c.Search.Grid.LocalEpochs) > 0:
		return errors.New("search: not over local_epochs: with more steps a round costs more")
	}
	if p.JudgeNoise > MaxJudgeNoise {
		return fmt.Errorf("judge_noise %v is above %v: nothing would be judged", p.JudgeNoise, MaxJudgeNoise)
	}
	round, _ := c.Mechanism(Train)
	if !round.Covers(p.JudgeNoise) {
		return fmt.Errorf("judge_noise %v costs a row that judges more than a training round costs one that trains; want more", p.JudgeNoise)
	}
	return nil
}

// validateTrees refuses trees whose splits are looked for in sums of histograms (trees 57).
func (p Privacy) validateTrees(c Config) error {
	if !c.additive() {
		return ErrGreedy
	}
	if p.JudgeNoise != 0 {
		return errors.New("judge_noise is for plans with algorithm.stop, which trees have not")
	}
	if p.rate(c) != 1 || p.Clip != 0 {
		return fmt.Errorf("trees use every row in every sum and bound it by themselves: want rate 1 and no clip")
	}
	return c.checkShare()
}

// rate is the sampling rate; trees know no other than 1 and need not say it.
func (p Privacy) rate(c Config) float64 {
	if p.Rate == 0 && c.Architecture.Kind == arch.Trees {
		return 1
	}
	return p.Rate
}

// additive reports whether the plan's trees are grown without looking for splits.
func (c Config) additive() bool {
	return c.Architecture.Trees != nil && c.Architecture.Trees.Additive()
}

// localSteps is how many noisy steps a member takes in one round: as many as go
// through its rows local_epochs times in expectation. It follows from the plan
// alone, because a number that followed from the rows would tell theirs.
func (c Config) localSteps() float64 {
	if c.Privacy == nil || c.Architecture.Kind == arch.Trees || c.Algorithm.Local == aggregate.FullBatch {
		return 1
	}
	return float64(c.Algorithm.LocalEpochs) * math.Ceil(1/c.Privacy.Rate)
}

// LocalSteps returns the noisy steps of a member in one training round under
// privacy: 1 where the round sums one gradient.
func (c Config) LocalSteps() int { return int(c.WithDefaults().localSteps()) }

// Mechanism returns what one step of a kind costs each record of a member that
// answers it; false where it costs nothing: without privacy, and in an
// evaluation, which reads no training row.
func (c Config) Mechanism(k Kind) (dp.Mechanism, bool) {
	c = c.WithDefaults()
	if c.Privacy == nil {
		return dp.Mechanism{}, false
	}
	switch k {
	case Statistics:
		return dp.Mechanism{Rate: 1, Noise: c.Privacy.StatisticsNoise, Steps: 1}, true
	case Train, Grow:
		return dp.Mechanism{Rate: c.Privacy.rate(c), Noise: c.Privacy.Noise, Steps: uint64(c.localSteps())}, true
	}
	return dp.Mechanism{}, false
}

// Mechanisms returns what the whole plan costs a record when every step is
// answered once: the accountant's inputs. nil without privacy.
func (c Config) Mechanisms() []dp.Mechanism {
	c = c.WithDefaults()
	statistics, ok := c.Mechanism(Statistics)
	if !ok {
		return nil
	}
	steps, _ := c.Mechanism(Train)
	steps.Steps *= uint64(c.TrainRounds())
	return []dp.Mechanism{statistics, steps}
}

// fixWeight gives every member the weight 1 in a sum of training rows under
// privacy: a row count is itself a figure about the rows. Gradients lose nothing
// by it, as they are sums over a common divisor; changes count the same for each
// member.
func (m *Machine) fixWeight(kind Kind, e *update.Encoding) {
	if m.cfg.Privacy != nil && kind != Evaluate {
		e.WeightCap = 1
	}
}

// Under privacy a row's loss is taken at most as privateLoss, which is what its
// noise is measured against.
const privateLoss = 4

// MaxJudgeNoise bounds the noise of validation words.
const MaxJudgeNoise = 1e5

// JudgeUnit is how much one row moves the word of the losses under privacy.
const JudgeUnit = privateLoss * aggregate.LossUnit

// Judges is how many rows a member's judgement under privacy stands for: the
// validation share of a mean member's rows, because its own number is a figure
// about its rows.
func (m *Machine) Judges() int64 {
	return max(1, int64(math.Round(float64(m.cfg.Algorithm.Stop.Validation*m.MeanRows()))))
}

// MeanRows is the training rows of a mean member as the noisy statistics have
// them, at least 1: what a member under privacy divides its sums by. Its own row
// count would be a figure about its rows.
func (m *Machine) MeanRows() float64 {
	if m.encoder == nil {
		return 1
	}
	return max(1, float64(m.encoder.Rows)/float64(m.cfg.Members))
}

// weight is what a training sum stands for, in rows: the sum of the weights, or
// under privacy a mean member's rows for each survivor.
func (m *Machine) weight(sum uint64, survivors int) uint64 {
	if m.cfg.Privacy == nil {
		return sum
	}
	return uint64(max(1, math.Round(m.MeanRows()*float64(survivors))))
}

// noise is that of the statistics.
func (c Config) noise() feature.Noise {
	return feature.Noise{Sigma: c.Privacy.StatisticsNoise, Members: c.Members}
}

// newStatistics returns the statistics that a plan begins with: three sums, or
// one with noise under privacy.
func newStatistics(cfg Config) *feature.Statistics {
	if cfg.Privacy == nil {
		return feature.NewStatistics(cfg.Schema)
	}
	return feature.NewPrivateStatistics(cfg.Schema, cfg.noise())
}

func unmarshalStatistics(cfg Config, b []byte) (*feature.Statistics, error) {
	if cfg.Privacy == nil {
		return feature.UnmarshalStatistics(cfg.Schema, b)
	}
	return feature.UnmarshalPrivateStatistics(cfg.Schema, cfg.noise(), b)
}
