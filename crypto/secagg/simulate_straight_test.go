package secagg_test

import (
	"errors"
	"slices"

	"github.com/koinon-eu/koinon/crypto/prg"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// straight is a stage of a batch with a real server that is told what the liar
// wants it to know: members left out in any phase although their vectors are in
// the liar's hands, certificates and results to some only, false sums.
func (a *simAttempt) straight() {
	s, l := a.l.s, a.l
	switch a.stage {
	case 0:
		for _, i := range s.corrupt.Members() {
			if c := a.crooks[0][i]; c != nil {
				_ = a.server.Receive(i, secagg.OwnAdvert(c))
			}
		}
		p, err := a.server.CloseAdvertise()
		a.forward(err, a.server.Advertised(), func(uint8) []secagg.Frame { return p })
	case 1:
		p, err := a.server.CloseShare()
		a.forward(err, a.server.Shared(), func(i uint8) []secagg.Frame { return p[i] })
	case 2:
		whole := a.server.Shared() // the others are said to have dropped out
		switch {
		case s.chance(20):
			whole = s.some(whole, s.t)
		case s.chance(40):
			whole = a.server.Shared().Without(s.pick(s.cohort()))
		}
		for _, i := range whole.Members() {
			_ = a.server.RestoreWhole(i)
		}
		p, err := a.server.CloseMask()
		if err == nil {
			a.survivors[0] = a.server.Survivors()
			p = a.excuse(p)
		}
		a.forward(err, a.server.Survivors(), func(uint8) []secagg.Frame { return p })
	case 3:
		p, ok := a.server.Certificate()
		if !ok {
			a.dead = true
			return
		}
		who := a.server.Survivors()
		if s.chance(30) {
			who = s.some(who, 1)
		}
		for _, i := range who.Members() {
			a.give(i, p)
		}
	case 4:
		if l.s.chance(35) || !a.server.Openable() || a.publish() != nil {
			a.broken()
			return
		}
		a.number++
		a.further()
	default:
		a.dead = true
	}
}

// broken ends a sum without a result, true or not; the batch may go on.
func (a *simAttempt) broken() {
	s := a.l.s
	to := s.honest
	if s.chance(20) {
		to = s.some(to, 1)
	}
	if s.chance(60) {
		if frames := a.server.AbortSum(secagg.ReasonUnmask, [32]byte{}); frames != nil && a.server.CanContinue() {
			for _, i := range to.Members() {
				a.deliver(i, frames)
			}
			for _, c := range a.crooks[0] {
				_, _ = c.Receive(frames)
			}
			a.further()
			return
		}
	}
	if s.chance(50) {
		a.abort(to)
	}
	a.dead = true
}

// further begins the next sum of a straight batch.
func (a *simAttempt) further() {
	s := a.l.s
	if a.number > s.steps || s.chance(15) {
		a.dead = true
		return
	}
	sum := s.step(a.number, a.state, a.model)
	p, err := a.server.Next(sum, nil, nil)
	if err != nil {
		a.dead = true
		return
	}
	a.begun()
	for _, i := range a.server.Eligible().Members() {
		if c := a.crooks[0][i]; c != nil {
			_ = c.Expect(sum, a.number, 1000)
		}
		a.give(i, p)
	}
	a.stage = 1
}

// begun forgets what belongs to the sum before.
func (a *simAttempt) begun() {
	a.k++
	a.round++
	a.l.rounds[a.run] = max(a.l.rounds[a.run], a.round)
	a.uploads = map[uint8][]uint64{}
	for _, sent := range a.sent {
		delete(sent, secagg.TypeMask)
		delete(sent, secagg.TypeAgree)
		delete(sent, secagg.TypeUnmask)
	}
}

// excuse attaches evidence against corrupt members to the survivors, who may then
// be missing from a set that was released before (S33).
func (a *simAttempt) excuse(p []secagg.Frame) []secagg.Frame {
	s := a.l.s
	set := secagg.BodySet(p[0])
	var blame [][32]byte
	proofs := []secagg.Frame{}
	for _, i := range s.corrupt.Minus(set).Members() {
		if e := a.l.proofs[i]; e != nil && s.chance(70) {
			blame, proofs = append(blame, secagg.EvidenceDigest(e)), append(proofs, secagg.Frame{Type: secagg.TypeEvidence, Body: e})
		}
	}
	if s.chance(15) { // names nobody, whatever it says
		e := append([]byte{secagg.BlameEquivocation}, p[0].Body...)
		blame, proofs = append(blame, secagg.EvidenceDigest(e)), append(proofs, secagg.Frame{Type: secagg.TypeEvidence, Body: e})
	}
	if len(proofs) == 0 {
		return p
	}
	spec, err := secagg.ParseSpec(a.opening[0].Body)
	if err != nil {
		return p
	}
	p = slices.Clone(p)
	p[0] = secagg.ForgeSurvivors(s.sign(0), spec.Digest(), a.k, set, blame...)
	return append(p, proofs...)
}

// forward sends each member its packet; the corrupt answer as the protocol says.
func (a *simAttempt) forward(err error, to secagg.Set, packet func(uint8) []secagg.Frame) {
	if err != nil {
		a.dead = true
		return
	}
	for _, i := range to.Members() {
		a.give(i, packet(i))
	}
}

func (a *simAttempt) give(i uint8, p []secagg.Frame) {
	s := a.l.s
	if s.honest.Has(i) {
		a.deliver(i, p)
		return
	}
	c := a.crooks[0][i]
	if c == nil {
		return
	}
	out, err := c.Receive(p)
	if err == nil && out.Want {
		out, err = c.Vector(s.vector(i, a.number))
	}
	if err != nil || len(out.Send) == 0 {
		return
	}
	if out.Upload != nil {
		a.uploads[i] = slices.Clone(out.Upload.Words)
		_ = c.Uploaded()
	}
	if t := out.Send[0].Type; t == secagg.TypeAgree { // signs another one as well, which is evidence
		body := slices.Clone(out.Send[0].Body)
		body[40] ^= 1
		second := secagg.SignFrame(s.sign(i), t, specDigest(c), i, body)
		a.l.proofs[i] = secagg.MakeEvidence(secagg.BlameEquivocation, a.opening[0], out.Send[0], second)
	}
	_ = a.server.Receive(i, out.Send)
}

// publish tells a result, true or false, to some.
func (a *simAttempt) publish() error {
	s := a.l.s
	streams, err := a.server.Open()
	if err != nil {
		return err
	}
	p := &simPublic{sum: make([]uint64, s.layout.Layout().Words()), uploads: map[uint8][]uint64{}}
	for _, i := range a.server.Survivors().Members() {
		if a.uploads[i] == nil {
			return errors.New("an upload is missing")
		}
		p.uploads[i] = slices.Clone(a.uploads[i])
		ring.Add(p.sum, a.uploads[i])
	}
	prg.Apply(p.sum, 0, streams)
	lie := 0
	if s.chance(30) {
		lie = 1 + s.rnd.IntN(3)
	}
	if lie == 1 || lie == 2 {
		p.sum[len(p.sum)-4] += 7
	}
	if lie == 2 {
		p.uploads[s.pick(a.server.Survivors())][len(p.sum)-4] += 7
	}
	root := secagg.SumRoot(p.sum)
	state, model := s.next(a.server.Sum(), secagg.ServerH3(a.server), root)
	if lie == 3 {
		model[0] ^= 1
	}
	frames, err := a.server.Result(uint32(len(p.sum)), root, state, model)
	if err != nil {
		return err
	}
	a.public[a.round] = p
	a.state, a.model = state, model
	for _, i := range s.some(a.server.Survivors().Minus(s.corrupt), 0).Members() {
		a.deliver(i, frames)
	}
	return nil
}
