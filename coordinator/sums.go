package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
)

// sumDone is a sum that was taken from the spool and is stored there.
type sumDone struct {
	words []uint64
	root  [32]byte
	err   error
}

func (r *run) key(member uint8, number uint32) spool.Key {
	return spool.Key{Run: r.id, Round: number, Member: member}
}

// store keeps a chunk that the round has accepted, and only then says so. Without room on the disk it is spool.ErrFull,
// and the chunk may be tried again; any other failure of the disk ends the round.
func (r *run) store(e round.Chunk) (round.Output, error) {
	out, err := r.round.Step(e)
	if err != nil {
		return out, err
	}
	err = r.c.cfg.Spool.WriteAt(r.key(e.From, r.round.Number()), e.Data, int64(e.Index)*secagg.ChunkSize)
	switch {
	case err == nil:
		r.c.cfg.Health.Ready(spoolHealth)
		r.clock.chunk(len(e.Data))
		return r.round.Step(round.Stored{From: e.From, Index: e.Index})
	case errors.Is(err, spool.ErrFull):
		return out, err
	}
	r.c.cfg.Log.Error("masked vector not stored", "run", runName(r.id), "round", r.last, "error", err)
	failed, _ := r.round.Step(round.SumFailed{Reason: "a masked vector could not be stored: " + err.Error()})
	out.Add(failed)
	return out, fmt.Errorf("chunk is not stored: %w", secagg.ErrUpload)
}

// spoolHealth is the name under which readiness tells of a full disk.
const spoolHealth = "spool"

// stall keeps a chunk for which the disk has no room, and with it the stream that waits for its answer: each upload
// stands still with one chunk in memory until there is room, or until the phase's deadline. A member's newest stream
// is the one that counts; what an older one waited for is refused.
func (r *run) stall(e event, err error) {
	if len(r.stalled) == 0 {
		r.full(r.round.Number(), err)
	}
	from := e.Event.(round.Chunk).From
	for i, old := range r.stalled {
		if old.Event.(round.Chunk).From == from {
			old.reply <- answer{err: fmt.Errorf("chunk is not stored: %w", secagg.ErrUpload)}
			r.stalled[i] = e
			return
		}
	}
	r.stalled = append(r.stalled, e)
}

// full tells the operator that the disk is.
func (r *run) full(number uint32, err error) {
	r.c.cfg.Health.NotReady(spoolHealth, err.Error())
	r.c.cfg.Log.Error("no room for masked vectors, the round waits", "run", runName(r.id), "round", number, "error", err)
}

// startSum adds the survivors' masked vectors, and stores the sum, outside the goroutine that owns the run.
func (r *run) startSum(job round.SumJob) {
	check, number := r.round.ChunkCheck(), r.round.Number()
	j := spool.Job{
		Run: r.id, Round: number, Survivors: job.Survivors.Members(), Words: job.Words, Streams: job.Streams, Check: check,
	}
	r.c.live.Go(func() {
		var done sumDone
		for {
			done.words, done.root, done.err = spool.Sum(r.c.cfg.Spool, j)
			if !errors.Is(done.err, spool.ErrFull) || !r.pause() {
				break
			}
			r.full(number, done.err)
		}
		if done.err == nil {
			r.c.cfg.Health.Ready(spoolHealth)
		}
		r.post(event{number: number, sum: &done})
	})
}

// pause waits for a tick; false: the run or the coordinator has ended meanwhile.
func (r *run) pause() bool {
	select {
	case <-r.c.ctx.Done():
		return false
	case <-r.done:
		return false
	case <-time.After(r.c.cfg.Tick):
		return true
	}
}

