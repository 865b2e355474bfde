package secagg_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/hpkeseal"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// shared brings a batch through Share with every packet of members altered.
func shared(t testing.TB, o secaggtest.Options, alter func(b *secaggtest.Batch, from uint8, p []secagg.Frame) []secagg.Frame) *secaggtest.Batch {
	t.Helper()
	b := secaggtest.New(t, o)
	b.Advertise(b.Cohort())
	b.ToCoord = func(from uint8, p []secagg.Frame) []secagg.Frame { return alter(b, from, p) }
	require.NoError(t, b.Share(b.Cohort()))
	b.ToCoord = nil
	return b
}

// badBundle makes dealer seal something else for holder than it commits to.
func badBundle(dealer, holder uint8) func(*secaggtest.Batch, uint8, []secagg.Frame) []secagg.Frame {
	return func(b *secaggtest.Batch, from uint8, p []secagg.Frame) []secagg.Frame {
		if from != dealer {
			return p
		}
		return secagg.ForgeBundle(b.Clients[dealer], p, holder, func(pk, info []byte) []byte {
			return secagg.SealGarbage(hpkeseal.Seal, pk, info, int(b.Server.Spec().Sums), secagg.Dealt(dealer, b.Cohort()), secagg.Deals(dealer, holder))
		})
	}
}

// S68 kind 1, S69: the key of one bundle proves what its dealer sealed.
func TestBlameBundle(t *testing.T) {
	b := shared(t, secaggtest.Options{}, badBundle(2, 4))
	require.Empty(t, b.Refused)
	require.NoError(t, b.Mask(b.Cohort()))
	requireLeft(t, b, secagg.ErrBundle, 4)
	reason, digest, failed := b.Server.Failure()
	require.True(t, failed)
	require.Equal(t, secagg.ReasonBlame, reason)
	blames := b.Server.Blames()
	require.Len(t, blames, 1)
	require.Equal(t, blames[0].Digest(), digest)
	requireNames(t, b, blames[0], secagg.BlameBundle, 2)

	stop := b.Server.Abort(reason, digest)
	_, err := b.Clients[1].Receive(stop)
	var aborted *secagg.AbortError
	require.ErrorAs(t, err, &aborted)
	require.Equal(t, secagg.AbortError{Reason: secagg.ReasonBlame, Evidence: digest}, *aborted)
	require.ErrorIs(t, err, secagg.ErrAborted)
}

// requireNames checks evidence by the roster alone, and that no broken or
// foreign evidence names anyone.
func requireNames(t testing.TB, b *secaggtest.Batch, blame secagg.Blame, kind, member uint8) {
	t.Helper()
	got, spec, err := secagg.CheckEvidence(b.Roster, blame.Evidence)
	require.NoError(t, err)
	require.Equal(t, [2]uint8{kind, member}, [2]uint8{got.Kind, got.Member})
	require.Equal(t, [2]uint8{kind, member}, [2]uint8{blame.Kind, blame.Member})
	require.Equal(t, b.Server.Spec(), spec)
	other, _ := secaggtest.NewRoster(b.Opt.Seed+1, b.Opt.Members)
	_, _, err = secagg.CheckEvidence(other, blame.Evidence)
	require.Error(t, err)
	for at := 0; at < len(blame.Evidence); at += 1 + len(blame.Evidence)/97 {
		e := slices.Clone(blame.Evidence)
		e[at] ^= 1
		if got, _, err := secagg.CheckEvidence(b.Roster, e); err == nil {
			// A changed ciphertext does not open, which only the coordinator can judge.
			require.Equal(t, member, got.Member, "byte %d", at)
		}
		_, _, err = secagg.CheckEvidence(b.Roster, e[:at])
		require.Error(t, err)
	}
}

// S68 kind 1': a complaint about a dealer who did no wrong falls on its author.
func TestBlameFalseComplaint(t *testing.T) {
	b := shared(t, secaggtest.Options{}, func(_ *secaggtest.Batch, _ uint8, p []secagg.Frame) []secagg.Frame { return p })
	_, err := b.Server.CloseShare()
	require.NoError(t, err)
	lie := secagg.ForgeComplaint(b.Sign(3), dspec(b), 3, 1, secaggtest.Digest("any key"))
	require.NoError(t, b.Server.Receive(3, []secagg.Frame{lie}))
	require.Equal(t, secagg.BlameComplaint, b.Server.Blames()[0].Kind)
	require.Equal(t, uint8(3), b.Server.Blames()[0].Member)
	require.Equal(t, secagg.PhaseMask, b.Server.Phase())
	require.NoError(t, b.Mask(b.Cohort()))
	require.ErrorIs(t, b.Refused[3], secagg.ErrUpload) // it left the batch
	require.NoError(t, b.Agree(b.Cohort()))
	require.NoError(t, b.Unmask(b.Cohort()))
	require.NoError(t, b.Publish(b.Cohort()))
	requireSum(t, b, b.Cohort().Without(3))
}

