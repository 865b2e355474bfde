package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/link"
)

// fetchTries is how often a closed sum is asked for before the node leaves it to catch up later.
const fetchTries = 5

// errNotServed means that the coordinator no longer serves the uploads of a round (S55).
var errNotServed = errors.New("uploads of the round are no longer served")

// closed checks the result of the open round against this node's own computation and takes it over (S60). Only a node
// that has checked it goes on to the batch's next sum: there is no advert in which it could say that it has not (S62).
func (a *actor) closed(ctx context.Context, c secagg.Closed) {
	round := a.part.Round()
	err := a.settle(ctx, c)
	if err == nil {
		a.phase("closed")
		a.n.meters.rounds.Inc("closed")
		if a.n.cfg.Hooks.Closed != nil {
			a.n.cfg.Hooks.Closed(a.run.ID, round, a.step.Ordinal, a.step.Kind.String())
		}
		switch {
		case a.part.Done():
			a.drop()
		case a.run.Follow:
			a.left(errNotServed)
		default:
			a.expect()
		}
		a.finished()
		return
	}
	if lie(err) {
		a.stop(err)
	}
	a.left(err)
}

// settle fetches, checks and applies a sum of which this node was a survivor.
func (a *actor) settle(ctx context.Context, c secagg.Closed) error {
	closed, err := a.fetch(ctx, c.Round, c.Words, false)
	if err != nil {
		return err
	}
	checked, err := a.checked(ctx, c, closed.Words)
	if err != nil {
		return a.found(err, c, a.heard.frames(), closed.Words)
	}
	// This node was in the round, so its state was vouched for: by this node itself, or by c+1 others (S62).
	before := a.run.Follow
	a.run.Follow = false
	if err = a.apply(ctx, c, closed.Words, checked); err != nil {
		a.run.Follow = before
	}
	return a.found(err, c, a.heard.frames(), closed.Words)
}

// checked spot-checks a sum, always in the same chunks, however often that is tried. When the uploads are no longer
// served, because others have gone on meanwhile (S55), this node takes the sum over without having checked it, if they
// have (followed), and says so in its next advert: the round then needs c+1 members that did check (S62), so a
// coordinator that serves nobody stops its own run.
func (a *actor) checked(ctx context.Context, c secagg.Closed, sum []uint64) (bool, error) {
	chunks := a.drawn[c.H3]
	if chunks == nil {
		var err error
		if chunks, err = Spots(c, a.n.cfg.SpotBudget); err != nil {
			return false, err
		}
		put(&a.drawn, c.H3, chunks)
	}
	err := SpotCheck(ctx, a.n.link, a.run.ID, c, sum, chunks)
	if errors.Is(err, errNotServed) {
		a.log.Warn("sum without a spot check", "round", c.Round, "err", err)
		return false, nil
	}
	return err == nil, err
}

// followed makes sure that others have gone on from a sum which this node could not check. Until they have, its uploads
// are there: whoever refuses them sees which chunk was asked for, and would refuse the false one. That they have is
// proven by the round after it, which t members signed. After a plan's last sum there is none.
func (a *actor) followed(ctx context.Context, run Run) error {
	if _, more := a.machine.Next(); !more {
		return nil
	}
	rounds, err := a.n.link.Rounds(ctx, run.ID, run.Closed)
	if err != nil {
		return err
	}
	if len(rounds) == 0 {
		a.unproven = true
		return fmt.Errorf("%w, although no round has closed since", errNotServed)
	}
	first := a.followedBy(ctx, run, rounds[0])
	if !a.otherStep(first) {
		return first
	}
	before := a.machine // apply holds the lock
	defer func() { a.machine = before }()
	for _, e := range endings {
		a.machine = before
		machine, err := a.after(e)
		if err != nil {
			return err
		}
		if machine == nil {
			continue
		}
		if a.machine = machine; a.followedBy(ctx, run, rounds[0]) == nil {
			return nil
		}
	}
	return first
}

// followedBy verifies the round after a sum that this node could not check, without taking it over.
func (a *actor) followedBy(ctx context.Context, run Run, round uint32) error {
	step, more := a.machine.Next()
	if !more {
		return fmt.Errorf("%w: the plan is complete", secagg.ErrPolicy)
	}
	verify, err := a.verifyConfig(step, run.State)
	if err != nil {
		return err
	}
	_, err = a.verified(ctx, round, step, verify)
	return err
}

// otherStep reports whether a closed round is refused because it is of another step, as one is before which the
// coordinator ended trees or growth.
func (a *actor) otherStep(err error) bool {
	return a.plan.Grows() && (errors.Is(err, secagg.ErrModel) || errors.Is(err, link.ErrSize))
}

// verified fetches a closed round and verifies it as it was published.
func (a *actor) verified(ctx context.Context, round uint32, step schedule.Step, cfg secagg.VerifyConfig) (verified, error) {
	closed, err := a.fetch(ctx, round, step.Encoding.Layout.Words(), true)
	if err != nil {
		return verified{}, err
	}
	c, err := secagg.VerifyRound(cfg, closed.Frames)
	if err == nil && c.Round != round {
		err = fmt.Errorf("%w: the transcript is of round %d", secagg.ErrTranscript, c.Round)
	}
	return verified{c, closed.Words, closed.Frames}, err
}

