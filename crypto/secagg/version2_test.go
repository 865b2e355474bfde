package secagg_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// Twelve members with graphs of four cycles: about six neighbours each, of whom
// two may be missing.
const (
	few       = 12
	fewCycles = 4
)

func fewMembers(seed byte) secaggtest.Options {
	return secaggtest.Options{Members: secaggtest.Indexes(few), Seed: seed}
}

// V1: whole rounds at real sizes, members leaving in every phase after Reveal.
func TestVersion2Rounds(t *testing.T) {
	unlessShort(t)
	sizes := []int{65}
	if os.Getenv("KOINON_LONG") != "" {
		sizes = append(sizes, 100, 255)
	}
	for _, n := range sizes {
		start := time.Now()
		b := secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(n)})
		leave := map[uint8]secagg.Phase{3: secagg.PhaseAdvertise, 7: secagg.PhaseShare, 21: secagg.PhaseMask, 40: secagg.PhaseAgree, 61: secagg.PhaseUnmask}
		require.NoError(t, b.Run(leave))
		require.Empty(t, b.Errors)
		require.Empty(t, b.Refused)
		requireSum(t, b, b.Cohort().Minus(secagg.SetOf(3, 7, 21)))
		near, _ := secagg.Near(b.Server, 1)
		t.Logf("%d members, 1 has %d neighbours, %v", n, near.Len(), time.Since(start).Round(time.Millisecond))
	}
}

// V10, V11, V15, V16: a sum is released exactly if t members and enough of every
// neighbourhood are left, and is then that of the survivors.
func TestVersion2Dropouts(t *testing.T) {
	unlessShort(t)
	forceVersion2(t, fewCycles)
	closed, starved := 0, 0
	phases := []secagg.Phase{secagg.PhaseShare, secagg.PhaseMask, secagg.PhaseAgree, secagg.PhaseUnmask}
	for seed := range byte(16) {
		b := secaggtest.New(t, fewMembers(seed))
		drop, gone := map[uint8]secagg.Phase{}, [4]secagg.Set{}
		for k := range seed % 4 {
			i, p := 1+(5*k+3*seed)%few, int(seed/4+k)%4
			drop[i] = phases[p]
			for q := p; q < 4; q++ {
				gone[q] = gone[q].With(i)
			}
		}
		err := b.Run(drop)
		require.Empty(t, b.Errors)
		require.Empty(t, b.Refused)
		all := b.Cohort()
		enough := func(eligible, left secagg.Set) bool {
			return left.Len() >= secagg.Threshold(few) && secagg.Fed(b.Server, eligible, left)
		}
		shared := b.Server.Shared()
		u3 := all.Minus(gone[1]).Intersect(shared)
		fed := shared.Len() >= secagg.Threshold(few) && enough(shared, u3) && u3.Minus(gone[2]).Len() >= secagg.Threshold(few)
		if err == nil {
			require.True(t, fed, "seed %d", seed)
			requireSum(t, b, u3)
			closed++
			continue
		}
		require.ErrorIs(t, err, secagg.ErrTooFew, "seed %d", seed)
		require.False(t, fed && enough(shared, u3.Minus(gone[3])), "seed %d", seed)
		starved++
	}
	require.Greater(t, closed, 4)
	require.Greater(t, starved, 1)
}

// V5, V7: who withholds its reveal ends the batch, is known, and learns nothing.
func TestVersion2Withheld(t *testing.T) {
	forceVersion2(t, fewCycles)
	b := secaggtest.New(t, fewMembers(0))
	b.Advertise(b.Cohort().Without(9))
	require.NoError(t, b.Reveal(b.Cohort().Without(4)))
	require.Equal(t, secagg.PhaseReveal, b.Server.Phase())
	require.Equal(t, secagg.SetOf(4), b.Server.Expected().Minus(b.Server.Answered()))
	_, err := b.Server.CloseShare()
	require.ErrorIs(t, err, secagg.ErrStale)
	require.ErrorIs(t, b.Share(b.Cohort()), secagg.ErrTooFew)
	reason, _, failed := b.Server.Failure()
	require.True(t, failed)
	require.Equal(t, secagg.ReasonReveal, reason)

	// Nor can a coordinator go on without it: the set must be all of U1.
	var most []secagg.Frame
	for _, i := range b.Cohort().Without(9).Without(4).Members() {
		most = append(most, b.Reveals[i]...)
	}
	b.Deliver(1, most)
	requireLeft(t, b, secagg.ErrTranscript, 1)
}

