package secagg_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/hpkeseal"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// S68, V17: evidence of every kind names the guilty over a graph that does not
// join all, and nobody else.
func TestVersion2Blame(t *testing.T) {
	forceVersion2(t, fewCycles)
	const dealer = 2
	neighbour := func(b *secaggtest.Batch) uint8 {
		near, _ := secagg.Near(b.Server, dealer)
		return near.Members()[0]
	}
	t.Run("bundle", func(t *testing.T) {
		b := shared(t, fewMembers(8), func(b *secaggtest.Batch, from uint8, p []secagg.Frame) []secagg.Frame {
			if from != dealer {
				return p
			}
			near, _ := secagg.Near(b.Server, dealer)
			j := near.Members()[0]
			return secagg.ForgeBundle(b.Clients[dealer], p, j, func(pk, info []byte) []byte {
				return secagg.SealGarbage(hpkeseal.Seal, pk, info, 1, secagg.Dealt(dealer, near), secagg.Deals(dealer, j))
			})
		})
		require.Empty(t, b.Refused)
		require.NoError(t, b.Mask(b.Cohort()))
		requireLeft(t, b, secagg.ErrBundle, neighbour(b))
		requireNames(t, b, b.Server.Blames()[0], secagg.BlameBundle, dealer)
	})
	t.Run("share", func(t *testing.T) {
		b, _ := agreed(t, fewMembers(8))
		j := neighbour(b)
		b.ToCoord = func(from uint8, p []secagg.Frame) []secagg.Frame {
			if from == j && p[0].Type == secagg.TypeUnmask {
				return []secagg.Frame{secagg.ForgeUnmask(b.Sign(j), dspec(b), p[0], 1)}
			}
			return p
		}
		require.NoError(t, b.Unmask(b.Cohort()))
		require.ErrorIs(t, b.Refused[j], secagg.ErrBlamed)
		requireNames(t, b, b.Server.Blames()[0], secagg.BlameShare, j)
		require.NoError(t, b.Publish(b.Cohort()))
		requireSum(t, b, b.Cohort())
	})
	t.Run("dealing", func(t *testing.T) {
		b := shared(t, fewMembers(8), func(b *secaggtest.Batch, from uint8, p []secagg.Frame) []secagg.Frame {
			if from != dealer {
				return p
			}
			return secagg.ForgeDeal(b.Clients[dealer], func(shares map[uint8][][32]byte) { shares[neighbour(b)][0][0] ^= 0x55 })
		})
		require.Empty(t, b.Refused)
		require.NoError(t, b.Mask(b.Cohort()))
		require.NoError(t, b.Agree(b.Cohort()))
		require.NoError(t, b.Unmask(b.Cohort()))
		require.ErrorIs(t, b.Publish(b.Cohort()), secagg.ErrBlamed)
		requireNames(t, b, b.Server.Blames()[0], secagg.BlameDealing, dealer)
	})
	t.Run("two reveals", func(t *testing.T) {
		b := secaggtest.New(t, fewMembers(8))
		b.Advertise(b.Cohort())
		require.NoError(t, b.Reveal(b.Cohort()))
		second := secagg.ForgeReveal(b.Sign(3), dspec(b), 3, secaggtest.Digest("other adverts"), secagg.Draw(b.Reveals[3][0]))
		require.ErrorIs(t, b.Server.Receive(3, []secagg.Frame{second}), secagg.ErrBlamed)
		requireNames(t, b, b.Server.Blames()[0], secagg.BlameEquivocation, 3)
	})
}

// S37, S38, V16: a batch of three sums over one graph; members who leave between
// two sums are not waited for.
func TestVersion2Batch(t *testing.T) {
	forceVersion2(t, fewCycles+2)
	o := fewMembers(9)
	o.Sums = 3
	b := secaggtest.New(t, o)
	require.NoError(t, b.Run(nil))
	requireSum(t, b, b.Cohort())
	clear(b.Closed)
	for k := uint16(2); k <= 3; k++ {
		require.NoError(t, b.Next(b.Cohort().Without(5), b.Step(k), nil))
		require.NoError(t, b.RunSum(without(b, secagg.PhaseMask, 5)))
		requireSum(t, b, b.Cohort().Without(5))
	}
	require.Empty(t, b.Errors)
}
