package coordinator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
)

// All sums of statistics and histograms of a run are over one cohort, that of the first of them, until members are lost
// for good: then at least m of them are left out, and the tree in progress ends (trees 34, 38). Nodes hold the
// coordinator to what that is for, by records of their own. Sums with noise go on without whoever is missing.

// kindCohort is the journal's kind of a change of a run's cohort.
const kindCohort = "run-cohort"

// change is a change of a run's cohort between two sums, journalled before anything follows from it.
type change struct {
	Step   uint32    `json:"step"`             // the step before which
	Cohort round.Set `json:"cohort"`           // from here on
	Gone   round.Set `json:"gone"`             // who is lost
	Drawn  round.Set `json:"drawn"`            // who is left out besides, so that enough are (trees 38)
	Cut    bool      `json:"cut,omitempty"`    // the trees in progress end at their last opened level
	Stop   bool      `json:"stop,omitempty"`   // growth ends with the trees there are (trees 39)
	Reason string    `json:"reason,omitempty"` // in words
}

// apply makes the change in a model.
func (c change) apply(m *schedule.Machine) error {
	switch {
	case c.Stop:
		return m.Stop()
	case c.Cut:
		return m.Cut()
	}
	return nil
}

// tend looks, before a sum of statistics or histograms, whether the run's cohort can still be in it. reason says what
// it waits for; changed that the cohort, and with it perhaps the step, is another one.
func (r *run) tend(ctx context.Context, step schedule.Step) (changed bool, reason string, err error) {
	m := r.model()
	if m == nil || !r.plan.Plan.Together() || r.cohort == nil || step.Kind == schedule.Evaluate {
		return false, "", nil
	}
	crowd := r.crowd()
	missing := r.cohort.Minus(crowd.ready)
	gone := r.overdue(missing).Union(r.silent()).Union(r.cohort.Minus(r.cohort.Minus(r.excluded)))
	if gone == (secagg.Set{}) {
		if missing == (secagg.Set{}) {
			return r.welcome(ctx, step, crowd)
		}
		return false, fmt.Sprintf("%s: waiting for %s, for at most %d ticks", wholeCohort(step),
			strings.Join(crowd.newest.Names(missing), ", "), r.plan.Plan.Deadlines.Mask), nil
	}
	next := r.without(gone)
	_, locked := r.c.lock(secagg.LockName(r.c.id, r.plan.Digest, uint8(step.Kind), step.Number()))
	c := change{Step: step.Ordinal, Cohort: round.Set(next), Gone: round.Set(gone), Drawn: round.Set(r.cohort.Minus(next).Minus(gone))}
	names := strings.Join(crowd.newest.Names(gone), ", ")
	switch least := max(crowd.threshold, r.plan.Plan.Cohort.Minimum); {
	case next.Len() >= least && m.Level() > 0:
		c.Cut, c.Reason = true, fmt.Sprintf("%s did not come back", names)
	case next.Len() >= least && !locked:
		c.Reason = fmt.Sprintf("%s did not come back", names)
	case m.Trees() > 0:
		c.Stop, c.Cohort, c.Drawn = true, round.Set(*r.cohort), round.Set{}
		c.Reason = fmt.Sprintf("%s did not come back; without them, and %d in all, the cohort is too small", names, r.plan.Plan.Shed)
	default:
		return false, fmt.Sprintf("%s: waiting for %s; without them, and %d in all, it is too small, and there is no tree yet to end with",
			wholeCohort(step), names, r.plan.Plan.Shed), nil
	}
	return true, "", r.turn(ctx, c)
}

func wholeCohort(step schedule.Step) string {
	return fmt.Sprintf("a sum of %s needs its whole cohort again", step.Kind)
}

// presence notes whose session ended, and when.
func (r *run) presence(e any) {
	switch e := e.(type) {
	case round.Connected:
		delete(r.parted, e.Member)
	case round.Disconnected:
		if r.parted == nil {
			r.parted = map[uint8]uint64{}
		}
		r.parted[e.Member] = r.ticks
	}
}

// overdue are those of the missing for whom the deadline of Mask has passed since they were seen.
func (r *run) overdue(missing secagg.Set) (gone secagg.Set) {
	for m := range r.lacking {
		if !missing.Has(m) {
			delete(r.lacking, m)
		}
	}
	for _, m := range missing.Members() {
		since, known := r.lacking[m]
		if !known {
			since = r.ticks
			if left, ok := r.parted[m]; ok {
				since = left
			}
			if r.lacking == nil {
				r.lacking = map[uint8]uint64{}
			}
			r.lacking[m] = since
		}
		if !r.c.cfg.Patient && r.ticks-since >= uint64(r.plan.Plan.Deadlines.Mask) {
			gone = gone.With(m)
		}
	}
	return gone
}

// silent are those who are connected and were lost in each attempt at the step, when there may be no further one.
func (r *run) silent() secagg.Set {
	if r.failures < r.c.cfg.MaxAborts {
		return secagg.Set{}
	}
	return r.mute.Minus(r.mute.Minus(*r.cohort))
}

