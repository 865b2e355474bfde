package secagg_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// everyone answers every phase.
func everyone(b *secaggtest.Batch) func(secagg.Phase) secagg.Set {
	return func(secagg.Phase) secagg.Set { return b.Cohort() }
}

// without leaves some out from a phase on.
func without(b *secaggtest.Batch, from secagg.Phase, members ...uint8) func(secagg.Phase) secagg.Set {
	return func(p secagg.Phase) secagg.Set {
		if p >= from {
			return b.Cohort().Minus(secagg.SetOf(members...))
		}
		return b.Cohort()
	}
}

// S37–S39: one set-up serves m sums; each is the survivors' plain sum, stands on
// its own for who verifies it later, and its secrets are gone when it is over.
func TestBatchOfSums(t *testing.T) {
	const m = 4
	b := secaggtest.New(t, secaggtest.Options{Sums: m, Round: 9})
	vector, rounding := b.Opt.Vector, map[string]bool{}
	b.Opt.Vector = func(i uint8, l ring.Layout) []uint64 {
		buf := make([]byte, 32)
		_, err := io.ReadFull(b.Clients[i].Rounding(), buf)
		require.NoError(t, err)
		rounding[string(buf)] = true
		return vector(i, l)
	}
	require.NoError(t, b.Run(nil))
	for k := uint16(1); ; k++ {
		requireSum(t, b, b.Cohort())
		require.Equal(t, 8+uint32(k), b.Closed[1].Round)
		for _, c := range b.Clients {
			wiped, later := secagg.SumWiped(c, k)
			require.True(t, wiped)
			require.Equal(t, k < m, later)
			require.Equal(t, k == m, c.Done())
			require.Nil(t, c.Rounding())
		}
		require.Equal(t, k < m, b.Server.CanContinue())
		if k == m {
			break
		}
		require.NoError(t, b.Next(b.Cohort(), b.Step(k+1), nil))
		require.Equal(t, b.Closed[1].H3, b.Server.Sum().Prev)
		require.NoError(t, b.RunSum(everyone(b)))
	}
	require.Empty(t, b.Errors)
	require.Empty(t, b.Refused)
	_, err := b.Server.Next(b.Step(m+1), nil, nil)
	require.ErrorIs(t, err, secagg.ErrStale)
	require.Nil(t, b.Server.Abort(secagg.ReasonAdmin, [32]byte{}))
	require.ErrorIs(t, b.Clients[1].Expect(b.Step(m), 1, 30), secagg.ErrTranscript)
	var rounds []uint32
	for _, f := range b.Facts[1] { // S63: stored before each vector, and the lock of each
		if f.Kind == secagg.FactRound {
			rounds = append(rounds, f.Round)
		}
	}
	require.Equal(t, []uint32{9, 10, 11, 12}, rounds)
	require.Len(t, b.Facts[1], 3*m)
	require.Len(t, rounding, 5*m) // S13: another one for each member and sum
}

// S37, S38: a member that drops out in the middle leaves the batch, the others go
// on; what is opened for it opens nothing of the sums it was in.
func TestBatchDropoutKeepsPastSums(t *testing.T) {
	for phase := secagg.PhaseMask; phase <= secagg.PhaseUnmask; phase++ {
		b := secaggtest.New(t, secaggtest.Options{Sums: 3, Members: secaggtest.Indexes(7)})
		b.Advertise(b.Cohort())
		require.NoError(t, b.Share(b.Cohort()))
		require.NoError(t, b.Mask(b.Cohort()))
		past := secagg.Seeds(b.Clients[3], 1)
		require.NoError(t, b.RunSum(everyone(b)))
		requireSum(t, b, b.Cohort())
		first, plain, published := b.Verify(), b.Result, b.Server.Published()

		require.NoError(t, b.Next(without(b, phase, 3)(secagg.PhaseMask), b.Step(2), nil))
		require.NoError(t, b.RunSum(without(b, phase, 3)))
		delete(b.Closed, 3) // it has that of the first sum
		survivors := b.Cohort()
		if phase == secagg.PhaseMask {
			survivors = survivors.Without(3)
		}
		requireSum(t, b, survivors)
		require.Equal(t, survivors, b.Server.Eligible())
		published2 := b.Server.Published()
		for _, seed := range secagg.OpenedSeeds(published2[len(published2)-1]) {
			require.NotContains(t, past, seed)
		}

		require.NoError(t, b.Next(b.Cohort().Without(3), b.Step(3), nil))
		require.NoError(t, b.RunSum(without(b, secagg.PhaseMask, 3)))
		requireSum(t, b, b.Cohort().Without(3))
		require.Empty(t, b.Errors)

		closed, err := secagg.VerifyRound(first, published) // the past sum stands
		require.NoError(t, err)
		require.Equal(t, secagg.SumRoot(plain), closed.SumRoot)
	}
}

