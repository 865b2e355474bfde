package secagg_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// dspec returns the digest of the batch's spec.
func dspec(b *secaggtest.Batch) [32]byte { return b.Server.Spec().Digest() }

// requireLeft wants every given member to have left for a reason, with nothing
// secret kept.
func requireLeft(t *testing.T, b *secaggtest.Batch, want error, members ...uint8) {
	t.Helper()
	for _, i := range members {
		require.ErrorIs(t, b.Errors[i], want, "member %d", i)
		rho, seeds, shares, key := secagg.Secrets(b.Clients[i])
		require.Zero(t, rho)
		require.Zero(t, seeds+shares)
		require.False(t, key)
	}
}

// opening signs a spec and a sum as the coordinator.
func opening(b *secaggtest.Batch, spec secagg.Spec, sum secagg.Sum) []secagg.Frame {
	body, err := spec.MarshalBinary()
	require.NoError(b.T, err)
	sumBody, err := sum.MarshalBinary()
	require.NoError(b.T, err)
	return []secagg.Frame{
		secagg.SignFrame(b.Sign(0), secagg.TypeSpec, [32]byte{}, 0, body),
		secagg.SignFrame(b.Sign(0), secagg.TypeSum, spec.Digest(), 0, sumBody),
	}
}

// S10, h1: a key replaced on the way is not signed by its owner.
func TestCoordinatorSwapsKey(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{})
	b.Advertise(b.Cohort())
	b.ToNode = func(_ uint8, p []secagg.Frame) []secagg.Frame {
		p = slices.Clone(p)
		forged := secagg.ForgeAdvertKey(b.Sign(0), dspec(b), p[1], p[2])
		p[1] = forged
		return p
	}
	shareLying(t, b)
	requireLeft(t, b, secagg.ErrSignature, 1, 2, 3, 4, 5)
}

// S10: members nobody knows, and identities used twice.
func TestRosterSybil(t *testing.T) {
	good, _ := secaggtest.NewRoster(1, secaggtest.Indexes(5))
	require.NoError(t, good.Validate())
	for name, change := range map[string]func(m []secagg.Member){
		"name":        func(m []secagg.Member) { m[1].Name = m[0].Name },
		"empty name":  func(m []secagg.Member) { m[1].Name = "" },
		"index":       func(m []secagg.Member) { m[1].Index = m[0].Index },
		"index zero":  func(m []secagg.Member) { m[1].Index = 0 },
		"key":         func(m []secagg.Member) { m[1].Key = m[0].Key },
		"short key":   func(m []secagg.Member) { m[1].Key = m[1].Key[1:] },
		"coordinator": func(m []secagg.Member) { m[1].Key = good.Coordinator },
	} {
		r := good
		r.Members = slices.Clone(good.Members)
		change(r.Members)
		require.ErrorIs(t, r.Validate(), secagg.ErrRoster, name)
	}

	b := secaggtest.New(t, secaggtest.Options{})
	b.Advertise(b.Cohort())
	stranger := b.Sent[1][0][0]
	stranger.Sender = 9
	require.ErrorIs(t, b.Server.Receive(9, []secagg.Frame{stranger}), secagg.ErrSender) // S12
	require.ErrorIs(t, b.Server.Receive(1, []secagg.Frame{stranger}), secagg.ErrSender)
	b.ToNode = func(_ uint8, p []secagg.Frame) []secagg.Frame { return append(slices.Clone(p), stranger) }
	shareLying(t, b)
	requireLeft(t, b, secagg.ErrTranscript, 1, 2, 3, 4, 5)
}

// S10, S11: another roster version than the one the operator accepted.
func TestAnotherRosterVersion(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{Server: func(c *secagg.ServerConfig) { c.RosterDigest = secaggtest.Digest("roster 2") }})
	b.Advertise(b.Cohort())
	requireLeft(t, b, secagg.ErrRoster, 1, 2, 3, 4, 5)
	require.Empty(t, b.Facts[1])
}

// S10: one key under two names.
func TestDuplicateKeys(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{})
	var first, forged secagg.Frame
	b.ToCoord = func(from uint8, p []secagg.Frame) []secagg.Frame {
		if from == 2 {
			first = p[0]
		}
		if from == 3 {
			forged = secagg.ForgeAdvertKey(b.Sign(3), dspec(b), p[0], first)
			return []secagg.Frame{forged}
		}
		return p
	}
	b.Advertise(b.Cohort())
	require.ErrorIs(t, b.Refused[3], secagg.ErrTranscript)
	b.ToNode = func(_ uint8, p []secagg.Frame) []secagg.Frame { return slices.Insert(slices.Clone(p), 2, forged) }
	shareLying(t, b)
	requireLeft(t, b, secagg.ErrTranscript, 1, 2, 4, 5)
}

