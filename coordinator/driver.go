package coordinator

import (
	"context"
	"errors"
	"fmt"

	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/coordinator/rpc"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// find returns a run by its name.
func (c *Coordinator) find(id [16]byte) (*run, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.runs[id]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("run %s: %w", runName(id), rpc.ErrNotFound)
}

// of returns a run of whose plan the member is a cohort member.
func (c *Coordinator) of(member uint8, id [16]byte) (*run, error) {
	r, err := c.find(id)
	if err != nil {
		return nil, err
	}
	roster, _ := c.book.Roster()
	if set, err := r.plan.Plan.Set(roster); err != nil || !set.Has(member) {
		return nil, admin.Errorf(admin.ErrForbidden, "run %s: member %d is not in its cohort", runName(id), member)
	}
	return r, nil
}

// Joined implements rpc.Driver: a member's node has a session, or said something new about itself.
func (c *Coordinator) Joined(member uint8) {
	connected := c.hub.Connected()
	c.metrics.connected.Set(float64(connected.Len()))
	c.touch()
	if !connected.Has(member) {
		return
	}
	c.eachRun(func(r *run) { r.post(event{Event: round.Connected{Member: member}}) })
}

// Gone implements rpc.Driver.
func (c *Coordinator) Gone(member uint8) {
	c.metrics.connected.Set(float64(c.hub.Connected().Len()))
	c.touch()
	c.eachRun(func(r *run) { r.post(event{Event: round.Disconnected{Member: member}}) })
}

// Packet implements rpc.Driver.
func (c *Coordinator) Packet(ctx context.Context, member uint8, p pb.RoundPacket) error {
	r, err := c.of(member, p.Run)
	if err != nil {
		return err
	}
	if p.Plan != r.plan.Digest {
		return fmt.Errorf("packet names another plan than run %s: %w", runName(p.Run), secagg.ErrTranscript)
	}
	if p.Round == 0 {
		return fmt.Errorf("packet names no round: %w", secagg.ErrStale)
	}
	_, err = r.ask(ctx, event{Event: round.Received{From: member, Frames: p.Frames}, number: p.Round})
	if errors.Is(err, secagg.ErrStale) && surplus(p.Frames) {
		return nil
	}
	return err
}

// surplus reports whether a packet is an agreement or shares that were not needed any more: t others were quicker,
// and nobody has done anything wrong.
func surplus(frames []secagg.Frame) bool {
	return len(frames) == 1 && (frames[0].Type == secagg.TypeAgree || frames[0].Type == secagg.TypeUnmask)
}

// Left implements rpc.Driver.
func (c *Coordinator) Left(member uint8, id [16]byte, number uint32, reason string) {
	if r, err := c.of(member, id); err == nil && number != 0 && !r.over() {
		r.post(event{Event: round.Left{Member: member, Reason: reason}, number: number})
	}
}

// Chunk implements rpc.Driver.
func (c *Coordinator) Chunk(ctx context.Context, member uint8, at rpc.Vector, index uint32, data []byte) (bool, error) {
	r, err := c.vector(member, at)
	if err != nil {
		return false, err
	}
	a, err := r.ask(ctx, event{Event: round.Chunk{From: member, Index: index, Data: data}, number: at.Round, k: at.K})
	return a.complete, err
}

func (c *Coordinator) vector(member uint8, at rpc.Vector) (*run, error) {
	if at.K == 0 || at.Round == 0 {
		return nil, fmt.Errorf("sum %d of round %d: %w", at.K, at.Round, rpc.ErrNotFound)
	}
	return c.of(member, at.Run)
}

// Whole implements rpc.Driver: the vector is made durable in the caller's goroutine, and only then counts (S32).
func (c *Coordinator) Whole(ctx context.Context, member uint8, at rpc.Vector) error {
	r, err := c.vector(member, at)
	if err != nil {
		return err
	}
	if err := c.cfg.Spool.Sync(r.key(member, at.Round)); err != nil {
		// A round that ended meanwhile, for instance because an admin stopped the run, has deleted its vectors; one whose
		// survivors are fixed has deleted those of the others (S32).
		failed := round.UploadFailed{Reason: "a masked vector could not be made durable"}
		if _, over := r.ask(ctx, event{Event: failed, number: at.Round}); over != nil {
			return over
		}
		c.cfg.Log.Error("masked vector not synced", "run", runName(r.id), "round", at.Round, "error", err)
		return fmt.Errorf("vector is not stored: %w", secagg.ErrUpload)
	}
	_, err = r.ask(ctx, event{Event: round.Whole{From: member}, number: at.Round, k: at.K})
	return err
}

// Have implements rpc.Driver.
func (c *Coordinator) Have(ctx context.Context, member uint8, at rpc.Vector) ([]byte, bool, error) {
	r, err := c.vector(member, at)
	if err != nil {
		return nil, false, err
	}
	a, err := r.ask(ctx, event{Event: have{member}, number: at.Round, k: at.K})
	return a.bitmap, a.complete, err
}

// Rounds implements rpc.Driver.
func (c *Coordinator) Rounds(_ context.Context, member uint8, id [16]byte, after uint32, limit int) ([]uint32, error) {
	r, err := c.of(member, id)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []uint32
	for _, closed := range r.closed {
		if closed.number > after && len(out) < limit {
			out = append(out, closed.number)
		}
	}
	return out, nil
}

func (r *run) closedRound(number uint32) (closedRound, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, closed := range r.closed {
		if closed.number == number {
			return closed, nil
		}
	}
	return closedRound{}, fmt.Errorf("round %d of run %s is not closed: %w", number, runName(r.id), rpc.ErrNotFound)
}

// Sum implements rpc.Driver: the transcript comes from the journal, the sum from the spool.
func (c *Coordinator) Sum(ctx context.Context, member uint8, id [16]byte, number uint32) (*rpc.Sum, error) {
	r, err := c.of(member, id)
	if err != nil {
		return nil, err
	}
	closed, err := r.closedRound(number)
	if err != nil {
		return nil, err
	}
	record, err := c.record(ctx, closed.seq)
	if err != nil {
		return nil, err
	}
	fact, err := round.DecodeRecord(record.Kind, record.Body)
	if err != nil {
		return nil, err
	}
	k := r.key(0, number)
	return &rpc.Sum{
		Transcript: fact.Frames, Size: 8 * int64(closed.Words),
		ReadAt: func(data []byte, offset int64) error { return c.cfg.Spool.ReadAt(k, data, offset) },
	}, nil
}

var errFound = errors.New("found")

// record reads one record of the journal.
func (c *Coordinator) record(ctx context.Context, seq uint64) (record journal.Record, err error) {
	err = c.cfg.Journal.Read(ctx, seq, func(r journal.Record) error {
		record = r
		return errFound
	})
	if errors.Is(err, errFound) {
		return record, nil
	}
	return record, fmt.Errorf("journal record %d: %w", seq, errors.Join(err, rpc.ErrNotFound))
}

// Spot implements rpc.Driver: chunk q of every survivor's masked vector with its path to the root in h3 (S56), one at a
// time in the same buffer.
func (c *Coordinator) Spot(_ context.Context, member uint8, id [16]byte, number, index uint32, send func(*pb.SpotChunk) error) error {
	r, err := c.of(member, id)
	if err != nil {
		return err
	}
	closed, err := r.closedRound(number)
	if err != nil {
		return err
	}
	size := secagg.ChunkBytes(int(closed.Words), index)
	if size == 0 {
		return fmt.Errorf("chunk %d of round %d: %w", index, number, rpc.ErrNotFound)
	}
	data := make([]byte, size)
	for _, m := range secagg.Set(closed.Survivors).Members() {
		hashes, err := r.hashesOf(closed, m)
		if err != nil {
			return err
		}
		if err := c.cfg.Spool.ReadAt(r.key(m, number), data, int64(index)*secagg.ChunkSize); err != nil {
			return fmt.Errorf("round %d: %w", number, rpc.ErrGone)
		}
		if secagg.ChunkHash(index, data) != hashes[index] { // sent, it would look like a lie
			c.cfg.Log.Error("masked vector changed on the disk", "run", runName(id), "round", number, "member", m, "chunk", index)
			return fmt.Errorf("round %d: %w", number, rpc.ErrGone)
		}
		chunk := &pb.SpotChunk{Member: uint32(m), Data: data}
		for _, p := range secagg.MerklePath(hashes, int(index)) {
			chunk.Path = append(chunk.Path, p[:])
		}
		if err := send(chunk); err != nil {
			return err
		}
	}
	return nil
}

// hashesOf returns the chunk hashes of a stored vector, computed again when a restart has lost them.
func (r *run) hashesOf(closed closedRound, member uint8) ([][32]byte, error) {
	if h := closed.hashes[member]; h != nil {
		return h, nil
	}
	words := int(closed.Words)
	var hashes [][32]byte
	buffer := make([]byte, secagg.ChunkSize)
	for q := range uint32(secagg.Chunks(words)) {
		data := buffer[:secagg.ChunkBytes(words, q)]
		if err := r.c.cfg.Spool.ReadAt(r.key(member, closed.number), data, int64(q)*secagg.ChunkSize); err != nil {
			return nil, fmt.Errorf("round %d: %w", closed.number, rpc.ErrGone)
		}
		hashes = append(hashes, secagg.ChunkHash(q, data))
	}
	r.keepHashes(closed.number, member, hashes)
	return hashes, nil
}

// keepHashes keeps what was computed again for the newest closed round, the one that nodes check.
func (r *run) keepHashes(number uint32, member uint8, hashes [][32]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := &r.closed[len(r.closed)-1]
	if last.number != number {
		return
	}
	kept := map[uint8][][32]byte{member: hashes} // others read the map that is there
	for m, h := range last.hashes {
		kept[m] = h
	}
	last.hashes = kept
}

// resume starts every run that was not over when the coordinator stopped.
func (c *Coordinator) resume() {
	c.mu.Lock()
	var open, over []*run
	for _, id := range c.order {
		if r := c.runs[id]; r.over() {
			over = append(over, r)
		} else {
			open = append(open, r)
		}
	}
	c.mu.Unlock()
	for _, r := range over {
		close(r.done)
		c.forgetLater(r)
	}
	for _, r := range open {
		r.tidy()
		c.launch(r)
	}
}

// tidy deletes the masked vectors of rounds that ended, except of the last closed one (S55).
func (r *run) tidy() {
	keep := map[uint32]bool{}
	if len(r.pending) > 0 {
		keep[r.last] = true
	}
	if n := len(r.closed); n > 0 {
		keep[r.closed[n-1].number] = true
	}
	for number := uint32(1); number <= r.last; number++ {
		if !keep[number] {
			r.forget(number)
		}
	}
}

// startApproved starts a run of every plan that its whole cohort has approved and that has none yet.
func (c *Coordinator) startApproved(ctx context.Context) {
	roster, _ := c.book.Roster()
	if roster == nil {
		return
	}
	c.starting.Lock()
	defer c.starting.Unlock()
	for _, p := range c.book.Plans() {
		cohort, err := p.Plan.Set(roster)
		if err != nil || !cohort.SubsetOf(p.Approved()) {
			continue
		}
		if _, _, ok := c.RunOf(p.Digest); ok {
			continue
		}
		if _, err := c.startRun(ctx, "", p); err != nil && c.refused[p.Digest] != err.Error() {
			c.refused[p.Digest] = err.Error()
			c.cfg.Log.Error("run not started", "plan", p.Plan.Name, "error", err)
		}
	}
}

// StartRun implements rpc.Driver: an admin starts a run that t members have approved, or one that ended early again.
func (c *Coordinator) StartRun(ctx context.Context, by string, plan federation.Digest) ([16]byte, error) {
	p, err := c.book.Plan(plan)
	if err != nil {
		return [16]byte{}, err
	}
	c.starting.Lock()
	defer c.starting.Unlock()
	if id, state, ok := c.RunOf(plan); ok && state != Stopped && state != Failed {
		return id, admin.Errorf(admin.ErrExists, "plan %s has run %s already, which is %s", p.Plan.Name, runName(id), state)
	}
	n := len(p.Plan.Cohort.Members)
	if approved, t := p.Approved().Len(), secagg.Threshold(n); approved < t {
		return [16]byte{}, admin.Errorf(rpc.ErrState, "plan %s: %d of %d members have approved, %d needed", p.Plan.Name, approved, n, t)
	}
	r, err := c.startRun(ctx, by, p)
	if err != nil {
		return [16]byte{}, err
	}
	return r.id, nil
}

// StopRun implements rpc.Driver.
func (c *Coordinator) StopRun(ctx context.Context, by string, id [16]byte, reason string) error {
	r, err := c.find(id)
	if err != nil {
		return err
	}
	if reason == "" || len(reason) > pb.MaxReasonBytes {
		return admin.Errorf(admin.ErrInvalid, "stop run: say why, in 1 to %d bytes", pb.MaxReasonBytes)
	}
	if r.over() {
		return admin.Errorf(rpc.ErrState, "run %s is over already", runName(id))
	}
	_, err = r.ask(ctx, event{stop: fmt.Sprintf("%s (%s)", reason, by)})
	return err
}

// RunOf implements rpc.Driver: the newest run of a plan.
func (c *Coordinator) RunOf(plan federation.Digest) (id [16]byte, state string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.order) - 1; i >= 0; i-- {
		r := c.runs[c.order[i]]
		if r.plan.Digest == plan {
			s := r.snapshot()
			return r.id, s.State, true
		}
	}
	return id, "", false
}