// S38, S39: an aborted sum ends alone; the same members are eligible for the next
// one, which asks for the same step with other seeds.
func TestBatchAbortedSumGoesOn(t *testing.T) {
	for stop := secagg.PhaseMask; stop <= secagg.PhasePublish; stop++ {
		for first := uint16(1); first <= 2; first++ {
			b := secaggtest.New(t, secaggtest.Options{Sums: 4})
			b.Advertise(b.Cohort())
			require.NoError(t, b.Share(b.Cohort()))
			prev := [32]byte{}
			absent := secagg.SetOf(4)
			if first == 2 {
				require.NoError(t, b.Mask(b.Cohort()))
				require.NoError(t, b.RunSum(everyone(b)))
				prev = b.Closed[1].H3
				require.NoError(t, b.Next(b.Cohort(), b.Step(2), nil))
				absent = secagg.Set{}
			} else {
				require.NoError(t, b.Mask(b.Cohort().Minus(absent)))
			}
			switch stop {
			case secagg.PhaseAgree:
				require.NoError(t, b.Agree(secagg.SetOf(1, 2)))
			case secagg.PhaseUnmask, secagg.PhasePublish:
				require.NoError(t, b.Agree(b.Cohort()))
				require.NoError(t, b.Unmask(b.Cohort()))
			}
			if stop == secagg.PhasePublish {
				_, err := b.Server.Open()
				require.NoError(t, err)
			}
			require.Equal(t, stop, b.Server.Phase())
			present := b.Cohort().Minus(absent)
			b.AbortSum(secagg.ReasonUnmask, present)
			for _, i := range present.Members() {
				require.Equal(t, &secagg.AbortError{K: first, Reason: secagg.ReasonUnmask}, b.Ended[i])
				require.Equal(t, "waiting", b.Clients[i].State())
				wiped, later := secagg.SumWiped(b.Clients[i], first)
				require.True(t, wiped && later)
			}
			b.AbortSum(secagg.ReasonUnmask, present) // sent twice, as after a restart
			require.Equal(t, b.Cohort(), b.Server.Eligible())
			require.True(t, b.Server.CanContinue())
			again := b.Step(first) // the same step
			again.Step = b.Server.Sum().Step
			if first == 1 { // what it missed while it was away
				packets, err := b.Server.CloseShare()
				require.NoError(t, err)
				_, err = b.Clients[4].Receive(packets[4])
				require.NoError(t, err)
				b.Deliver(4, b.Server.AbortSum(secagg.ReasonUnmask, [32]byte{}))
				require.NotNil(t, b.Ended[4])
			}
			require.NoError(t, b.Next(b.Cohort(), again, nil))
			require.Equal(t, prev, b.Server.Sum().Prev)
			require.NoError(t, b.RunSum(everyone(b)))
			requireSum(t, b, b.Cohort())
			require.Empty(t, b.Errors)
		}
	}
}

// An abort of the last sum, or of k = 0, ends the batch.
func TestBatchAborted(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{Sums: 2})
	require.NoError(t, b.Run(nil))
	require.NoError(t, b.Next(b.Cohort(), b.Step(2), nil))
	b.AbortSum(secagg.ReasonRange, secagg.SetOf(1))
	requireLeft(t, b, secagg.ErrAborted, 1)
	require.False(t, b.Server.CanContinue())
	_, err := b.Server.Next(b.Step(3), nil, nil)
	require.ErrorIs(t, err, secagg.ErrStale)

	b = secaggtest.New(t, secaggtest.Options{Sums: 2})
	require.NoError(t, b.Run(nil))
	stop := b.Server.Abort(secagg.ReasonAdmin, [32]byte{})
	for _, i := range b.Opt.Members {
		b.Deliver(i, stop)
	}
	requireLeft(t, b, secagg.ErrAborted, b.Opt.Members...)
	require.False(t, b.Server.CanContinue())
	require.Nil(t, b.Server.AbortSum(secagg.ReasonAdmin, [32]byte{}))
	require.Equal(t, secagg.PhaseClosed, b.Server.Phase()) // what was closed is
}