type verified struct {
	secagg.Closed
	sum    []uint64
	frames []secagg.Frame // its transcript
}

// fetch asks for a sum until it comes.
func (a *actor) fetch(ctx context.Context, round uint32, words int, transcript bool) (link.Closed, error) {
	for try := 1; ; try++ {
		closed, err := a.n.link.Sum(ctx, a.run.ID, round, words, transcript)
		if err == nil || errors.Is(err, link.ErrSize) || try == fetchTries || !pause(ctx, try) {
			return closed, err
		}
	}
}

// pause waits before the next try, longer each time; false: there is nobody left to wait for.
func pause(ctx context.Context, try int) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Duration(try) * 200 * time.Millisecond):
		return true
	}
}

// apply moves this node's own machine by the sum and compares what comes out with what was announced (S58, S60).
// On an error the machine is the one it was.
func (a *actor) apply(ctx context.Context, c secagg.Closed, sum []uint64, checked bool) error {
	step, more := a.machine.Next()
	if !more {
		return fmt.Errorf("%w: the plan is complete", secagg.ErrPolicy)
	}
	e := step.Encoding
	if err := secagg.CheckSum(e.Layout, sum, c.Survivors.Len(), e.WeightCap, e.IntMax); err != nil {
		return &modelFault{err: err}
	}
	a.training.Lock() // a worker of a round that was aborted may still read the machine
	defer a.training.Unlock()
	if err := a.machine.Apply(sum, c.Survivors.Len()); err != nil {
		return &modelFault{err: fmt.Errorf("%w: %w", secagg.ErrRange, err)}
	}
	model, err := a.machine.Digest()
	if err == nil && model != c.Model {
		err = &modelFault{model: model, err: fmt.Errorf("%w: recomputed another model than was announced", secagg.ErrModel)}
	}
	next := a.run
	next.State = secagg.NextState(a.run.State, c.Sigma, c.H3, c.SumRoot, model)
	if err == nil && next.State != c.State {
		err = &modelFault{model: model, err: fmt.Errorf("%w: recomputed another state than was announced", secagg.ErrModel)}
	}
	if err == nil {
		err = a.saw(c)
	}
	if err == nil {
		next.Closed, next.Step = c.Round, step.Ordinal
		if step.Kind == schedule.Statistics || step.Kind == schedule.Grow {
			next.Cohort = c.Survivors
		}
		_, more = a.machine.Next()
		next.Done = !more
		next.Follow = a.run.Follow || !checked
	}
	if err == nil && !checked {
		err = a.followed(ctx, next)
	}
	if err == nil {
		next.Control, err = a.control(step, c.Survivors)
		next.Pending, next.PendingStep = nil, 0
	}
	if err == nil {
		err = a.n.cfg.Store.SaveRun(next, a.machine)
	}
	if err != nil {
		return errors.Join(err, a.restore())
	}
	a.cached.wipe()
	a.drawn, a.unproven = nil, false
	a.run, a.cut = next, nil
	a.n.meters.step.Set(float64(next.Step), a.plan.Name)
	return nil
}

// control tells the member's work whether its vector was in the sum, and returns the control variate that follows from
// that; none but under SCAFFOLD.
func (a *actor) control(step schedule.Step, survivors secagg.Set) ([]byte, error) {
	roster, err := a.n.cfg.Store.Roster()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", secagg.ErrRoster, err)
	}
	self, ok := roster.Member(a.n.cfg.Member)
	summed := ok && survivors.Has(self.Index)
	if a.member != nil {
		a.member.Settle(step, summed)
	}
	if summed && a.run.PendingStep == step.Ordinal {
		return a.run.Pending, nil
	}
	return a.run.Control, nil
}

// keepPending makes the control variate that goes with a vector durable before the vector leaves.
func (a *actor) keepPending() error {
	ordinal, control := a.member.Pending()
	if ordinal == 0 || ordinal == a.run.PendingStep && bytes.Equal(control, a.run.Pending) {
		return nil
	}
	a.run.Pending, a.run.PendingStep = control, ordinal
	return a.n.cfg.Store.SaveRun(a.run, nil)
}

// restore takes up the machine and the control variate that the store has.
func (a *actor) restore() error {
	_, machine, err := a.n.cfg.Store.Run(a.run.ID, a.plan.Learning())
	if err == nil {
		a.machine, a.cut = machine, nil
	}
	if a.member != nil && a.member.Control() != nil {
		a.cached.wipe() // it goes with a variate that is not settled
		err = errors.Join(err, a.member.SetControl(a.run.Control))
	}
	return err
}

// lie reports whether an error means that the coordinator said something false, as opposed to nothing at all.
func lie(err error) bool {
	return errors.Is(err, secagg.ErrSpotCheck) || errors.Is(err, secagg.ErrModel) ||
		errors.Is(err, secagg.ErrResult) || errors.Is(err, secagg.ErrRange)
}

