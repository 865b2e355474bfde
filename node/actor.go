package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/chain"
	"github.com/koinon-eu/koinon/node/link"
	"github.com/koinon-eu/koinon/node/participant"
	"github.com/koinon-eu/koinon/node/train"
)

// actor owns one run: its machine, its state, and the participant of the batch that is open. Everything that
// happens to the run happens in its loop, one thing after the other; only local training and uploads run beside it.
type actor struct {
	n       *Node
	log     *slog.Logger
	plan    *federation.Plan
	digest  federation.Digest // of the plan
	run     Run
	machine *schedule.Machine
	inbox   chan any
	done    chan struct{} // closed when the loop ends
	workers sync.WaitGroup
	data    snapshot      // read when first needed
	member  *train.Member // made when first needed
	cut     *secagg.Set   // cohort of the trees that were ended before the next sum (trees 38)

	// training is held by the worker that reads the machine and by the loop when it changes it.
	training sync.Mutex

	part      *participant.Participant
	heard     witness       // of the open batch, for evidence
	step      schedule.Step // of the open round
	sigma     [32]byte
	attempt   int // counts participants, so that late answers of workers are known
	cancel    context.CancelFunc
	computing bool                  // until the worker has the vector
	outgoing  *secagg.Upload        // masked vector whose mask message is not on its way yet
	uploading bool                  // until the coordinator has it whole
	whole     bool                  // the coordinator said that it has it whole
	held      []link.Packet         // packets that came before the answer to the upload, survivors first
	told      uint32                // the last round that this node has said to be out of
	drawn     map[[32]byte][]uint32 // by h3: the chunks that are checked of a sum of the present step
	unproven  bool                  // the newest sum waits, unchecked, for a round to close after it
	draw      chain.Digest          // names the noisy vector of the open round, in a plan with privacy
	cached    answer                // this node's vector for the present step, so that a repeated round need not train again
}

type (
	sessionUp struct{}
	catchUp   struct{}
	flushed   link.Packet
	computed  struct {
		attempt int
		answer  answer
		err     error
	}
	uploaded struct {
		attempt int
		err     error
	}
)

// post hands something to the actor's loop; it waits while the loop is busy, which slows the session down and
// nothing else. After the loop has ended nothing is kept.
func (a *actor) post(v any) {
	select {
	case a.inbox <- v:
	case <-a.done:
	}
}

func (a *actor) loop(ctx context.Context) error {
	defer a.cached.wipe()
	defer a.workers.Wait()
	defer a.drop()
	defer close(a.done)
	var ticks <-chan time.Time
	if a.n.cfg.Tick > 0 {
		t := time.NewTicker(a.n.cfg.Tick)
		defer t.Stop()
		ticks = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
			if a.part != nil {
				if err := a.part.Tick(); err != nil {
					a.left(err)
				}
			}
		case v := <-a.inbox:
			a.handle(ctx, v)
		}
	}
}

func (a *actor) handle(ctx context.Context, v any) {
	switch v := v.(type) {
	case link.Packet:
		a.packet(ctx, v)
	case flushed:
		a.announce(ctx, v)
	case sessionUp:
		if a.part != nil {
			a.send(a.part.Again())
		}
	case catchUp:
		if a.part == nil && !a.run.Done && a.run.Stopped == "" {
			if err := a.catchUp(ctx); err != nil && ctx.Err() == nil {
				a.log.Warn("could not catch up", "err", err)
			}
		}
	case computed:
		if v.err == nil && v.answer.sigma == a.sigma {
			a.cached = v.answer
		}
		if v.attempt == a.attempt && a.part != nil {
			a.vector(ctx, v)
		}
	case uploaded:
		if v.attempt == a.attempt && a.part != nil {
			a.uploadDone(ctx, v.err)
		}
	}
}