// S38: a member that releases a sum for one set of survivors alone, as for the
// levels of a tree, and a coordinator that waits for it.
func TestBatchWaitsForMissing(t *testing.T) {
	o := secaggtest.Options{Sums: 4}
	o.Client = func(_ uint8, c *secagg.ClientConfig) {
		c.Require = func(s secagg.Sum) (secagg.Set, bool) { return c.Cohort, s.Step > secaggtest.DefaultSum().Step }
	}
	b := secaggtest.New(t, o)
	require.NoError(t, b.Run(nil))
	all := b.Cohort()
	require.NoError(t, b.Next(all.Without(5), b.Step(2), &all))
	_, err := b.Server.CloseMask()
	require.ErrorIs(t, err, secagg.ErrSurvivors)
	require.Equal(t, secagg.PhaseMask, b.Server.Phase())
	b.AbortSum(secagg.ReasonTooFew, all.Without(5))                  // unopened: the tree waits
	b.Deliver(5, b.Server.AbortSum(secagg.ReasonTooFew, [32]byte{})) // it comes back
	require.Equal(t, uint16(2), b.Ended[5].K)
	require.NoError(t, b.Next(all, b.Step(2), &all))
	require.NoError(t, b.RunSum(everyone(b)))
	requireSum(t, b, all)

	require.NoError(t, b.Next(all.Without(5), b.Step(3), nil)) // a coordinator in a hurry
	require.ErrorIs(t, b.RunSum(without(b, secagg.PhaseMask, 5)), secagg.ErrTooFew)
	requireLeft(t, b, secagg.ErrSurvivors, 1, 2, 3, 4)

	gone := secagg.SetOf(1, 2, 3, 4, 5, 6)
	b = secaggtest.New(t, secaggtest.Options{Sums: 2})
	require.NoError(t, b.Run(nil))
	require.ErrorIs(t, b.Next(b.Cohort(), b.Step(2), &gone), secagg.ErrSurvivors)
	require.NoError(t, b.Next(b.Cohort(), b.Step(2), nil)) // nothing had changed
}

// S40: when keys must be made anew.
func TestBatchMustEnd(t *testing.T) {
	few := secaggtest.New(t, secaggtest.Options{Sums: 3, Members: secaggtest.Indexes(4)})
	require.NoError(t, few.Run(map[uint8]secagg.Phase{2: secagg.PhaseMask}))
	require.True(t, few.Server.CanContinue()) // three of four is t
	require.NoError(t, few.Next(few.Cohort().Without(3), few.Step(2), nil))
	require.ErrorIs(t, few.Agree(few.Cohort()), secagg.ErrTooFew)
	_, _, failed := few.Server.Failure()
	require.True(t, failed)
	require.True(t, few.Server.CanContinue()) // the third may come back
	few.AbortSum(secagg.ReasonTooFew, secagg.SetOf(1, 4))
	few.Deliver(3, few.Server.AbortSum(secagg.ReasonTooFew, [32]byte{})) // of a sum it never saw
	require.NoError(t, few.Next(few.Cohort(), few.Step(2), nil))
	require.NoError(t, few.RunSum(everyone(few)))
	delete(few.Closed, 2)
	requireSum(t, few, few.Cohort().Without(2))

	blamed := masked(t, secaggtest.Options{Sums: 3})
	require.NoError(t, blamed.Agree(blamed.Cohort()))
	blamed.ToCoord = func(from uint8, p []secagg.Frame) []secagg.Frame {
		if from == 3 {
			p = []secagg.Frame{secagg.ForgeUnmask(blamed.Sign(3), dspec(blamed), p[0], 1)}
		}
		return p
	}
	require.NoError(t, blamed.Unmask(blamed.Cohort()))
	require.NoError(t, blamed.Publish(blamed.Cohort()))
	require.False(t, blamed.Server.CanContinue())
	require.ErrorIs(t, blamed.Next(blamed.Cohort(), blamed.Step(2), nil), secagg.ErrStale)
}
