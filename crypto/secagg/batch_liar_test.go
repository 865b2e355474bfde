package secagg_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// between brings a batch of m sums to where the first is closed and all expect
// the second, which the server has announced to nobody yet.
func between(t *testing.T, o secaggtest.Options) *secaggtest.Batch {
	t.Helper()
	b := secaggtest.New(t, o)
	require.NoError(t, b.Run(nil))
	require.NoError(t, b.Next(secagg.Set{}, b.Step(2), nil))
	for i, c := range b.Clients {
		require.NoError(t, c.Expect(b.Step(2), b.Step(2).Step, uint32(i)+20))
	}
	return b
}

// announce signs a sum of the batch as the coordinator.
func announce(b *secaggtest.Batch, sum secagg.Sum) []secagg.Frame {
	body, err := sum.MarshalBinary()
	require.NoError(b.T, err)
	return []secagg.Frame{secagg.SignFrame(b.Sign(0), secagg.TypeSum, dspec(b), 0, body)}
}

// S27, S38, S39, S73: which sum may follow on a closed one.
func TestBatchSumAltered(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *secagg.Sum)
		want   error
	}{
		"nothing":       {func(*secagg.Sum) {}, nil},
		"skipped":       {func(s *secagg.Sum) { s.K++; s.Round++ }, secagg.ErrTranscript},
		"repeated":      {func(s *secagg.Sum) { s.K--; s.Round-- }, secagg.ErrReused},
		"zero":          {func(s *secagg.Sum) { s.K = 0 }, secagg.ErrReused},
		"run":           {func(s *secagg.Sum) { s.Run[0]++ }, secagg.ErrTranscript},
		"round":         {func(s *secagg.Sum) { s.Round++ }, secagg.ErrTranscript},
		"prev":          {func(s *secagg.Sum) { s.Prev[4]++ }, secagg.ErrTranscript},
		"no prev":       {func(s *secagg.Sum) { s.Prev = [32]byte{} }, secagg.ErrTranscript},
		"fewer members": {func(s *secagg.Sum) { s.Members = s.Members.Without(5) }, secagg.ErrTranscript},
		"not itself":    {func(s *secagg.Sum) { s.Members = s.Members.Without(1) }, secagg.ErrTranscript},
		"no members":    {func(s *secagg.Sum) { s.Members = secagg.Set{} }, secagg.ErrTranscript},
		"another step":  {func(s *secagg.Sum) { s.Step++ }, secagg.ErrPolicy},
		"query":         {func(s *secagg.Sum) { s.Query[0]++ }, secagg.ErrPolicy},
		"state":         {func(s *secagg.Sum) { s.State[0]++ }, secagg.ErrModel},
		"model":         {func(s *secagg.Sum) { s.Model[0]++ }, secagg.ErrModel},
		"layout":        {func(s *secagg.Sum) { s.Lanes = 1 }, secagg.ErrPolicy},
	} {
		b := between(t, secaggtest.Options{Sums: 4, Client: func(_ uint8, cfg *secagg.ClientConfig) { cfg.Follow = name == "state" && cfg.Self == 1 }})
		sum := b.Server.Sum()
		c.change(&sum)
		b.Deliver(1, announce(b, sum))
		if c.want == nil {
			require.Equal(t, "masked", b.Clients[1].State(), name)
			continue
		}
		require.ErrorIs(t, b.Errors[1], c.want, name)
		requireLeft(t, b, c.want, 1)
	}
	b := between(t, secaggtest.Options{Sums: 4})
	b.Deliver(1, append(slices.Clone(b.Packet), b.Packet...))
	requireLeft(t, b, secagg.ErrTranscript, 1)
	b.Deliver(2, []secagg.Frame{secagg.SignFrame(b.Sign(2), secagg.TypeSum, dspec(b), 0, b.Packet[0].Body)})
	requireLeft(t, b, secagg.ErrSignature, 2)
	require.NoError(t, b.Clients[3].Expect(b.Step(2), 8, 1))
	b.Deliver(3, b.Packet)
	requireLeft(t, b, secagg.ErrNoData, 3)
	require.ErrorIs(t, b.Clients[4].Expect(b.Step(2), 0, 1), secagg.ErrPlan)
	require.Equal(t, "waiting", b.Clients[4].State())
}

