package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/hpkeseal"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/chain"
	"github.com/koinon-eu/koinon/node/link"
	"github.com/koinon-eu/koinon/node/participant"
)

// openRun loads a run or begins it. The plan must be known here; whether it may run is decided at each round.
func (n *Node) openRun(id RunID, digest federation.Digest) (*actor, error) {
	plan, err := n.cfg.Store.Plan(digest)
	if err != nil {
		n.askSync()
		return nil, fmt.Errorf("%w: %w", secagg.ErrPlan, err)
	}
	a := &actor{n: n, plan: plan, digest: digest, inbox: make(chan any, 64), done: make(chan struct{}), log: n.cfg.Log.With("run", short(id), "plan", digest.Short())}
	a.run, a.machine, err = n.cfg.Store.Run(id, plan.Learning())
	if errors.Is(err, ErrUnknown) {
		err = a.begin(id, digest)
	}
	if err == nil && a.run.Plan != digest {
		err = fmt.Errorf("%w: the run belongs to another plan", secagg.ErrPlan)
	}
	return a, err
}

// begin makes the record of a new run, for a plan that may run: an invented run leaves nothing.
func (a *actor) begin(id RunID, digest federation.Digest) error {
	decision, err := a.n.cfg.Store.Decision(digest)
	if err != nil {
		return err
	}
	if !decision.Approve && !a.n.cfg.Policy.RunsUnattended(a.plan) {
		return participant.ErrNotApproved
	}
	runs, err := a.n.cfg.Store.Runs(digest)
	if err != nil {
		return err
	}
	if len(runs) >= maxRuns {
		return fmt.Errorf("%w: %d runs of this plan already", secagg.ErrPolicy, len(runs))
	}
	cfg, err := learning(a.n.cfg.Store, a.plan)
	if err != nil {
		return err
	}
	if a.machine, err = schedule.New(cfg); err != nil {
		return err
	}
	model, err := a.machine.Digest()
	if err != nil {
		return err
	}
	key, err := runKey(a.plan)
	if err != nil {
		return err
	}
	a.run = Run{ID: id, Plan: digest, State: secagg.InitialState(digest, model), Key: key}
	return a.n.cfg.Store.SaveRun(a.run, a.machine)
}

// join opens a batch: the node derives the step itself, catches up first if it is behind, and only then looks at
// what the coordinator wants (S73).
func (a *actor) join(ctx context.Context, p link.Packet) error {
	if a.part != nil {
		a.log.Info("left", "round", a.part.Round(), "step", a.step.Ordinal, "kind", a.step.Kind.String(), "reason", "the coordinator opened another round")
		a.drop()
	}
	decision, err := a.n.cfg.Store.Decision(a.digest)
	if err != nil {
		return err
	}
	if err := a.mayResume(decision); err != nil {
		return err
	}
	if err := a.behind(ctx, p); err != nil {
		return err
	}
	cfg, err := a.config(decision)
	if err != nil {
		return err
	}
	part, err := participant.New(cfg)
	clear(cfg.Rho[:]) // the participant has a copy of its own
	if err != nil {
		return err
	}
	a.part = part
	a.sigma = secagg.StepDigest(cfg.Roster.ID, a.digest, cfg.Expect)
	out, err := part.Receive(p.Frames)
	if err != nil {
		a.drop()
		return err
	}
	a.heard.hear(p.Frames)
	a.perform(ctx, out)
	return nil
}

// mayResume refuses a run that this node has left for good, until the operator approves its plan anew.
func (a *actor) mayResume(d Decision) error {
	if a.run.Stopped == "" {
		return nil
	}
	if !d.Approve || !d.Time.After(a.run.StoppedAt) {
		return fmt.Errorf("%w: this node stopped the run (%s) and waits for its operator", secagg.ErrPlan, a.run.Stopped)
	}
	a.run.Stopped, a.run.StoppedAt, a.run.Evidence = "", time.Time{}, ""
	return a.n.cfg.Store.SaveRun(a.run, nil)
}

