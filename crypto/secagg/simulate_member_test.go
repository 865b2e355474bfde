package secagg_test

import (
	"slices"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// simLie is how a corrupt member departs from the protocol; each holds for the
// whole history.
type simLie struct {
	silent                            secagg.Type // says nothing from this message on
	late                              bool
	share, dealing, bundle, garbled   bool // wrong shares given, dealt, sealed; sealed so that nothing opens
	twice, complaint, dispute, vector bool
	junk                              bool
}

// lies draws what each corrupt member does.
func (s *simulation) lies() {
	for _, i := range s.corrupt.Members() {
		l := &s.nodes[i].lie
		for range 1 + s.rnd.IntN(2) {
			switch s.rnd.IntN(12) {
			case 0:
				l.silent = []secagg.Type{secagg.TypeAdvert, secagg.TypeShare, secagg.TypeMask, secagg.TypeAgree, secagg.TypeUnmask}[s.rnd.IntN(5)]
			case 1:
				l.late = true
			case 2:
				l.share = true
			case 3:
				l.dealing = true
			case 4:
				l.bundle = true
			case 5:
				l.garbled = true
			case 6:
				l.twice = true
			case 7:
				l.complaint = true
			case 8:
				l.dispute = true
			case 9:
				l.vector = true
			case 10:
				l.junk = true
			}
		}
	}
}

// lied is what a corrupt member sends in place of a packet: any number of packets.
func (n *simNode) lied(se *simSession, p []secagg.Frame) (all [][]secagg.Frame) {
	l, t := n.lie, p[0].Type
	if l.silent != 0 && t >= l.silent && t < secagg.TypeComplaint {
		return nil
	}
	s, c, spec := n.s, se.client, specDigest(se.client)
	view := secagg.ViewOf(c)
	victim := s.pick(s.cohort())
	switch {
	case t == secagg.TypeShare && l.dealing && view.U1.Has(victim):
		p = secagg.ForgeDeal(c, func(shares map[uint8][][32]byte) {
			for k := range shares[victim] {
				shares[victim][k][0] ^= 0x55
			}
		})
	case t == secagg.TypeShare && (l.bundle || l.garbled) && view.U1.Without(n.i).Has(victim):
		p = secagg.ForgeBundle(c, p, victim, func(pk, info []byte) []byte {
			body := secagg.SealGarbage(s.seal, pk, info, int(s.sums), secagg.Dealt(n.i, view.U1), secagg.Deals(n.i, victim))
			if l.garbled {
				body[0] ^= 1
			}
			return body
		})
	case t == secagg.TypeMask && l.complaint && view.U2.Without(n.i).Has(victim):
		return [][]secagg.Frame{{secagg.ForgeComplaint(s.sign(n.i), spec, n.i, victim, secaggtest.Digest("any key"))}}
	case t == secagg.TypeMask && l.dispute && view.U2.Without(n.i).Has(victim):
		return [][]secagg.Frame{{secagg.SignFrame(s.sign(n.i), secagg.TypeDispute, spec, n.i, []byte{victim, 1})}}
	case t == secagg.TypeUnmask && l.share:
		p = []secagg.Frame{secagg.ForgeUnmask(s.sign(n.i), spec, p[0], s.rnd.IntN(64))}
	}
	all = append(all, p)
	if l.twice {
		all = append(all, n.second(se, p))
	}
	if l.junk {
		all = append(all, n.junk(spec))
		s.rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	return all
}

// second is another packet where one is allowed, properly signed.
func (n *simNode) second(se *simSession, p []secagg.Frame) []secagg.Frame {
	p = slices.Clone(p)
	switch t := p[0].Type; t {
	case secagg.TypeAdvert:
		cfg := n.config(se.run)
		cfg.LastRound = 0
		if c, err := secagg.NewClient(cfg); err == nil {
			if out, err := c.Receive(se.opening); err == nil {
				return out.Send
			}
		}
	case secagg.TypeAgree, secagg.TypeUnmask, secagg.TypeMask, secagg.TypeShare:
		body := slices.Clone(p[0].Body)
		body[n.s.rnd.IntN(len(body))] ^= 1 << n.s.rnd.IntN(8)
		p[0] = secagg.SignFrame(n.s.sign(n.i), t, specDigest(se.client), n.i, body)
	}
	return p
}

// junk is a signed message of any type with any body.
func (n *simNode) junk(spec [32]byte) []secagg.Frame {
	types := []secagg.Type{
		secagg.TypeAdvert, secagg.TypeShare, secagg.TypeMask, secagg.TypeAgree, secagg.TypeUnmask, secagg.TypeComplaint, secagg.TypeDispute,
	}
	t := types[n.s.rnd.IntN(len(types))]
	size := map[secagg.Type]int{secagg.TypeAdvert: 1281, secagg.TypeShare: 96, secagg.TypeMask: 70, secagg.TypeAgree: 66, secagg.TypeUnmask: 36, secagg.TypeComplaint: 34, secagg.TypeDispute: 2}[t]
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(n.s.rnd.IntN(256))
	}
	if t == secagg.TypeComplaint || t == secagg.TypeDispute {
		body[0] = n.s.pick(n.s.cohort())
	}
	return []secagg.Frame{secagg.SignFrame(n.s.sign(n.i), t, spec, n.i, body)}
}

func specDigest(c *secagg.Client) [32]byte {
	spec, _ := c.Spec()
	return spec.Digest()
}

// damaged flips a bit in a frame of a packet; nil if nothing can be read any more.
func (s *simulation) damaged(p []secagg.Frame) []secagg.Frame {
	p = slices.Clone(p)
	k := s.rnd.IntN(len(p))
	b, err := p[k].MarshalBinary()
	if err != nil {
		return nil
	}
	b[s.rnd.IntN(len(b))] ^= 1 << s.rnd.IntN(8)
	if p[k], err = secagg.ParseFrame(b); err != nil {
		return nil
	}
	return p
}
