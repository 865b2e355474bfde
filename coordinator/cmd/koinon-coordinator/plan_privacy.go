package main

import (
	"fmt"
	"math"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/deploy/cli"
)

// privacyFacts is what record-level noise of a plan means: the accountant's
// inputs and what comes out of them.
type privacyFacts struct {
	DP         string         `json:"dp"`
	Promised   float64        `json:"promised_epsilon"`
	Delta      float64        `json:"delta"`
	Epsilon    float64        `json:"epsilon"` // by Rényi divergence: decides
	Order      float64        `json:"order"`
	PLD        *float64       `json:"epsilon_pld,omitempty"` // by privacy-loss distributions, for information
	Statistics dp.Mechanism   `json:"statistics"`
	Training   dp.Mechanism   `json:"training"`
	Clip       float64        `json:"clip,omitempty"`
	Judge      float64        `json:"judge_noise,omitempty"` // of the validation words of early stopping
	Rounds     int            `json:"rounds"`
	Seen       float64        `json:"rows_seen_a_round"` // expected share of the training rows that a round looks at, epochs counted
	Floor      int64          `json:"statistics_floor"`  // rows of the cohort that a value must have to be told from noise
	RowsWanted int64          `json:"rows_wanted"`       // of the cohort, below which the noise is worth a warning
	Judged     *privacyJudged `json:"judged,omitempty"`
}

// privacyJudged sets the noise against the rows that the caller names.
type privacyJudged struct {
	Rows    int64   `json:"rows"`
	Share   float64 `json:"noise_share"`
	Warning string  `json:"warning,omitempty"`
}

// privacyOf returns nil for a plan without noise. pld also computes the bound
// that takes a moment.
func privacyOf(p *federation.Plan, pld bool) (*privacyFacts, error) {
	m := p.Mechanisms()
	if m == nil {
		return nil, nil
	}
	v := p.Privacy
	f := &privacyFacts{
		DP: v.DP, Promised: v.Epsilon, Delta: v.Delta, Statistics: m[0], Training: m[1], Clip: v.Clip, Judge: v.JudgeNoise, Rounds: p.TrainRounds(),
	}
	f.Seen = m[1].Rate * float64(m[1].Steps) / float64(f.Rounds)
	var err error
	if f.Epsilon, f.Order, err = dp.Epsilon(v.Delta, m...); err != nil {
		return nil, err
	}
	if pld {
		bound, err := dp.PLD(v.Delta, m...)
		if err != nil {
			return nil, err
		}
		f.PLD = &bound
	}
	f.Floor, f.RowsWanted = p.StatisticsFloor(), p.RowsWanted()
	return f, nil
}

// judge warns where the noise is large against the rows (trees 64 in spirit).
func (f *privacyFacts) judge(p *federation.Plan, rows int64) {
	share, _ := p.NoiseShare(rows)
	_, drowns := p.NoiseLimits()
	f.Judged = &privacyJudged{Rows: rows, Share: share}
	switch {
	case rows < f.Floor:
		f.Judged.Warning = "fewer than the noise of the statistics: the run will end there"
	case share >= drowns:
		f.Judged.Warning = "the noise is larger than what they can say: next to nothing will be learnt"
	case rows < f.RowsWanted:
		f.Judged.Warning = "the noise will cost accuracy; try it with koinon-bench run --dp-epsilon"
	}
}

func (f *privacyFacts) print(std cli.Streams) {
	fmt.Fprintf(std.Out, "privacy     each training record: epsilon %v at delta %v promised over the whole plan\n", f.Promised, f.Delta)
	fmt.Fprintf(std.Out, "accountant  statistics: rate 1, noise %v, 1 step; training: rate %v, noise %v, %d steps (%d rounds)",
		f.Statistics.Noise, f.Training.Rate, f.Training.Noise, f.Training.Steps, f.Rounds)
	if f.Clip > 0 {
		fmt.Fprintf(std.Out, ", clip %v", f.Clip)
	}
	if f.Seen < 0.5 {
		fmt.Fprintf(std.Out, "\n            a round looks at %.2g %% of the training rows: with one gradient a round (local: full-batch) leave rate out", 100*f.Seen)
	}
	if f.Judge > 0 {
		fmt.Fprintf(std.Out, "\n            judgements: noise %v, covered by what a training round costs", f.Judge)
	}
	fmt.Fprintf(std.Out, "\n            epsilon %.4g by Rényi divergence (order %v), which decides", f.Epsilon, f.Order)
	if f.PLD != nil {
		fmt.Fprintf(std.Out, "; %.4g by privacy-loss distributions", *f.PLD)
	}
	fmt.Fprint(std.Out, "\n            test rows are not covered: their scores enter the evaluation's counts without noise\n")
	fmt.Fprintf(std.Out, "            a value that fewer than %d rows of the cohort hold is lost in the noise of the statistics\n", f.Floor)
	switch {
	case f.Judged == nil:
		fmt.Fprintf(std.Out, "rows        the cohort should have %s training rows or more; see plan check --rows\n", atLeast(f.RowsWanted))
	case f.Judged.Warning != "":
		fmt.Fprintf(std.Out, "warning     %d rows, wanted are %s: %s\n", f.Judged.Rows, atLeast(f.RowsWanted), f.Judged.Warning)
	default:
		fmt.Fprintf(std.Out, "rows        %d are enough: wanted are %s\n", f.Judged.Rows, atLeast(f.RowsWanted))
	}
}

// atLeast rounds up to two digits: the bound is no more exact than that.
func atLeast(n int64) string {
	unit := math.Pow(10, max(0, math.Floor(math.Log10(float64(n)))-1))
	return fmt.Sprintf("%.0f", math.Ceil(float64(n)/unit)*unit)
}

// privacyLine is the plan's `privacy` as it stands in what is signed.
func privacyLine(v federation.Privacy) string {
	line := fmt.Sprintf("{secure_aggregation: %s, dp: %s, epsilon: %v, delta: %v, noise: %v, statistics_noise: %v, rate: %v",
		v.SecureAggregation, v.DP, v.Epsilon, v.Delta, v.Noise, v.StatisticsNoise, v.Rate)
	if v.Clip > 0 {
		line += fmt.Sprintf(", clip: %v", v.Clip)
	}
	if v.JudgeNoise > 0 {
		line += fmt.Sprintf(", judge_noise: %v", v.JudgeNoise)
	}
	return line + "}"
}
