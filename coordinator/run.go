package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/koinon-eu/koinon/coordinator/admin"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/coordinator/rpc"
	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
)

// States of a run.
const (
	Waiting   = "waiting" // for members, with a reason
	Running   = "running"
	Evaluated = "evaluated"
	Stopped   = "stopped" // by an admin
	Failed    = "failed"
)

// run is the execution of a plan. One goroutine owns it; others send events and read the view.
type run struct {
	c      *Coordinator
	id     [16]byte
	plan   admin.Plan
	events chan event
	done   chan struct{}

	// Owned by the goroutine, and by replay before it starts.
	last     uint32               // number of the newest round
	first    uint32               // of the newest batch, while replaying: its first round
	sums     uint16               // and its most sums
	pending  []round.Record       // of a batch that was not over when the coordinator stopped
	failures int                  // aborted rounds since the last closed one
	why      string               // the newest abort's reason
	excluded secagg.Set           // proven guilty (S72)
	withheld secagg.Set           // did not reveal in the newest batch (V7)
	disputes map[uint8]secagg.Set // by dealer: who could not open its bundles (S70)
	machine  Schedule
	state    [32]byte // S58
	round    *round.Round
	backoff  int    // ticks until the next attempt
	waited   uint32 // ticks since a round was opened
	idle     uint32 // ticks since one was over
	clock    phaseClock
	stalled  []event // chunks for which the disk had no room

	// Of a plan of trees.
	ticks   uint64
	number  uint32           // of the present step among those of its kind (S33)
	cohort  *secagg.Set      // of the newest sum of statistics or histograms, or as changed since
	changes []change         // of the cohort
	parted  map[uint8]uint64 // by member: the tick at which its session ended
	lacking map[uint8]uint64 // by member of the cohort: since which tick it is waited for
	mute    secagg.Set       // lost in every attempt at the present step

	mu     sync.Mutex
	view   view
	closed []closedRound
	ended  int64 // Unix seconds
}

// closedRound is what is served of a closed round.
type closedRound struct {
	round.Close
	seq    uint64 // of its record, which holds the transcript
	time   int64
	number uint32
	hashes map[uint8][][32]byte // of the masked vectors, while they are kept
}

func newRun(c *Coordinator, id [16]byte, plan admin.Plan, when int64) *run {
	return &run{
		c: c, id: id, plan: plan, events: make(chan event, 256), done: make(chan struct{}),
		view: view{State: Waiting, Started: when, Steps: uint32(maxStatistics + plan.Plan.TrainRounds() + 1)},
	}
}

// maxStatistics is how many sums of statistics a plan begins with at most; when fewer suffice the plan is shorter.
const maxStatistics = 3

// steps counts a plan's sums: statistics, the training rounds, one evaluation.
func (r *run) steps(step schedule.Step) uint32 {
	applied, planned := r.machine.Rounds()
	switch step.Kind {
	case schedule.Statistics:
		return uint32(maxStatistics + planned + 1)
	case schedule.Evaluate: // growth of trees may end early
		return step.Ordinal
	}
	return step.Ordinal - 1 + uint32(planned-applied) + 1
}

func (r *run) over() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view.over()
}

// post hands an event to the goroutine. It waits while the queue is full, but no longer than the run lives.
func (r *run) post(e event) {
	select {
	case r.events <- e:
	case <-r.done:
	case <-r.c.ctx.Done():
	}
}

func (r *run) nudge() { r.post(event{}) }

