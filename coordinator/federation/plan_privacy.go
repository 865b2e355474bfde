package federation

import (
	"errors"
	"fmt"
	"math"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/models/trees"
)

// Values of Privacy.DP.
const (
	DPNone   = "none"
	DPRecord = "record" // each member's training records, by noise of its own node
)

// Privacy says how single records and members are protected. What follows DP is
// set with record only; noise is explicit in a plan that is signed, because the
// model follows from it.
type Privacy struct {
	SecureAggregation string  `json:"secure_aggregation" yaml:"secure_aggregation"`       // always required
	DP                string  `json:"dp" yaml:"dp"`                                       // none or record
	Epsilon           float64 `json:"epsilon,omitempty" yaml:"epsilon"`                   // promised over the whole plan, statistics included
	Delta             float64 `json:"delta,omitempty" yaml:"delta"`                       // 0 means 1e-6
	Noise             float64 `json:"noise,omitempty" yaml:"noise"`                       // σ/Δ of a training step; 0: Calibrate
	StatisticsNoise   float64 `json:"statistics_noise,omitempty" yaml:"statistics_noise"` // σ/Δ of the statistics sum; 0: Calibrate
	Clip              float64 `json:"clip,omitempty" yaml:"clip"`                         // L2 of a row's gradient (networks); 0 means 1
	Rate              float64 `json:"rate,omitempty" yaml:"rate"`                         // of rows in a step; 0 means 0.02 for local steps, else 1
	JudgeNoise        float64 `json:"judge_noise,omitempty" yaml:"judge_noise"`           // σ/Δ of the validation words of algorithm.stop; 0: Calibrate
}

const (
	defaultDelta = 1e-6
	defaultClip  = 1
	defaultRate  = 0.02
	maxEpsilon   = 100
	maxDelta     = 1e-3
	// statisticsShare is the part of ρ, half the reciprocal of the squared noise,
	// that Calibrate gives to the statistics (trees 60).
	statisticsShare = 0.07
	// promiseSlack keeps the last digits of one machine's logarithms from deciding
	// on another whether a promise holds.
	promiseSlack = 1e-9
)

// errNoNoise says that a plan comes without the noise it needs to be signed.
var errNoNoise = errors.New("plan: privacy.noise and privacy.statistics_noise must stand in a plan that is signed: " +
	"`koinon-coordinator plan check` fills them in")

// privacyDefaults fills in what was left out, but for the noise.
func (p *Plan) privacyDefaults() {
	v := &p.Privacy
	setDefault(&v.SecureAggregation, "required")
	setDefault(&v.DP, DPNone)
	if v.DP != DPRecord {
		return
	}
	setDefault(&v.Delta, defaultDelta)
	if p.Grows() {
		setDefault(&v.Rate, 1)
		return
	}
	setDefault(&v.Clip, defaultClip)
	if p.Algorithm.Local == aggregate.MiniBatch {
		setDefault(&v.Rate, defaultRate)
	}
	setDefault(&v.Rate, 1)
}

// learning returns what the deterministic machine has to know; nil without noise.
func (v Privacy) learning() *schedule.Privacy {
	if v.DP != DPRecord {
		return nil
	}
	return &schedule.Privacy{
		Epsilon: v.Epsilon, Delta: v.Delta, Noise: v.Noise, StatisticsNoise: v.StatisticsNoise, Clip: v.Clip, Rate: v.Rate, JudgeNoise: v.JudgeNoise,
	}
}

// checkPromise checks epsilon and delta by themselves.
func (v Privacy) checkPromise() error {
	switch {
	case v.Epsilon == 0:
		return errors.New("plan: privacy.epsilon is missing: with dp: record say what is promised, for instance 3")
	case !(v.Epsilon > 0 && v.Epsilon <= maxEpsilon):
		return fmt.Errorf("plan: privacy.epsilon %v is not between 0 and %d: beyond it nothing is promised", v.Epsilon, maxEpsilon)
	case !(v.Delta > 0 && v.Delta <= maxDelta):
		return fmt.Errorf("plan: privacy.delta %v is not between 0 and %v: it is the chance that the promise does not hold", v.Delta, maxDelta)
	}
	return nil
}

