package node

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/chain"
	"github.com/koinon-eu/koinon/node/link"
	"github.com/koinon-eu/koinon/node/train"
)

// tables reads a national table once for each schema and keeps it, read-only. A live one it reads for each run.
type tables struct {
	open OpenTable
	live bool
	old  KeptTable

	mu   sync.Mutex
	kept map[[32]byte]snapshot
}

// snapshot is a national table with the name of its content (trees 37).
type snapshot struct {
	table *feature.Table
	name  [32]byte
}

// get returns the rows for a run that may have begun with rows of that name.
func (t *tables) get(s *feature.Schema, begun [32]byte) (snapshot, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	digest := s.Digest()
	if r, ok := t.kept[digest]; ok {
		return r, nil
	}
	if begun != ([32]byte{}) && t.old != nil {
		if table := t.old(s, begun); table != nil {
			return snapshot{table, begun}, nil
		}
	}
	table, name, err := t.open(s)
	if err != nil {
		return snapshot{}, fmt.Errorf("national table: %w", err)
	}
	if !t.live {
		put(&t.kept, digest, snapshot{table, name})
	}
	return snapshot{table, name}, nil
}

// national returns the rows of this run, which it reads when it first needs them.
func (a *actor) national() (snapshot, error) {
	if a.data.table != nil {
		return a.data, nil
	}
	r, err := a.n.data.get(a.plan.Schema, a.run.Data)
	if err == nil {
		a.data = r
	}
	return r, err
}

// answer is this node's vector for one step, before it is encoded. It never leaves the process as it is.
type answer struct {
	sigma  [32]byte
	draw   chain.Digest // names the vector in a plan with privacy
	vector train.Vector
	words  []uint64
}

// wipe overwrites the vector, which was made for one step only.
func (a *answer) wipe() {
	clear(a.vector.X)
	clear(a.vector.Ints)
	clear(a.words)
	*a = answer{}
}

// ready opens the table and starts this run's work on it.
func (a *actor) ready() (*train.Member, error) {
	if a.member != nil {
		return a.member, nil
	}
	data, err := a.national()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", secagg.ErrNoData, err)
	}
	if err := a.sameRows(); err != nil {
		return nil, err
	}
	if a.n.cfg.Began != nil && !a.run.Done {
		a.n.cfg.Began(a.run.ID, data.table)
	}
	member := train.NewMember(data.table)
	member.SetScratch(a.n.cfg.Scratch)
	member.SetRunKey(a.run.Key)
	if a.run.Control != nil {
		if err := member.SetControl(a.run.Control); err != nil {
			return nil, err
		}
	}
	a.member = member
	return member, nil
}

// rows counts the rows that take part in a step: test rows in an evaluation, training rows otherwise.
func (a *actor) rows(step schedule.Step) (uint32, error) {
	member, err := a.ready()
	if err != nil {
		return 0, err
	}
	if step.Kind != schedule.Evaluate {
		if a.private() { // how many there are is nobody's to know, nor whether they are many
			return 1, nil
		}
		return uint32(member.Rows()), a.checkRows(member.Rows())
	}
	data, err := a.national()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", secagg.ErrNoData, err)
	}
	n, _ := data.table.Count(feature.SelectTest)
	return uint32(n), nil
}

// train computes and encodes the vector beside the loop, which goes on to hear an abort. The loop changes the machine
// only after the worker has ended.
func (a *actor) train(ctx context.Context) {
	ctx, a.cancel = context.WithCancel(ctx)
	job := computed{attempt: a.attempt, answer: answer{sigma: a.sigma}}
	if a.cached.sigma == a.sigma {
		job.answer = a.cached
	}
	a.computing = true
	step, member, round := a.step, a.member, a.part.Round()
	order, rounding := a.order(step), a.part.Rounding()
	if seeded := a.n.cfg.Random; seeded != nil {
		rounding = seeded(a.run.ID, step.Ordinal, UseRounding)
	}
	a.workers.Add(1)
	go func() {
		defer a.workers.Done()
		a.training.Lock()
		if job.err = ctx.Err(); job.err == nil {
			job.answer, job.err = a.compute(member, step, round, job.answer, order, rounding)
		}
		a.training.Unlock() // before post: the loop may be waiting for it
		a.post(job)
	}()
}

// compute trains if need be and encodes with fresh randomness.
func (a *actor) compute(member *train.Member, step schedule.Step, round uint32, known answer, order, rounding io.Reader) (answer, error) {
	var err error
	if known.words == nil {
		if known.vector, err = member.Local(a.machine, step, order); err != nil {
			return answer{}, fmt.Errorf("local training, round %d: %w", round, err)
		}
		if a.private() {
			known.draw = drawOf(known.vector)
		}
	}
	v := known.vector
	known.words, err = step.Encoding.Encode(v.X, v.Ints, v.Rows, rounding)
	if err != nil {
		return answer{}, fmt.Errorf("encode: %w", err)
	}
	return known, nil
}

// vector hands the encoded vector to the participant, which masks it.
func (a *actor) vector(ctx context.Context, done computed) {
	a.computing = false
	if done.err != nil {
		a.left(done.err)
		return
	}
	if err := a.keepPending(); err != nil {
		a.left(err)
		return
	}
	a.draw = done.answer.draw
	out, err := a.part.Vector(done.answer.words)
	if err != nil {
		a.left(err)
		return
	}
	a.perform(ctx, out)
}

// upload sends the masked vector beside the loop.
func (a *actor) upload(ctx context.Context, u *secagg.Upload) {
	if a.cancel != nil {
		a.cancel()
	}
	ctx, a.cancel = context.WithCancel(ctx)
	attempt := a.attempt
	v := link.Vector{Run: a.run.ID, Round: a.part.Round(), K: uint32(a.part.K()), Chunks: u.Chunks, Chunk: link.ChunksOf(u.Words), Again: a.whole}
	a.workers.Add(1)
	go func() {
		defer a.workers.Done()
		a.post(uploaded{attempt, a.n.link.Upload(ctx, v)})
	}()
}

func (a *actor) uploadDone(ctx context.Context, err error) {
	if a.whole {
		if err != nil { // then the survivors will tell whether this node is among them
			a.log.Debug("masked vector not sent again", "round", a.part.Round(), "err", err)
		}
		return
	}
	a.uploading = false
	if err != nil {
		a.left(fmt.Errorf("%w: %w", secagg.ErrUpload, err))
		return
	}
	if err := a.part.Uploaded(); err != nil {
		a.left(err)
		return
	}
	a.whole = true
	held := a.held
	a.held = nil
	for _, p := range held {
		a.packet(ctx, p)
	}
}
