package secagg_test

import (
	"bytes"
	"slices"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// split is a stage of a batch without a server: every packet is made by hand, and
// members may be shown different ones. At most two views of U1 and U2 and two of
// U3 are kept up; the corrupt members take part in both.
func (a *simAttempt) split() {
	switch a.stage {
	case 0:
		a.splitAdverts()
	case 1:
		a.splitShares()
	case 2:
		a.splitSurvivors()
	case 3:
		a.splitCertificates()
	case 4:
		a.splitNext()
	default:
		a.dead = true
	}
}

// splitAdverts shows U1, or two of them.
func (a *simAttempt) splitAdverts() {
	s := a.l.s
	here := a.have(secagg.TypeAdvert)
	a.group = map[uint8]int{}
	two := s.chance(15)
	for _, i := range here.Members() {
		if two && s.chance(30) {
			a.group[i] = 1
		}
	}
	for v := range a.crooks {
		a.u1[v] = here
		if s.chance(30) && here.Len() > 0 {
			a.u1[v] = s.some(here, here.Len()-1)
		}
		for i := range a.crooks[v] {
			a.u1[v] = a.u1[v].With(i)
		}
		var p []secagg.Frame
		for _, i := range a.u1[v].Members() {
			if c := a.crooks[v][i]; c != nil {
				p = append(p, secagg.OwnAdvert(c)...)
			} else {
				p = append(p, a.sent[i][secagg.TypeAdvert]...)
			}
		}
		a.pack[v] = map[uint8][]secagg.Frame{}
		if len(p) == 0 || v == 1 && !two {
			continue
		}
		for _, i := range here.Members() {
			if a.group[i] == v {
				a.deliver(i, p)
			}
		}
		for _, i := range s.corrupt.Members() {
			if c := a.crooks[v][i]; c != nil {
				if out, err := c.Receive(p); err == nil {
					a.pack[v][i] = a.spoiled(c, i, out.Send)
				}
			}
		}
	}
}

// spoiled is a corrupt member's share packet, now and then with bundles for some
// that are not what was promised: they complain, and show keys (S69).
func (a *simAttempt) spoiled(c *secagg.Client, i uint8, p []secagg.Frame) []secagg.Frame {
	s := a.l.s
	if often := s.weak == "complaint" && s.chance(70); !often && !s.chance(8) {
		return p
	}
	u1 := secagg.ViewOf(c).U1
	for _, victim := range s.some(u1.Minus(s.corrupt), 1).Members() {
		if s.chance(30) {
			continue
		}
		p = secagg.ForgeBundle(c, p, victim, func(pk, info []byte) []byte {
			return secagg.SealGarbage(s.seal, pk, info, int(s.sums), secagg.Dealt(i, u1), secagg.Deals(i, victim))
		})
	}
	return p
}

// splitShares shows U2, or several within one U1.
func (a *simAttempt) splitShares() {
	s := a.l.s
	shared := a.have(secagg.TypeShare)
	for v := range a.crooks {
		var dealers secagg.Set
		for _, i := range shared.Members() {
			if a.group[i] == v {
				dealers = dealers.With(i)
			}
		}
		to := dealers
		for i, p := range a.pack[v] {
			if p != nil {
				dealers = dealers.With(i)
			}
		}
		views := []secagg.Set{dealers, dealers}
		if dealers.Len() > 0 && s.chance(25) {
			views[1] = s.some(dealers, dealers.Len()-1)
		}
		if dealers.Len() > 0 && s.chance(20) {
			views[0] = s.some(dealers, s.t)
		}
		for _, i := range to.Members() {
			if p := a.sharesFor(v, i, views[s.rnd.IntN(2)].With(i)); p != nil {
				a.deliver(i, p)
			}
		}
	}
}

// sharesFor is the packet of shares, rows and bundles of U2 for a member.
func (a *simAttempt) sharesFor(v int, j uint8, u2 secagg.Set) (packet []secagg.Frame) {
	for _, d := range u2.Members() {
		p := a.pack[v][d]
		if a.l.s.honest.Has(d) {
			p = a.sent[d][secagg.TypeShare]
		}
		if p == nil {
			return nil
		}
		packet = append(packet, p[0])
		if d == j {
			continue
		}
		n := len(p) / 2
		var row, bundle *secagg.Frame
		at := 0
		for k, i := range a.u1[v].Members() {
			if i == j {
				row = &p[1+k]
			}
			if i != d {
				if i == j {
					bundle = &p[1+n+at]
				}
				at++
			}
		}
		if row == nil || bundle == nil {
			return nil
		}
		packet = append(packet, *row, *bundle)
	}
	return packet
}

// splitSurvivors shows up to two sets of survivors to those who have uploaded.
func (a *simAttempt) splitSurvivors() {
	s := a.l.s
	masked := a.have(secagg.TypeMask)
	two := s.chance(60)
	for v := range a.survivors {
		set := s.some(masked.Union(s.corrupt), s.t)
		switch {
		case s.chance(15):
			set = s.some(masked, 1).Union(s.corrupt)
		case s.chance(40) && masked.Len() > 0:
			set = masked.Union(s.corrupt).Without(s.pick(masked))
		}
		a.survivors[v] = set
	}
	for _, i := range masked.Members() {
		if two && s.chance(40) {
			a.side[i] = 1
		}
		a.tell(i, a.survivors[a.side[i]])
		if s.chance(20) { // and then the other set
			a.side[i] = 1 - a.side[i]
			a.tell(i, a.survivors[a.side[i]])
		}
	}
}

// tell shows a member a set of survivors, the corrupt with masks for its transcript.
func (a *simAttempt) tell(i uint8, set secagg.Set) {
	s := a.l.s
	spec, err := secagg.ParseSpec(a.opening[0].Body)
	se := s.nodes[i].sessions[a.run]
	if err != nil || se == nil || se.over() {
		return
	}
	g := secagg.ViewOf(se.client).G
	p := []secagg.Frame{secagg.ForgeSurvivors(s.sign(0), spec.Digest(), a.k, set)}
	for _, j := range set.Members() {
		switch {
		case s.corrupt.Has(j):
			p = append(p, secagg.MakeMask(s.sign(j), spec.Digest(), j, a.k, g, s.vector(j, a.number)))
		case a.sent[j][secagg.TypeMask] != nil:
			p = append(p, a.sent[j][secagg.TypeMask][0])
		}
	}
	a.deliver(i, a.excuse(p))
}

// splitCertificates gathers agreements that are alike, adds the corrupt members'
// and shows them; or too few, or those of others.
func (a *simAttempt) splitCertificates() {
	s := a.l.s
	spec, err := secagg.ParseSpec(a.opening[0].Body)
	if err != nil {
		a.dead = true
		return
	}
	agreed := a.have(secagg.TypeAgree)
	for _, i := range agreed.Members() {
		body := a.sent[i][secagg.TypeAgree][0].Body
		set := a.survivors[a.side[i]]
		var signs []secagg.Frame
		for _, j := range set.Union(agreed).Members() {
			switch f := a.sent[j][secagg.TypeAgree]; {
			case s.corrupt.Has(j):
				signs = append(signs, secagg.SignFrame(s.sign(j), secagg.TypeAgree, spec.Digest(), j, body))
			case f != nil && (bytes.Equal(f[0].Body, body) || s.chance(5)):
				signs = append(signs, f[0])
			}
		}
		if s.chance(10) && len(signs) > 1 {
			signs = slices.Delete(signs, 0, 1+s.rnd.IntN(len(signs)-1))
		}
		a.deliver(i, []secagg.Frame{secagg.ForgeCertificate(signs)})
	}
}

// splitNext claims that the sum came to nothing and asks for the same step again
// in the next sum of the batch, of each member as it expects it.
func (a *simAttempt) splitNext() {
	s := a.l.s
	spec, err := secagg.ParseSpec(a.opening[0].Body)
	if err != nil || a.k >= spec.Sums || s.chance(30) {
		a.dead = true
		return
	}
	body := append([]byte{byte(a.k >> 8), byte(a.k), secagg.ReasonAgree}, make([]byte, 32)...)
	over := []secagg.Frame{secagg.SignFrame(s.sign(0), secagg.TypeAbort, spec.Digest(), 0, body)}
	told := s.some(s.honest, s.honest.Len()-1)
	for _, i := range told.Members() {
		if se := s.nodes[i].sessions[a.run]; se != nil && !se.over() && se.round == a.round {
			a.deliver(i, over)
		}
	}
	a.begun()
	for _, i := range told.Members() {
		se := s.nodes[i].sessions[a.run]
		if se == nil || se.over() || se.round+1 != a.round {
			continue
		}
		view := secagg.ViewOf(se.client)
		sum := s.step(a.number, a.state, a.model)
		sum.Run, sum.Round, sum.K, sum.Members, sum.Prev = a.run, a.round, a.k, view.Next, view.Prev
		if s.chance(10) {
			sum.Members = sum.Members.Without(s.pick(s.cohort()))
		}
		sumBody, _ := sum.MarshalBinary()
		a.deliver(i, []secagg.Frame{secagg.SignFrame(s.sign(0), secagg.TypeSum, spec.Digest(), 0, sumBody)})
	}
	a.side = map[uint8]int{}
	a.stage = 1
}
