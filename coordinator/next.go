package coordinator

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
)

// maxBackoff bounds the pause after aborted rounds, in ticks.
const maxBackoff = 60

// next does what the run's state asks for: begins a round in the open batch or in a batch of its own, waits for members
// with a stated reason, or ends the run.
func (r *run) next(ctx context.Context) error {
	if r.over() || r.round != nil && !r.round.Phase().Over() {
		return nil
	}
	step, more := r.machine.Next()
	if !more {
		return r.evaluated(ctx)
	}
	r.number = step.Number()
	changed, reason, err := r.tend(ctx, step)
	if err != nil || changed {
		return r.again(ctx, err)
	}
	if r.failures >= r.c.cfg.MaxAborts {
		if ended, err := r.giveUp(ctx, step); ended || err != nil {
			return r.again(ctx, err)
		}
		return r.end(ctx, Failed, fmt.Sprintf("%d rounds of step %d were aborted, the last one because %s", r.failures, step.Ordinal, r.why))
	}
	if r.backoff > 0 {
		r.setReason(Waiting, "pause after an aborted round: "+r.why)
		return nil
	}
	if err := r.plan.Plan.Check(r.c.cfg.Now().UTC().Format(time.DateOnly)); err != nil {
		return r.end(ctx, Failed, err.Error())
	}
	if reason != "" {
		r.setReason(Waiting, reason)
		return nil
	}
	opening, reason, err := r.prepare(step)
	if err != nil {
		return err
	}
	if reason != "" {
		r.setReason(Waiting, reason)
		return nil
	}
	r.mu.Lock()
	r.view.Steps = r.steps(step)
	r.mu.Unlock()
	if r.round != nil {
		why := r.round.Rekey(opening.crowd)
		if why == "" {
			return r.goOn(ctx, opening)
		}
		r.c.cfg.Log.Info("fresh keys for the next sum", "run", runName(r.id), "reason", why)
	}
	return r.open(ctx, opening, r.batch(step))
}

// again looks anew at what comes next, after the cohort was changed.
func (r *run) again(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	return r.next(ctx)
}

// batch returns how many sums a batch that begins with this step may have: no more than the plan says, whose bound fits
// the packets of the set-up (S42), or than it still needs.
func (r *run) batch(step schedule.Step) uint16 {
	plan := r.plan.Plan
	left := int(r.steps(step)-step.Ordinal) + 1
	return uint16(min(plan.Batch, left))
}

// opening is a round about to be opened.
type opening struct {
	roster  *federation.Roster
	barred  secagg.Set // of the cohort, who may not take part
	sum     secagg.Sum
	spec    secagg.Spec
	require *secagg.Set
	proofs  [][]byte // against those of the released set who are not required
	crowd   round.Crowd
}

// prepare looks whether a round can be opened now; reason says what it waits for.
func (r *run) prepare(step schedule.Step) (o opening, reason string, err error) {
	crowd := r.crowd()
	if crowd.roster == nil {
		return o, crowd.waits(r), nil
	}
	model, err := r.machine.Digest()
	if err != nil {
		return o, "", err
	}
	o.roster, o.barred = crowd.roster, crowd.cohort.Minus(crowd.able)
	o.sum = r.plan.Plan.Sum(step, r.id, r.last+1, r.state, model)
	if lock, ok := r.c.lock(r.place(o.sum.Kind, o.sum.Step, step.Number())); ok {
		var guilty secagg.Set
		guilty, o.proofs = r.excuses(lock.ever)
		set := lock.survivors.Minus(guilty)
		o.require = &set
		if set.Len() < crowd.threshold {
			return o, fmt.Sprintf("this step may have been released with members of whom too many are proven guilty: %d are left, %d needed, only a new plan can go on",
				set.Len(), crowd.threshold), nil
		}
		if missing := set.Minus(crowd.ready); missing != (secagg.Set{}) {
			return o, fmt.Sprintf("this step may have been released and needs the same survivors again (S35): waiting for %s%s",
				strings.Join(crowd.roster.Names(missing), ", "), r.hopeless(missing)), nil
		}
	} else if o.require = r.require(step); o.require != nil { // all of them are ready
		if crowd.ready = crowd.ready.Minus(crowd.ready.Minus(*o.require)); crowd.ready != *o.require {
			return o, crowd.waits(r), nil
		}
	} else if reason := r.patience(step, crowd); reason != "" {
		return o, reason, nil
	} else if crowd.ready.Minus(r.withheld).Len() >= crowd.threshold {
		o.barred = o.barred.Union(r.withheld)
	}
	o.crowd = round.Crowd{Roster: crowd.roster.Digest(), Able: crowd.able, Ready: crowd.ready, Require: o.require}
	var nonce [32]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return o, "", err
	}
	o.spec, err = r.plan.Plan.Spec(o.roster, o.sum, nonce)
	return o, "", err
}