// S5: the values in the spec are only compared.
func TestCoordinatorLowersThreshold(t *testing.T) {
	for _, n := range []int{5, 7} {
		b := secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(n)})
		spec := b.Server.Spec()
		spec.T--
		b.ToNode = func(uint8, []secagg.Frame) []secagg.Frame { return opening(b, spec, b.Server.Sum()) }
		b.Advertise(b.Cohort())
		requireLeft(t, b, secagg.ErrThreshold, b.Opt.Members...)
	}
}

// S5: N never shrinks because members are absent.
func TestCohortShrunkToThosePresent(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(7)})
	spec := b.Server.Spec()
	spec.N, spec.T, spec.Cohort = 5, 4, secagg.SetOf(1, 2, 3, 4, 5)
	b.ToNode = func(to uint8, _ []secagg.Frame) []secagg.Frame {
		s := spec
		if to > 3 {
			s.Cohort = b.Cohort()
		}
		return opening(b, s, b.Server.Sum())
	}
	b.Advertise(b.Cohort())
	requireLeft(t, b, secagg.ErrPlan, 1, 2, 3)
	requireLeft(t, b, secagg.ErrThreshold, 4, 5, 6, 7)
}

// S6, S7: no configuration and no message brings the minimum below three.
func TestMinimumCohortTwo(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(4)})
	for name, change := range map[string]func(c *secagg.ClientConfig){
		"minimum of two":            func(c *secagg.ClientConfig) { c.MinCohort = 2 },
		"two survivors":             func(c *secagg.ClientConfig) { c.MinSurvivors = 2 },
		"cohort of two":             func(c *secagg.ClientConfig) { c.Cohort = secagg.SetOf(1, 2) },
		"four of a default of five": func(c *secagg.ClientConfig) { c.MinCohort = 0 },
	} {
		cfg := b.Configs[1]
		change(&cfg)
		_, err := secagg.NewClient(cfg)
		require.ErrorIs(t, err, secagg.ErrThreshold, name)
	}
	cfg := b.ServerConfig()
	cfg.Cohort = secagg.SetOf(1, 2)
	_, err := secagg.NewServer(cfg)
	require.ErrorIs(t, err, secagg.ErrThreshold)
}

// S7: a member's own minimum of survivors holds beyond t.
func TestMinimumSurvivors(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{Client: func(i uint8, c *secagg.ClientConfig) {
		if i == 1 {
			c.MinSurvivors = 5
		}
	}})
	require.ErrorIs(t, b.Run(map[uint8]secagg.Phase{5: secagg.PhaseMask}), secagg.ErrTooFew) // three agree, t is four
	requireLeft(t, b, secagg.ErrTooFew, 1)
}

// S23: members shown different sets make masks that do not cancel, and see it.
func TestCoordinatorSplitsTranscript(t *testing.T) {
	t.Run("U1", func(t *testing.T) {
		b := secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(7)})
		b.Advertise(b.Cohort())
		b.ToNode = func(to uint8, p []secagg.Frame) []secagg.Frame {
			if to <= 3 {
				return p[:6] // as if 7 had not advertised
			}
			return p
		}
		require.NoError(t, b.Share(b.Cohort()))
		for _, i := range []uint8{1, 2, 3} {
			require.ErrorIs(t, b.Refused[i], secagg.ErrTranscript)
		}
		var packet []secagg.Frame // every share, as a lying server would forward them
		for i := uint8(1); i <= 7; i++ {
			packet = append(packet, b.Sent[i][1][0])
			if i != 4 {
				packet = append(packet, b.Sent[i][1][1], b.Sent[i][1][len(b.Sent[i][1])-1])
			}
		}
		b.ToNode = nil
		b.Deliver(4, packet)
		requireLeft(t, b, secagg.ErrTranscript, 4)
	})
	t.Run("U2", func(t *testing.T) {
		b := secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(7)})
		b.Advertise(b.Cohort())
		require.NoError(t, b.Share(b.Cohort()))
		b.ToNode = func(to uint8, p []secagg.Frame) []secagg.Frame {
			if to <= 3 {
				return p[:len(p)-3] // as if 7 had not shared
			}
			return p
		}
		require.NoError(t, b.Mask(b.Cohort()))
		for _, i := range []uint8{1, 2, 3} {
			require.ErrorIs(t, b.Refused[i], secagg.ErrTranscript)
		}
		b.ToNode = nil
		set := secagg.SetOf(1, 4, 5, 6, 7)
		b.Deliver(5, survivors(b, set))
		requireLeft(t, b, secagg.ErrTranscript, 5)
	})
}

