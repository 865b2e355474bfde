package budget

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/koinon-eu/koinon/node/chain"
)

// name is what chain calls this file.
const name = "budget"

// Ledger is the budget file, open to spend from. Its methods may be called
// from several goroutines; each returns when its entry is on disk. now is Unix
// seconds throughout.
type Ledger struct {
	mu  sync.Mutex
	log *chain.Log
	state
}

// Open reads and checks the whole file and leaves it open. A missing file is
// an empty ledger.
func Open(path string, log *slog.Logger) (*Ledger, error) {
	l := &Ledger{state: newState()}
	file, err := chain.Open(path, name, l.replay, log)
	if err != nil {
		return nil, err
	}
	l.log = file
	return l, nil
}

// Verify checks the file without opening it to spend, and recomputes what each
// entry says of the cost so far.
func Verify(path string) (chain.Summary, error) {
	s := newState()
	return chain.Read(path, name, func(e chain.Entry) error {
		err := s.replay(e)
		if err == nil && e.Kind == entryPrivacy {
			err = s.spends.audit()
		}
		return err
	})
}

// Close closes the file.
func (l *Ledger) Close() error { return l.log.Close() }

// Summary is the state of the chain, for an operator to note.
func (l *Ledger) Summary() chain.Summary { return l.log.Summary() }

// Round records that this node enters round of run, before its `advert` leaves
// (S64). A round not newer than the last is ErrStale.
func (l *Ledger) Round(now int64, run Run, round uint32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.enter(now, entryRound, roundFact{run, round})
}

// Reserve spends the budget of a step, before `mask` leaves: it is spent
// whatever follows (S36). The same step again is recorded but costs nothing
// more, because its place is opened with one survivor set only (S33). It returns
// ErrReused when this run and round have been masked (S27) and ErrSpent when
// the plan's evaluations are used up.
func (l *Ledger) Reserve(now int64, s Sum, limits Limits) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	account := l.account(s.Plan)
	if s.Kind == Evaluate && !account.evaluated[s.Sigma] && len(account.evaluated) >= limits.evaluations() {
		return fmt.Errorf("%w: %d evaluations, allowed are %d", ErrSpent, len(account.evaluated), limits.evaluations())
	}
	return l.enter(now, entrySum, s)
}

// Lock records with which survivors a place of a plan is released, before
// `unmask` leaves (S33), in version 2 before `agree` does (V13). Repeated with the same survivors it is recorded anew
// with its round. A smaller set is accepted only where everyone left out is
// Excused. Any other set is ErrReleased.
func (l *Ledger) Lock(now int64, lock Lock) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.locks[lock.Name] == lock {
		return nil
	}
	return l.enter(now, entryLock, lock)
}

// Locked returns the last lock of a place.
func (l *Ledger) Locked(name chain.Digest) (Lock, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lock, ok := l.locks[name]
	return lock, ok
}

// Draw records that this node takes part in the draw of a graph under a plan,
// before its `reveal` leaves (V12). Beyond secagg.MaxDraws of them it is
// ErrSpent.
func (l *Ledger) Draw(now int64, plan chain.Digest, run Run, round uint32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.enter(now, entryDraw, drawFact{plan, run, round})
}

// Draws returns how many draws are on record for a plan, over all its runs.
func (l *Ledger) Draws(plan chain.Digest) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.draws[plan]
}

// LastRound is the last round entered in run, 0 for none.
func (l *Ledger) LastRound(run Run) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rounds[run]
}

// enter checks the fact, writes it and only then believes it.
func (l *Ledger) enter(now int64, kind string, fact any) error {
	if err := l.check(fact); err != nil {
		return err
	}
	if _, err := l.log.Append(now, kind, fact); err != nil {
		return err
	}
	l.apply(now, fact)
	return nil
}
