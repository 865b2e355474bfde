package secagg_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// S24: two survivor sets cannot both gather t signatures.
func TestCoordinatorSplitsSurvivors(t *testing.T) {
	b := masked(t, secaggtest.Options{Members: secaggtest.Indexes(7)})
	all, less := b.Cohort(), b.Cohort().Without(7)
	for i := uint8(1); i <= 7; i++ {
		set := all
		if i <= 3 {
			set = less
		}
		b.ToCoord = func(uint8, []secagg.Frame) []secagg.Frame { return nil }
		b.Deliver(i, survivors(b, set))
	}
	require.Empty(t, b.Errors)
	var agreed []secagg.Frame
	for i := uint8(1); i <= 7; i++ {
		agreed = append(agreed, b.Sent[i][3][0])
	}
	b.Deliver(1, []secagg.Frame{secagg.ForgeCertificate(agreed)})                                                 // mixed
	b.Deliver(2, []secagg.Frame{secagg.ForgeCertificate(agreed[:3])})                                             // its own half
	b.Deliver(4, []secagg.Frame{secagg.ForgeCertificate(agreed[3:])})                                             // the other half
	b.Deliver(5, survivors(b, less))                                                                              // a second set
	b.Deliver(6, []secagg.Frame{secagg.ForgeCertificate(append(slices.Clone(agreed[3:]), agreed[6], agreed[6]))}) // one signature three times
	requireLeft(t, b, secagg.ErrCertificate, 1, 2, 4, 6)
	requireLeft(t, b, secagg.ErrEquivocation, 5)
}

// agreed brings a batch to the point where all have agreed and returns the frames.
func agreed(t *testing.T, o secaggtest.Options) (*secaggtest.Batch, []secagg.Frame) {
	t.Helper()
	b := masked(t, o)
	require.NoError(t, b.Agree(b.Cohort()))
	var frames []secagg.Frame
	for _, i := range b.Opt.Members {
		frames = append(frames, b.Sent[i][3][0])
	}
	return b, frames
}

// Agreed row: t signatures, not fewer.
func TestCertificateTooSmall(t *testing.T) {
	b, frames := agreed(t, secaggtest.Options{})
	b.Deliver(1, []secagg.Frame{secagg.ForgeCertificate(frames[:3])})
	b.Deliver(2, []secagg.Frame{secagg.ForgeCertificate(nil)})
	requireLeft(t, b, secagg.ErrCertificate, 1, 2)
	b.Deliver(3, []secagg.Frame{secagg.ForgeCertificate(frames[:4])})
	require.Equal(t, "released", b.Clients[3].State())
}

// Agreed row: only members of U3, each with its own signature.
func TestCertificateForeignSigner(t *testing.T) {
	b, frames := agreed(t, secaggtest.Options{Members: secaggtest.Indexes(7)})
	foreign := frames[6]
	foreign.Sender = 8
	b.Deliver(1, []secagg.Frame{secagg.ForgeCertificate(append(slices.Clone(frames[:4]), foreign))})
	forged := secagg.SignFrame(b.Sign(0), secagg.TypeAgree, dspec(b), 5, frames[4].Body)
	b.Deliver(2, []secagg.Frame{secagg.ForgeCertificate(append(slices.Clone(frames[:4]), forged))})
	requireLeft(t, b, secagg.ErrCertificate, 1, 2)

	// A member outside U3 signs what the survivors agreed on.
	b = masked(t, secaggtest.Options{Members: secaggtest.Indexes(7)})
	set := b.Cohort().Without(7)
	b.ToCoord = func(uint8, []secagg.Frame) []secagg.Frame { return nil }
	b.Deliver(1, survivors(b, set))
	body := b.Sent[1][3][0].Body
	var signs []secagg.Frame
	for _, i := range []uint8{1, 2, 3, 4, 7} {
		signs = append(signs, secagg.SignFrame(b.Sign(i), secagg.TypeAgree, dspec(b), i, body))
	}
	b.Deliver(1, []secagg.Frame{secagg.ForgeCertificate(signs)})
	requireLeft(t, b, secagg.ErrCertificate, 1)
}

// S24–S26: no sequence of requests gets both seeds of one member.
func TestBothSeedsRefused(t *testing.T) {
	b, frames := agreed(t, secaggtest.Options{})
	certificate := []secagg.Frame{secagg.ForgeCertificate(frames)}
	b.ToCoord = func(uint8, []secagg.Frame) []secagg.Frame { return nil }
	for _, i := range b.Opt.Members {
		b.Deliver(i, certificate)
		b.Deliver(i, survivors(b, b.Cohort().Without(5))) // now 5 shall be a dropout
	}
	requireLeft(t, b, secagg.ErrEquivocation, b.Opt.Members...)
	var lie *secagg.EquivocationError
	require.ErrorAs(t, b.Errors[1], &lie) // both are kept as evidence (S30)
	require.NotEqual(t, lie.First[0].Body, lie.Second[0].Body)
	for _, i := range b.Opt.Members {
		require.Len(t, b.Sent[i], 5)
		for _, s := range secagg.UnmaskSecrets(b.Sent[i][4][0]) {
			require.Equal(t, [3]uint8{0, s[1], s[1]}, s) // self seeds only
		}
	}
}

// S25: shares of b_j for survivors, of s_dj for dropouts, nothing else.
func TestUnmaskItems(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(10)})
	require.NoError(t, b.Run(map[uint8]secagg.Phase{2: secagg.PhaseMask, 9: secagg.PhaseMask, 4: secagg.PhaseShare}))
	var want [][3]uint8
	in := []uint8{1, 3, 5, 6, 7, 8, 10}
	for _, j := range in {
		want = append(want, [3]uint8{0, j, j})
	}
	var pairs [][3]uint8
	for _, d := range []uint8{2, 9} {
		for _, j := range in {
			pairs = append(pairs, [3]uint8{1, min(d, j), max(d, j)})
		}
	}
	slices.SortFunc(pairs, func(x, y [3]uint8) int { return slices.Compare(x[:], y[:]) })
	want = append(want, pairs...)
	for _, i := range in {
		require.Equal(t, want, secagg.UnmaskSecrets(b.Sent[i][4][0]))
	}
}

// S26, S30: one answer; the same bytes to the same request, none to another.
func TestUnmaskAnsweredOnce(t *testing.T) {
	b, frames := agreed(t, secaggtest.Options{})
	full, fewer := []secagg.Frame{secagg.ForgeCertificate(frames)}, []secagg.Frame{secagg.ForgeCertificate(frames[1:])}
	for _, p := range [][]secagg.Frame{full, full, fewer} {
		b.Deliver(1, p)
	}
	require.Equal(t, "released", b.Clients[1].State())
	require.Equal(t, b.Sent[1][4], b.Sent[1][5])
	require.Equal(t, b.Sent[1][4], b.Sent[1][6])
	locks := slices.DeleteFunc(slices.Clone(b.Facts[1]), func(f secagg.Fact) bool { return f.Kind != secagg.FactLock })
	require.Len(t, locks, 1) // stored before the first answer, once
	require.Equal(t, b.Cohort(), locks[0].Survivors)

	bad := slices.Clone(frames)
	bad[1] = secagg.SignFrame(b.Sign(2), secagg.TypeAgree, dspec(b), 2, append(slices.Clone(frames[1].Body[:65]), frames[1].Body[65]^1))
	b.Deliver(1, []secagg.Frame{secagg.ForgeCertificate(bad)})
	requireLeft(t, b, secagg.ErrCertificate, 1)
}