// ask posts an event and waits for what came of it.
func (r *run) ask(ctx context.Context, e event) (answer, error) {
	e.reply = make(chan answer, 1)
	select {
	case r.events <- e:
	case <-r.done:
		return answer{}, fmt.Errorf("run %s is over: %w", runName(r.id), secagg.ErrStale)
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	select {
	case a := <-e.reply:
		return a, a.err
	case <-r.done:
		return answer{}, fmt.Errorf("run %s is over: %w", runName(r.id), secagg.ErrStale)
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
}

// loop owns the run until it is over or the coordinator stops.
func (r *run) loop(ctx context.Context) error {
	if err := r.rebuild(); err != nil {
		return err
	}
	if err := r.restore(ctx); err != nil {
		return err
	}
	ticker := time.NewTicker(r.c.cfg.Tick)
	defer ticker.Stop()
	if err := r.next(ctx); err != nil {
		return err
	}
	for !r.over() {
		batch, err := r.collect(ctx, ticker.C)
		if err != nil {
			return err
		}
		if err := r.handle(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// maxBatch bounds how many events share one append to the journal.
const maxBatch = 64

// collect waits for an event and takes what else is there, so that many packets cost one append.
func (r *run) collect(ctx context.Context, tick <-chan time.Time) ([]event, error) {
	var batch []event
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-tick:
		batch = append(batch, event{tick: true})
	case e := <-r.events:
		batch = append(batch, e)
	}
	for len(batch) < maxBatch {
		select {
		case e := <-r.events:
			batch = append(batch, e)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// handle applies a batch of events: step, journal, act, answer, in this order.
func (r *run) handle(ctx context.Context, batch []event) error {
	if batch[0].tick && len(r.stalled) > 0 {
		batch, r.stalled = append(batch, r.stalled...), nil
	}
	var out round.Output
	answers := make([]answer, len(batch))
	stop := ""
	for i, e := range batch {
		if h, ok := e.Event.(have); ok {
			answers[i] = r.have(h.member, e)
			continue
		}
		var o round.Output
		o, answers[i].err = r.apply(e)
		if errors.Is(answers[i].err, spool.ErrFull) {
			r.stall(e, answers[i].err)
			batch[i].reply = nil
		}
		answers[i].complete = o.Complete
		out.Add(o)
		if e.stop != "" {
			stop = e.stop
		}
	}
	if err := r.commit(ctx, out); err != nil {
		return err
	}
	for i, e := range batch {
		if e.reply != nil {
			e.reply <- answers[i]
		} else if e.sum != nil && answers[i].err != nil {
			return answers[i].err
		}
	}
	if stop != "" {
		return r.end(ctx, Stopped, stop)
	}
	return r.next(ctx)
}

// apply gives one event to the open round.
func (r *run) apply(e event) (round.Output, error) {
	if e.tick {
		r.backoff = max(0, r.backoff-1)
		r.waited++
		r.ticks++
		if r.round == nil || r.round.Phase().Over() {
			r.idle++
		}
		e.Event = round.Tick{}
	}
	if r.outdated(e.Event) {
		return round.Output{}, nil
	}
	r.presence(e.Event)
	if e.stop != "" {
		e.Event = round.Stop{Reason: e.stop}
	}
	if e.sum != nil && (r.round == nil || r.round.Number() != e.number || r.round.Phase() != round.Publish) {
		return round.Output{}, nil // its round ended meanwhile, for instance because an admin stopped the run
	}
	if r.round == nil {
		return round.Output{}, notOpen(e)
	}
	if r.round.Phase().Over() && !ofBatch(e.Event) {
		return round.Output{}, notOpen(e)
	}
	if err := r.addressed(e); err != nil {
		return round.Output{}, err
	}
	switch v := e.Event.(type) {
	case nil:
		if e.sum != nil {
			return r.summed(*e.sum)
		}
		return round.Output{}, nil
	case round.Chunk:
		return r.store(v)
	case round.Received:
		r.clock.received(v.Frames)
	}
	out, err := r.round.Step(e.Event.(round.Event))
	if e.number == 0 && errors.Is(err, secagg.ErrStale) { // for whichever round is open, and none is
		err = nil
	}
	return out, err
}

func (r *run) have(member uint8, e event) answer {
	if r.round == nil || r.round.Number() != e.number {
		return answer{err: fmt.Errorf("round %d is not open: %w", e.number, secagg.ErrStale)}
	}
	if err := r.addressed(e); err != nil {
		return answer{err: err}
	}
	bitmap, whole := r.round.Have(member)
	return answer{bitmap: bitmap, complete: whole}
}

// commit appends the records, and only then acts. A journal that cannot be written, for instance because its disk is
// full, holds everything up: nothing is lost and nothing is sent until it can.
func (r *run) commit(ctx context.Context, out round.Output) error {
	if err := r.append(ctx, out.Records); err != nil {
		return err
	}
	for _, m := range out.Messages {
		r.clock.sent(m)
		r.c.hub.Send(m.To, r.packet(m))
	}
	for _, member := range out.Forget {
		if err := r.c.cfg.Spool.Remove(r.key(member, r.last)); err != nil {
			r.c.cfg.Log.Warn("masked vector not deleted", "run", runName(r.id), "round", r.last, "error", err)
		}
	}
	if out.Sum != nil {
		r.startSum(*out.Sum)
	}
	if r.round != nil {
		r.observe()
	}
	return nil
}

func (r *run) packet(m round.Message) *pb.CoordinatorMessage {
	return &pb.CoordinatorMessage{Message: &pb.CoordinatorMessage_Packet{
		Packet: pb.PacketToPB(r.id, m.Round, r.plan.Digest, m.Frames),
	}}
}

// append writes a round's records, trying again until the journal takes them.
func (r *run) append(ctx context.Context, records []round.Record) error {
	if len(records) == 0 {
		return nil
	}
	entries := make([]journal.Entry, len(records))
	now := r.c.cfg.Now().Unix()
	for i, record := range records {
		if record.Close != nil {
			record.Close.Number = r.number
		}
		if record.Abort != nil {
			record.Abort.Number = r.number
		}
		body, err := record.Encode()
		if err != nil {
			return err
		}
		entries[i] = journal.Entry{Time: now, Run: runName(r.id), Kind: record.Kind, Body: body}
	}
	written, err := r.write(ctx, entries...)
	if err != nil {
		return err
	}
	for i, record := range records {
		r.outcome(record, written[i])
	}
	return nil
}

// write appends entries and waits for a journal that fails, as long as the coordinator lives.
func (r *run) write(ctx context.Context, entries ...journal.Entry) ([]journal.Record, error) {
	for {
		written, err := timed{r.c.cfg.Journal, r.c.metrics}.Append(ctx, entries...)
		if err == nil {
			r.c.cfg.Health.Ready("journal")
			return written, nil
		}
		if errors.Is(err, journal.ErrClosed) || ctx.Err() != nil {
			return nil, err
		}
		r.c.cfg.Health.NotReady("journal", err.Error())
		r.c.cfg.Log.Error("journal cannot be written, the run waits", "run", runName(r.id), "error", err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(max(r.c.cfg.Tick, 100*time.Millisecond)):
		}
	}
}

// end journals how the run ended.
func (r *run) end(ctx context.Context, state, reason string) error {
	body, err := json.Marshal(ended{State: state, Reason: reason})
	if err != nil {
		return err
	}
	now := r.c.cfg.Now().Unix()
	if _, err := r.write(ctx, journal.Entry{Time: now, Run: runName(r.id), Kind: kindEnded, Body: body}); err != nil {
		return err
	}
	r.mu.Lock()
	r.view.State, r.view.Reason, r.ended = state, reason, now
	r.mu.Unlock()
	r.c.touch()
	r.c.cfg.Log.Info("run ended", "run", runName(r.id), "plan", r.plan.Plan.Name, "state", state, "reason", reason)
	r.c.forgetLater(r)
	return nil
}

var _ rpc.Driver = (*Coordinator)(nil)
