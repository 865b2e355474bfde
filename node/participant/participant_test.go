package participant_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/hpkeseal"
	"github.com/koinon-eu/koinon/node/participant"
)

// everyone is the cohort of a script.
var everyone = secagg.SetOf(1, 2, 3, 4, 5)

// TestRound goes through an honest round and looks at phases and facts on the way.
func TestRound(t *testing.T) {
	s := newScript(t).start(nil)
	s.advertise()
	require.Equal(t, participant.Advertise, s.parts[1].Phase())
	require.Equal(t, uint32(4), s.parts[1].Round())
	s.share()
	require.Equal(t, participant.Share, s.parts[1].Phase())
	s.mask(everyone)
	require.Equal(t, participant.Mask, s.parts[1].Phase())
	s.agree()
	require.Equal(t, participant.Agree, s.parts[1].Phase())
	s.all(everyone, s.certificate())
	require.Equal(t, participant.Unmask, s.parts[1].Phase())
	s.all(everyone, s.result())
	for i := uint8(1); i <= 5; i++ {
		require.Equal(t, participant.Closed, s.parts[i].Phase())
		require.Equal(t, everyone, s.closed[i].Survivors)
		kinds := []secagg.FactKind{}
		for _, f := range s.facts[i] {
			kinds = append(kinds, f.Kind)
		}
		require.Equal(t, []secagg.FactKind{secagg.FactRound, secagg.FactMasked, secagg.FactLock}, kinds) // S63
	}
}

// TestFactsComeBeforeFrames holds each Output to S33 and S63: what must be durable is in the same Output as what
// leaves, so a driver that stores first can crash between the two without harm.
func TestFactsComeBeforeFrames(t *testing.T) {
	s := newScript(t).start(nil)
	out, err := s.parts[1].Receive(s.server.Opening())
	require.NoError(t, err)
	require.Equal(t, secagg.FactRound, out.Store[0].Kind)
	require.Equal(t, secagg.TypeAdvert, out.Send[0].Type)
	s.take(1, out)
	for i := uint8(2); i <= 5; i++ {
		require.NoError(t, s.give(i, s.server.Opening()))
	}
	s.share()
	s.mask(everyone)
	s.agree()
	out, err = s.parts[1].Receive(s.certificate())
	require.NoError(t, err)
	require.Len(t, out.Store, 1)
	require.Equal(t, secagg.FactLock, out.Store[0].Kind)
	require.Equal(t, everyone, out.Store[0].Survivors)
	require.Equal(t, secagg.TypeUnmask, out.Send[0].Type)
}

// TestRefusedBeforeTheRound lists plans that New does not let run (S73 does not come into it yet).
func TestRefusedBeforeTheRound(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*participant.Config)
		want   error
	}{
		"not approved":      {func(c *participant.Config) { c.Approved = false }, participant.ErrNotApproved},
		"expired":           {func(c *participant.Config) { c.Today = "2028-01-01" }, secagg.ErrPlan},
		"not in the cohort": {func(c *participant.Config) { c.Self = 9 }, secagg.ErrPlan},
		"cohort too small":  {func(c *participant.Config) { c.Policy.MinCohort = 6 }, secagg.ErrPolicy},
		"too many rounds":   {func(c *participant.Config) { c.Policy.MaxRounds = 2 }, secagg.ErrPolicy},
		"vector too long":   {func(c *participant.Config) { c.Policy.MaxWords = 10 }, secagg.ErrPolicy},
		"no roster":         {func(c *participant.Config) { c.Roster = nil }, secagg.ErrPlan},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			cfg := s.config(1)
			c.change(&cfg)
			_, err := participant.New(cfg)
			require.ErrorIs(t, err, c.want)
		})
	}
}

// TestUnattendedRule lets a rule of the policy stand in for the operator.
func TestUnattendedRule(t *testing.T) {
	s := newScript(t)
	cfg := s.config(1)
	cfg.Approved = false
	cfg.Policy.Unattended = []federation.Rule{{Purposes: []string{"document-risk"}}}
	_, err := participant.New(cfg)
	require.NoError(t, err)
}

