package secagg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/node/link"
	"github.com/koinon-eu/koinon/node/participant"
)

// traffic is what a node has sent and received by some time.
type traffic struct {
	messages         map[string]link.Traffic
	wireUp, wireDown int64
}

func (c *client) traffic() traffic {
	return traffic{messages: c.link.Traffic(), wireUp: c.wire.up.Load(), wireDown: c.wire.down.Load()}
}

// since subtracts what was there before; the sum over phases stands under no phase of its own.
func (t traffic) since(before traffic) (up, down int64, phases map[string]link.Traffic) {
	phases = map[string]link.Traffic{}
	for phase, n := range t.messages {
		old := before.messages[phase]
		d := link.Traffic{Up: n.Up - old.Up, Down: n.Down - old.Down}
		phases[phase], up, down = d, up+int64(d.Up), down+int64(d.Down)
	}
	return up, down, phases
}

// took is what a node has seen of a round.
type took struct {
	run                              [16]byte
	closed                           secagg.Closed
	before, result, fetched, spotted traffic
}

// secure runs one secure round: a plan of one sum, which starts when every node has approved it.
func (b *bench) secure(ctx context.Context, round int) (Secure, error) {
	if err := b.prepare(ctx, round); err != nil {
		return Secure{}, err
	}
	plan, err := newPlan(fmt.Sprintf("bench-%d", round+1), b.fleet.members)
	if err != nil {
		return Secure{}, err
	}
	body, err := plan.Encode()
	if err != nil {
		return Secure{}, err
	}
	if err := b.side.submit(ctx, body); err != nil {
		return Secure{}, err
	}
	sums := newOneSum(b.layout, b.cfg.Nodes)
	seen := make([]took, b.cfg.Nodes)
	for i, c := range b.fleet.clients {
		seen[i].before = c.traffic()
	}
	rounds := make(chan error, 1)
	go func() {
		rounds <- b.fleet.each(ctx, func(ctx context.Context, i int, c *client) (err error) {
			seen[i].run, seen[i].closed, err = c.sum(ctx, job{plan: plan, sums: sums, leave: b.leaves(i)})
			seen[i].result = c.traffic()
			if b.leaves(i) && errors.Is(err, errLeft) {
				return nil
			}
			return err
		})
	}()
	if err := b.fleet.approve(ctx, plan); err != nil {
		return Secure{}, err
	}
	m, err := b.waited(ctx, plan.Digest(), rounds)
	if err != nil {
		return Secure{}, err
	}
	out := b.phases(m)
	if err := b.after(ctx, &out, round, seen); err != nil {
		return Secure{}, err
	}
	b.count(&out, seen)
	return out, nil
}

// waited waits for the coordinator and for every node. A node's error ends both, for it says why; only of an abort the
// coordinator knows the reason.
func (b *bench) waited(ctx context.Context, plan [32]byte, rounds <-chan error) (measured, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	nodes := make(chan error, 1)
	go func() {
		err := <-rounds
		if _, aborted := participant.Aborted(err); err != nil && !aborted {
			cancel(err)
		}
		nodes <- err
	}()
	m, err := b.side.wait(ctx, plan)
	if cause := context.Cause(ctx); cause != nil {
		return m, cause
	}
	if err != nil {
		return m, err
	}
	return m, <-nodes
}

// phases turns the coordinator's marks into what each phase took.
func (b *bench) phases(m measured) Secure {
	out := Secure{Fsync: m.Fsync, Vector: 8 * int64(b.layout.Words())}
	for i, title := range phases {
		p := phaseOf(title, m.Marks[i], m.Marks[i+1], m.CPU[i], b.nodesBetween(m.Marks[i], m.Marks[i+1]))
		out.Phases = append(out.Phases, p)
		out.Seconds, out.CPU = out.Seconds+p.Seconds, out.CPU+p.CPU+p.NodeCPU
	}
	return out
}

// after has the survivors fetch and spot-check the sum, and compares it.
func (b *bench) after(ctx context.Context, out *Secure, round int, seen []took) (err error) {
	sums := make([][]uint64, len(seen))
	out.Fetch, err = b.timed(ctx, "fetch", func(ctx context.Context, i int, c *client) (err error) {
		if b.leaves(i) {
			return nil
		}
		sums[i], err = c.fetch(ctx, c.link, seen[i].run, seen[i].closed.Words)
		seen[i].fetched = c.traffic()
		return err
	})
	if err != nil {
		return err
	}
	out.Spot, err = b.timed(ctx, "spot", func(ctx context.Context, i int, c *client) error {
		if b.leaves(i) {
			return nil
		}
		err := c.spot(ctx, seen[i].run, seen[i].closed, sums[i])
		seen[i].spotted = c.traffic()
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

// count adds up what survivors sent and received, and divides.
func (b *bench) count(out *Secure, seen []took) {
	var n int64
	var setup time.Duration
	for i, t := range seen {
		if b.leaves(i) {
			continue
		}
		n++
		up, down, phases := t.result.since(t.before)
		out.Up.Messages += up
		out.Down.Messages += down
		out.Up.Wire += t.result.wireUp - t.before.wireUp
		out.Down.Wire += t.result.wireDown - t.before.wireDown
		out.Setup.Up += int64(phases["advertise"].Up + phases["share"].Up)
		out.Setup.Down += int64(phases["advertise"].Down + phases["share"].Down)
		_, fetched, _ := t.fetched.since(t.result)
		_, spotted, _ := t.spotted.since(t.fetched)
		out.FetchDown += fetched
		out.SpotDown += spotted
		setup += b.fleet.clients[i].setup
	}
	for _, v := range []*int64{
		&out.Up.Messages, &out.Up.Wire, &out.Down.Messages, &out.Down.Wire, &out.Setup.Up, &out.Setup.Down, &out.FetchDown, &out.SpotDown,
	} {
		*v /= n
	}
	out.Up.PerParam = float64(out.Up.Messages) / float64(b.cfg.Params)
	out.Down.PerParam = float64(out.Down.Messages) / float64(b.cfg.Params)
	out.Setup.CPU = setup.Seconds() * 1000 / float64(n)
}