// S30, S39: a sum is announced once, after the one before is over and once this
// member knows what it must be.
func TestBatchSumOutOfTurn(t *testing.T) {
	b := between(t, secaggtest.Options{Sums: 4})
	b.Deliver(1, b.Packet)
	b.Deliver(1, b.Packet) // as after a restart of the coordinator (S65)
	require.Equal(t, b.Sent[1][5], b.Sent[1][6])
	other := b.Server.Sum()
	other.Members = other.Members.Without(5)
	b.Deliver(1, announce(b, other)) // k reused with other members
	requireLeft(t, b, secagg.ErrEquivocation, 1)
	b.Deliver(2, b.Packet)
	third := b.Server.Sum()
	third.K, third.Round = 3, third.Round+1
	b.Deliver(2, announce(b, third)) // before result 2
	requireLeft(t, b, secagg.ErrTranscript, 2)

	b = secaggtest.New(t, secaggtest.Options{Sums: 2})
	require.NoError(t, b.Run(nil))
	require.NoError(t, b.Next(secagg.Set{}, b.Step(2), nil))
	b.Deliver(3, b.Packet) // it has not said what it expects
	requireLeft(t, b, secagg.ErrTranscript, 3)
	c := b.Clients[4]
	_, err := c.Vector(b.Vectors[4])
	require.ErrorIs(t, err, secagg.ErrReused) // between two sums
	require.Equal(t, "waiting", c.State())
}

// S25, S26, S30: in sum k nothing is given for a sum before it, and nothing from
// it counts.
func TestBatchOldMessages(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{Sums: 4})
	b.Advertise(b.Cohort())
	require.NoError(t, b.Share(b.Cohort()))
	require.NoError(t, b.Mask(b.Cohort()))
	old := map[secagg.Type][]secagg.Frame{}
	b.ToNode = func(to uint8, p []secagg.Frame) []secagg.Frame {
		if to == 1 {
			old[p[0].Type] = p
		}
		return p
	}
	oldUploads := map[uint8]*secagg.Upload{5: b.Uploads[5]}
	require.NoError(t, b.RunSum(everyone(b)))
	b.ToNode = nil
	require.NoError(t, b.Next(b.Cohort().Without(5), b.Step(2), nil))
	sent := len(b.Sent[1])
	for _, p := range old { // unmask, agree and the rest asked for again
		b.Deliver(1, p)
	}
	fewer := slices.Clone(old[secagg.TypeCertificate])
	fewer[0].Body = slices.Clone(fewer[0].Body)
	fewer[0].Body[2]--
	fewer[0].Body = fewer[0].Body[:len(fewer[0].Body)-65]
	b.Deliver(1, fewer)
	require.Empty(t, b.Errors)
	require.Len(t, b.Sent[1], sent)

	for at, typ := range []secagg.Type{secagg.TypeMask, secagg.TypeAgree, secagg.TypeUnmask} {
		p := b.Sent[2][2+at]
		require.Equal(t, typ, p[0].Type)
		require.ErrorIs(t, b.Server.Receive(2, p), secagg.ErrStale)
		relabelled := slices.Clone(p)
		relabelled[0].Body = slices.Clone(p[0].Body)
		relabelled[0].Body[1] = 2
		require.Error(t, b.Server.Receive(5, relabelled))
		relabelled[0].Body[1] = 3
		require.ErrorIs(t, b.Server.Receive(2, relabelled), secagg.ErrTranscript)
	}
	require.ErrorIs(t, b.Server.Receive(2, b.Sent[2][1]), secagg.ErrStale) // shares
	require.ErrorIs(t, b.Server.Chunk(5, 0, oldUploads[5].Chunk(0)), secagg.ErrUpload)
	require.ErrorIs(t, b.Server.Receive(5, b.Sent[5][2]), secagg.ErrStale)
	require.Empty(t, b.Server.Blames())
	_, err := b.Server.CloseShare()
	require.ErrorIs(t, err, secagg.ErrStale)

	// The coordinator replays masks and signatures of the first sum in the second.
	p := []secagg.Frame{secagg.ForgeSurvivors(b.Sign(0), dspec(b), 2, b.Cohort())}
	for i := uint8(1); i <= 5; i++ {
		p = append(p, b.Sent[i][2][0])
	}
	b.Deliver(1, p)
	requireLeft(t, b, secagg.ErrTranscript, 1)
	require.NoError(t, b.Agree(b.Cohort().Without(1)))
	certificate := slices.Clone(old[secagg.TypeCertificate])
	certificate[0].Body = slices.Clone(certificate[0].Body)
	certificate[0].Body[1] = 2
	b.Deliver(2, certificate)
	requireLeft(t, b, secagg.ErrCertificate, 2)
	other := secagg.ForgeSurvivors(b.Sign(0), dspec(b), 1, b.Cohort().Without(5))
	b.Deliver(3, append([]secagg.Frame{other}, old[secagg.TypeSurvivors][1:5]...)) // another U3 for sum 1
	requireLeft(t, b, secagg.ErrEquivocation, 3)
	var lie *secagg.EquivocationError
	require.ErrorAs(t, b.Errors[3], &lie)
	require.Nil(t, lie.First)
}