// TestLyingSum lists sums that a coordinator may not send, because the node derived another (S73, S58).
func TestLyingSum(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*secagg.Sum)
		want   error
	}{
		"query":        {func(m *secagg.Sum) { m.Query[0] ^= 1 }, secagg.ErrPolicy},
		"step":         {func(m *secagg.Sum) { m.Step++ }, secagg.ErrPolicy},
		"kind":         {func(m *secagg.Sum) { m.Kind = 2 }, secagg.ErrPolicy},
		"bits":         {func(m *secagg.Sum) { m.Params, m.Lanes, m.Bits, m.ClipL2, m.ClipInf = 1, 3, 15, 1, 1 }, secagg.ErrPolicy},
		"clip":         {func(m *secagg.Sum) { m.ClipInf = 2 }, secagg.ErrPolicy},
		"ints":         {func(m *secagg.Sum) { m.Ints++ }, secagg.ErrPolicy},
		"int max":      {func(m *secagg.Sum) { m.IntMax /= 2 }, secagg.ErrPolicy},
		"weight cap":   {func(m *secagg.Sum) { m.WeightCap /= 2 }, secagg.ErrPolicy},
		"weight bits":  {func(m *secagg.Sum) { m.WeightBits++ }, secagg.ErrPolicy},
		"min rows":     {func(m *secagg.Sum) { m.MinRows++ }, secagg.ErrPolicy},
		"model":        {func(m *secagg.Sum) { m.Model[0] ^= 1 }, secagg.ErrModel},
		"state":        {func(m *secagg.Sum) { m.State[0] ^= 1 }, secagg.ErrModel},
		"stale round":  {func(m *secagg.Sum) { m.Round = 3 }, secagg.ErrStale},
		"foreign run":  {func(m *secagg.Sum) { m.Run = [16]byte{8} }, secagg.ErrRoster},
		"round zero":   {func(m *secagg.Sum) { m.Round = 0 }, secagg.ErrStale},
		"weight limit": {func(m *secagg.Sum) { m.WeightCap++ }, secagg.ErrPolicy},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t).start(nil)
			lie := s.sum
			c.change(&lie)
			_, err := s.parts[1].Receive(s.serve(lie).Opening())
			require.ErrorIs(t, err, c.want)
			require.Equal(t, participant.Left, s.parts[1].Phase())
			_, err = s.parts[1].Receive(s.server.Opening()) // it does not come back either
			require.ErrorIs(t, err, secagg.ErrLeft)
		})
	}
}

// TestTooFewRows declines instead of contributing nothing (S44).
func TestTooFewRows(t *testing.T) {
	s := newScript(t).start(func(i uint8, c *participant.Config) { c.Rows = 0 })
	_, err := s.parts[1].Receive(s.server.Opening())
	require.ErrorIs(t, err, secagg.ErrNoData)
}

// TestTwoModels: a coordinator that shows one member another model than the rest, in one round. That member's own
// recomputation refuses (S58); were it fooled too, its advert would not belong to the others' spec.
func TestTwoModels(t *testing.T) {
	other := newScript(t)
	other.sum.Model[0] ^= 1
	s := newScript(t).start(func(i uint8, c *participant.Config) {
		if i == 5 {
			c.Expect = other.sum // as if member 5 had computed this model
		}
	})
	for i := uint8(1); i <= 4; i++ {
		require.NoError(t, s.give(i, s.server.Opening()))
	}
	out, err := s.parts[5].Receive(s.serve(other.sum).Opening())
	require.NoError(t, err)
	require.Error(t, s.server.Receive(5, out.Send))
	frames, err := s.server.CloseAdvertise()
	require.NoError(t, err)
	_, err = s.parts[5].Receive(frames)
	require.Error(t, err)
	require.Equal(t, participant.Left, s.parts[5].Phase())
}

