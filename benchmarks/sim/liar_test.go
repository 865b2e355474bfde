package sim

import (
	"slices"
	"testing"

	"github.com/koinon-eu/koinon/crypto/secagg"

	"github.com/stretchr/testify/require"
)

// Each test below is one lie of a coordinator told to real nodes over mutual TLS: "a coordinator that lies (swaps a
// key, shows two models, asks for both seeds of a node, splits the survivors, lowers the threshold) is refused by the
// honest nodes: one test each". What every check does is tested in crypto/secagg; here, that the node's driver has
// each of them in place, leaves with the right sentinel, and has said nothing more than it should.

// refuses waits until a node has left the open round because of want, and checks that in that round of that run
// nothing but the given types has left it.
func (c *crook) refuses(name string, want error, said ...string) {
	c.t.Helper()
	a := c.actors[name]
	eventually(c.t, name+" leaves", func() bool { return len(a.left()) > 0 })
	left := a.left()
	require.ErrorIs(c.t, left[len(left)-1], want, name)
	require.ElementsMatch(c.t, said, a.said(c.run, c.round), name)
}

// said lists the types of what a node has sent in a round of the protocol, in order. Its leaving is not among them,
// nor are calls that ask for something and carry no data.
func (a *actor) said(run [16]byte, round uint32) (types []string) {
	for _, m := range a.wire.Sent() {
		if m.Round == round && [16]byte(m.Run) == run && !slices.Contains([]string{"left", "have", "sum", "spot"}, m.Type) &&
			!slices.Contains(types, m.Type) {
			types = append(types, m.Type)
		}
	}
	return types
}

// Everything a node says until its vector is whole.
var untilMask = []string{"advert", "share", "mask", "chunk"}

// TestLiarSwapsKey: a key of another member replaced on the way (S10, h1): ErrSignature, and no seed is dealt.
func TestLiarSwapsKey(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.alter = func(to uint8, p []secagg.Frame) []secagg.Frame {
		if p[0].Type != secagg.TypeAdvert || to != 1 {
			return p
		}
		p = slices.Clone(p)
		own := slices.Clone(p[4].Body) // with a key that the coordinator could open bundles with
		copy(own[33:], p[2].Body[33:33+1216])
		p[4] = c.resign(secagg.TypeAdvert, c.server.Spec().Digest(), own)
		p[4].Sender = 5
		return p
	}
	require.NoError(t, c.upTo(secagg.PhaseShare))
	c.refuses("DE", secagg.ErrSignature, "advert")
}

// TestLiarShowsTwoModels: one member is shown another model, properly signed (S58, S73): ErrModel before it says a
// word; the same for another state.
func TestLiarShowsTwoModels(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.alter = func(to uint8, p []secagg.Frame) []secagg.Frame {
		sum := c.server.Sum()
		switch {
		case p[0].Type != secagg.TypeSpec:
			return p
		case to == 1:
			sum.Model[3] ^= 1
		case to == 2:
			sum.State[3] ^= 1
		default:
			return p
		}
		return c.opening(c.server.Spec(), sum)
	}
	require.NoError(t, c.upTo(secagg.PhaseAdvertise))
	c.refuses("DE", secagg.ErrModel)
	c.refuses("FR", secagg.ErrModel)
}

// TestLiarAsksForBothSeeds: after its Agree for U3 a node is told that PT has dropped out, which would make it give
// PT's pair seeds after PT's own seed was promised (S24, S26, S30): ErrEquivocation, no shares.
func TestLiarAsksForBothSeeds(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	require.NoError(t, c.upTo(secagg.PhaseAgree))
	c.mu.Lock()
	p, err := c.server.CloseMask()
	require.NoError(t, err)
	c.send(secagg.SetOf(1, 2), same(c.survivorsWithout(p, 5)))
	c.mu.Unlock()
	c.refuses("DE", secagg.ErrEquivocation, append(untilMask, "agree")...)
	c.refuses("FR", secagg.ErrEquivocation, append(untilMask, "agree")...)
	require.Empty(t, c.actors["PT"].left())
}