// S38, S30: aborts that do not fit what went before.
func TestBatchFalseAborts(t *testing.T) {
	b := between(t, secaggtest.Options{Sums: 4})
	abort := func(k, reason uint8) []secagg.Frame {
		return []secagg.Frame{secagg.SignFrame(b.Sign(0), secagg.TypeAbort, dspec(b), 0, append([]byte{0, k, reason}, make([]byte, 32)...))}
	}
	b.Deliver(1, abort(1, 1)) // of a closed sum
	requireLeft(t, b, secagg.ErrTranscript, 1)
	b.Deliver(2, abort(3, 1)) // of one to come
	requireLeft(t, b, secagg.ErrTranscript, 2)
	b.Deliver(3, abort(2, 1))
	b.Deliver(3, abort(2, 1))
	b.Deliver(3, abort(2, 2)) // two reasons
	requireLeft(t, b, secagg.ErrEquivocation, 3)
	forged := abort(2, 1)
	forged[0].Signature = slices.Clone(forged[0].Signature)
	forged[0].Signature[0] ^= 1
	b.Deliver(4, forged)
	requireLeft(t, b, secagg.ErrSignature, 4)
}

// S38: members that were told different ends of a sum agree on nothing after it,
// whatever the coordinator announces.
func TestBatchSplitEnds(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{Sums: 4, Members: secaggtest.Indexes(7)})
	require.NoError(t, b.Run(nil))
	require.NoError(t, b.Next(b.Cohort().Without(7), b.Step(2), nil))
	require.NoError(t, b.Agree(b.Cohort()))
	abort := secagg.SignFrame(b.Sign(0), secagg.TypeAbort, dspec(b), 0, append([]byte{0, 2, 1}, make([]byte, 32)...))
	for _, i := range []uint8{5, 6, 7} {
		b.Deliver(i, []secagg.Frame{abort})
	}
	require.NoError(t, b.Unmask(secagg.SetOf(1, 2, 3, 4)))
	require.ErrorIs(t, b.Publish(b.Cohort()), secagg.ErrTooFew) // four of the five needed

	b = secaggtest.New(t, secaggtest.Options{Sums: 4, Members: secaggtest.Indexes(7)})
	require.NoError(t, b.Run(nil))
	require.NoError(t, b.Next(b.Cohort().Without(7), b.Step(2), nil))
	require.NoError(t, b.Agree(b.Cohort()))
	require.NoError(t, b.Unmask(b.Cohort()))
	abort = secagg.SignFrame(b.Sign(0), secagg.TypeAbort, dspec(b), 0, append([]byte{0, 2, 1}, make([]byte, 32)...))
	b.Deliver(5, []secagg.Frame{abort})
	b.Deliver(6, []secagg.Frame{abort})
	require.NoError(t, b.Publish(b.Cohort().Minus(secagg.SetOf(5, 6))))
	require.NoError(t, b.Next(b.Cohort(), b.Step(3), nil))
	requireLeft(t, b, secagg.ErrTranscript, 5, 6) // sum 3 has other members and another prev
	require.ErrorIs(t, b.Agree(b.Cohort()), secagg.ErrTooFew)
}