// TestAnswersAreIdempotent: the same packet again gets the same bytes (S30), and another packet of the same kind is
// equivocation.
func TestAnswersAreIdempotent(t *testing.T) {
	s := newScript(t).start(nil)
	first, err := s.parts[1].Receive(s.server.Opening())
	require.NoError(t, err)
	again, err := s.parts[1].Receive(s.server.Opening())
	require.NoError(t, err)
	require.Equal(t, first.Send, again.Send)
	require.Equal(t, first.Send, s.parts[1].Again())
	require.Equal(t, participant.Advertise, s.parts[1].Phase())
	lie := s.sum
	lie.Query[0] ^= 1
	_, err = s.parts[1].Receive(s.serve(lie).Opening())
	require.ErrorIs(t, err, secagg.ErrEquivocation)
}

// TestDeadline leaves when the coordinator is silent for longer than min(spec, own maximum) and a message's way (S67).
func TestDeadline(t *testing.T) {
	s := newScript(t).start(func(i uint8, c *participant.Config) {
		if i == 2 {
			c.Policy.PhaseTicks = 3
		}
	})
	require.NoError(t, s.parts[1].Tick()) // no spec yet: nothing runs
	s.advertise()
	left := func(i uint8) (ticks int) {
		for {
			ticks++
			if err := s.parts[i].Tick(); err != nil {
				require.ErrorIs(t, err, participant.ErrDeadline)
				return ticks
			}
		}
	}
	require.Equal(t, 30+5+1, left(1))
	require.Equal(t, 3+5+1, left(2))
	require.Equal(t, participant.Left, s.parts[1].Phase())
	require.Nil(t, s.parts[1].Again())
}

// TestRestartIsDropout: a node that comes back has a new ρ and no part in the open round (S64).
func TestRestartIsDropout(t *testing.T) {
	s := newScript(t).start(nil)
	s.advertise()
	s.share()
	cfg := s.config(5)
	cfg.LastRound = 4 // stored before its first advert left
	cfg.Rho = [32]byte{9}
	restarted, err := participant.New(cfg)
	require.NoError(t, err)
	_, err = restarted.Receive(s.server.Opening())
	require.ErrorIs(t, err, secagg.ErrStale)
	s.mask(secagg.SetOf(1, 2, 3, 4))
	s.agree()
	s.all(s.server.Survivors(), s.certificate())
	s.all(s.server.Survivors(), s.result())
	require.Equal(t, secagg.SetOf(1, 2, 3, 4), s.closed[1].Survivors)
}

// TestLockedStep signs no second survivor set for a step (S33).
func TestLockedStep(t *testing.T) {
	s := newScript(t).start(func(i uint8, c *participant.Config) {
		c.Lock = func([32]byte) (secagg.Set, bool) { return everyone, true }
	})
	s.advertise()
	s.share()
	s.mask(secagg.SetOf(1, 2, 3, 4))
	frames, err := s.server.CloseMask()
	require.NoError(t, err)
	_, err = s.parts[1].Receive(frames)
	require.ErrorIs(t, err, secagg.ErrStepReleased)
}

// TestDisputeIsStillSent: a bundle that does not open ends the round for its recipient, whose signed dispute is still
// to be sent (S70).
func TestDisputeIsStillSent(t *testing.T) {
	s := newScript(t).start(func(i uint8, c *participant.Config) {
		if i == 2 {
			c.Seal = func(pk, info []byte) (enc, key []byte, err error) {
				enc, key, err = hpkeseal.Seal(pk, info)
				key[0] ^= 1
				return enc, key, err
			}
		}
	})
	s.advertise()
	s.share()
	frames, err := s.server.CloseShare()
	require.NoError(t, err)
	out, err := s.parts[1].Receive(frames[1])
	require.ErrorIs(t, err, secagg.ErrBundle)
	require.Equal(t, participant.Left, s.parts[1].Phase())
	require.Equal(t, secagg.TypeDispute, out.Send[0].Type)
	require.NoError(t, s.server.Receive(1, out.Send))
	require.Len(t, s.server.Disputes(), 1)
}