// V5, V6, V8: another draw than the committed one, a draw for other adverts, and
// another member's are refused by the coordinator and by members.
func TestVersion2ChangedReveal(t *testing.T) {
	forceVersion2(t, fewCycles)
	for name, change := range map[string]func(b *secaggtest.Batch, p secagg.Frame) secagg.Frame{
		"draw": func(b *secaggtest.Batch, p secagg.Frame) secagg.Frame {
			return secagg.ForgeReveal(b.Sign(5), dspec(b), 5, secagg.H1(b.Clients[5]), secaggtest.Digest("better"))
		},
		"adverts": func(b *secaggtest.Batch, p secagg.Frame) secagg.Frame {
			return secagg.ForgeReveal(b.Sign(5), dspec(b), 5, secaggtest.Digest("other adverts"), secagg.Draw(p))
		},
		"signature": func(b *secaggtest.Batch, p secagg.Frame) secagg.Frame {
			return secagg.ForgeReveal(b.Sign(0), dspec(b), 5, secagg.H1(b.Clients[5]), secagg.Draw(p))
		},
		"copied": func(b *secaggtest.Batch, p secagg.Frame) secagg.Frame {
			return secagg.ForgeReveal(b.Sign(5), dspec(b), 5, secagg.H1(b.Clients[5]), secagg.Draw(b.Reveals[4][0]))
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := secagg.ErrTranscript
			if name == "signature" {
				want = secagg.ErrSignature
			}
			b := secaggtest.New(t, fewMembers(1))
			b.Advertise(b.Cohort())
			b.ToCoord = func(from uint8, p []secagg.Frame) []secagg.Frame {
				if from == 5 {
					return []secagg.Frame{change(b, p[0])}
				}
				return p
			}
			require.NoError(t, b.Reveal(b.Cohort()))
			require.ErrorIs(t, b.Refused[5], want)
			var all []secagg.Frame
			for _, i := range b.Opt.Members {
				all = append(all, b.Reveals[i][0])
			}
			forged := slices.Clone(all)
			forged[4] = change(b, all[4])
			b.Deliver(1, forged)
			b.Deliver(5, forged)
			requireLeft(t, b, want, 1, 5)
			b.Deliver(2, all) // the true ones are taken
			require.Equal(t, "shared", b.Clients[2].State())
			b.Deliver(3, append(slices.Clone(all[:11]), all[10]))
			requireLeft(t, b, secagg.ErrTranscript, 3)
		})
	}
}

// V6: a coordinator that has seen draws of some cannot give others another U1:
// no view is complete but one that all its members share.
func TestVersion2SplitsTranscript(t *testing.T) {
	forceVersion2(t, fewCycles)
	b := secaggtest.New(t, fewMembers(2))
	b.Advertise(b.Cohort())
	b.ToNode = func(to uint8, p []secagg.Frame) []secagg.Frame {
		if to <= 3 {
			return p[:11] // as if 12 had not advertised
		}
		return p
	}
	require.NoError(t, b.Reveal(b.Cohort()))
	var all []secagg.Frame
	for _, i := range b.Opt.Members {
		all = append(all, b.Reveals[i][0])
	}
	b.ToNode = nil
	b.Deliver(1, all[:11])
	b.Deliver(4, all)
	requireLeft(t, b, secagg.ErrTranscript, 1, 4)
	for _, i := range []uint8{1, 2, 3} {
		require.ErrorIs(t, b.Refused[i], secagg.ErrTranscript)
	}
}

