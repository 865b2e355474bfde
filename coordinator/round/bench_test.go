package round_test

import (
	"errors"
	"testing"

	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/prg"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"

	"github.com/stretchr/testify/require"
)

// bench drives a round with real clients and no network: it delivers the machine's messages, keeps its records and
// stores its chunks, as the driver does.
type bench struct {
	t       *testing.T
	batch   *secaggtest.Batch
	cfg     round.Config
	round   *round.Round
	records []round.Record
	chunks  map[uint8]map[uint32][]byte            // of the present sum
	past    map[uint32]map[uint8]map[uint32][]byte // of the sums before, by round
	dead    secagg.Set                             // nodes that are gone: nothing reaches them
	mute    func(from uint8, frames []secagg.Frame) bool
	job     *round.SumJob
	refused map[uint8]error
	encoded int
	queue   []round.Message
	busy    bool
}

func newBench(t *testing.T, require *secagg.Set, number uint32) *bench {
	return newBatch(t, 1, require, number)
}

func newBatch(t *testing.T, sums uint16, require *secagg.Set, number uint32) *bench {
	t.Helper()
	return newCohort(t, []uint8{1, 2, 3, 4, 5}, sums, require, number)
}

func newCohort(t *testing.T, members []uint8, sums uint16, require *secagg.Set, number uint32) *bench {
	t.Helper()
	batch := secaggtest.New(t, secaggtest.Options{Members: members, Sums: sums, Round: number, Seed: byte(number), Server: func(cfg *secagg.ServerConfig) {
		cfg.Spec.Deadlines = [5]uint32{10, 10, 20, 10, 10}
		cfg.Require = require
	}})
	b := &bench{t: t, batch: batch, chunks: map[uint8]map[uint32][]byte{}, refused: map[uint8]error{}}
	b.past = map[uint32]map[uint8]map[uint32][]byte{}
	b.cfg = round.Config{Server: batch.ServerConfig(), Grace: 2, Connected: secagg.SetOf(members...)}
	return b
}

func (b *bench) open() {
	b.t.Helper()
	r, out, err := round.New(b.cfg)
	require.NoError(b.t, err)
	b.round = r
	b.do(out)
}

// do acts on an output as the driver: records first, then messages.
func (b *bench) do(out round.Output) {
	b.t.Helper()
	for _, record := range out.Records {
		body, err := record.Encode()
		require.NoError(b.t, err)
		again, err := round.DecodeRecord(record.Kind, body)
		require.NoError(b.t, err)
		b.records = append(b.records, again)
		b.encoded += len(body)
	}
	if out.Sum != nil {
		b.job = out.Sum
	}
	b.queue = append(b.queue, out.Messages...)
	if b.busy {
		return
	}
	b.busy = true
	for len(b.queue) > 0 {
		m := b.queue[0]
		b.queue = b.queue[1:]
		for _, to := range m.To.Members() {
			b.deliver(to, m.Frames)
		}
	}
	b.busy = false
}

func (b *bench) step(e round.Event) error {
	b.t.Helper()
	out, err := b.round.Step(e)
	b.do(out)
	return err
}

func (b *bench) deliver(to uint8, frames []secagg.Frame) {
	b.t.Helper()
	if b.dead.Has(to) || b.batch.Clients[to] == nil {
		return
	}
	out, err := b.batch.Clients[to].Receive(frames)
	b.answer(to, out, err)
	if err == nil && out.Want {
		out, err = b.batch.Clients[to].Vector(b.vector(to))
		b.answer(to, out, err)
	}
}

func (b *bench) vector(of uint8) []uint64 {
	return secaggtest.Vector(of, b.batch.Opt.Seed, b.round.Sum().Layout())
}

func (b *bench) answer(from uint8, out secagg.ClientOutput, err error) {
	b.t.Helper()
	if err != nil {
		b.refused[from] = err
		return
	}
	if sum := b.batch.Opt.Sum; (out.Closed != nil || out.Ended != nil) && !b.batch.Clients[from].Done() {
		require.NoError(b.t, b.batch.Clients[from].Expect(sum, sum.Step, uint32(from)+20))
	}
	if len(out.Send) == 0 || b.mute != nil && b.mute(from, out.Send) {
		return
	}
	if err := b.step(round.Received{From: from, Frames: out.Send}); err != nil {
		if !errors.Is(err, secagg.ErrStale) { // it came too late: t others were quicker, or its sum is over
			b.refused[from] = err
		}
		return
	}
	if out.Upload == nil {
		return
	}
	for i := range out.Upload.Chunks {
		b.chunk(from, uint32(i), out.Upload.Chunk(i))
	}
	require.NoError(b.t, b.batch.Clients[from].Uploaded())
	if err := b.step(round.Whole{From: from}); err != nil {
		b.refused[from] = err
	}
}

func (b *bench) chunk(from uint8, index uint32, data []byte) {
	b.t.Helper()
	require.NoError(b.t, b.step(round.Chunk{From: from, Index: index, Data: data}))
	require.NoError(b.t, b.step(round.Stored{From: from, Index: index}))
	if b.chunks[from] == nil {
		b.chunks[from] = map[uint32][]byte{}
	}
	b.chunks[from][index] = data
}

// goOn begins the batch's next sum.
func (b *bench) goOn(only *secagg.Set) {
	b.t.Helper()
	b.past[b.round.Number()], b.chunks, b.job = b.chunks, map[uint8]map[uint32][]byte{}, nil
	out, err := b.round.Continue(b.batch.Opt.Sum, only, nil)
	require.NoError(b.t, err)
	b.do(out)
}

// crowd is everyone, connected and able.
func (b *bench) crowd() round.Crowd {
	all := b.batch.Cohort()
	return round.Crowd{Roster: b.cfg.Server.RosterDigest, Able: all, Ready: all}
}

// sum does the job of Publish.
func (b *bench) sum() []uint64 {
	b.t.Helper()
	require.NotNil(b.t, b.job)
	total := make([]uint64, b.job.Words)
	check := b.round.ChunkCheck()
	for _, m := range b.job.Survivors.Members() {
		var all []byte
		for i := range len(b.chunks[m]) {
			require.NoError(b.t, check(m, uint32(i), b.chunks[m][uint32(i)]))
			all = append(all, b.chunks[m][uint32(i)]...)
		}
		words, err := ring.FromLE(all)
		require.NoError(b.t, err)
		ring.Add(total, words)
	}
	prg.Apply(total, 0, b.job.Streams)
	require.NoError(b.t, b.step(round.Summed{
		Words: uint32(len(total)), SumRoot: secagg.SumRoot(total), State: secaggtest.Digest("next"), Model: secaggtest.Digest("model"),
	}))
	return total
}

func (b *bench) ticks(n int) {
	b.t.Helper()
	for range n {
		if b.round.Phase().Over() {
			return
		}
		require.NoError(b.t, b.step(round.Tick{}))
	}
}

func (b *bench) plain(members ...uint8) []uint64 {
	total := make([]uint64, b.round.Sum().Layout().Words())
	for _, m := range members {
		ring.Add(total, b.vector(m))
	}
	return total
}

func (b *bench) last() round.Record { return b.records[len(b.records)-1] }

// abort returns the reason on record.
func (b *bench) abort() *round.Abort {
	b.t.Helper()
	require.Equal(b.t, round.Aborted, b.round.Phase())
	require.Equal(b.t, round.KindAborted, b.last().Kind)
	return b.last().Abort
}

func kind(t secagg.Type) func(uint8, []secagg.Frame) bool {
	return func(_ uint8, frames []secagg.Frame) bool { return frames[0].Type == t }
}