// shareLying goes on to Share though members leave at the adverts; in version 2
// that is the end, because not all reveal (V7).
func shareLying(t *testing.T, b *secaggtest.Batch) {
	t.Helper()
	if err := b.Share(b.Cohort()); b.Server.Phase() == secagg.PhaseAborted {
		require.ErrorIs(t, err, secagg.ErrTooFew)
	} else {
		require.NoError(t, err)
	}
}

// survivors makes the packet for any set from the masks members sent.
func survivors(b *secaggtest.Batch, set secagg.Set) []secagg.Frame {
	p := []secagg.Frame{secagg.ForgeSurvivors(b.Sign(0), dspec(b), b.Server.Sum().K, set)}
	for _, i := range set.Members() {
		p = append(p, b.Sent[i][2][0])
	}
	return p
}

// masked brings a batch to the point where all have uploaded.
func masked(t *testing.T, o secaggtest.Options) *secaggtest.Batch {
	t.Helper()
	b := secaggtest.New(t, o)
	b.Advertise(b.Cohort())
	require.NoError(t, b.Share(b.Cohort()))
	require.NoError(t, b.Mask(b.Cohort()))
	require.Empty(t, b.Errors)
	require.Empty(t, b.Refused)
	return b
}

// S23, S58: two models, to members that know better and to members that follow.
func TestCoordinatorShowsTwoModels(t *testing.T) {
	o := secaggtest.Options{Members: secaggtest.Indexes(7), Client: func(i uint8, c *secagg.ClientConfig) { c.Follow = i >= 6 }}
	b := secaggtest.New(t, o)
	sum := b.Server.Sum()
	sum.Model = secaggtest.Digest("trap")
	spec := b.Server.Spec()
	b.ToNode = func(to uint8, p []secagg.Frame) []secagg.Frame {
		s := spec
		if to != 2 && to != 7 {
			s.First = sum.Digest()
		}
		if to <= 2 || to >= 6 {
			return opening(b, s, sum)
		}
		return p
	}
	b.Advertise(b.Cohort())
	requireLeft(t, b, secagg.ErrModel, 1)
	requireLeft(t, b, secagg.ErrTranscript, 2, 7)         // the spec announces another sum
	require.ErrorIs(t, b.Refused[6], secagg.ErrSignature) // its advert is for another spec
}

// S62: following needs c+1 members who checked.
func TestFollowersNeedCheckers(t *testing.T) {
	for checkers, want := range map[uint8]error{2: secagg.ErrModel, 3: nil} {
		b := secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(7), Client: func(i uint8, c *secagg.ClientConfig) {
			c.Follow = i > checkers
			if c.Follow {
				c.Expect.Model, c.Expect.State = [32]byte{}, [32]byte{}
			}
		}})
		b.Advertise(b.Cohort())
		if want == nil {
			require.NoError(t, b.Share(b.Cohort()))
		} else {
			shareLying(t, b)
		}
		require.ErrorIs(t, errors.Join(b.Errors[1], b.Errors[7]), want)
	}
}

// S73: everything but the time follows from the plan.
func TestStepNotDerived(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *secagg.Sum)
		want   error
	}{
		"query":    {func(s *secagg.Sum) { s.Query[0] ^= 1 }, secagg.ErrPolicy},
		"step":     {func(s *secagg.Sum) { s.Step++ }, secagg.ErrPolicy},
		"bits":     {func(s *secagg.Sum) { s.Lanes, s.Bits = 3, 15 }, secagg.ErrPolicy},
		"no lanes": {func(s *secagg.Sum) { s.Lanes, s.Bits = 1, 64 }, secagg.ErrPolicy},
		"clip":     {func(s *secagg.Sum) { s.ClipInf *= 2 }, secagg.ErrPolicy},
		"no rows":  {func(s *secagg.Sum) { s.MinRows = 0 }, secagg.ErrPolicy},
		"state":    {func(s *secagg.Sum) { s.State[3] ^= 1 }, secagg.ErrModel},
		"model":    {func(s *secagg.Sum) { s.Model[3] ^= 1 }, secagg.ErrModel},
		"second":   {func(s *secagg.Sum) { s.K = 2 }, secagg.ErrTranscript},
		"round":    {func(s *secagg.Sum) { s.Round++ }, secagg.ErrTranscript},
		"members":  {func(s *secagg.Sum) { s.Members = s.Members.With(1) }, secagg.ErrTranscript},
	} {
		b := secaggtest.New(t, secaggtest.Options{})
		sum, spec := b.Server.Sum(), b.Server.Spec()
		c.change(&sum)
		spec.First = sum.Digest()
		b.Deliver(1, opening(b, spec, sum))
		require.ErrorIs(t, b.Errors[1], c.want, name)
	}
}