// TestLiarSplitsSurvivors: two members are shown U3 without PT, the others U3 with PT, and each half gets a
// certificate made of both halves' signatures, or of too few (Agreed row, S23): ErrCertificate at everyone, no shares.
func TestLiarSplitsSurvivors(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.alter = func(to uint8, p []secagg.Frame) []secagg.Frame {
		if p[0].Type == secagg.TypeSurvivors && to <= 2 {
			return c.survivorsWithout(p, 5)
		}
		return p
	}
	require.NoError(t, c.upTo(secagg.PhaseAgree))
	c.mu.Lock()
	c.alter = nil
	c.send(secagg.SetOf(1, 3), same(c.certificateOf(1, 2, 3, 4)))
	c.send(secagg.SetOf(2), same(c.certificateOf(1, 2)))
	c.send(secagg.SetOf(4, 5), same(c.certificateOf(3, 4, 5)))
	c.mu.Unlock()
	for _, name := range five {
		c.refuses(name, secagg.ErrCertificate, append(untilMask, "agree")...)
	}
}

// TestLiarLowersThreshold: t below ⌊2N/3⌋+1, N counted from those present, a cohort that is not the plan's (S5, S8):
// refused before a word is said.
func TestLiarLowersThreshold(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.alter = func(to uint8, p []secagg.Frame) []secagg.Frame {
		spec := c.server.Spec()
		switch to {
		case 1:
			spec.T = 3
		case 2:
			spec.N, spec.T = 4, 3
		case 3:
			spec.N, spec.T, spec.Cohort = 4, 3, spec.Cohort.Without(5)
		case 4:
			spec.Cohort = spec.Cohort.Without(5).With(9)
		case 5:
			spec.Cohort = spec.Cohort.With(9)
		}
		return c.opening(spec, c.server.Sum())
	}
	require.NoError(t, c.upTo(secagg.PhaseAdvertise))
	c.refuses("DE", secagg.ErrThreshold)
	c.refuses("FR", secagg.ErrThreshold)
	for _, name := range []string{"IT", "PL", "PT"} {
		c.refuses(name, secagg.ErrPlan)
	}
}

// TestLiarIsAnotherCoordinator: a spec under another key, another federation, another roster (S3, S10): ErrSignature
// and ErrRoster.
func TestLiarIsAnotherCoordinator(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.alter = func(to uint8, p []secagg.Frame) []secagg.Frame {
		spec := c.server.Spec()
		switch to {
		case 1:
			p = slices.Clone(p)
			p[0].Signature = slices.Clone(p[0].Signature)
			p[0].Signature[9] ^= 1
			return p
		case 2:
			spec.Federation[0] ^= 1
		case 3:
			spec.Roster[0] ^= 1
		case 4:
			spec.Run[0] ^= 1
		}
		return c.opening(spec, c.server.Sum())
	}
	require.NoError(t, c.upTo(secagg.PhaseAdvertise))
	c.refuses("DE", secagg.ErrSignature)
	for _, name := range []string{"FR", "IT", "PL"} {
		c.refuses(name, secagg.ErrRoster)
	}
}

