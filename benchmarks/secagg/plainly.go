package secagg

import (
	"context"
	"time"
)

// plain sums the vectors of a round without masks.
func (b *bench) plain(ctx context.Context, round int) (Plain, error) {
	if err := b.prepare(ctx, round); err != nil {
		return Plain{}, err
	}
	p := plainRound{Run: [16]byte{0xff, byte(round >> 8), byte(round)}, Round: 1, Words: b.layout.Words()}
	for i, c := range b.fleet.clients {
		for len(c.notices) > 0 { // that plans or rosters have changed
			<-c.notices
		}
		if !b.leaves(i) {
			p.Members = append(p.Members, c.index)
		}
	}
	before := make([]int64, b.cfg.Nodes)
	after := make([]int64, b.cfg.Nodes)
	uploads := make(chan error, 1)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		err := b.fleet.each(ctx, func(ctx context.Context, i int, c *client) error {
			before[i] = int64(c.plain.Traffic()["mask"].Up)
			err := c.plainly(ctx, p.Run, b.leaves(i))
			after[i] = int64(c.plain.Traffic()["mask"].Up)
			return err
		})
		if err != nil {
			cancel(err)
		}
		uploads <- err
	}()
	m, err := b.side.plain(ctx, p)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return Plain{}, err
	}
	if err := <-uploads; err != nil {
		return Plain{}, err
	}
	out := Plain{
		Upload: phaseOf("upload", m.Marks[0], m.Marks[1], m.CPU[0], b.nodesBetween(m.Marks[0], m.Marks[1])),
		Sum:    phaseOf("sum", m.Marks[1], m.Marks[2], m.CPU[1], b.nodesBetween(m.Marks[1], m.Marks[2])),
		Fsync:  m.Fsync, Seconds: m.Marks[2].Sub(m.Marks[0]).Seconds(),
	}
	out.CPU = out.Upload.CPU + out.Upload.NodeCPU + out.Sum.CPU + out.Sum.NodeCPU
	for i := range before {
		if !b.leaves(i) {
			out.Up.Messages += (after[i] - before[i]) / int64(len(p.Members))
		}
	}
	out.Up.PerParam = float64(out.Up.Messages) / float64(b.cfg.Params)
	return out, b.plainAfter(ctx, &out, round, p)
}

// plainAfter has the nodes fetch the sum, and compares it.
func (b *bench) plainAfter(ctx context.Context, out *Plain, round int, p plainRound) (err error) {
	sums := make([][]uint64, b.cfg.Nodes)
	out.Fetch, err = b.timed(ctx, "fetch", func(ctx context.Context, i int, c *client) (err error) {
		if !b.leaves(i) {
			sums[i], err = c.fetch(ctx, c.plain, p.Run, p.Words)
		}
		return err
	})
	if err != nil {
		return err
	}
	used, err := b.side.used(ctx, time.Now(), time.Now())
	if err != nil {
		return err
	}
	out.Coordinator, out.Node = used.Peak, b.nodePeak()
	return b.check(round, sums)
}