// patience waits for t members, and for a while for those who could still come: statistics and evaluation are summed
// once, so they are worth waiting for the whole cohort.
func (r *run) patience(step schedule.Step, crowd crowd) string {
	if crowd.ready.Len() < crowd.threshold {
		return crowd.waits(r)
	}
	if crowd.ready == crowd.cohort.Minus(r.excluded) { // who is excluded does not come in this run
		return ""
	}
	waited, wait := r.idle, r.c.cfg.FullCohort
	if step.Kind == schedule.Train || step.Kind == schedule.Grow && !r.plan.Plan.Together() {
		if waited, wait = r.waited, r.c.cfg.Grace; !r.recentlySeen(crowd.able.Minus(crowd.ready)) {
			return ""
		}
	}
	if waited < wait {
		return fmt.Sprintf("%d of %d members are ready, which is enough; waiting a little longer for %s",
			crowd.ready.Len(), crowd.cohort.Len(), crowd.missing(r))
	}
	return ""
}

// recentlySeen reports whether one of the members lost its session so recently that it may come back at once.
func (r *run) recentlySeen(members secagg.Set) bool {
	now := r.c.cfg.Now()
	for _, m := range members.Members() {
		seen, live := r.c.hub.Presence(m)
		if live || seen.LastSeen > 0 && now.Sub(time.Unix(seen.LastSeen, 0)) < time.Duration(r.c.cfg.Grace)*r.c.cfg.Tick {
			return true
		}
	}
	return false
}

// crowd is who could take part now.
type crowd struct {
	roster    *federation.Roster // the version that most ready members have accepted; nil when none can be used
	cohort    secagg.Set
	ready     secagg.Set
	threshold int
	approved  secagg.Set
	able      secagg.Set // may take part: approved, not suspended, not proven guilty
	newest    *federation.Roster
}

// crowd finds the roster version that most connected, approving members of the cohort have accepted (S11), and those
// members.
func (r *run) crowd() crowd {
	newest, _ := r.c.book.Roster()
	out := crowd{newest: newest, threshold: secagg.Threshold(len(r.plan.Plan.Cohort.Members))}
	plan, err := r.c.book.Plan(r.plan.Digest)
	if err != nil {
		return out
	}
	if out.cohort, err = plan.Plan.Set(newest); err != nil {
		return out
	}
	out.approved = plan.Approved()
	out.able = out.approved.Minus(r.excluded)
	for _, m := range newest.Members {
		if m.Suspended {
			out.able = out.able.Without(m.Index)
		}
	}
	byVersion := map[uint32]secagg.Set{}
	best := uint32(0)
	for _, m := range out.cohort.Members() {
		seen, live := r.c.hub.Presence(m)
		if !live || !out.able.Has(m) {
			continue
		}
		v := seen.RosterVersion
		byVersion[v] = byVersion[v].With(m)
		if n, top := byVersion[v].Len(), byVersion[best].Len(); n > top || n == top && v > best {
			best = v
		}
	}
	roster, err := r.c.book.RosterVersion(best)
	if err != nil {
		return out
	}
	if set, err := r.plan.Plan.Set(roster); err == nil && set == out.cohort {
		out.roster, out.ready = roster, byVersion[best]
	}
	return out
}

// waits says what is missing until a round can be opened.
func (c crowd) waits(r *run) string {
	return fmt.Sprintf("%d of %d members are ready, %d needed; missing %s", c.ready.Len(), len(r.plan.Plan.Cohort.Members), c.threshold, c.missing(r))
}

// missing names who is not ready, each with the reason.
func (c crowd) missing(r *run) string {
	var words []string
	for _, name := range r.plan.Plan.Cohort.Members {
		m, ok := c.newest.Member(name)
		if ok && c.ready.Has(m.Index) {
			continue
		}
		seen, live := r.c.hub.Presence(m.Index)
		switch {
		case !ok:
			words = append(words, name+" (not enrolled)")
		case m.Suspended:
			words = append(words, name+" (suspended)")
		case r.excluded.Has(m.Index):
			words = append(words, name+" (excluded: "+r.guilt(m.Index)+")")
		case !c.approved.Has(m.Index):
			words = append(words, name+" (has not approved)")
		case !live:
			words = append(words, name+" (not connected)")
		default:
			words = append(words, fmt.Sprintf("%s (accepted roster version %d, newest is %d)", name, seen.RosterVersion, c.newest.Version))
		}
	}
	return strings.Join(words, ", ")
}

