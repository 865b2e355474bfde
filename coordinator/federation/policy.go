package federation

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/deploy/strictyaml"
	"github.com/koinon-eu/koinon/models/aggregate"
)

// Policy is a node's own will: limits that a plan must satisfy before this node takes part, whatever the plan and
// the coordinator say. Zero fields take the defaults of DefaultPolicy.
type Policy struct {
	MinCohort        int    `yaml:"min_cohort" json:"min_cohort"`                 // S7: default 5, never below 3
	MinSurvivors     int    `yaml:"min_survivors" json:"min_survivors"`           // S7: default 3, never below 3
	Evaluations      int    `yaml:"evaluations" json:"evaluations"`               // per plan, default 3 (secagg.md §17.2)
	MaxRounds        int    `yaml:"max_rounds" json:"max_rounds"`                 // rounds a plan may ask for, default 1,000
	MaxWords         int    `yaml:"max_words" json:"max_words"`                   // S9: words of one vector, default 2^24
	PhaseTicks       uint32 `yaml:"phase_ticks" json:"phase_ticks"`               // S67: own maximum for each phase, default 600
	MaxBatchTicks    uint32 `yaml:"max_batch_ticks" json:"max_batch_ticks"`       // S40: own maximum for a batch of sums, default 7,200
	MinShed          int    `yaml:"min_shed" json:"min_shed"`                     // fewest members by which cohorts of trees may differ, default 3, never below 2
	AcceptPairCounts bool   `yaml:"accept_pair_counts" json:"accept_pair_counts"` // Newton sums pairs of categories
	Unattended       []Rule `yaml:"unattended" json:"unattended,omitempty"`       // plans that need no operator
	Privacy          Budget `yaml:"privacy" json:"privacy"`                       // of each training record, over all plans

	RefuseReleases []Digest `yaml:"refuse_releases" json:"refuse_releases,omitempty"` // artifacts that no plan may start from, revoked ones for instance
}

// Budget is what all plans with dp: record together may cost one training record
// of this node. Plans without it cost what no budget counts. From an epsilon of
// NoLimit on, costs are counted and nothing is refused.
type Budget struct {
	Epsilon float64 `yaml:"epsilon" json:"epsilon"` // default 10
	Delta   float64 `yaml:"delta" json:"delta"`     // at which epsilon is counted, default 1e-6
}

// NoLimit is the epsilon of a Budget that refuses nothing.
const NoLimit = 1e6

// Rule lets plans run without the operator's own approval. Every field that is set must match.
type Rule struct {
	Plan          Digest   `yaml:"plan" json:"plan"`
	Purposes      []string `yaml:"purposes" json:"purposes,omitempty"`
	Architectures []string `yaml:"architectures" json:"architectures,omitempty"`
	MaxRounds     int      `yaml:"max_rounds" json:"max_rounds,omitempty"`
}

// MaxPolicyBytes bounds a policy file.
const MaxPolicyBytes = 1 << 18

// DefaultPolicy is what a node applies when its operator says nothing: nothing runs unattended.
func DefaultPolicy() Policy {
	return Policy{
		MinCohort: 5, MinSurvivors: 3, Evaluations: 3,
		MaxRounds: 1000, MaxWords: 1 << 24, PhaseTicks: 600, MaxBatchTicks: 7200, MinShed: DefaultShed,
		Privacy: Budget{Epsilon: 10, Delta: defaultDelta},
	}
}

// ParsePolicy reads a policy file strictly: one YAML document, unknown keys refused. An empty file is the default.
func ParsePolicy(b []byte) (Policy, error) {
	p := DefaultPolicy()
	if len(b) > MaxPolicyBytes {
		return p, fmt.Errorf("policy: %d bytes, at most %d", len(b), MaxPolicyBytes)
	}
	if err := strictyaml.Decode(b, &p); err != nil && !errors.Is(err, io.EOF) {
		return p, fmt.Errorf("policy: %w", err)
	}
	return p, p.Validate()
}

