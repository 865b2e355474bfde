package node

import (
	"fmt"
	"sync"

	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/chain"
)

// MemoryLedger is a Ledger for tests and benchmarks, with the rules of *budget.Ledger and without its file. The zero
// value is empty and ready; its methods may be called by several goroutines at once.
type MemoryLedger struct {
	mu        sync.Mutex
	rounds    map[budget.Run]uint32
	masked    map[memoryRound]bool
	locks     map[chain.Digest]budget.Lock
	draws     map[chain.Digest]int
	evaluated map[chain.Digest]map[chain.Digest]bool // by plan: different σ
	cohorts   budget.Cohorts
	costs     budget.Costs
	drawn     map[chain.Digest]bool
}

type memoryRound struct {
	run   budget.Run
	round uint32
}

// Round implements Ledger.
func (l *MemoryLedger) Round(_ int64, run budget.Run, round uint32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if round <= l.rounds[run] {
		return fmt.Errorf("%w: round %d, last was %d", budget.ErrStale, round, l.rounds[run])
	}
	put(&l.rounds, run, round)
	return nil
}

// LastRound implements Ledger.
func (l *MemoryLedger) LastRound(run budget.Run) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rounds[run]
}

// Reserve implements Ledger.
func (l *MemoryLedger) Reserve(_ int64, s budget.Sum, limits budget.Limits) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.masked[memoryRound{s.Run, s.Round}] {
		return fmt.Errorf("%w: round %d", budget.ErrReused, s.Round)
	}
	if s.Kind == budget.Evaluate {
		seen := l.evaluated[s.Plan]
		if !seen[s.Sigma] && len(seen) >= max(limits.Evaluations, 0) {
			return fmt.Errorf("%w: %d evaluations", budget.ErrSpent, len(seen))
		}
		put(&seen, s.Sigma, true)
		put(&l.evaluated, s.Plan, seen)
	}
	put(&l.masked, memoryRound{s.Run, s.Round}, true)
	return nil
}

// Lock implements Ledger.
func (l *MemoryLedger) Lock(_ int64, lock budget.Lock) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old, ok := l.locks[lock.Name]; ok && !lock.Follows(old) {
		return fmt.Errorf("%w in round %d", budget.ErrReleased, old.Round)
	}
	put(&l.locks, lock.Name, lock)
	return nil
}

// Locked implements Ledger.
func (l *MemoryLedger) Locked(name chain.Digest) (budget.Lock, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lock, ok := l.locks[name]
	return lock, ok
}

// Draw implements Ledger.
func (l *MemoryLedger) Draw(_ int64, plan chain.Digest, _ budget.Run, _ uint32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.draws[plan]; n >= secagg.MaxDraws {
		return fmt.Errorf("%w: %d graphs drawn", budget.ErrSpent, n)
	}
	put(&l.draws, plan, l.draws[plan]+1)
	return nil
}

// Draws implements Ledger.
func (l *MemoryLedger) Draws(plan chain.Digest) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.draws[plan]
}

// CheckCohort implements Ledger.
func (l *MemoryLedger) CheckCohort(c budget.Cohort) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cohorts.Check(c)
}

// Cohort implements Ledger.
func (l *MemoryLedger) Cohort(_ int64, c budget.Cohort) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cohorts.Has(c) {
		return nil
	}
	if err := l.cohorts.Check(c); err != nil {
		return err
	}
	l.cohorts = append(l.cohorts, c)
	return nil
}

// Saw implements Ledger.
func (l *MemoryLedger) Saw(_ int64, c budget.Cohort) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.cohorts.Has(c) {
		c.Seen = true
		l.cohorts = append(l.cohorts, c)
	}
	return nil
}

// CheckPrivacy implements Ledger.
func (l *MemoryLedger) CheckPrivacy(m dp.Mechanism, limit budget.Privacy) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if limit.Epsilon == 0 {
		return nil
	}
	_, err := l.costs.Check(m, limit)
	return err
}

// Spend implements Ledger.
func (l *MemoryLedger) Spend(_ int64, s budget.Spend, limit budget.Privacy) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.drawn[s.Draw] {
		return nil
	}
	if limit.Epsilon > 0 {
		if _, err := l.costs.Check(s.Mechanism, limit); err != nil {
			return err
		}
	}
	l.costs.Add(s.Mechanism)
	put(&l.drawn, s.Draw, true)
	return nil
}
