package sim

import (
	"crypto/rand"
	"errors"
	"time"

	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/prg"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"github.com/stretchr/testify/require"
)

// errStuck means that a scripted round could not go on: too few answered.
var errStuck = errors.New("too few answered")

// patience is how long the crook waits for answers that an honest node gives in milliseconds.
const patience = 5 * time.Second

// wait polls, without the lock, until ok holds with the lock held.
func (c *crook) wait(ok func() bool) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		c.mu.Lock()
		done := ok()
		c.mu.Unlock()
		if done {
			return true
		}
	}
	return false
}

// ready waits until n nodes are connected and have approved.
func (c *crook) ready(n int) {
	c.t.Helper()
	require.True(c.t, c.wait(func() bool {
		if len(c.streams) != n {
			return false
		}
		for _, a := range c.actors {
			if _, err := a.store.Plan(c.plan.Digest()); err != nil {
				return false
			}
			if d, err := a.store.Decision(c.plan.Digest()); !c.refusing && (err != nil || !d.Made()) {
				return false
			}
		}
		return true
	}), "nodes are not ready")
}

// send sends every member of a set its packet; the lock is held.
func (c *crook) send(to secagg.Set, packet func(i uint8) []secagg.Frame) {
	for i, stream := range c.streams {
		if !to.Has(i) {
			continue
		}
		p := packet(i)
		if c.alter != nil {
			p = c.alter(i, p)
		}
		if p != nil {
			_ = stream.Send(&pb.CoordinatorMessage{Message: &pb.CoordinatorMessage_Packet{
				Packet: pb.PacketToPB(c.run, c.round, c.plan.Digest(), p),
			}})
		}
	}
}

func same(p []secagg.Frame) func(uint8) []secagg.Frame {
	return func(uint8) []secagg.Frame { return p }
}

// open begins the round after the last with the next step; the lock is held.
func (c *crook) open() {
	step, more := c.machine.Next()
	require.True(c.t, more)
	c.round++
	sum := c.plan.Sum(step, c.run, c.round, c.state, digestOf(c.t, c.machine))
	if c.alterSum != nil {
		c.alterSum(&sum)
	}
	var nonce [32]byte
	_, _ = rand.Read(nonce[:])
	spec, err := c.plan.Spec(c.roster, sum, nonce)
	require.NoError(c.t, err)
	spec.Sums = max(1, c.sums)
	c.server, err = secagg.NewServer(secagg.ServerConfig{
		Roster: c.roster.SecAgg(), RosterDigest: c.roster.Digest(), Federation: c.roster.ID, Plan: c.plan.Digest(),
		Cohort: spec.Cohort, Spec: spec, Sum: sum, Sign: c.sign,
	})
	require.NoError(c.t, err)
	c.uploads, c.agreed = map[uint8][]byte{}, map[uint8]secagg.Frame{}
	c.send(spec.Cohort, same(c.server.Opening()))
}

// further begins the next sum of the open batch; the lock is held.
func (c *crook) further() {
	step, more := c.machine.Next()
	require.True(c.t, more)
	c.round++
	sum := c.plan.Sum(step, c.run, c.round, c.state, digestOf(c.t, c.machine))
	sum.K = 0
	if c.alterSum != nil {
		c.alterSum(&sum)
	}
	frames, err := c.server.Next(sum, nil, nil)
	require.NoError(c.t, err)
	c.uploads, c.agreed = map[uint8][]byte{}, map[uint8]secagg.Frame{}
	c.send(c.server.Eligible(), same(frames))
}

// answered waits until everyone who is still in the round has answered the phase.
func (c *crook) answered() {
	c.wait(func() bool {
		for _, i := range c.server.Expected().Minus(c.server.Answered()).Members() {
			if c.streams[i] != nil && !c.out[outOf{i, c.run, c.round}] {
				return false
			}
		}
		return true
	})
}

// upTo plays a round until the given phase has been opened by the crook's packet, and waits for the answers.
func (c *crook) upTo(phase secagg.Phase) error {
	c.t.Helper()
	c.mu.Lock()
	c.open()
	c.mu.Unlock()
	return c.play(secagg.PhaseShare, phase)
}