// packet gives a packet to the participant of its batch; a spec opens a new one.
func (a *actor) packet(ctx context.Context, p link.Packet) {
	opens := len(p.Frames) > 0 && p.Frames[0].Type == secagg.TypeSpec
	if a.part != nil && a.holds(p) {
		a.held = append(a.held, p)
		return
	}
	if a.part != nil && a.part.Takes(p.Round, p.Frames) {
		a.receive(ctx, p.Frames)
		return
	}
	if !opens {
		a.outside(ctx, p)
		return
	}
	if err := a.join(ctx, p); err != nil {
		a.n.refuse(p, err)
	}
}

// outside takes a packet of a round this node is not in. A result says that there is something to catch up with. What
// asks for an answer gets the word that none will come: a node that was started again within the grace would otherwise
// hold the phase up until its deadline.
func (a *actor) outside(ctx context.Context, p link.Packet) {
	if len(p.Frames) == 0 || a.part != nil && a.part.Round() >= p.Round || participant.EndsBatch(p.Frames[0]) {
		return
	}
	if a.part != nil && p.Frames[0].Type == secagg.TypeSum {
		a.left(fmt.Errorf("%w: sum of round %d while round %d is open", secagg.ErrTranscript, p.Round, a.part.Round()))
		return
	}
	switch p.Frames[0].Type {
	case secagg.TypeResult:
		if a.part == nil {
			a.unproven = false
			a.handle(ctx, catchUp{})
		}
	case secagg.TypeAdvert, secagg.TypeShare, secagg.TypeSum, secagg.TypeSurvivors, secagg.TypeCertificate, secagg.TypeAbort:
		if a.told == p.Round {
			return
		}
		a.told = p.Round
		a.log.Info("not in this round", "round", p.Round)
		_ = a.n.link.Left(a.run.ID, p.Round, "this node is not in the round; it was started again") // no session: then there is nobody to tell
	}
}

// maxHeld bounds the packets that wait for the upload's answer: survivors, certificate, result, next sum, and repetitions.
const maxHeld = 8

// holds reports whether a packet has to wait: the session may overtake the answer to the upload, and the survivors
// only mean something to a participant that knows its vector to be whole. What follows them waits as well.
func (a *actor) holds(p link.Packet) bool {
	if !a.uploading || len(p.Frames) == 0 || len(a.held) == maxHeld {
		return false
	}
	first, own := p.Frames[0].Type, p.Round == a.part.Round()
	return own && first == secagg.TypeSurvivors ||
		len(a.held) > 0 && (own && first != secagg.TypeAbort || p.Round == a.part.Round()+1 && first == secagg.TypeSum)
}

func (a *actor) receive(ctx context.Context, frames []secagg.Frame) {
	out, err := a.part.Receive(frames)
	if err != nil {
		a.send(out.Send) // a complaint or a dispute
		a.twoFaced(err)
		if len(frames) > 0 && frames[0].Type == secagg.TypeResult && lie(err) { // (S56)
			a.stop(err)
		}
		a.left(err)
		return
	}
	a.heard.hear(frames)
	a.perform(ctx, out)
}

// perform does what an Output says, in its order: nothing leaves before what it rests on is durable (S63).
func (a *actor) perform(ctx context.Context, out participant.Output) {
	for _, f := range out.Store {
		if err := a.store(f); err != nil {
			a.left(err)
			return
		}
	}
	// A repeated packet may ask for work that is going on already (S65).
	upload := out.Upload != nil && !a.uploading
	if upload {
		a.phase("mask")
	}
	a.send(out.Send)
	if out.Train && !a.computing {
		a.phase("train")
		a.train(ctx)
	}
	if upload {
		// Sent when its mask message is on its way. One that was whole before is sent for a coordinator that lost it;
		// whatever else comes need not wait for that.
		a.outgoing, a.uploading = out.Upload, !a.whole
	}
	if out.Closed != nil {
		a.closed(ctx, *out.Closed)
	}
	if out.Ended != nil {
		a.ended(out.Ended)
	}
}