// TestRepeatedShareAsksAgain: after a restart of the coordinator in Mask the upload is asked for once more (S65).
func TestRepeatedShareAsksAgain(t *testing.T) {
	s := newScript(t).start(nil)
	s.advertise()
	s.share()
	frames, err := s.server.CloseShare()
	require.NoError(t, err)
	require.NoError(t, s.give(1, frames[1]))
	out, err := s.parts[1].Receive(frames[1])
	require.NoError(t, err)
	require.NotNil(t, out.Upload)
	require.Equal(t, s.said[1], out.Send)
	require.Equal(t, participant.Mask, s.parts[1].Phase())
}

// TestRounding is the same stream for the same ρ, and there before the vector is due (S13).
func TestRounding(t *testing.T) {
	s := newScript(t).start(nil)
	require.Nil(t, s.parts[1].Rounding())
	s.advertise()
	s.share()
	frames, err := s.server.CloseShare()
	require.NoError(t, err)
	out, err := s.parts[1].Receive(frames[1])
	require.NoError(t, err)
	require.True(t, out.Train)
	a, b := make([]byte, 64), make([]byte, 64)
	_, err = s.parts[1].Rounding().Read(a)
	require.NoError(t, err)
	_, err = s.parts[1].Rounding().Read(b)
	require.NoError(t, err)
	require.Equal(t, a, b)
	require.NotEqual(t, make([]byte, 64), a)
}

// TestAbort tells the coordinator's reason.
func TestAbort(t *testing.T) {
	s := newScript(t).start(nil)
	s.advertise()
	_, err := s.parts[1].Receive(s.server.Abort(secagg.ReasonTooFew, [32]byte{}))
	reason, aborted := participant.Aborted(err)
	require.True(t, aborted)
	require.Equal(t, secagg.ReasonText(secagg.ReasonTooFew), reason)
	require.Equal(t, participant.Left, s.parts[1].Phase())
}

// TestNothingOfAnEndedSumIsSaidAgain: shares that were on their way when a sum of a batch was aborted, or closed, do not
// leave afterwards, when the session is opened anew: their seeds are not to be opened (S37).
func TestNothingOfAnEndedSumIsSaidAgain(t *testing.T) {
	s := newScript(t)
	s.plan.Batch = 2
	s.start(nil)
	cohort, err := s.plan.Set(s.roster)
	require.NoError(t, err)
	spec, err := s.plan.Spec(s.roster, s.sum, [32]byte{1})
	require.NoError(t, err)
	spec.Sums = 2
	s.server, err = secagg.NewServer(secagg.ServerConfig{
		Roster: s.roster.SecAgg(), RosterDigest: s.roster.Digest(), Federation: s.roster.ID, Plan: s.plan.Digest(),
		Cohort: cohort, Spec: spec, Sum: s.sum, Sign: s.sign(0),
	})
	require.NoError(t, err)
	s.advertise()
	s.share()
	s.mask(everyone)
	s.agree()
	s.all(s.server.Survivors(), s.certificate())
	require.Equal(t, secagg.TypeUnmask, s.parts[1].Again()[0].Type)
	_, err = s.parts[2].Receive(s.result())
	require.NoError(t, err)
	require.Empty(t, s.parts[2].Again())
	out, err := s.parts[1].Receive([]secagg.Frame{s.abortOf(spec, 1)})
	require.NoError(t, err)
	require.NotNil(t, out.Ended)
	require.Equal(t, participant.Wait, s.parts[1].Phase())
	require.Empty(t, s.parts[1].Again())
}

// TestLeave wipes and stays left.
func TestLeave(t *testing.T) {
	s := newScript(t).start(nil)
	s.advertise()
	s.parts[1].Leave()
	s.parts[1].Leave()
	_, err := s.parts[1].Vector(s.vector())
	require.ErrorIs(t, err, secagg.ErrLeft)
	require.ErrorIs(t, s.parts[1].Uploaded(), secagg.ErrLeft)
	require.NoError(t, s.parts[1].Tick())
}

// TestConfigHidesRho keeps the round's secret out of logs.
func TestConfigHidesRho(t *testing.T) {
	cfg := newScript(t).config(1)
	require.NotContains(t, cfg.String()+cfg.GoString(), "Rho")
}