// S69: what a complaint reveals opens no other bundle.
func TestComplaintRevealsOnlyDealer(t *testing.T) {
	b := shared(t, secaggtest.Options{}, badBundle(2, 4))
	require.NoError(t, b.Mask(secagg.SetOf(4)))
	complaint := b.Sent[4][len(b.Sent[4])-1][0]
	require.Equal(t, secagg.TypeComplaint, complaint.Type)
	p, err := b.Server.CloseShare()
	require.NoError(t, err)
	opens := 0
	for _, frames := range p {
		for _, f := range frames {
			if f.Type == secagg.TypeBundle && secagg.OpensWith(f, secagg.ComplaintKey(complaint)) {
				require.Equal(t, uint8(2), f.Sender)
				opens++
			}
		}
	}
	require.Equal(t, 1, opens)
}

// S70: a bundle that does not open names nobody; the rest goes on.
func TestDisputeNamesNobody(t *testing.T) {
	b := shared(t, secaggtest.Options{}, func(b *secaggtest.Batch, from uint8, p []secagg.Frame) []secagg.Frame {
		if from != 2 {
			return p
		}
		return secagg.ForgeBundle(b.Clients[2], p, 4, func(pk, info []byte) []byte {
			body := secagg.SealGarbage(hpkeseal.Seal, pk, info, int(b.Server.Spec().Sums), secagg.Dealt(2, b.Cohort()), secagg.Deals(2, 4))
			body[0] ^= 1 // another encapsulation, another key
			return body
		})
	})
	require.NoError(t, b.Mask(b.Cohort()))
	requireLeft(t, b, secagg.ErrBundle, 4)
	require.Equal(t, []secagg.Dispute{{Member: 4, Dealer: 2}}, b.Server.Disputes())
	require.Empty(t, b.Server.Blames())
	require.Equal(t, b.Cohort().Without(4), b.Server.Expected())
	require.NoError(t, b.Agree(b.Cohort()))
	require.NoError(t, b.Unmask(b.Cohort()))
	require.NoError(t, b.Publish(b.Cohort()))
	requireSum(t, b, b.Cohort().Without(4))
}

// S13 info, S22: a bundle belongs to one dealer and one recipient.
func TestBundleReplayedAcrossDealers(t *testing.T) {
	b := shared(t, secaggtest.Options{}, func(_ *secaggtest.Batch, _ uint8, p []secagg.Frame) []secagg.Frame { return p })
	b.ToNode = func(to uint8, p []secagg.Frame) []secagg.Frame { // the coordinator mixes them up
		p = slices.Clone(p)
		var at []int
		for i, f := range p {
			if f.Type == secagg.TypeBundle {
				at = append(at, i)
			}
		}
		p[at[0]].Body, p[at[1]].Body = p[at[1]].Body, p[at[0]].Body
		return p
	}
	require.NoError(t, b.Mask(secagg.SetOf(3)))
	requireLeft(t, b, secagg.ErrAltered, 3)

	// A dealer passes another dealer's bundle off as its own.
	var stolen []byte
	b = shared(t, secaggtest.Options{}, func(b *secaggtest.Batch, from uint8, p []secagg.Frame) []secagg.Frame {
		switch from {
		case 1:
			stolen = p[len(p)-3].Body // for 3
		case 4: // deals as many seeds and deals with 3, as 1 deals not
			return secagg.ForgeBundle(b.Clients[4], p, 3, func(_, _ []byte) []byte { return stolen })
		}
		return p
	})
	if b.Refused[4] == nil {
		require.NoError(t, b.Mask(b.Cohort()))
		requireLeft(t, b, secagg.ErrBundle, 3)
		require.Equal(t, []secagg.Dispute{{Member: 3, Dealer: 4}}, b.Server.Disputes())
	} else {
		require.ErrorIs(t, b.Refused[4], secagg.ErrTranscript) // its size gives it away
	}
}