// V12: a draw is counted before it is known, and they are bounded.
func TestVersion2DrawsAreCounted(t *testing.T) {
	forceVersion2(t, fewCycles)
	o := fewMembers(3)
	o.Client = func(i uint8, c *secagg.ClientConfig) {
		c.Drawn = secagg.MaxDraws - 1
		if i == 2 {
			c.Drawn++
		}
	}
	b := secaggtest.New(t, o)
	b.Advertise(b.Cohort())
	require.Len(t, b.Facts[1], 1)
	require.NoError(t, b.Reveal(b.Cohort()))
	require.Equal(t, secagg.Fact{Kind: secagg.FactDraw, Round: 1}, b.Facts[1][1])
	requireLeft(t, b, secagg.ErrBudget, 2)
	require.Empty(t, b.Reveals[2])

	cfg := b.Configs[1]
	cfg.Drawn = -1
	_, err := secagg.NewClient(cfg)
	require.ErrorIs(t, err, secagg.ErrBudget)
}

// victim returns a member and so many of its neighbours that without them it starves.
func victim(b *secaggtest.Batch) (v uint8, without secagg.Set) {
	for _, v := range b.Opt.Members {
		near, need := secagg.Near(b.Server, v)
		take := near.Len() + 2 - need
		if b.Cohort().Len()-take >= secagg.Threshold(few) && near.Len() >= take {
			return v, secagg.SetOf(near.Members()[:take]...)
		}
	}
	b.T.Fatal("no member starves with t members left")
	return 0, secagg.Set{}
}

// V16: a coordinator that drops the neighbours of a victim finds nobody to agree,
// and an honest one does not try.
func TestVersion2SurroundedVictim(t *testing.T) {
	forceVersion2(t, fewCycles)
	b := masked(t, fewMembers(4))
	v, without := victim(b)
	left := b.Cohort().Minus(without)
	require.GreaterOrEqual(t, left.Len(), secagg.Threshold(few))
	p := survivors(b, left)
	for _, i := range left.Members() {
		b.Deliver(i, p)
	}
	requireLeft(t, b, secagg.ErrTooFew, left.Members()...)
	require.True(t, left.Has(v))

	b = masked(t, fewMembers(4))
	secagg.Unmark(b.Server, without)
	_, err := b.Server.CloseMask()
	require.ErrorIs(t, err, secagg.ErrTooFew)
	reason, _, failed := b.Server.Failure()
	require.True(t, failed)
	require.Equal(t, secagg.ReasonTooFew, reason)
}

// V15, V16: the same with shares: members refuse, the coordinator leaves out who
// starves and goes on if t are left.
func TestVersion2StarvedAtShare(t *testing.T) {
	forceVersion2(t, fewCycles)
	b := secaggtest.New(t, fewMembers(5))
	b.Advertise(b.Cohort())
	require.NoError(t, b.Share(b.Cohort()))
	v, without := victim(b)
	b.ToNode = func(_ uint8, p []secagg.Frame) []secagg.Frame {
		return slices.DeleteFunc(slices.Clone(p), func(f secagg.Frame) bool { return without.Has(f.Sender) })
	}
	require.NoError(t, b.Mask(b.Cohort().Minus(without)))
	requireLeft(t, b, secagg.ErrTooFew, b.Cohort().Minus(without).Members()...)

	// Who starves by those who did not share is not in U2.
	pruned := 0
	for seed := range byte(12) {
		b = secaggtest.New(t, fewMembers(seed))
		b.Advertise(b.Cohort())
		gone := secagg.SetOf(1+seed%few, 1+(seed+4)%few)
		require.NoError(t, b.Share(b.Cohort().Minus(gone)))
		if _, err := b.Server.CloseShare(); err != nil {
			require.ErrorIs(t, err, secagg.ErrTooFew)
			continue
		}
		u2 := b.Server.Shared()
		require.True(t, secagg.Fed(b.Server, u2, u2))
		if starved := b.Cohort().Minus(gone).Minus(u2); starved.Len() > 0 {
			pruned++
			for _, i := range starved.Members() {
				require.False(t, secagg.Fed(b.Server, secagg.SetOf(i), u2))
			}
		}
	}
	require.Positive(t, pruned)
	require.NotZero(t, v)
}

// V16: who has too few holders among those who advertised does not deal, and says why.
func TestVersion2StarvedAtAdvertise(t *testing.T) {
	forceVersion2(t, fewCycles)
	starved := 0
	for seed := range byte(8) {
		b := secaggtest.New(t, fewMembers(seed))
		b.Advertise(b.Cohort().Minus(secagg.SetOf(1+seed, 3+seed, 4+seed)))
		require.NoError(t, b.Share(b.Cohort()))
		for _, i := range b.Server.Advertised().Members() {
			if secagg.Fed(b.Server, secagg.SetOf(i), b.Server.Advertised()) {
				require.NoError(t, b.Errors[i])
			} else {
				require.ErrorIs(t, b.Errors[i], secagg.ErrTooFew)
				starved++
			}
		}
	}
	require.Positive(t, starved)
}

