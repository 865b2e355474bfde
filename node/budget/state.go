package budget

import (
	"fmt"
	"maps"
	"slices"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/node/chain"
)

// state is what the entries add up to.
type state struct {
	rounds map[Run]uint32
	masked map[roundFact]bool
	locks  map[chain.Digest]Lock
	draws  map[chain.Digest]int // by plan
	plans  map[chain.Digest]*account

	cohorts Cohorts
	spends  spends
}

type account struct {
	sums        map[Kind]int
	steps       map[chain.Digest]bool // different σ
	evaluated   map[chain.Digest]bool // different σ of kind Evaluate
	first, last int64
}

func newState() state {
	return state{
		rounds: map[Run]uint32{},
		masked: map[roundFact]bool{},
		locks:  map[chain.Digest]Lock{},
		draws:  map[chain.Digest]int{},
		plans:  map[chain.Digest]*account{},
	}
}

// account returns the plan's account; one that is not there yet is empty and
// not kept.
func (s *state) account(plan chain.Digest) *account {
	if a, ok := s.plans[plan]; ok {
		return a
	}
	return &account{
		sums:      map[Kind]int{},
		steps:     map[chain.Digest]bool{},
		evaluated: map[chain.Digest]bool{},
	}
}

// check holds a fact to the rules that need no limits, so that a file that
// breaks them is refused as well.
func (s *state) check(fact any) error {
	switch f := fact.(type) {
	case roundFact:
		if f.Round <= s.rounds[f.Run] {
			return fmt.Errorf("%w: round %d, last was %d", ErrStale, f.Round, s.rounds[f.Run])
		}
	case Sum:
		if _, ok := kindNames[f.Kind]; !ok {
			return fmt.Errorf("unknown kind of step %d", f.Kind)
		}
		if s.masked[roundFact{f.Run, f.Round}] {
			return fmt.Errorf("%w: round %d", ErrReused, f.Round)
		}
	case Lock:
		if old, ok := s.locks[f.Name]; ok && !f.Follows(old) {
			return fmt.Errorf("%w in round %d", ErrReleased, old.Round)
		}
	case drawFact:
		if n := s.draws[f.Plan]; n >= secagg.MaxDraws {
			return fmt.Errorf("%w: %d graphs drawn", ErrSpent, n)
		}
	case Cohort:
		if !f.Seen {
			return s.cohorts.Check(f)
		}
	case privacyFact:
		return s.spends.check(f)
	}
	return nil
}

func (s *state) apply(now int64, fact any) {
	switch f := fact.(type) {
	case roundFact:
		s.rounds[f.Run] = f.Round
	case Sum:
		s.masked[roundFact{f.Run, f.Round}] = true
		a := s.touch(f.Plan, now)
		a.sums[f.Kind]++
		a.steps[f.Sigma] = true
		if f.Kind == Evaluate {
			a.evaluated[f.Sigma] = true
		}
	case Lock:
		s.locks[f.Name] = f
	case drawFact:
		s.draws[f.Plan]++
	case Cohort:
		s.cohorts = append(s.cohorts, f)
	case privacyFact:
		s.spends.apply(now, f)
	}
}

func (s *state) touch(plan chain.Digest, now int64) *account {
	a := s.account(plan)
	s.plans[plan] = a
	if a.first == 0 {
		a.first = now
	}
	a.last = now
	return a
}

func (s *state) replay(e chain.Entry) error {
	fact, err := factOf(e)
	if err != nil {
		return err
	}
	if err := s.check(fact); err != nil {
		return err
	}
	s.apply(e.Time, fact)
	return nil
}

func factOf(e chain.Entry) (any, error) {
	switch e.Kind {
	case entryRound:
		return parse[roundFact](e)
	case entrySum:
		return parse[Sum](e)
	case entryLock:
		return parse[Lock](e)
	case entryDraw:
		return parse[drawFact](e)
	case entryCohort:
		return parse[Cohort](e)
	case entryPrivacy:
		return parse[privacyFact](e)
	}
	return nil, fmt.Errorf("has the unknown kind %q", e.Kind)
}

// Account is what one plan has cost this node.
type Account struct {
	Plan        chain.Digest   `json:"plan"`
	Sums        map[string]int `json:"sums"`        // by kind, repeats included
	Steps       int            `json:"steps"`       // different steps
	Evaluations int            `json:"evaluations"` // different evaluation steps
	First       int64          `json:"first"`       // Unix seconds
	Last        int64          `json:"last"`
}

// Show returns the accounts of all plans, oldest first.
func (l *Ledger) Show() []Account {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.show()
}

// Show reads the file without opening it to spend, for an operator's command
// beside a running node: the accounts of all plans and what they cost each record.
func Show(path string, limit Privacy) ([]Account, PrivacyReport, chain.Summary, error) {
	s := newState()
	summary, err := chain.Read(path, name, s.replay)
	if err != nil {
		return nil, PrivacyReport{}, summary, err
	}
	report, err := s.spends.report(limit)
	return s.show(), report, summary, err
}

func (s *state) show() []Account {
	var all []Account
	for plan, a := range s.plans {
		sums := map[string]int{}
		for kind, n := range a.sums {
			sums[kind.String()] = n
		}
		all = append(all, Account{
			Plan: plan, Sums: sums, Steps: len(a.steps),
			Evaluations: len(a.evaluated), First: a.first, Last: a.last,
		})
	}
	slices.SortFunc(all, func(a, b Account) int {
		if a.First != b.First {
			return int(min(max(a.First-b.First, -1), 1))
		}
		return slices.Compare(a.Plan[:], b.Plan[:])
	})
	return all
}

// Steps returns the σ of every step the plan has spent, in no order.
func (l *Ledger) Steps(plan chain.Digest) []chain.Digest {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.account(plan).steps))
}