// summed moves the model on and publishes. The sum is on the disk before the journal names it.
func (r *run) summed(done sumDone) (round.Output, error) {
	if done.err != nil {
		return r.round.Step(round.SumFailed{Reason: done.err.Error()})
	}
	survivors := r.round.Status().Survivors.Len()
	if err := r.machine.Apply(done.words, survivors); err != nil { // also of a sum whose parts contradict each other
		if err := r.c.cfg.Spool.Remove(r.key(0, r.round.Number())); err != nil {
			r.c.cfg.Log.Warn("refused sum not deleted", "run", runName(r.id), "round", r.round.Number(), "error", err)
		}
		reason := fmt.Sprintf("the sum was refused: %v", err)
		return r.round.Step(round.SumFailed{Reason: reason, Range: true})
	}
	model, err := r.machine.Digest()
	if err != nil {
		return round.Output{}, err
	}
	state := secagg.NextState(r.state, r.round.Sigma(), r.round.H3(), done.root, model)
	out, err := r.round.Step(round.Summed{Words: uint32(len(done.words)), SumRoot: done.root, State: state, Model: model})
	if err != nil || r.round.Phase() != round.Closed {
		return r.undo(out, err)
	}
	r.state = state
	return out, nil
}

// undo brings the machine back to the last closed round.
func (r *run) undo(out round.Output, err error) (round.Output, error) {
	return out, errors.Join(err, r.rebuild())
}

// rebuild makes the machine from the stored sums of the closed rounds, and compares it with the journal.
func (r *run) rebuild() error {
	machine, err := r.c.newSchedule(r.plan.Plan)
	if err != nil {
		return err
	}
	model, err := machine.Digest()
	if err != nil {
		return err
	}
	r.state = secagg.InitialState(r.plan.Digest, model)
	for _, c := range r.closed {
		if err := r.replayChanges(machine, c.Step); err != nil {
			return err
		}
		sum, err := spool.ReadSum(r.c.cfg.Spool, r.id, c.number)
		if err != nil {
			return fmt.Errorf("round %d: %w", c.number, err)
		}
		if round.Digest(secagg.SumRoot(sum)) != c.SumRoot {
			return fmt.Errorf("round %d: the stored sum is not the journalled one", c.number)
		}
		if err := machine.Apply(sum, secagg.Set(c.Survivors).Len()); err != nil {
			return fmt.Errorf("round %d: %w", c.number, err)
		}
		r.state = c.State
	}
	if n := len(r.closed); n > 0 {
		if model, err = machine.Digest(); err != nil {
			return err
		}
		if round.Digest(model) != r.closed[n-1].Model {
			return fmt.Errorf("round %d: the model recomputed from the stored sums is not the journalled one", r.closed[n-1].number)
		}
	}
	if step, more := machine.Next(); more {
		if err := r.replayChanges(machine, step.Ordinal); err != nil {
			return err
		}
	}
	if step, more := machine.Next(); more { // perhaps another one than before the changes
		r.number = step.Number()
	}
	r.machine = machine
	return nil
}

// restore takes up a batch that was not over when the coordinator stopped (S65): in the middle of a sum with that sum,
// between two sums with the next one, unless somebody waits to rejoin.
func (r *run) restore(ctx context.Context) error {
	if len(r.pending) == 0 {
		return nil
	}
	spec, sum, err := round.Newest(r.pending)
	if err != nil {
		return err
	}
	roster, err := r.c.book.RosterByDigest(spec.Roster)
	if err != nil {
		return err
	}
	cfg := r.roundConfig(roster)
	cfg.Connected = r.c.hub.Connected()
	words := sum.Layout().Words()
	machine, out, err := round.Restore(cfg, r.pending, func(member uint8, index uint32) ([]byte, error) {
		data := make([]byte, secagg.ChunkBytes(words, index))
		return data, r.c.cfg.Spool.ReadAt(r.key(member, sum.Round), data, int64(index)*secagg.ChunkSize)
	})
	if err != nil {
		if ended := r.pending[len(r.pending)-1].Kind; ended != round.KindClosed && ended != round.KindAborted {
			return err
		}
		r.c.cfg.Log.Warn("the batch does not go on, the next sum gets fresh keys", "run", runName(r.id), "error", err)
		r.pending = nil
		return nil
	}
	r.round, r.pending = machine, nil
	r.clock.open(machine.Phase(), r.c.cfg.Now())
	r.c.cfg.Log.Info("round restored", "run", runName(r.id), "round", sum.Round, "phase", machine.Phase().String())
	if !machine.Phase().Over() {
		r.setReason(Running, "")
	}
	return r.commit(ctx, out)
}