// without returns the cohort without those who are gone and, if they are fewer than m, without further ones drawn by
// PRF(transcript): by state, which holds h3 of every sum so far, so that nobody chooses them (trees 38). Nodes do not
// check the draw: whom the coordinator calls gone is its own word, so it could name all of them. Anybody can repeat it
// from the journal.
func (r *run) without(gone secagg.Set) secagg.Set {
	left := r.cohort.Minus(gone)
	key := func(m uint8) []byte {
		h := sha256.New()
		h.Write([]byte("koinon/coordinator/shed/v1"))
		h.Write(r.state[:])
		h.Write(gone[:])
		h.Write([]byte{m})
		return h.Sum(nil)
	}
	order := left.Members()
	slices.SortFunc(order, func(a, b uint8) int { return bytes.Compare(key(a), key(b)) })
	for _, m := range order[:min(len(order), max(0, r.plan.Plan.Shed-gone.Len()))] {
		left = left.Without(m)
	}
	if r.apart(left) {
		return left
	}
	return r.cohort.Minus(r.peers(gone))
}

// opened are the cohorts of this run's closed sums of statistics and histograms.
func (r *run) opened() (sets []secagg.Set) {
	for _, c := range r.closed {
		if k := schedule.Kind(c.Kind); k == schedule.Statistics || k == schedule.Grow {
			sets = append(sets, secagg.Set(c.Survivors))
		}
	}
	return sets
}

// apart reports whether nodes would take another cohort beside those (trees 37).
func (r *run) apart(next secagg.Set) bool {
	return secagg.Finest(append(r.opened(), next)...) >= r.plan.Plan.Shed
}

// peers are all whom the opened cohorts do not tell apart from some of the members: to leave all of them out tells nobody
// apart.
func (r *run) peers(members secagg.Set) (out secagg.Set) {
	opened := r.opened()
	for _, m := range members.Members() {
		for _, other := range r.cohort.Members() {
			differs := func(s secagg.Set) bool { return s.Has(m) != s.Has(other) }
			if !slices.ContainsFunc(opened, differs) {
				out = out.With(other)
			}
		}
	}
	return out
}

// welcome takes members back who wait, before the first level of a tree, where they are enough (trees 37, 55).
func (r *run) welcome(ctx context.Context, step schedule.Step, crowd crowd) (bool, string, error) {
	back := crowd.ready.Minus(*r.cohort)
	if step.Kind != schedule.Grow || r.model().Level() > 0 || back == (secagg.Set{}) {
		return false, "", nil
	}
	next := r.cohort.Union(back)
	if !r.apart(next) {
		return false, "", nil
	}
	if _, locked := r.c.lock(secagg.LockName(r.c.id, r.plan.Digest, uint8(step.Kind), step.Number())); locked {
		return false, "", nil
	}
	return true, "", r.turn(ctx, change{Step: step.Ordinal, Cohort: round.Set(next), Reason: strings.Join(crowd.newest.Names(back), ", ") + " are back"})
}

// require returns the only survivors that a sum may have, besides a step that was released before (S35): in a plan of
// trees the run's cohort.
func (r *run) require(step schedule.Step) *secagg.Set {
	if !r.plan.Plan.Together() || step.Kind == schedule.Evaluate {
		return nil
	}
	return r.cohort
}

// giveUp ends growth where attempts at a step are used up and there are trees; false where there are none.
func (r *run) giveUp(ctx context.Context, step schedule.Step) (bool, error) {
	m := r.model()
	if m == nil || step.Kind != schedule.Grow || m.Trees() == 0 {
		return false, nil
	}
	return true, r.turn(ctx, change{
		Step: step.Ordinal, Cohort: round.Set(*r.cohort), Stop: true,
		Reason: fmt.Sprintf("%d attempts at a sum were aborted, the last one because %s", r.failures, r.why),
	})
}

// turn journals a change and makes it. The next sum gets fresh keys.
func (r *run) turn(ctx context.Context, c change) error {
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	now := r.c.cfg.Now().Unix()
	if _, err := r.write(ctx, journal.Entry{Time: now, Run: runName(r.id), Kind: kindCohort, Body: body}); err != nil {
		return err
	}
	r.changed(c)
	r.c.cfg.Log.Warn("cohort of the run changed", "run", runName(r.id), "step", c.Step, "members", secagg.Set(c.Cohort).Len(), "reason", c.Reason,
		"tree_cut", c.Cut, "growth_ended", c.Stop)
	return c.apply(r.model())
}

// changed keeps a change that is on record.
func (r *run) changed(c change) {
	cohort := secagg.Set(c.Cohort)
	r.cohort, r.changes = &cohort, append(r.changes, c)
	r.round, r.pending, r.failures, r.mute = nil, nil, 0, secagg.Set{}
}

// replayChanges makes the changes on record before a step in a model.
func (r *run) replayChanges(m Schedule, step uint32) error {
	machine, ok := m.(*schedule.Machine)
	if !ok {
		return nil
	}
	for _, c := range r.changes {
		if c.Step != step {
			continue
		}
		if err := c.apply(machine); err != nil {
			return fmt.Errorf("cohort before step %d: %w", step, err)
		}
	}
	return nil
}

// follow takes over the cohort of a closed sum.
func (r *run) follow(kind uint8, survivors secagg.Set) {
	if k := schedule.Kind(kind); k == schedule.Statistics || k == schedule.Grow {
		r.cohort = &survivors
	}
}

// lost keeps who was lost in every attempt at a step.
func (r *run) lost(a round.Abort) {
	var set secagg.Set
	for _, l := range a.Lost {
		set = set.With(l.Member)
	}
	if r.failures > 1 {
		set = set.Minus(set.Minus(r.mute))
	}
	r.mute = set
}