// onTo is upTo for the next sum of the open batch.
func (c *crook) onTo(phase secagg.Phase) error {
	c.t.Helper()
	c.mu.Lock()
	c.further()
	c.mu.Unlock()
	return c.play(secagg.PhaseAgree, phase)
}

// play goes through phases, from one to another, after what was sent has been answered.
func (c *crook) play(from, phase secagg.Phase) error {
	c.t.Helper()
	c.answered()
	for _, step := range []struct {
		phase secagg.Phase
		do    func() error
	}{
		{secagg.PhaseShare, func() error {
			p, err := c.server.CloseAdvertise()
			c.send(c.server.Advertised(), same(p))
			return err
		}},
		{secagg.PhaseMask, func() error {
			p, err := c.server.CloseShare()
			c.send(c.server.Shared(), func(i uint8) []secagg.Frame { return p[i] })
			return err
		}},
		{secagg.PhaseAgree, func() error {
			p, err := c.server.CloseMask()
			c.send(c.server.Survivors(), same(p))
			return err
		}},
		{secagg.PhaseUnmask, func() error {
			p, ok := c.server.Certificate()
			if !ok {
				return errStuck
			}
			c.send(c.server.Survivors(), same(p))
			return nil
		}},
		{secagg.PhasePublish, c.publish},
	} {
		if step.phase < from {
			continue
		}
		if step.phase > phase {
			break
		}
		c.mu.Lock()
		err := step.do()
		c.mu.Unlock()
		if err != nil {
			return errors.Join(errStuck, err)
		}
		if step.phase == secagg.PhaseAgree { // the server goes on with the t-th agreement; the others agree as well
			c.wait(c.everyoneAgreed)
		} else {
			c.answered()
		}
	}
	return nil
}

func (c *crook) everyoneAgreed() bool {
	for _, i := range c.server.Survivors().Members() {
		if _, ok := c.agreed[i]; !ok && c.streams[i] != nil && !c.out[outOf{i, c.run, c.round}] {
			return false
		}
	}
	return true
}

// publish opens the sum and says what came out of it, or something else.
func (c *crook) publish() error {
	if !c.server.Openable() {
		return errStuck
	}
	streams, err := c.server.Open()
	require.NoError(c.t, err)
	p := published{words: make([]uint64, c.server.Sum().Layout().Words()), uploads: map[uint8][]uint64{}}
	for _, j := range c.server.Survivors().Members() {
		words, err := ring.FromLE(c.uploads[j])
		require.NoError(c.t, err)
		p.uploads[j] = words
		ring.Add(p.words, words)
	}
	prg.Apply(p.words, 0, streams)
	if c.falsify != nil {
		c.falsify(p.words)
	}
	require.NoError(c.t, c.machine.Apply(p.words, c.server.Survivors().Len()))
	root, model := secagg.SumRoot(p.words), digestOf(c.t, c.machine)
	sigma := secagg.StepDigest(c.roster.ID, c.plan.Digest(), c.server.Sum())
	state := secagg.NextState(c.state, sigma, c.h3, root, model)
	c.opened = p.words
	if c.announce != nil {
		c.announce(&state, &model)
	}
	frames, err := c.server.Result(uint32(len(p.words)), root, state, model)
	require.NoError(c.t, err)
	if c.swap {
		p.words[1]++
	}
	if c.tamper != nil {
		c.tamper(p.uploads)
	}
	p.frames, c.state = c.server.Published(), state
	c.closed[c.round] = p
	c.send(c.server.Spec().Cohort, same(frames))
	return nil
}

// whole plays rounds until n have closed.
func (c *crook) whole(n int) {
	c.t.Helper()
	for range n {
		require.NoError(c.t, c.upTo(secagg.PhasePublish))
	}
}

// abort says that the round is over, true or not.
func (c *crook) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	frame := c.resign(secagg.TypeAbort, c.server.Spec().Digest(), append([]byte{0, 1, secagg.ReasonUnmask}, make([]byte, 32)...))
	c.send(c.server.Spec().Cohort, same([]secagg.Frame{frame}))
}