// S9, S42: how many sums a batch may have.
func TestBatchTooManySums(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{Sums: 3, Client: func(i uint8, c *secagg.ClientConfig) {
		if i == 1 {
			c.MaxSums = 2
		}
		if i == 2 {
			c.MaxSums = 0
		}
	}})
	b.Advertise(b.Cohort())
	requireLeft(t, b, secagg.ErrPolicy, 1, 2)
	require.Empty(t, b.Errors[3])

	for _, c := range []struct {
		members, sums int
		round         uint32
	}{{5, secagg.MaxSums + 1, 1}, {20, 901, 1}, {60, 301, 1}, {5, 3, math.MaxUint32 - 1}} {
		b := secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(c.members)})
		cfg := b.ServerConfig()
		cfg.Spec.Sums, cfg.Spec.Round = uint16(c.sums), c.round
		_, err := secagg.NewServer(cfg)
		require.ErrorIs(t, err, secagg.ErrPolicy)
		spec, sum := b.Server.Spec(), b.Server.Sum()
		spec.Sums, spec.Round, sum.Round = uint16(c.sums), c.round, c.round
		spec.First = sum.Digest()
		b.Deliver(1, opening(b, spec, sum))
		requireLeft(t, b, secagg.ErrPolicy, 1)
	}
}

// Share row of §7, S21: in a batch the coordinator holds a dealer's commitments
// one by one, and they lead to its roots.
func TestBatchLeaves(t *testing.T) {
	for name, change := range map[string]func(p []secagg.Frame) []secagg.Frame{
		"missing": func(p []secagg.Frame) []secagg.Frame { return p[:len(p)-1] },
		"cut": func(p []secagg.Frame) []secagg.Frame {
			p[len(p)-1].Body = p[len(p)-1].Body[32:]
			return p
		},
		"changed": func(p []secagg.Frame) []secagg.Frame {
			p[len(p)-1].Body = slices.Clone(p[len(p)-1].Body)
			p[len(p)-1].Body[40] ^= 1
			return p
		},
		"a bundle": func(p []secagg.Frame) []secagg.Frame {
			p[len(p)-1] = p[len(p)-2]
			return p
		},
	} {
		b := shared(t, secaggtest.Options{Sums: 3}, func(_ *secaggtest.Batch, from uint8, p []secagg.Frame) []secagg.Frame {
			if from == 2 {
				return change(slices.Clone(p))
			}
			return p
		})
		require.ErrorIs(t, b.Refused[2], secagg.ErrTranscript, name)
		require.False(t, b.Server.Answered().Has(2))
	}
}

// S7, S62: a node that was away verifies sum k of a batch from its frames; whom
// they leave out or add, no certificate covers.
func TestBatchVerifyRound(t *testing.T) {
	b := between(t, secaggtest.Options{Sums: 3})
	b.Announce(b.Cohort())
	require.NoError(t, b.RunSum(without(b, secagg.PhaseMask, 4)))
	cfg, frames := b.Verify(), b.Server.Published()
	closed, err := secagg.VerifyRound(cfg, frames)
	require.NoError(t, err)
	require.Equal(t, *b.Closed[1], closed)
	for name, c := range map[string]struct {
		change func(s *secagg.Sum)
		want   error
	}{
		"members":  {func(s *secagg.Sum) { s.Members = s.Members.Without(5) }, secagg.ErrSurvivors},
		"stranger": {func(s *secagg.Sum) { s.Members = s.Members.With(9) }, secagg.ErrTranscript},
		"prev":     {func(s *secagg.Sum) { s.Prev[0] ^= 1 }, secagg.ErrTranscript},
		"k":        {func(s *secagg.Sum) { s.K, s.Round = 3, s.Round+1 }, secagg.ErrTranscript},
		"too far":  {func(s *secagg.Sum) { s.K, s.Round = 4, s.Round+2 }, secagg.ErrTranscript},
		"zero":     {func(s *secagg.Sum) { s.K, s.Round = 0, s.Round-2 }, secagg.ErrTranscript},
		"first":    {func(s *secagg.Sum) { s.K, s.Round = 1, s.Round-1 }, secagg.ErrTranscript},
		"round":    {func(s *secagg.Sum) { s.Round++ }, secagg.ErrTranscript},
		"run":      {func(s *secagg.Sum) { s.Run[0]++ }, secagg.ErrTranscript},
		"model":    {func(s *secagg.Sum) { s.Model[0]++ }, secagg.ErrModel},
	} {
		sum := b.Server.Sum()
		c.change(&sum)
		changed := slices.Clone(frames)
		changed[1] = announce(b, sum)[0]
		_, err := secagg.VerifyRound(cfg, changed)
		require.ErrorIs(t, err, c.want, name)
	}
}