// Validate refuses limits that the protocol does not allow.
func (p Policy) Validate() error {
	switch {
	case p.MinCohort < 3:
		return fmt.Errorf("policy: min_cohort %d, never below 3 (S7)", p.MinCohort)
	case p.MinSurvivors < 3:
		return fmt.Errorf("policy: min_survivors %d, never below 3 (S7)", p.MinSurvivors)
	case p.Evaluations < 1 || p.MaxRounds < 1 || p.MaxWords < 1 || p.PhaseTicks < 1 || p.MaxBatchTicks < 1:
		return errors.New("policy: evaluations, max_rounds, max_words, phase_ticks and max_batch_ticks must be at least 1")
	}
	if p.MinShed < minShed {
		return fmt.Errorf("policy: min_shed %d, never below %d: cohorts that differ by one member show its histograms", p.MinShed, minShed)
	}
	if !(p.Privacy.Epsilon > 0) || !(p.Privacy.Delta > 0 && p.Privacy.Delta <= maxDelta) {
		return fmt.Errorf("policy: privacy.epsilon %v and delta %v: want more than 0, and delta at most %v", p.Privacy.Epsilon, p.Privacy.Delta, maxDelta)
	}
	for i, r := range p.Unattended {
		if r.Plan == (Digest{}) && len(r.Purposes) == 0 {
			return fmt.Errorf("policy: unattended rule %d names neither a plan nor purposes, so it would let everything run", i+1)
		}
	}
	return nil
}

// Allows says whether the policy lets this plan run at all, approved or not; the error names the limit.
func (p Policy) Allows(plan *Plan) error {
	switch n := len(plan.Cohort.Members); {
	case n < p.MinCohort:
		return fmt.Errorf("policy: cohort of %d members, this node wants at least %d", n, p.MinCohort)
	case plan.TrainRounds() > p.MaxRounds:
		return fmt.Errorf("policy: %d training rounds, this node allows %d", plan.TrainRounds(), p.MaxRounds)
	case plan.Evaluations > p.Evaluations:
		return fmt.Errorf("policy: %d evaluations, this node allows %d", plan.Evaluations, p.Evaluations)
	case plan.Together() && plan.Shed < p.MinShed:
		return fmt.Errorf("policy: cohorts of trees may differ by %d members, this node wants at least %d (min_shed)", plan.Shed, p.MinShed)
	case plan.WarmStart != nil && slices.Contains(p.RefuseReleases, plan.WarmStart.Artifact()):
		return fmt.Errorf("policy: the plan starts from %s, which this node refuses (refuse_releases)", plan.WarmStart.Release)
	case plan.Algorithm.Name == aggregate.Newton && !p.AcceptPairCounts:
		return fmt.Errorf("policy: algorithm %s sums counts of pairs of categories, which this node has not accepted (accept_pair_counts)", plan.Algorithm.Name)
	}
	return p.allowsPrivacy(plan)
}

// allowsPrivacy refuses a plan that alone costs a record more than the whole budget.
func (p Policy) allowsPrivacy(plan *Plan) error {
	m := plan.Mechanisms()
	if m == nil || p.Privacy.Epsilon >= NoLimit {
		return nil
	}
	cost, _, err := dp.Epsilon(p.Privacy.Delta, m...)
	if err == nil && cost > p.Privacy.Epsilon {
		err = fmt.Errorf("the plan costs a record epsilon %.4g at delta %v, this node allows %v to all plans together (privacy.epsilon)", cost, p.Privacy.Delta, p.Privacy.Epsilon)
	}
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	return nil
}

// RunsUnattended reports whether a rule lets the plan run without the operator.
func (p Policy) RunsUnattended(plan *Plan) bool {
	return p.Allows(plan) == nil && slices.ContainsFunc(p.Unattended, func(r Rule) bool {
		return (r.Plan == (Digest{}) || r.Plan == plan.Digest()) &&
			(len(r.Purposes) == 0 || slices.Contains(r.Purposes, plan.Declaration.PurposeCode)) &&
			(len(r.Architectures) == 0 || slices.Contains(r.Architectures, plan.Architecture.Kind)) &&
			(r.MaxRounds == 0 || plan.TrainRounds() <= r.MaxRounds)
	})
}
