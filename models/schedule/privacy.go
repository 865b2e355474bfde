package schedule

import "errors"

// Privacy is record-level differential privacy: every member adds exact discrete
// Gaussian noise of the full size to each sum made of training rows, so that the
// guarantee of a row rests on its own node alone (trees 62). Noise and
// StatisticsNoise are σ/Δ₂ of a training step and of the one statistics sum, Rate
// the probability of a row to be in a training step (1: every row is), Clip the
// L2 norm to which a row's gradient is scaled down (networks). Epsilon and Delta
// are what the plan promises; steps do not depend on them. JudgeNoise is σ/Δ₂ of
// the validation words of early stopping: a row that judges never trains, so
// that each row costs either a training round or a judgement, and the noise is
// such that the former covers the latter.
type Privacy struct {
	Epsilon         float64 `json:"epsilon"`
	Delta           float64 `json:"delta"`
	Noise           float64 `json:"noise"`
	StatisticsNoise float64 `json:"statistics_noise"`
	Clip            float64 `json:"clip,omitempty"`
	Rate            float64 `json:"rate,omitempty"`
	JudgeNoise      float64 `json:"judge_noise,omitempty"`
}

// ErrGreedy refuses noise for trees that search their splits (trees 57).
var ErrGreedy = errors.New("histogram trees publish every feature at every level; use `growth: additive`")