// TestLiarChangesStep: query, clip, bits, weights, bounds, kind and ordinal of a training step follow from the plan
// and the state; the node derives them itself (S73): ErrPolicy before a word is said.
func TestLiarChangesStep(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.whole(3) // statistics
	lies := map[string]func(*secagg.Sum){
		"query":       func(s *secagg.Sum) { s.Query[0] ^= 1 },
		"clip":        func(s *secagg.Sum) { s.ClipL2 *= 2 },
		"clip inf":    func(s *secagg.Sum) { s.ClipInf *= 2 },
		"bits":        func(s *secagg.Sum) { s.Lanes, s.Bits = 3, 15 },
		"parameters":  func(s *secagg.Sum) { s.Params++ },
		"integers":    func(s *secagg.Sum) { s.Ints++; s.IntMax = 1 << 20 },
		"weight cap":  func(s *secagg.Sum) { s.WeightCap *= 2 },
		"weight bits": func(s *secagg.Sum) { s.WeightBits++ },
		"min rows":    func(s *secagg.Sum) { s.MinRows++ },
		"kind":        func(s *secagg.Sum) { s.Kind = 4 },
		"ordinal":     func(s *secagg.Sum) { s.Step += 2 },
	}
	for name, lie := range lies {
		c.alterSum = lie
		require.NoError(t, c.upTo(secagg.PhaseAdvertise), name)
		for _, member := range five {
			c.refuses(member, secagg.ErrPolicy)
		}
	}
	c.alterSum = nil
	c.whole(1) // and the honest step goes on
}

// TestLiarReplaysSpec: an old opening, as it was and with the present state under its old number (S13, S63): the state
// is not the node's any more (ErrModel), the number not newer (ErrStale).
func TestLiarReplaysSpec(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.whole(1)
	c.mu.Lock()
	old := c.server.Opening()
	c.mu.Unlock()
	for name, a := range c.actors {
		eventually(t, name+" has closed it", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return len(a.closed) == 1 })
	}
	said := c.actors["DE"].said(c.run, 1)
	c.mu.Lock()
	c.send(c.server.Spec().Cohort, same(old))
	c.mu.Unlock()
	for _, name := range five {
		c.refuses(name, secagg.ErrModel, said...)
	}
	c.round = 0
	require.NoError(t, c.upTo(secagg.PhaseAdvertise))
	for _, name := range five {
		eventually(t, name+" leaves again", func() bool { return len(c.actors[name].left()) == 2 })
		c.refuses(name, secagg.ErrStale, said...)
	}
}

// TestLiarTellsFalseSum: one word of the sum is another one and everything that follows from it is honest (S56):
// ErrSpotCheck. The node leaves the run until its operator decides.
func TestLiarTellsFalseSum(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.whole(3)
	c.falsify = func(sum []uint64) { sum[0]++ }
	require.NoError(t, c.upTo(secagg.PhasePublish))
	c.stopped(secagg.ErrSpotCheck)
}

// TestLiarTellsFalseModel: state or model in the result are not what follows from the sum (S58, S60): ErrModel.
func TestLiarTellsFalseModel(t *testing.T) {
	for name, lie := range map[string]func(state, model *[32]byte){
		"model": func(_, m *[32]byte) { m[0] ^= 1 },
		"state": func(s, _ *[32]byte) { s[0] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			c := hire(t, testPlan(t), nil)
			c.announce = lie
			require.NoError(t, c.upTo(secagg.PhasePublish))
			c.stopped(secagg.ErrModel)
		})
	}
}

// TestLiarServesAnotherSum: the sum that is served is not the announced one (S60): ErrResult.
func TestLiarServesAnotherSum(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.swap = true
	require.NoError(t, c.upTo(secagg.PhasePublish))
	c.stopped(secagg.ErrResult)
}

// stopped wants every node to have left the run for good because of want, and to say nothing in the next round.
func (c *crook) stopped(want error) {
	c.t.Helper()
	for name, a := range c.actors {
		eventually(c.t, name+" stops the run", func() bool {
			run, _, err := a.store.Run(c.run, c.plan.Learning())
			return err == nil && run.Stopped != "" && len(a.left()) > 0
		})
		require.ErrorIs(c.t, a.left()[0], want)
	}
	c.announce, c.falsify = nil, nil
	require.NoError(c.t, c.upTo(secagg.PhaseAdvertise))
	for _, name := range five {
		eventually(c.t, name+" leaves again", func() bool { return len(c.actors[name].left()) == 2 })
		c.refuses(name, secagg.ErrPlan)
	}
}
