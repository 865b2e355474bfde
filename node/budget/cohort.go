package budget

import (
	"errors"
	"fmt"
	"slices"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/node/chain"
)

// ErrTooNear means that a sum over these survivors, put together with sums that
// were opened before over the same data, would show the sum of too few members.
var ErrTooNear = errors.New("survivors differ from those of earlier sums over the same data by too few members")

const entryCohort = "cohort"

// Cohort says over whom a sum of statistics or histograms is opened.
type Cohort struct {
	Data      chain.Digest `json:"data"`      // names this node's rows: what other rows gave cannot be taken off
	Survivors chain.Digest `json:"survivors"` // the 256-bit member set, as 32 bytes
	// Apart is m of a plan of trees: the fewest members whom opened cohorts may
	// tell apart (trees 37). 0 in any other plan, whose statistics are held to
	// cohorts of trees only.
	Apart int    `json:"apart"`
	Run   Run    `json:"run"`
	Round uint32 `json:"round"`
	Seen  bool   `json:"seen,omitempty"` // not released here: the sum was published
}

// same reports whether the two forbid the same.
func (c Cohort) same(old Cohort) bool {
	return c.Data == old.Data && c.Survivors == old.Survivors && c.Apart == old.Apart
}

// Cohorts are those that were opened, each once. The zero value is empty.
type Cohorts []Cohort

// Check refuses, with ErrTooNear, a cohort after which some group of fewer than m
// members, but at least one, is told apart by the cohorts opened over the same
// data; m is the largest of their plans. So for any two of them as many are
// missing from either, or none (trees 37), and no combination of more of them
// shows fewer. Cohorts of plans without trees are left out where the new one has
// none either.
func (all Cohorts) Check(c Cohort) error {
	sets, m := []secagg.Set{secagg.Set(c.Survivors)}, c.Apart
	for _, old := range all {
		if old.Data == c.Data && (c.Apart > 0 || old.Apart > 0) {
			sets, m = append(sets, secagg.Set(old.Survivors)), max(m, old.Apart)
		}
	}
	if len(sets) == 1 {
		return nil
	}
	if least := secagg.Finest(sets...); least < m {
		return fmt.Errorf("%w: %d of them could be told apart, at least %d must be; the same members again, or a new table, can go on", ErrTooNear, least, m)
	}
	return nil
}

// Has reports whether a cohort that forbids the same is among them.
func (all Cohorts) Has(c Cohort) bool { return slices.ContainsFunc(all, c.same) }

// CheckCohort refuses a cohort that is too near to one this node has released a
// sum for, in any run of any plan (ErrTooNear). It is asked before `agree`.
func (l *Ledger) CheckCohort(c Cohort) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cohorts.Check(c)
}

// Cohort records that a sum is released for a cohort, before `unmask` leaves. One
// too near to an earlier one is ErrTooNear; one that is known costs nothing.
// Check and record are one act, whatever other runs do meanwhile.
func (l *Ledger) Cohort(now int64, c Cohort) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cohorts.Has(c) {
		return nil
	}
	return l.enter(now, entryCohort, c)
}

// Saw records a cohort whose sum was opened, whether or not this node released
// it, so that the next is held to it as well.
func (l *Ledger) Saw(now int64, c Cohort) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cohorts.Has(c) {
		return nil
	}
	c.Seen = true
	return l.enter(now, entryCohort, c)
}
