package budget

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/koinon-eu/koinon/node/chain"
)

// ErrTooNear means that a cohort differs from one that was opened before over
// the same data, but by so few members that the two sums would show theirs.
var ErrTooNear = errors.New("survivors differ from those of an earlier sum over the same data by too few members")

const entryCohort = "cohort"

// Cohort says over whom a sum of statistics or histograms was opened, and by how
// many members a sum over the same data must differ from it, if it differs at
// all (trees 37).
type Cohort struct {
	Data      chain.Digest `json:"data"`      // names this node's rows: what other rows gave cannot be taken off
	Survivors chain.Digest `json:"survivors"` // the 256-bit member set, as 32 bytes
	Apart     int          `json:"apart"`     // m of a plan of trees; 0 in any other plan, which is held to cohorts of trees only
	Run       Run          `json:"run"`
	Round     uint32       `json:"round"`
}

// Beside refuses, with ErrTooNear, a cohort from which old, over the same data,
// is missing fewer than m members, or has fewer than m besides, but not none.
// m is the larger one of the two plans; two plans without trees are not held to
// each other.
func (c Cohort) Beside(old Cohort) error {
	m := max(c.Apart, old.Apart)
	gone, came := count(old.Survivors, c.Survivors), count(c.Survivors, old.Survivors)
	if c.Data != old.Data || (gone == 0 || gone >= m) && (came == 0 || came >= m) {
		return nil
	}
	return fmt.Errorf("%w: against round %d of run %x %d members are missing and %d are new, each must be none or at least %d",
		ErrTooNear, old.Round, old.Run, gone, came, m)
}

// count is how many members are in a and not in b.
func count(a, b chain.Digest) (n int) {
	for i := range a {
		n += bits.OnesCount8(a[i] &^ b[i])
	}
	return n
}

// same reports whether the two forbid the same.
func (c Cohort) same(old Cohort) bool {
	return c.Data == old.Data && c.Survivors == old.Survivors && c.Apart == old.Apart
}

// Cohorts are those that were opened, each once. The zero value is empty.
type Cohorts []Cohort

// Check refuses a cohort that is too near to one of them (ErrTooNear).
func (all Cohorts) Check(c Cohort) error {
	for _, old := range all {
		if err := c.Beside(old); err != nil {
			return err
		}
	}
	return nil
}

// Has reports whether a cohort that forbids the same is among them.
func (all Cohorts) Has(c Cohort) bool {
	for _, old := range all {
		if c.same(old) {
			return true
		}
	}
	return false
}

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