// outcome updates what is known of the run's rounds after a record was journalled.
func (r *run) outcome(record round.Record, written journal.Record) {
	switch record.Kind {
	case round.KindOpened, round.KindNext:
		_, sums := r.round.Batch()
		r.mu.Lock()
		r.view.open(r.round.Sum(), sums, written.Time)
		r.mu.Unlock()
	case round.KindDispute:
		r.c.cfg.Log.Warn("bundle in dispute", "run", runName(r.id), "round", record.Round, "member", record.Member, "dealer", record.Dealer)
		r.dispute(record.Member, record.Dealer)
	case round.KindEvidence:
		r.prove(record.Member, record.Proof)
	case round.KindClosed:
		r.closedNow(record, written)
	case round.KindAborted:
		r.abortedNow(record, written)
	}
}

func (r *run) closedNow(record round.Record, written journal.Record) {
	hashes := map[uint8][][32]byte{}
	for _, m := range secagg.Set(record.Close.Survivors).Members() {
		hashes[m] = r.round.Hashes(m)
	}
	r.mu.Lock()
	for i := range r.closed {
		r.closed[i].hashes = nil
	}
	r.closed = append(r.closed, closedRound{
		Close: *record.Close, seq: written.Seq, time: written.Time, number: record.Round, hashes: hashes,
	})
	var before *closedRound
	if n := len(r.closed); n > 1 {
		before = &r.closed[n-2]
	}
	r.clock.end(r.c.cfg.Now())
	r.view.close(record.Round, *record.Close, written.Time)
	r.view.measured(record.Round, r.clock)
	r.mu.Unlock()
	r.failures = 0
	r.setLock(record.Close.Kind, record.Close.Step, record.Close.Number, secagg.Set(record.Close.Survivors))
	r.follow(record.Close.Kind, secagg.Set(record.Close.Survivors))
	r.mute = secagg.Set{}
	kind := schedule.Kind(record.Close.Kind).String()
	r.c.metrics.rounds.Inc(kind, "closed")
	r.clock.observe(r.c.metrics)
	r.c.cfg.Log.Info("round closed", "run", runName(r.id), "round", record.Round, "step", record.Close.Step, "kind", kind,
		"survivors", secagg.Set(record.Close.Survivors).Len(), "dropouts", len(record.Close.Lost))
	if before != nil { // t members have advertised the state after it (S55)
		r.forget(before.number)
	}
}

func (r *run) abortedNow(record round.Record, written journal.Record) {
	a := *record.Abort
	r.mu.Lock()
	r.clock.end(r.c.cfg.Now())
	r.view.abort(record.Round, a, written.Time)
	r.view.measured(record.Round, r.clock)
	r.mu.Unlock()
	r.noteAbort(a)
	if a.Code != secagg.ReasonRestart {
		r.backoff = min(1<<min(r.failures, 10), maxBackoff)
	}
	kind := schedule.Kind(a.Kind).String()
	r.c.metrics.rounds.Inc(kind, "aborted")
	r.c.cfg.Log.Warn("round aborted", "run", runName(r.id), "round", record.Round, "step", a.Step, "kind", kind, "reason", a.Reason)
}

// forget deletes the masked vectors of a round; its sum stays.
func (r *run) forget(number uint32) {
	if err := r.c.cfg.Spool.RemoveUploads(r.id, number); err != nil {
		r.c.cfg.Log.Warn("masked vectors not deleted", "run", runName(r.id), "round", number, "error", err)
	}
}

// forgetLater deletes the last round's masked vectors when its window for spot checks has passed (S55).
func (c *Coordinator) forgetLater(r *run) {
	r.mu.Lock()
	n := len(r.closed)
	var last closedRound
	if n > 0 {
		last = r.closed[n-1]
	}
	r.mu.Unlock()
	if n == 0 {
		return
	}
	c.live.Go(func() {
		select {
		case <-c.ctx.Done():
		case <-time.After(time.Until(time.Unix(last.time, 0).Add(c.cfg.Window))):
			r.forget(last.number)
		}
	})
}