// goOn begins the next sum of the open batch (S38).
func (r *run) goOn(ctx context.Context, o opening) error {
	k, _ := r.round.Batch()
	o.sum.K = k + 1
	out, err := r.round.Continue(o.sum, o.require, o.proofs)
	if err != nil {
		return fmt.Errorf("go on with the batch: %w", err)
	}
	r.last, r.waited, r.idle = r.round.Number(), 0, 0
	r.clock.open(round.Mask, r.c.cfg.Now())
	r.setReason(Running, "")
	return r.commit(ctx, out)
}

// open starts a batch: the machine's first record is the signed opening.
func (r *run) open(ctx context.Context, o opening, sums uint16) error {
	cfg := r.roundConfig(o.roster)
	o.spec.Sums = sums
	cfg.Server.Spec, cfg.Server.Sum, cfg.Server.Require, cfg.Server.Evidence = o.spec, o.sum, o.require, o.proofs
	cfg.Excluded, cfg.Connected = o.barred, r.c.hub.Connected()
	r.withheld = secagg.Set{} // for one batch
	machine, out, err := round.New(cfg)
	if err != nil {
		return fmt.Errorf("open round: %w", err)
	}
	r.round, r.last, r.waited, r.idle = machine, o.sum.Round, 0, 0
	r.clock.open(round.Advertise, r.c.cfg.Now())
	r.setReason(Running, "")
	return r.commit(ctx, out)
}

func (r *run) roundConfig(roster *federation.Roster) round.Config {
	cohort, _ := r.plan.Plan.Set(roster)
	return round.Config{
		Server: secagg.ServerConfig{
			Roster: roster.SecAgg(), RosterDigest: roster.Digest(), Federation: r.c.id, Plan: r.plan.Digest,
			Cohort: cohort, Sign: r.c.cfg.signer(),
		},
		Grace: r.c.cfg.Grace, MaxAge: r.c.cfg.MaxBatchTicks, Patient: r.c.cfg.Patient,
	}
}

// prove notes evidence: its member takes no part in later rounds of the run (S72), and nodes accept that it is missing
// from a step that was released with it, in any run of the plan (S33), unless the evidence is a false complaint or does
// not fit a frame.
func (r *run) prove(member uint8, proof []byte) {
	r.exclude(member)
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	proofs := r.c.proofs[r.plan.Digest]
	if proofs[member] != nil || len(proof) == 0 || len(proof) > secagg.MaxEvidence || proof[0] == secagg.BlameComplaint {
		return
	}
	if proofs == nil {
		proofs = map[uint8][]byte{}
		r.c.proofs[r.plan.Digest] = proofs
	}
	proofs[member] = proof
}

// dispute notes that a member could not open a dealer's bundle. When more members than may be corrupt say so, one of
// them is honest, so the dealer takes no part in later rounds of the run. That is a count and not a proof: it does not
// excuse the dealer where a step needs the same survivors again (S33, S70).
func (r *run) dispute(member, dealer uint8) {
	if r.disputes == nil {
		r.disputes = map[uint8]secagg.Set{}
	}
	r.disputes[dealer] = r.disputes[dealer].With(member)
	if n := len(r.plan.Plan.Cohort.Members); r.disputes[dealer].Len() > n-secagg.Threshold(n) {
		r.exclude(dealer)
	}
}

// exclude keeps a member out of the later rounds of the run.
func (r *run) exclude(member uint8) {
	r.excluded = r.excluded.With(member)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.view.Excluded == nil {
		r.view.Excluded = map[uint8]string{}
	}
	r.view.Excluded[member] = r.guilt(member)
}

// guilt says why a member is excluded.
func (r *run) guilt(member uint8) string {
	n := len(r.plan.Plan.Cohort.Members)
	if by := r.disputes[member].Len(); by > n-secagg.Threshold(n) {
		return fmt.Sprintf("%d members could not open its bundles, which is a count and no proof", by)
	}
	return "evidence in the journal"
}

// hopeless says what an admin has to know when an excluded member is waited for.
func (r *run) hopeless(missing secagg.Set) string {
	if missing.Minus(missing.Minus(r.excluded)) == (secagg.Set{}) {
		return ""
	}
	return ", of whom some are excluded from this run: only a new plan can go on without them"
}

// excuses returns who of a set is proven guilty, and the evidence, in the order of the members.
func (r *run) excuses(set secagg.Set) (guilty secagg.Set, proofs [][]byte) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	for _, m := range set.Members() {
		if proof := r.c.proofs[r.plan.Digest][m]; proof != nil {
			guilty, proofs = guilty.With(m), append(proofs, proof)
		}
	}
	return guilty, proofs
}
