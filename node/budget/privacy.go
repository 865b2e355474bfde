package budget

import (
	"fmt"
	"math"
	"slices"

	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/node/chain"
)

const entryPrivacy = "privacy"

// Privacy limits what all plans together may cost a record of this node's table.
// A zero Epsilon is no limit; the cost is then counted all the same.
type Privacy struct {
	Epsilon float64 `json:"epsilon"`
	Delta   float64 `json:"delta"` // at which the cost of everything is stated, whatever plans say
}

// DefaultDelta is at which costs are stated where the operator names none.
const DefaultDelta = 1e-6

func (p Privacy) delta() float64 {
	if p.Delta == 0 {
		return DefaultDelta
	}
	return p.Delta
}

// Spend is the noisy answer to one step that this node is about to let go of.
type Spend struct {
	Plan  chain.Digest `json:"plan"`
	Run   Run          `json:"run"`
	Round uint32       `json:"round"` // of the sum
	Step  uint32       `json:"step"`  // ordinal in the plan
	Draw  chain.Digest `json:"draw"`  // names the noisy integers: only the very same cost nothing more
	dp.Mechanism
}

// privacyFact is a Spend as it is written, with what all entries so far come to.
type privacyFact struct {
	Spend
	Epsilon float64 `json:"epsilon"` // at Delta, this entry included
	Delta   float64 `json:"delta"`
}

// Costs are the mechanisms of many entries, equal ones together, in the order in
// which they first came. The zero value is empty. They compose over all plans and
// runs, because every plan reads the same table, and over every version of the
// table, because a record stays who it is when others are added.
type Costs []dp.Mechanism

// Add adds a mechanism.
func (c *Costs) Add(m dp.Mechanism) {
	i := slices.IndexFunc(*c, func(old dp.Mechanism) bool { return old.Rate == m.Rate && old.Noise == m.Noise })
	if i < 0 {
		*c = append(*c, m)
		return
	}
	(*c)[i].Steps += m.Steps
}

// With returns the costs after one more mechanism.
func (c Costs) With(m dp.Mechanism) Costs {
	c = slices.Clone(c)
	c.Add(m)
	return c
}

// Epsilon is what they come to at delta by Rényi divergence, the bound that
// decides.
func (c Costs) Epsilon(delta float64) (float64, error) {
	epsilon, _, err := dp.Epsilon(delta, c...)
	return epsilon, err
}

// Check returns what the costs come to after m, and ErrSpent when that is beyond
// the limit.
func (c Costs) Check(m dp.Mechanism, limit Privacy) (epsilon float64, err error) {
	epsilon, err = c.With(m).Epsilon(limit.delta())
	if err == nil && limit.Epsilon > 0 && epsilon > limit.Epsilon {
		err = fmt.Errorf("%w: epsilon would come to %.4g at delta %v, the operator's limit is %v", ErrSpent, epsilon, limit.delta(), limit.Epsilon)
	}
	return epsilon, err
}

// spends are what a ledger knows of noisy answers.
type spends struct {
	all   Costs
	plans map[chain.Digest]*planCosts
	order []chain.Digest // of plans, by their first entry
	draws map[chain.Digest]bool
	last  privacyFact
}

type planCosts struct {
	costs   Costs
	entries int
	runs    map[Run]bool
	first   int64
	last    int64
}

func (s *spends) check(f privacyFact) error {
	if err := f.Mechanism.Validate(); err != nil {
		return err
	}
	if s.draws[f.Draw] {
		return fmt.Errorf("the answer %s is counted already", f.Draw)
	}
	if !(f.Delta > 0 && f.Delta < 1) || !(f.Epsilon >= 0) || math.IsInf(f.Epsilon, 0) {
		return fmt.Errorf("epsilon %v at delta %v is impossible", f.Epsilon, f.Delta)
	}
	const most = 1 << 40 // what a mechanism may have (dp.Mechanism.Validate)
	steps := uint64(0)
	for _, m := range s.all {
		steps += m.Steps
	}
	if steps+f.Steps > most {
		return fmt.Errorf("more than %d steps", uint64(most))
	}
	return nil
}