// stop leaves the run for good, until the operator approves the plan again (S56). What shows why is kept first.
func (a *actor) stop(cause error) {
	found := &finding{round: a.run.Closed + 1}
	errors.As(cause, &found)
	a.run.Stopped, a.run.StoppedAt = cause.Error(), time.Now().UTC()
	a.run.Evidence = a.keep(found.round, cause, found.proof)
	file := "none could be kept"
	if a.run.Evidence != "" {
		file = evidenceName + "/" + a.run.Evidence
	}
	a.log.Error("run stopped on this node: the coordinator's result does not hold; after looking into it, approve the plan again to go on",
		"step", a.step.Ordinal, "err", cause, "evidence", file, "proof", len(found.proof) > 0)
	if err := a.n.cfg.Store.SaveRun(a.run, nil); err != nil {
		a.log.Error("could not be stored", "err", err)
	}
}

// behind brings this node up to the state that a spec announces: it fetches what it missed, verifies the whole
// transcript of each round, and applies it (S62).
func (a *actor) behind(ctx context.Context, p link.Packet) error {
	if len(p.Frames) < 2 || p.Frames[1].Type != secagg.TypeSum {
		return fmt.Errorf("%w: a round opens with spec and sum", secagg.ErrTranscript)
	}
	sum, err := secagg.ParseSum(p.Frames[1].Body)
	if err != nil {
		return err
	}
	if sum.State != a.run.State {
		a.unproven = false // a round opens: a reason to try again
		if err := a.catchUp(ctx); err != nil {
			return err
		}
	}
	if sum.State != a.run.State { // the participant of a follower would not compare
		return fmt.Errorf("%w: after round %d", secagg.ErrModel, a.run.Closed)
	}
	return a.align(sum.Model)
}

// catchUp fetches, verifies and applies every closed round that this node missed.
func (a *actor) catchUp(ctx context.Context) error {
	rounds, err := a.n.link.Rounds(ctx, a.run.ID, a.run.Closed)
	if err != nil {
		return fmt.Errorf("catch up: %w", err)
	}
	if a.unproven && len(rounds) == 1 { // nothing has followed it yet
		return nil
	}
	if len(rounds) > 0 {
		a.log.Info("catching up", "rounds", len(rounds), "after", a.run.Closed)
	}
	for _, round := range rounds {
		if err := a.replay(ctx, round); err != nil {
			if lie(err) {
				a.stop(err)
			}
			return fmt.Errorf("catch up, round %d: %w", round, err)
		}
	}
	return nil
}

// replay verifies one missed round as it was published and applies its sum. If it is none that follows on this node's
// machine, the coordinator may have ended trees or growth before it.
func (a *actor) replay(ctx context.Context, round uint32) error {
	first := a.replayOn(ctx, round)
	if !a.otherStep(first) {
		return first
	}
	before := a.machine
	for _, e := range endings {
		machine, err := a.after(e)
		if err != nil {
			return err
		}
		if machine == nil {
			continue
		}
		a.adopt(e, machine)
		if a.replayOn(ctx, round) == nil {
			return nil
		}
		a.machine, a.cut = before, nil
	}
	return first
}

func (a *actor) replayOn(ctx context.Context, round uint32) error {
	step, more := a.machine.Next()
	if !more {
		return fmt.Errorf("%w: the plan is complete", secagg.ErrPolicy)
	}
	verify, err := a.verifyConfig(step, a.run.State)
	if err != nil {
		return err
	}
	v, err := a.verified(ctx, round, step, verify)
	if err != nil {
		return err
	}
	a.step = step
	if err := a.checkTree(v.Survivors); err != nil {
		return err
	}
	checked, err := a.checked(ctx, v.Closed, v.sum)
	if err == nil {
		err = a.apply(ctx, v.Closed, v.sum, checked)
	}
	if err != nil {
		return a.found(err, v.Closed, v.frames, v.sum)
	}
	a.log.Info("caught up", "round", round, "step", step.Ordinal, "kind", step.Kind.String())
	a.finished()
	return nil
}

func (a *actor) verifyConfig(step schedule.Step, state [32]byte) (secagg.VerifyConfig, error) {
	roster, err := a.n.cfg.Store.Roster()
	if err != nil {
		return secagg.VerifyConfig{}, fmt.Errorf("%w: %w", secagg.ErrRoster, err)
	}
	cohort, err := a.plan.Set(roster)
	if err != nil {
		return secagg.VerifyConfig{}, fmt.Errorf("%w: %w", secagg.ErrPlan, err)
	}
	model, err := a.machine.Digest()
	return secagg.VerifyConfig{
		Federation: roster.ID, RosterDigest: roster.Digest(), Plan: a.digest, Roster: roster.SecAgg(), Cohort: cohort,
		Run: a.run.ID, MinSurvivors: max(a.n.cfg.Policy.MinSurvivors, a.plan.Cohort.Minimum),
		Expect: a.plan.Sum(step, a.run.ID, 0, state, model),
	}, err
}
