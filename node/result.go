package node

import (
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
		return err
	}
	// This node was in the round, so its state was vouched for: by this node itself, or by c+1 others (S62).
	a.run.Follow = !checked
	return a.apply(c, closed.Words)
}

// checked spot-checks a sum. When the uploads are no longer served, because others have gone on meanwhile (S55), this
// node takes the sum over without having checked it and says so in its next advert: the round then needs c+1 members
// that did check (S62), so a coordinator that serves nobody stops its own run.
func (a *actor) checked(ctx context.Context, c secagg.Closed, sum []uint64) (bool, error) {
	err := SpotCheck(ctx, a.n.link, a.run.ID, c, sum, a.n.cfg.SpotBudget)
	if errors.Is(err, errNotServed) {
		a.log.Warn("sum taken over without a spot check", "round", c.Round, "err", err)
		return false, nil
	}
	return err == nil, err
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
func (a *actor) apply(c secagg.Closed, sum []uint64) error {
	step, more := a.machine.Next()
	if !more {
		return fmt.Errorf("%w: the plan is complete", secagg.ErrPolicy)
	}
	e := step.Encoding
	if err := secagg.CheckSum(e.Layout, sum, c.Survivors.Len(), e.WeightCap, e.IntMax); err != nil {
		return err
	}
	a.training.Lock() // a worker of a round that was aborted may still read the machine
	defer a.training.Unlock()
	if err := a.machine.Apply(sum, c.Survivors.Len()); err != nil {
		return fmt.Errorf("%w: %w", secagg.ErrRange, err)
	}
	model, err := a.machine.Digest()
	if err == nil && model != c.Model {
		err = fmt.Errorf("%w: recomputed another model than was announced", secagg.ErrModel)
	}
	next := a.run
	next.State = secagg.NextState(a.run.State, c.Sigma, c.H3, c.SumRoot, model)
	if err == nil && next.State != c.State {
		err = fmt.Errorf("%w: recomputed another state than was announced", secagg.ErrModel)
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
		err = a.n.cfg.Store.SaveRun(next, a.machine)
	}
	if err != nil {
		return errors.Join(err, a.restore())
	}
	a.cached.wipe()
	a.run, a.cut = next, nil
	a.n.meters.step.Set(float64(next.Step), a.plan.Name)
	return nil
}

// restore takes up the machine that the store has.
func (a *actor) restore() error {
	_, machine, err := a.n.cfg.Store.Run(a.run.ID, a.plan.Learning())
	if err == nil {
		a.machine, a.cut = machine, nil
	}
	return err
}

// lie reports whether an error means that the coordinator said something false, as opposed to nothing at all.
func lie(err error) bool {
	return errors.Is(err, secagg.ErrSpotCheck) || errors.Is(err, secagg.ErrModel) ||
		errors.Is(err, secagg.ErrResult) || errors.Is(err, secagg.ErrRange)
}

// stop leaves the run for good, until the operator approves the plan again (S56).
func (a *actor) stop(cause error) {
	a.run.Stopped, a.run.StoppedAt = cause.Error(), time.Now().UTC()
	a.log.Error("run stopped on this node: the coordinator's result does not hold; after looking into it, approve the plan again to go on",
		"step", a.step.Ordinal, "err", cause)
	err := a.n.cfg.Store.SaveRun(a.run, nil)
	if err == nil {
		err = a.n.cfg.Store.KeepEvidence(a.run.ID, a.step.Ordinal, "reason.txt", []byte(cause.Error()+"\n"))
	}
	if err != nil {
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
	if first == nil || !a.plan.Grows() || !errors.Is(first, secagg.ErrModel) && !errors.Is(first, link.ErrSize) {
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
	verify, err := a.verifyConfig(step)
	if err != nil {
		return err
	}
	closed, err := a.fetch(ctx, round, step.Encoding.Layout.Words(), true)
	if err != nil {
		return err
	}
	c, err := secagg.VerifyRound(verify, closed.Frames)
	if err != nil {
		return err
	}
	if c.Round != round {
		return fmt.Errorf("%w: the transcript is of round %d", secagg.ErrTranscript, c.Round)
	}
	a.step = step
	if err := a.checkTree(c.Survivors); err != nil {
		return err
	}
	checked, err := a.checked(ctx, c, closed.Words)
	if err != nil {
		return err
	}
	a.run.Follow = a.run.Follow || !checked
	if err := a.apply(c, closed.Words); err != nil {
		return err
	}
	a.log.Info("caught up", "round", round, "step", step.Ordinal, "kind", step.Kind.String())
	a.finished()
	return nil
}

func (a *actor) verifyConfig(step schedule.Step) (secagg.VerifyConfig, error) {
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
		Expect: a.plan.Sum(step, a.run.ID, 0, a.run.State, model),
	}, err
}