// S22: changed or cut on the way to the recipient, or to the coordinator.
func TestBundleAltered(t *testing.T) {
	for name, change := range map[string]func(body []byte) []byte{
		"changed": func(body []byte) []byte { body[len(body)-1] ^= 1; return body },
		"cut":     func(body []byte) []byte { return body[:len(body)-1] },
		"empty":   func([]byte) []byte { return nil },
	} {
		b := shared(t, secaggtest.Options{}, func(_ *secaggtest.Batch, _ uint8, p []secagg.Frame) []secagg.Frame { return p })
		b.ToNode = func(_ uint8, p []secagg.Frame) []secagg.Frame {
			p = slices.Clone(p)
			i := slices.IndexFunc(p, func(f secagg.Frame) bool { return f.Type == secagg.TypeBundle })
			p[i].Body = change(slices.Clone(p[i].Body))
			return p
		}
		require.NoError(t, b.Mask(secagg.SetOf(1)), name)
		requireLeft(t, b, secagg.ErrAltered, 1)

		b = shared(t, secaggtest.Options{}, func(_ *secaggtest.Batch, from uint8, p []secagg.Frame) []secagg.Frame {
			if from == 2 {
				p = slices.Clone(p)
				last := &p[1+2*5-2]
				last.Body = change(slices.Clone(last.Body))
			}
			return p
		})
		require.ErrorIs(t, b.Refused[2], secagg.ErrAltered, name)
		require.False(t, b.Server.Answered().Has(2))
	}
}

// S68 kind 2: a share that is not the committed one names its holder, and the
// sum goes on with the others.
func TestBlameShare(t *testing.T) {
	b, _ := agreed(t, secaggtest.Options{})
	b.ToCoord = func(from uint8, p []secagg.Frame) []secagg.Frame {
		if from == 3 {
			p = []secagg.Frame{secagg.ForgeUnmask(b.Sign(3), dspec(b), p[0], 1)}
		}
		return p
	}
	require.NoError(t, b.Unmask(b.Cohort()))
	require.ErrorIs(t, b.Refused[3], secagg.ErrBlamed)
	require.Len(t, b.Server.Blames(), 1)
	requireNames(t, b, b.Server.Blames()[0], secagg.BlameShare, 3)
	require.NoError(t, b.Publish(b.Cohort()))
	requireSum(t, b, b.Cohort())
}

// S68 kind 3: shares that are committed to but do not give the seed name the dealer.
func TestBlameDealing(t *testing.T) {
	for _, drop := range []map[uint8]secagg.Phase{nil, {2: secagg.PhaseMask}} { // self seed, pair seed
		b := shared(t, secaggtest.Options{}, func(b *secaggtest.Batch, from uint8, p []secagg.Frame) []secagg.Frame {
			if from != 2 {
				return p
			}
			return secagg.ForgeDeal(b.Clients[2], func(shares map[uint8][][32]byte) {
				for n := range tested(shares[3]) {
					tested(shares[3])[n][0] ^= 0x55
				}
			})
		})
		require.Empty(t, b.Refused)
		present := b.Cohort()
		for i := range drop {
			present = present.Without(i)
		}
		require.NoError(t, b.Mask(present))
		require.NoError(t, b.Agree(present))
		require.NoError(t, b.Unmask(present))
		require.ErrorIs(t, b.Publish(present), secagg.ErrBlamed)
		require.Empty(t, b.Errors)
		reason, digest, _ := b.Server.Failure()
		require.Equal(t, secagg.ReasonDealing, reason)
		require.Equal(t, digest, b.Server.Blames()[0].Digest())
		requireNames(t, b, b.Server.Blames()[0], secagg.BlameDealing, 2)
	}
}

// S68 kind 4, S30: the first message counts, the second is evidence.
func TestBlameEquivocation(t *testing.T) {
	b, frames := agreed(t, secaggtest.Options{})
	require.NoError(t, b.Server.Receive(2, frames[1:2])) // an exact duplicate
	second := secagg.SignFrame(b.Sign(2), secagg.TypeAgree, dspec(b), 2, append(slices.Clone(frames[1].Body[:65]), frames[1].Body[65]^1))
	err := b.Server.Receive(2, []secagg.Frame{second})
	require.ErrorIs(t, err, secagg.ErrEquivocation)
	require.ErrorIs(t, err, secagg.ErrBlamed)
	requireNames(t, b, b.Server.Blames()[0], secagg.BlameEquivocation, 2)
	second.Signature = slices.Clone(second.Signature)
	second.Signature[5] ^= 1
	err = b.Server.Receive(3, []secagg.Frame{{Type: second.Type, Sender: 3, Body: second.Body, Signature: second.Signature}})
	require.ErrorIs(t, err, secagg.ErrEquivocation)
	require.NotErrorIs(t, err, secagg.ErrBlamed)
	require.Len(t, b.Server.Blames(), 1)
}