// config is what this node knows by itself when a batch opens.
func (a *actor) config(d Decision) (participant.Config, error) {
	roster, err := a.n.cfg.Store.Roster()
	if err != nil {
		return participant.Config{}, fmt.Errorf("%w: %w", secagg.ErrRoster, err)
	}
	self, ok := roster.Member(a.n.cfg.Member)
	if !ok {
		return participant.Config{}, fmt.Errorf("%w: it does not name this member", secagg.ErrRoster)
	}
	step, more := a.machine.Next()
	if !more {
		return participant.Config{}, fmt.Errorf("%w: the plan is complete", secagg.ErrPolicy)
	}
	model, err := a.machine.Digest()
	if err != nil {
		return participant.Config{}, err
	}
	if err := a.affordable(step); err != nil {
		return participant.Config{}, err
	}
	rows, err := a.rows(step)
	if err != nil {
		return participant.Config{}, err
	}
	a.step = step
	cfg := participant.Config{
		Self: self.Index, Roster: roster, Plan: a.plan, Approved: d.Approve, Today: a.n.cfg.Today(),
		Policy: a.n.cfg.Policy, Run: a.run.ID, LastRound: a.n.cfg.Ledger.LastRound(budget.Run(a.run.ID)),
		Expect: a.plan.Sum(step, a.run.ID, 0, a.run.State, model), Number: step.Number(), Rows: rows, Drawn: a.n.cfg.Ledger.Draws(chain.Digest(a.digest)), Follow: a.run.Follow,
		Lock: a.locked, Require: a.ofTree, Allow: a.allows, Sign: a.n.cfg.Sign, Seal: hpkeseal.Seal,
	}
	if d.Made() && !d.Approve {
		return cfg, fmt.Errorf("%w: the operator rejected it", secagg.ErrPlan)
	}
	_, err = rand.Read(cfg.Rho[:])
	return cfg, err
}

// expect prepares for the next sum of the batch, after one that was closed or ended: the node derives it itself (S73)
// and looks again whether its operator and the plan still allow it. When the plan is complete the batch is over.
func (a *actor) expect() {
	a.settled()
	step, more := a.machine.Next()
	if !more {
		a.drop()
		return
	}
	if err := a.expectStep(step); err != nil {
		a.left(err)
	}
}

func (a *actor) expectStep(step schedule.Step) error {
	decision, err := a.n.cfg.Store.Decision(a.digest)
	if err != nil {
		return err
	}
	if decision.Made() && !decision.Approve {
		return fmt.Errorf("%w: the operator rejected it", secagg.ErrPlan)
	}
	if err := a.plan.CheckDay(a.n.cfg.Today()); err != nil {
		return fmt.Errorf("%w: %w", secagg.ErrPlan, err)
	}
	if err := a.affordable(step); err != nil {
		return err
	}
	roster, err := a.n.cfg.Store.Roster()
	if err != nil {
		return fmt.Errorf("%w: %w", secagg.ErrRoster, err)
	}
	model, err := a.machine.Digest()
	if err != nil {
		return err
	}
	rows, err := a.rows(step)
	if err != nil {
		return err
	}
	sum := a.plan.Sum(step, a.run.ID, 0, a.run.State, model)
	if err := a.part.Expect(sum, step.Number(), rows); err != nil {
		return err
	}
	a.step, a.sigma = step, secagg.StepDigest(roster.ID, a.digest, sum)
	return nil
}

// ended takes note that the coordinator ended the sum but not the batch: the same step comes again.
func (a *actor) ended(why *secagg.AbortError) {
	reason, _ := participant.Aborted(why)
	a.log.Info("round aborted by the coordinator", "round", a.part.Round(), "step", a.step.Ordinal, "kind", a.step.Kind.String(), "reason", reason)
	a.n.meters.rounds.Inc("aborted")
	a.expect()
}

func (a *actor) locked(name [32]byte) (secagg.Set, bool) {
	lock, ok := a.n.cfg.Ledger.Locked(chain.Digest(name))
	return secagg.Set(lock.Survivors), ok
}
