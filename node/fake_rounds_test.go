package node_test

import (
	"crypto/rand"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/prg"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// send tells every member of a set that has a session.
func (f *fake) send(to secagg.Set, frames func(i uint8) []secagg.Frame) {
	for i, stream := range f.streams {
		if to.Has(i) {
			m := pb.PacketToPB(f.run, f.round, f.plan.Digest(), frames(i))
			_ = stream.Send(&pb.CoordinatorMessage{Message: &pb.CoordinatorMessage_Packet{Packet: m}})
		}
	}
}

// await waits, holding the lock, until cond holds or the time is over.
func (f *fake) await(limit time.Duration, cond func() bool) bool {
	end := time.AfterFunc(limit, f.wake.Broadcast)
	defer end.Stop()
	for from := time.Now(); !cond(); f.wake.Wait() {
		if time.Since(from) >= limit {
			return false
		}
	}
	return true
}

// answered waits until everyone expected in a phase has answered, or all that have not are gone.
func (f *fake) answered(limit time.Duration) {
	f.await(limit, func() bool {
		for _, i := range f.server.Expected().Minus(f.server.Answered()).Members() {
			if f.streams[i] != nil && f.left[i] == "" {
				return false
			}
		}
		return true
	})
}

// gone reports whether everyone in a set has lost the session or left.
func (f *fake) gone(set secagg.Set) bool {
	for _, i := range set.Members() {
		if f.streams[i] != nil && f.left[i] == "" {
			return false
		}
	}
	return true
}

var errAborted = errors.New("aborted")

// open begins a round; the lock is held.
func (f *fake) open() {
	step, more := f.machine.Next()
	require.True(f.t, more)
	model, err := f.machine.Digest()
	require.NoError(f.t, err)
	f.round++
	sum := f.plan.Sum(step, f.run, f.round, f.state, model)
	if f.alterSum != nil {
		f.alterSum(&sum)
	}
	var nonce [32]byte
	_, _ = rand.Read(nonce[:])
	spec, err := f.plan.Spec(f.roster, sum, nonce)
	require.NoError(f.t, err)
	f.server, err = secagg.NewServer(secagg.ServerConfig{
		Roster: f.roster.SecAgg(), RosterDigest: f.roster.Digest(), Federation: f.roster.ID, Plan: f.plan.Digest(),
		Cohort: spec.Cohort, Spec: spec, Sum: sum, Sign: f.sign,
	})
	require.NoError(f.t, err)
	f.uploads, f.left = map[uint8][]byte{}, map[uint8]string{}
	f.send(spec.Cohort, func(uint8) []secagg.Frame { return f.server.Opening() })
}

// playRound goes through one round; phase, when given, is called before each phase is closed, without the lock.
func (f *fake) playRound(limit time.Duration, phase func(secagg.Phase)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open()
	next := func() {
		f.answered(limit)
		if phase != nil {
			p := f.server.Phase()
			f.mu.Unlock()
			phase(p)
			f.mu.Lock()
			f.answered(limit)
		}
	}
	next()
	adverts, err := f.server.CloseAdvertise()
	if err != nil {
		return f.abort(err)
	}
	f.send(f.server.Advertised(), func(uint8) []secagg.Frame { return adverts })
	next()
	shares, err := f.server.CloseShare()
	if err != nil {
		return f.abort(err)
	}
	f.send(f.server.Shared(), func(i uint8) []secagg.Frame { return shares[i] })
	next()
	survivors, err := f.server.CloseMask()
	if err != nil {
		return f.abort(err)
	}
	f.send(f.server.Survivors(), func(uint8) []secagg.Frame { return survivors })
	// The server goes to Unmask by itself with the t-th agreement; a moment more lets the others agree too.
	f.await(limit, func() bool { return f.server.Phase() != secagg.PhaseAgree || f.gone(f.server.Survivors()) })
	f.await(20*time.Millisecond, func() bool { return false })
	certificate, ok := f.server.Certificate()
	if !ok {
		return f.abort(secagg.ErrTooFew)
	}
	f.send(f.server.Survivors(), func(uint8) []secagg.Frame { return certificate })
	next()
	if !f.server.Openable() {
		return f.abort(secagg.ErrTooFew)
	}
	return f.publish()
}

func (f *fake) abort(err error) error {
	f.send(f.server.Advertised(), func(uint8) []secagg.Frame { return f.server.Abort(secagg.ReasonTooFew, [32]byte{}) })
	return errors.Join(errAborted, err)
}

func (f *fake) publish() error {
	streams, err := f.server.Open()
	require.NoError(f.t, err)
	sum := make([]uint64, f.server.Sum().Layout().Words())
	c := closedRound{uploads: map[uint8][]uint64{}}
	for _, j := range f.server.Survivors().Members() {
		words, err := ring.FromLE(f.uploads[j])
		require.NoError(f.t, err)
		c.uploads[j] = words
		ring.Add(sum, words)
	}
	prg.Apply(sum, 0, streams)
	if f.alterResult != nil {
		f.alterResult(sum)
	}
	survivors := f.server.Survivors()
	require.NoError(f.t, f.machine.Apply(sum, survivors.Len()))
	model, err := f.machine.Digest()
	require.NoError(f.t, err)
	root := secagg.SumRoot(sum)
	state := secagg.NextState(f.state, secagg.StepDigest(f.roster.ID, f.plan.Digest(), f.server.Sum()), f.h3, root, model)
	frames, err := f.server.Result(uint32(len(sum)), root, state, model)
	require.NoError(f.t, err)
	c.frames, c.words, f.state = f.server.Published(), sum, state
	f.closed[f.round] = c
	var all secagg.Set
	for i := range all {
		all[i] = 0xff
	}
	f.send(all, func(uint8) []secagg.Frame { return frames })
	return nil
}