// S68, soundness: whatever up to c corrupt members do, no honest one is named.
func TestHonestNeverBlamed(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(4, 7).Draw(r, "members")
		corrupt := secagg.SetOf(rapid.Permutation(secaggtest.Indexes(n)).Draw(r, "corrupt")[:n-secagg.Threshold(n)]...)
		sums := rapid.SampledFrom([]uint16{1, 3}).Draw(r, "sums")
		b := secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(n), Sums: sums, Seed: rapid.Byte().Draw(r, "seed")})
		alter := func(from uint8, p []secagg.Frame) []secagg.Frame {
			if !corrupt.Has(from) {
				return p
			}
			victim := uint8(1 + rapid.IntRange(0, n-1).Draw(r, "victim"))
			what := rapid.IntRange(0, 4).Draw(r, "lie")
			switch p[0].Type {
			case secagg.TypeShare:
				switch {
				case what == 0 && b.Server.Advertised().Has(victim):
					return secagg.ForgeDeal(b.Clients[from], func(s map[uint8][][32]byte) { s[victim][0][3] ^= 9 })
				case what == 1 && victim != from && b.Server.Advertised().Has(victim):
					return secagg.ForgeBundle(b.Clients[from], p, victim, func(pk, info []byte) []byte {
						return secagg.SealGarbage(hpkeseal.Seal, pk, info, int(b.Server.Spec().Sums), secagg.Dealt(from, b.Server.Advertised()), secagg.Deals(from, victim))
					})
				}
			case secagg.TypeMask:
				if what == 0 && victim != from {
					return []secagg.Frame{secagg.ForgeComplaint(b.Sign(from), dspec(b), from, victim, secaggtest.Digest("key"))}
				}
			case secagg.TypeUnmask:
				if what <= 2 {
					return []secagg.Frame{secagg.ForgeUnmask(b.Sign(from), dspec(b), p[0], int(victim))}
				}
			}
			if what == 4 {
				return nil
			}
			return p
		}
		b.ToCoord = alter
		all := b.Cohort()
		b.Advertise(all)
		for _, step := range []func(secagg.Set) error{b.Share, b.Mask, b.Agree, b.Unmask, b.Publish} {
			if b.Server.Phase() == secagg.PhaseAborted || step(all) != nil {
				break
			}
		}
		for _, blame := range b.Server.Blames() {
			require.True(t, corrupt.Has(blame.Member), "%d named by kind %d", blame.Member, blame.Kind)
		}
		if b.Server.Phase() == secagg.PhaseClosed {
			require.Equal(t, b.Plain(b.Server.Survivors()), b.Result)
		}
	})
}

// S68 kind 2, soundness: a dealer signs a second share message, the coordinator
// shows the first to a holder and makes evidence with the second. What the
// holder signed covers the first, so it is not named.
func TestEquivocatingDealerNamesNoHolder(t *testing.T) {
	shown, _ := agreed(t, secaggtest.Options{})
	require.NoError(t, shown.Unmask(shown.Cohort()))
	second := shared(t, secaggtest.Options{}, func(o *secaggtest.Batch, from uint8, p []secagg.Frame) []secagg.Frame {
		if from == 2 {
			return secagg.ForgeDeal(o.Clients[2], func(s map[uint8][][32]byte) { tested(s[3])[0][0] ^= 1 })
		}
		return p
	})
	require.Equal(t, dspec(shown), dspec(second))
	require.NoError(t, second.Mask(second.Cohort()))
	require.NoError(t, second.Agree(second.Cohort()))
	_, _, err := secagg.CheckEvidence(second.Roster, secagg.ShareEvidence(second.Server, 2, 3, shown.Sent[3][4][0]))
	require.ErrorIs(t, err, secagg.ErrTranscript)
	require.ErrorIs(t, second.Server.Receive(3, shown.Sent[3][4]), secagg.ErrTranscript)
}