// V13: the place is locked before `agree` leaves, so that two certificates for it
// cannot both be.
func TestVersion2LocksBeforeAgree(t *testing.T) {
	forceVersion2(t, fewCycles)
	b, _ := agreed(t, fewMembers(6))
	for _, i := range b.Opt.Members {
		f := b.Facts[i][len(b.Facts[i])-1]
		require.Equal(t, secagg.FactLock, f.Kind)
		require.Equal(t, b.Cohort(), f.Survivors)
	}
	require.NoError(t, b.Unmask(b.Cohort()))
	require.NoError(t, b.Publish(b.Cohort()))
	for _, i := range b.Opt.Members {
		require.Equal(t, secagg.FactLock, b.Facts[i][len(b.Facts[i])-1].Kind) // once
		require.Len(t, b.Facts[i], 4)
	}

	// A second run, before any share is out: nobody agrees to other survivors.
	first, _ := agreed(t, fewMembers(6))
	o := fewMembers(6)
	o.Run = [16]byte{2}
	held := locks(first)
	o.Client = func(i uint8, c *secagg.ClientConfig) {
		c.Lock = func(name [32]byte) (secagg.Set, bool) { s, ok := held[i][name]; return s, ok }
	}
	second := masked(t, o)
	for _, i := range second.Opt.Members {
		near, _ := secagg.Near(second.Server, i)
		less := second.Cohort().Without(near.Members()[0])
		if secagg.Fed(second.Server, second.Cohort(), less) && less.Has(1) && less.Has(2) {
			second.Deliver(1, survivors(second, less))
			second.Deliver(2, survivors(second, less))
			requireLeft(t, second, secagg.ErrStepReleased, 1, 2)
			return
		}
	}
	t.Fatal("no member can be missing")
}

// V2: nothing of version 1 counts in version 2, nor the other way round.
func TestVersion2IsAnother(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{})
	v1 := dspec(b)
	forceVersion2(t, dense)
	require.NotEqual(t, v1, b.Server.Spec().Digest())
	b.Deliver(1, b.Server.Opening()) // its sum is signed for the spec of version 1
	requireLeft(t, b, secagg.ErrSignature, 1)
}

// V17: who verifies a round later needs the reveals, and checks neighbourhoods.
func TestVersion2VerifyRound(t *testing.T) {
	forceVersion2(t, fewCycles)
	b := secaggtest.New(t, fewMembers(7))
	require.NoError(t, b.Run(nil))
	all := b.Server.Published()
	_, err := secagg.VerifyRound(b.Verify(), all)
	require.NoError(t, err)
	drop := func(t2 secagg.Type, sender uint8) []secagg.Frame {
		return slices.DeleteFunc(slices.Clone(all), func(f secagg.Frame) bool {
			return f.Type == t2 && (sender == 0 || f.Sender == sender)
		})
	}
	_, err = secagg.VerifyRound(b.Verify(), drop(secagg.TypeReveal, 0))
	require.ErrorIs(t, err, secagg.ErrTranscript)
	_, err = secagg.VerifyRound(b.Verify(), drop(secagg.TypeReveal, 3))
	require.ErrorIs(t, err, secagg.ErrTranscript)
}

// S9: a transport that carries SetupBytes carries every Share packet.
func TestVersion2SetupBytes(t *testing.T) {
	forceVersion2(t, fewCycles-1)
	b := secaggtest.New(t, fewMembers(10))
	b.Advertise(b.Cohort())
	require.NoError(t, b.Share(b.Cohort()))
	p, err := b.Server.CloseShare()
	require.NoError(t, err)
	up, down := secagg.SetupBytes(b.Cohort(), 1)
	for _, i := range b.Opt.Members {
		require.LessOrEqual(t, size(t, b.Sent[i][1]), up)
		require.LessOrEqual(t, size(t, p[i]), down)
	}
}