// checkPrivacy recomputes the promise by Rényi divergence and refuses a plan
// that does not hold it, and every setting under which it could not.
func (p *Plan) checkPrivacy() error {
	v := p.Privacy
	switch v.DP {
	case DPNone:
		if v != (Privacy{SecureAggregation: v.SecureAggregation, DP: DPNone}) {
			return errors.New("plan: privacy: epsilon, delta, noise, statistics_noise, judge_noise, clip and rate are for dp: record only")
		}
		return nil
	case DPRecord:
	default:
		return fmt.Errorf("plan: privacy.dp %.40q is not known: want %s or %s", v.DP, DPNone, DPRecord)
	}
	if err := p.mayBePrivate(); err != nil {
		return err
	}
	for i, g := range p.Gates {
		if g.Metric == fairness.Gain {
			return fmt.Errorf("plan: gate %d: with privacy.dp %s there is no %s: it follows from models that members train alone, without noise", i+1, v.DP, g.Metric)
		}
	}
	if v.incomplete(p) {
		return errNoNoise
	}
	got, _, err := dp.Epsilon(v.Delta, p.Mechanisms()...)
	if err != nil {
		return fmt.Errorf("plan: privacy: %w", err)
	}
	if got > v.Epsilon*(1+promiseSlack) {
		return fmt.Errorf("plan: privacy.epsilon %v is promised, but the noise gives only %.4g at delta %v: want more noise, fewer rounds or a lower rate", v.Epsilon, got, v.Delta)
	}
	return nil
}

// mayBePrivate checks everything of a plan with dp: record but how much noise it has.
func (p *Plan) mayBePrivate() error {
	v := p.Privacy
	setDefault(&v.Noise, 1)
	setDefault(&v.StatisticsNoise, 1)
	if p.Algorithm.Stop.On() {
		setDefault(&v.JudgeNoise, schedule.MaxJudgeNoise)
	}
	config := p.Learning()
	config.Privacy = v.learning()
	if err := config.Validate(); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return v.checkPromise()
}

// Mechanisms are the accountant's inputs: what the plan costs a record whose node
// answers every step once. nil without noise.
func (p *Plan) Mechanisms() []dp.Mechanism { return p.Learning().Mechanisms() }

// Calibrate fills in noise that a plan with dp: record leaves out: the least, to
// four digits, with which its promise holds. Statistics get 7 % of the cost.
func (p *Plan) Calibrate() error {
	v := &p.Privacy
	if v.DP != DPRecord || !v.incomplete(p) {
		return nil
	}
	if err := p.mayBePrivate(); err != nil {
		return err
	}
	if v.StatisticsNoise == 0 {
		whole, err := dp.NoiseFor(v.Epsilon, v.Delta, 1, 1)
		if err != nil {
			return fmt.Errorf("plan: privacy: %w", err)
		}
		v.StatisticsNoise = fourDigits(whole / math.Sqrt(statisticsShare))
	}
	if v.Noise == 0 {
		m := p.Mechanisms()
		noise, err := dp.NoiseFor(v.Epsilon, v.Delta, m[1].Rate, m[1].Steps, m[0])
		if errors.Is(err, dp.ErrUnreachable) {
			return fmt.Errorf("plan: privacy.statistics_noise %v alone costs more than epsilon %v: want more of it, or leave it out: %w", v.StatisticsNoise, v.Epsilon, err)
		}
		if err != nil {
			return fmt.Errorf("plan: privacy: %w", err)
		}
		v.Noise = noise
	}
	if v.JudgeNoise != 0 || !p.Algorithm.Stop.On() {
		return nil
	}
	round, _ := p.Learning().Mechanism(schedule.Train)
	var err error
	if v.JudgeNoise, err = dp.Covered(round); err != nil {
		return fmt.Errorf("plan: privacy.judge_noise: %w", err)
	}
	return nil
}