// store makes a fact durable.
func (a *actor) store(f secagg.Fact) error {
	now, run := time.Now().Unix(), budget.Run(a.run.ID)
	switch f.Kind {
	case secagg.FactRound:
		return a.n.cfg.Ledger.Round(now, run, f.Round)
	case secagg.FactMasked:
		if err := a.spend(now, f.Round); err != nil {
			return err
		}
		err := a.n.cfg.Ledger.Reserve(now, budget.Sum{
			Plan: chain.Digest(a.digest), Run: run, Round: f.Round, Step: a.step.Ordinal,
			Kind: budget.Kind(a.step.Kind), Sigma: f.Sigma,
		}, budget.Limits{Evaluations: a.n.cfg.Policy.Evaluations})
		if errors.Is(err, budget.ErrSpent) {
			err = fmt.Errorf("%w: %w", secagg.ErrBudget, err)
		}
		return err
	case secagg.FactLock:
		if err := a.release(now, f.Survivors); err != nil {
			return err
		}
		err := a.n.cfg.Ledger.Lock(now, budget.Lock{
			Name: f.Lock, Survivors: chain.Digest(f.Survivors), Excused: chain.Digest(f.Excused), H3: f.H3, Run: run, Round: f.Round,
		})
		if errors.Is(err, budget.ErrReleased) {
			err = fmt.Errorf("%w: %w", secagg.ErrStepReleased, err)
		}
		return err
	case secagg.FactDraw:
		err := a.n.cfg.Ledger.Draw(now, chain.Digest(a.digest), run, f.Round)
		if errors.Is(err, budget.ErrSpent) {
			err = fmt.Errorf("%w: %w", secagg.ErrBudget, err)
		}
		return err
	}
	return fmt.Errorf("unknown fact %d", f.Kind)
}

func (a *actor) send(frames []secagg.Frame) {
	if len(frames) == 0 {
		return
	}
	err := a.n.link.Send(link.Packet{Run: a.run.ID, Round: a.part.Round(), Plan: a.digest, Frames: frames})
	if err != nil {
		a.log.Debug("not sent yet", "round", a.part.Round(), "err", err) // sent again when the session is up
	}
}

// announce logs that a packet is on its way, which is when a phase has begun for everybody else. The chunks follow
// their mask message.
func (a *actor) announce(ctx context.Context, p flushed) {
	if a.part == nil || p.Round != a.part.Round() || len(p.Frames) == 0 {
		return
	}
	if t := p.Frames[0].Type; t != secagg.TypeMask { // announced when masking starts
		a.phase(link.Phase(t))
	} else if u := a.outgoing; u != nil {
		a.outgoing = nil
		a.upload(ctx, u)
	}
}

func (a *actor) phase(name string) {
	a.log.Info("phase", "round", a.part.Round(), "step", a.step.Ordinal, "kind", a.step.Kind.String(), "phase", name)
	a.n.meters.phase(name)
	if a.n.cfg.Hooks.Phase != nil {
		a.n.cfg.Hooks.Phase(a.run.ID, a.part.Round(), name)
	}
}

// drop ends the open batch without a word.
func (a *actor) drop() {
	a.settled()
	if a.part != nil {
		a.part.Leave()
		a.part = nil
	}
	a.held, a.heard = nil, witness{}
}

// settled forgets what belongs to the present sum; packets that are held may be for the next one.
func (a *actor) settled() {
	if a.cancel != nil {
		a.cancel()
		a.cancel = nil
	}
	a.attempt++
	a.computing, a.outgoing, a.uploading, a.whole, a.draw = false, nil, false, false, chain.Digest{}
}

// left ends the open batch because of err and says so: in full in the log, in a sentinel's words to the coordinator.
func (a *actor) left(err error) {
	round := a.part.Round()
	a.drop()
	log := a.log.With("round", round, "step", a.step.Ordinal, "kind", a.step.Kind.String())
	if reason, aborted := participant.Aborted(err); aborted {
		log.Info("round aborted by the coordinator", "reason", reason)
		a.n.meters.rounds.Inc("aborted")
	} else {
		log.Warn("left", "reason", publicReason(err), "err", err)
		a.n.meters.rounds.Inc("left")
		a.told = round
		_ = a.n.link.Left(a.run.ID, round, publicReason(err)) // no session: then there is nobody to tell
	}
	if a.n.cfg.Hooks.Left != nil {
		a.n.cfg.Hooks.Left(a.run.ID, round, err)
	}
}
