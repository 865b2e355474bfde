package secaggtest

import (
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/prg"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// Deliver hands a packet of the coordinator to a client and its answer to the
// server, vector and upload included.
func (b *Batch) Deliver(to uint8, p []secagg.Frame) {
	b.T.Helper()
	if b.ToNode != nil {
		if p = b.ToNode(to, p); p == nil {
			return
		}
	}
	if b.Errors[to] != nil {
		return
	}
	c := b.Clients[to]
	out, err := c.Receive(p)
	b.answer(to, out, err)
	if err == nil && out.Want {
		x := b.Opt.Vector(to, b.Server.Sum().Layout())
		b.Vectors[to] = x
		out, err = c.Vector(x)
		b.answer(to, out, err)
	}
}

func (b *Batch) answer(from uint8, out secagg.ClientOutput, err error) {
	b.T.Helper()
	if err != nil {
		require.Equal(b.T, "left", b.Clients[from].State())
		b.Errors[from] = err
	}
	b.Facts[from] = append(b.Facts[from], out.Store...)
	if out.Closed != nil {
		b.Closed[from] = out.Closed
	}
	if out.Ended != nil {
		b.Ended[from] = out.Ended
	}
	if len(out.Send) == 0 || !b.send(from, out.Send) || out.Upload == nil {
		return
	}
	for i := range out.Upload.Chunks {
		if err := b.Server.Chunk(from, uint32(i), out.Upload.Chunk(i)); err != nil {
			b.Refused[from] = err
			return
		}
	}
	b.Uploads[from] = out.Upload
	require.NoError(b.T, b.Server.MarkWhole(from))
	require.NoError(b.T, b.Clients[from].Uploaded())
}

func (b *Batch) send(from uint8, p []secagg.Frame) bool {
	if p[0].Type == secagg.TypeReveal {
		b.Reveals[from] = p
	} else {
		b.Sent[from] = append(b.Sent[from], p)
	}
	if b.ToCoord != nil && (p[0].Type != secagg.TypeReveal || b.hookReveals) {
		if p = b.ToCoord(from, p); p == nil {
			return false
		}
	}
	if err := b.Server.Receive(from, p); err != nil {
		b.Refused[from] = err
		return false
	}
	return true
}

// Advertise sends the opening to who and takes their adverts.
func (b *Batch) Advertise(who secagg.Set) {
	b.T.Helper()
	for _, i := range who.Members() {
		b.Deliver(i, b.Server.Opening())
	}
}

// Reveal closes Advertise and, in version 2, takes the reveals of who among U1.
func (b *Batch) Reveal(who secagg.Set) error {
	b.T.Helper()
	b.hookReveals = true
	defer func() { b.hookReveals = false }()
	return b.reveal(who)
}

func (b *Batch) reveal(who secagg.Set) error {
	b.T.Helper()
	p, err := b.Server.CloseAdvertise()
	if err != nil || b.Server.Phase() != secagg.PhaseReveal {
		return err
	}
	for _, i := range who.Intersect(b.Server.Advertised()).Members() {
		b.Deliver(i, p)
	}
	return nil
}

// Share closes Advertise and takes the shares of who among U1. In version 2 all
// of U1 reveal before, past ToCoord, unless Reveal was called.
func (b *Batch) Share(who secagg.Set) error {
	b.T.Helper()
	if b.Server.Phase() == secagg.PhaseAdvertise {
		if err := b.reveal(b.Cohort()); err != nil {
			return err
		}
	}
	p, err := b.Server.CloseAdvertise()
	if err != nil {
		return err
	}
	switch revealed, err := b.Server.CloseReveal(); {
	case err == nil:
		p = revealed
	case !errors.Is(err, secagg.ErrStale): // version 1 has no such phase
		return err
	}
	for _, i := range who.Members() {
		if b.Server.Advertised().Has(i) {
			b.Deliver(i, p)
		}
	}
	return nil
}

// Mask closes Share and takes the uploads of who among U2. With Lead that is for
// the second sum, after the first.
func (b *Batch) Mask(who secagg.Set) error {
	b.T.Helper()
	if b.Packet != nil {
		b.Announce(who)
		return nil
	}
	if !b.lead {
		return b.shares(who)
	}
	if _, err := b.Server.CloseShare(); err != nil {
		return err
	}
	b.runLead()
	b.Announce(who)
	return nil
}

// shares closes Share and hands out what was shared.
func (b *Batch) shares(who secagg.Set) error {
	b.T.Helper()
	p, err := b.Server.CloseShare()
	if err != nil {
		return err
	}
	for _, i := range who.Members() {
		if b.Server.Shared().Has(i) {
			b.Deliver(i, p[i])
		}
	}
	return nil
}

// lead runs the present sum with everyone, forgets what it left behind, and
// announces the next one.
func (b *Batch) runLead() {
	b.T.Helper()
	toNode, toCoord := b.ToNode, b.ToCoord
	b.ToNode, b.ToCoord = nil, nil
	all := b.Server.Shared()
	facts := len(b.Facts[all.Members()[0]])
	require.NoError(b.T, b.shares(all))
	require.NoError(b.T, b.Agree(all))
	require.NoError(b.T, b.Unmask(all))
	require.NoError(b.T, b.Publish(all))
	require.Empty(b.T, b.Errors)
	for _, i := range all.Members() {
		b.Sent[i] = b.Sent[i][:2]
		b.Facts[i] = b.Facts[i][:facts]
		delete(b.Closed, i)
	}
	b.Result, b.Streams, b.lead = nil, nil, false
	p, err := b.Server.Next(b.Opt.Sum, b.leadRequire, b.leadEvidence)
	require.NoError(b.T, err)
	b.Packet = p
	b.ToNode, b.ToCoord = toNode, toCoord
}

// Next announces sum k+1 and takes the uploads of who among those eligible. They
// expect the sum that is announced.
func (b *Batch) Next(who secagg.Set, sum secagg.Sum, want *secagg.Set) error {
	b.T.Helper()
	p, err := b.Server.Next(sum, want, nil)
	if err != nil {
		return err
	}
	b.Packet = p
	b.Announce(who)
	return nil
}

// Announce repeats the sum to who among those eligible; members between two sums
// are told first what to expect.
func (b *Batch) Announce(who secagg.Set) {
	b.T.Helper()
	for _, i := range who.Members() {
		if !b.Server.Eligible().Has(i) {
			continue
		}
		if c := b.Clients[i]; c.State() == "waiting" {
			s := b.Server.Sum()
			require.NoError(b.T, c.Expect(s, s.Step, uint32(i)+20))
		}
		b.Deliver(i, b.Packet)
	}
}

// AbortSum ends the present sum for who.
func (b *Batch) AbortSum(reason uint8, who secagg.Set) {
	b.T.Helper()
	p := b.Server.AbortSum(reason, [32]byte{})
	require.NotEmpty(b.T, p)
	for _, i := range who.Members() {
		b.Deliver(i, p)
	}
}

// Agree closes Mask and takes the agreement of who among U3.
func (b *Batch) Agree(who secagg.Set) error {
	b.T.Helper()
	p, err := b.Server.CloseMask()
	if err != nil {
		return err
	}
	for _, i := range who.Members() {
		if b.Server.Survivors().Has(i) {
			b.Deliver(i, p)
		}
	}
	return nil
}

// Unmask sends the certificate to who among U3; ErrTooFew without one.
func (b *Batch) Unmask(who secagg.Set) error {
	b.T.Helper()
	p, ok := b.Server.Certificate()
	if !ok {
		b.Server.Abort(secagg.ReasonAgree, [32]byte{})
		return secagg.ErrTooFew
	}
	for _, i := range who.Members() {
		if b.Server.Survivors().Has(i) {
			b.Deliver(i, p)
		}
	}
	return nil
}

// Publish opens the seeds, computes the sum and sends the result to who.
func (b *Batch) Publish(who secagg.Set) error {
	b.T.Helper()
	streams, err := b.Server.Open()
	if err != nil {
		if b.Server.Phase() != secagg.PhaseAborted {
			b.Server.Abort(secagg.ReasonUnmask, [32]byte{})
		}
		return err
	}
	b.Streams = streams
	b.Result = make([]uint64, b.Server.Sum().Layout().Words())
	for _, j := range b.Server.Survivors().Members() {
		ring.Add(b.Result, b.Uploads[j].Words)
	}
	prg.Apply(b.Result, 0, streams)
	p, err := b.Server.Result(uint32(len(b.Result)), secagg.SumRoot(b.Result), Digest("next state"), Digest("next model"))
	if err != nil {
		return err
	}
	for _, i := range who.Members() {
		if b.Server.Survivors().Has(i) {
			b.Deliver(i, p)
		}
	}
	return nil
}

// Run goes through all phases. Members of drop leave before they answer the
// phase given there. The error is the first one that ends the batch.
func (b *Batch) Run(drop map[uint8]secagg.Phase) error {
	b.T.Helper()
	present := func(p secagg.Phase) (s secagg.Set) {
		for _, i := range b.Opt.Members {
			if at, ok := drop[i]; !ok || at > p {
				s = s.With(i)
			}
		}
		return s
	}
	b.Advertise(present(secagg.PhaseAdvertise))
	if err := b.Reveal(present(secagg.PhaseReveal)); err != nil {
		return err
	}
	if err := b.Share(present(secagg.PhaseShare)); err != nil {
		return err
	}
	if err := b.Mask(present(secagg.PhaseMask)); err != nil {
		return err
	}
	return b.RunSum(present)
}

// RunSum goes from Agree through Publish of the present sum; present tells who
// answers each phase.
func (b *Batch) RunSum(present func(p secagg.Phase) secagg.Set) error {
	b.T.Helper()
	for _, step := range []struct {
		phase secagg.Phase
		run   func(secagg.Set) error
	}{
		{secagg.PhaseAgree, b.Agree},
		{secagg.PhaseUnmask, b.Unmask},
		{secagg.PhasePublish, b.Publish},
	} {
		if err := step.run(present(step.phase)); err != nil {
			return err
		}
	}
	return nil
}

// Plain returns the sum of the plain vectors of a set.
func (b *Batch) Plain(of secagg.Set) []uint64 {
	sum := make([]uint64, b.Server.Sum().Layout().Words())
	for _, i := range of.Members() {
		ring.Add(sum, b.Vectors[i])
	}
	return sum
}

// Resign signs a changed body with the key of the frame's sender.
func (b *Batch) Resign(f secagg.Frame, spec [32]byte, tag string) secagg.Frame {
	m := append([]byte{byte(len(tag))}, tag...)
	m = append(append(append(m, spec[:]...), f.Sender), f.Body...)
	sig, err := b.Sign(f.Sender)(m)
	require.NoError(b.T, err)
	f.Signature = sig
	return f
}