func (s *spends) apply(now int64, f privacyFact) {
	if s.plans == nil {
		s.plans, s.draws = map[chain.Digest]*planCosts{}, map[chain.Digest]bool{}
	}
	p := s.plans[f.Plan]
	if p == nil {
		p = &planCosts{first: now, runs: map[Run]bool{}}
		s.plans[f.Plan] = p
		s.order = append(s.order, f.Plan)
	}
	p.costs.Add(f.Mechanism)
	p.entries, p.last, p.runs[f.Run] = p.entries+1, now, true
	s.all.Add(f.Mechanism)
	s.draws[f.Draw] = true
	s.last = f
}

// CheckPrivacy refuses, with ErrSpent, what would take the cost of a record
// beyond the limit. It is asked before training; Spend decides.
func (l *Ledger) CheckPrivacy(m dp.Mechanism, limit Privacy) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.spends.all.Check(m, limit)
	return err
}

// Spend reserves what a noisy answer costs each record, durably, before its
// `mask` leaves: it is spent whatever follows. The very same answer sent again
// costs nothing more; one that was made anew does, also for the same step, since
// the first may have left. Beyond the limit it is ErrSpent and nothing is written.
func (l *Ledger) Spend(now int64, s Spend, limit Privacy) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spends.draws[s.Draw] {
		return nil
	}
	epsilon, err := l.spends.all.Check(s.Mechanism, limit)
	if err != nil {
		return err
	}
	return l.enter(now, entryPrivacy, privacyFact{Spend: s, Epsilon: epsilon, Delta: limit.delta()})
}

// PlanCost is what one plan has cost each record.
type PlanCost struct {
	Plan       chain.Digest `json:"plan"`
	Answers    int          `json:"answers"` // noisy vectors, each counted once
	Runs       int          `json:"runs"`
	Mechanisms Costs        `json:"mechanisms"`
	Epsilon    float64      `json:"epsilon"` // by Rényi divergence: decides
	PLD        float64      `json:"epsilon_pld"`
	First      int64        `json:"first"` // Unix seconds
	Last       int64        `json:"last"`
}

// PrivacyReport is what all plans have cost each record of this node.
type PrivacyReport struct {
	Plans      []PlanCost `json:"plans"`
	Mechanisms Costs      `json:"mechanisms"`
	Delta      float64    `json:"delta"`
	Epsilon    float64    `json:"epsilon"`
	PLD        float64    `json:"epsilon_pld"`         // by privacy-loss distributions: tighter, reported only
	Limit      float64    `json:"limit,omitempty"`     // 0: none
	Remaining  *float64   `json:"remaining,omitempty"` // nil without a limit
}

// report composes everything at the limit's delta.
func (s *spends) report(limit Privacy) (r PrivacyReport, err error) {
	r = PrivacyReport{Plans: []PlanCost{}, Mechanisms: s.all, Delta: limit.delta(), Limit: limit.Epsilon}
	for _, plan := range s.order {
		p := s.plans[plan]
		c := PlanCost{Plan: plan, Answers: p.entries, Runs: len(p.runs), Mechanisms: p.costs, First: p.first, Last: p.last}
		if c.Epsilon, c.PLD, err = both(r.Delta, p.costs); err != nil {
			return r, err
		}
		r.Plans = append(r.Plans, c)
	}
	if r.Epsilon, r.PLD, err = both(r.Delta, s.all); err != nil {
		return r, err
	}
	if limit.Epsilon > 0 {
		left := max(0, limit.Epsilon-r.Epsilon)
		r.Remaining = &left
	}
	return r, nil
}

// both returns the two bounds of some costs.
func both(delta float64, c Costs) (epsilon, pld float64, err error) {
	if epsilon, err = c.Epsilon(delta); err != nil || len(c) == 0 {
		return 0, 0, err
	}
	pld, err = dp.PLD(delta, c...)
	return epsilon, pld, err
}

// tolerance is how far two machines' logarithms may lead them apart.
const tolerance = 1e-6

// audit recomputes what an entry says that all entries up to it come to.
func (s *spends) audit() error {
	got, err := s.all.Epsilon(s.last.Delta)
	if err != nil {
		return err
	}
	if math.Abs(got-s.last.Epsilon) > tolerance*max(1, got) {
		return fmt.Errorf("says epsilon %v at delta %v, the entries come to %v", s.last.Epsilon, s.last.Delta, got)
	}
	return nil
}
