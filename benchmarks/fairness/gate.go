package fairness

import (
	"errors"
	"fmt"
	"slices"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// Bound says which end of a figure's 95 % interval a gate looks at.
type Bound string

// The bounds: the interval's lower or upper end, or the figure itself.
const (
	Lower Bound = "lower"
	Upper Bound = "upper"
	Point Bound = "point"
)

// The metrics a gate can name.
const (
	AUROC        = "auroc"
	AUPRC        = "auprc"
	Brier        = "brier"
	ECE          = "ece"
	LogLoss      = "log_loss"
	Gain         = "auroc_gain_over_alone"
	SelectionGap = "selection_rate_difference"
	TPRGap       = "tpr_difference"
	FPRGap       = "fpr_difference"
	FNRGap       = "fnr_difference"
	OverExpected = "observed_over_expected"

	// Of forecasts of counts only.
	DevianceGain = "poisson_deviance_gain" // over the baseline, as a share of its deviance
	Coverage     = "coverage80"            // share of counts inside their 80 % interval
)

// Answer as Else lets approvers answer a finding in writing.
const Answer = "answer"

// Gate is a threshold fixed in the plan before training. Exactly one of
// AtLeast, AtMost and IntervalContains is set.
type Gate struct {
	Metric string `json:"metric" yaml:"metric"`
	// Group is the group column of a metric by group, else empty.
	Group            string   `json:"group,omitempty" yaml:"group,omitempty"`
	Bound            Bound    `json:"bound,omitempty" yaml:"bound,omitempty"`
	AtLeast          *float64 `json:"at_least,omitempty" yaml:"at_least,omitempty"`
	AtMost           *float64 `json:"at_most,omitempty" yaml:"at_most,omitempty"`
	IntervalContains *float64 `json:"interval_contains,omitempty" yaml:"interval_contains,omitempty"`
	// Share makes a gate on DevianceGain one of nodes: at least this share of those
	// with a baseline must gain AtLeast, which is then one of metrics.CountMargins.
	Share float64 `json:"share,omitempty" yaml:"share,omitempty"`
	// Else is empty (a finding fails the gate) or Answer.
	Else     string   `json:"else,omitempty" yaml:"else,omitempty"`
	Evidence Evidence `json:"evidence,omitzero" yaml:"evidence,omitempty"`
}

// Evidence is the least a gate needs to be judged; zero asks nothing. Below it
// the result is NotEnough, never Pass.
type Evidence struct {
	Rows              int64 `json:"rows,omitempty" yaml:"rows,omitempty"`
	Positives         int64 `json:"positives,omitempty" yaml:"positives,omitempty"`
	Negatives         int64 `json:"negatives,omitempty" yaml:"negatives,omitempty"`
	Nodes             int64 `json:"nodes,omitempty" yaml:"nodes,omitempty"`
	PositivesPerGroup int64 `json:"positives_per_group,omitempty" yaml:"positives_per_group,omitempty"`
	NegativesPerGroup int64 `json:"negatives_per_group,omitempty" yaml:"negatives_per_group,omitempty"`
}

// kind says how a metric is judged.
type kind struct{ group, interval, counts bool }

var kinds = map[string]kind{
	AUROC: {interval: true}, AUPRC: {}, Brier: {}, ECE: {}, LogLoss: {}, Gain: {interval: true},
	SelectionGap: {group: true, interval: true}, TPRGap: {group: true, interval: true},
	FPRGap: {group: true, interval: true}, FNRGap: {group: true, interval: true},
	OverExpected: {group: true, interval: true},
	DevianceGain: {counts: true}, Coverage: {interval: true, counts: true},
}

// OfCounts reports whether a metric is one of forecasts of counts.
func OfCounts(metric string) bool { return kinds[metric].counts }

// Validate refuses a gate that could not be judged, before training. Whether
// Group is a group column of the schema is for the caller to check.
func (g Gate) Validate() error {
	if err := g.validate(); err != nil {
		return fmt.Errorf("gate %s: %w", g.Metric, err)
	}
	return nil
}

func (g Gate) validate() error {
	k, ok := kinds[g.Metric]
	switch {
	case !ok:
		return errors.New("unknown metric")
	case k.group && g.Group == "":
		return errors.New("needs a group column")
	case !k.group && g.Group != "":
		return fmt.Errorf("is not measured by group, but names %q", g.Group)
	case g.Else != "" && g.Else != Answer:
		return fmt.Errorf("else is %q, want nothing or %q", g.Else, Answer)
	}
	set := 0
	for _, limit := range []*float64{g.AtLeast, g.AtMost, g.IntervalContains} {
		if limit != nil {
			set++
			if !finite(*limit) {
				return errors.New("limit is not finite")
			}
		}
	}
	if set != 1 {
		return errors.New("wants exactly one of at_least, at_most, interval_contains")
	}
	for _, n := range []int64{g.Evidence.Rows, g.Evidence.Positives, g.Evidence.Negatives, g.Evidence.Nodes, g.Evidence.PositivesPerGroup, g.Evidence.NegativesPerGroup} {
		if n < 0 {
			return errors.New("negative evidence")
		}
	}
	if g.Share != 0 {
		return g.validateShare()
	}
	return g.validateBound(k)
}

func (g Gate) validateShare() error {
	switch {
	case g.Metric != DevianceGain:
		return errors.New("share belongs to " + DevianceGain)
	case !(g.Share > 0 && g.Share <= 1):
		return fmt.Errorf("share %v is not above 0 and at most 1", g.Share)
	case g.AtLeast == nil || !slices.Contains(metrics.CountMargins[:], *g.AtLeast):
		return fmt.Errorf("with share, at_least must be one of %v: nodes count themselves at these", metrics.CountMargins)
	case g.Bound != Point:
		return errors.New("with share, bound must be point")
	}
	return nil
}

func (g Gate) validateBound(k kind) error {
	switch {
	case (g.IntervalContains != nil) != (g.Metric == OverExpected):
		return errors.New("interval_contains belongs to " + OverExpected + ", which takes nothing else")
	case g.IntervalContains != nil && g.Bound != "":
		return errors.New("interval_contains takes no bound")
	case g.IntervalContains != nil:
		return nil
	case !slices.Contains([]Bound{Lower, Upper, Point}, g.Bound):
		return fmt.Errorf("bound is %q, want lower, upper or point", g.Bound)
	case g.Bound != Point && !k.interval:
		return errors.New("has no interval: bound must be point")
	case g.Bound == Upper && g.AtLeast != nil, g.Bound == Lower && g.AtMost != nil:
		return fmt.Errorf("the %s bound on this side of the limit proves nothing", g.Bound)
	}
	return nil
}

func finite(x float64) bool { return x-x == 0 }