// incomplete reports whether noise is left out that the plan needs to be signed.
func (v Privacy) incomplete(p *Plan) bool {
	return v.Noise == 0 || v.StatisticsNoise == 0 || v.JudgeNoise == 0 && p.Algorithm.Stop.On()
}

// fourDigits rounds up to four significant digits.
func fourDigits(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v))-3)
	var rounded float64
	_, err := fmt.Sscan(fmt.Sprintf("%.4g", math.Ceil(v/unit)*unit), &rounded)
	if err != nil {
		return v
	}
	return rounded
}

// Shares of a network's signal beyond which noise is worth a warning, and beyond
// which it drowns what there is to learn (trees 64 in spirit). They are a fifth of
// what they would be if every row's gradient were as long as the clip.
const (
	noiseWarns  = 0.02
	noiseDrowns = 0.2
)

// NoiseLimits are the shares beyond which the plan's noise is worth a warning,
// and beyond which it drowns what there is to learn.
func (p *Plan) NoiseLimits() (warns, drowns float64) {
	if p.Grows() {
		return trees.NoiseWarns, trees.NoiseRefuses
	}
	return noiseWarns, noiseDrowns
}

// NoiseShare sets the noise against the most that so many training rows of the
// cohort can say. For trees it is that of one sum (trees 64). For a network it is
// of a whole run: √(members·parameters)·noise against rate·rows·√steps, since the
// noise of independent steps grows with their root and the signal with their
// number; parameters is what the schema alone is known to make. Both are lower
// bounds. False without noise or rows.
func (p *Plan) NoiseShare(rows int64) (share float64, ok bool) {
	m := p.Mechanisms()
	if m == nil || rows < 1 {
		return 0, false
	}
	if p.Grows() {
		return p.Learning().NoiseShare(rows)
	}
	parameters, err := p.Architecture.Params(p.leastShape())
	if err != nil {
		return 0, false
	}
	noise := math.Sqrt(float64(len(p.Cohort.Members))*float64(parameters)) * m[1].Noise
	signal := m[1].Rate * float64(rows) * math.Sqrt(float64(m[1].Steps))
	return noise / signal, true
}

// StatisticsFloor is how many rows of the cohort must hold a value to stand out
// of the noise of the statistics, at four standard deviations; 0 without noise.
func (p *Plan) StatisticsFloor() int64 {
	c := p.Learning()
	if c.Privacy == nil {
		return 0
	}
	s := feature.NewPrivateStatistics(c.Schema, feature.Noise{Sigma: c.Privacy.StatisticsNoise, Members: c.Members})
	return max(feature.Floor, int64(math.Ceil(4*s.Sigma()*math.Sqrt(float64(c.Members)))))
}

// rareShare is the share of rows that a value should be able to have and yet
// stand out of the statistics.
const rareShare = 0.05

// RowsWanted is how many training rows of the cohort it takes for a value of one
// row in twenty to stand out of the statistics and for the noise to be below the
// share at which it is warned of. 0 without noise.
func (p *Plan) RowsWanted() int64 {
	const some = 1000 // shares fall as rows grow
	share, _ := p.NoiseShare(some)
	warns, _ := p.NoiseLimits()
	return max(int64(math.Ceil(some*share/warns)), int64(math.Ceil(float64(p.StatisticsFloor())/rareShare)))
}

// leastShape is the width of the model as far as the schema tells it.
func (p *Plan) leastShape() (s arch.Shape) {
	for _, c := range p.Schema.Features() {
		switch {
		case c.Type == feature.TypeNumber:
			s.Numbers++
		case c.Type == feature.TypeBoolean:
			s.Cards = append(s.Cards, 2)
		default:
			s.Cards = append(s.Cards, max(2, len(c.Values)))
		}
	}
	return s
}
