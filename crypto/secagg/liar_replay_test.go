package secagg_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// S27: seeds cover one vector, whatever the coordinator or the driver asks for.
func TestSeedsCoverOneVector(t *testing.T) {
	b := masked(t, secaggtest.Options{})
	_, err := b.Clients[1].Vector(b.Vectors[2])
	require.ErrorIs(t, err, secagg.ErrReused)
	require.Equal(t, "masked", b.Clients[1].State())

	p, err := b.Server.CloseShare()
	require.NoError(t, err)
	out, err := b.Clients[1].Receive(p[1]) // the coordinator restarted and asks again
	require.NoError(t, err)
	require.False(t, out.Want)
	require.Equal(t, b.Sent[1][2], out.Send)
	require.Same(t, b.Uploads[1], out.Upload)

	b.Deliver(1, p[1][:len(p[1])-3]) // another U2, another g
	requireLeft(t, b, secagg.ErrEquivocation, 1)
}

// S32: nothing is stored once U3 is fixed.
func TestLateUploadRefused(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{})
	b.Advertise(b.Cohort())
	require.NoError(t, b.Share(b.Cohort()))
	require.NoError(t, b.Mask(b.Cohort().Without(5)))
	require.NoError(t, b.Agree(b.Cohort()))
	p, err := b.Server.CloseShare()
	require.NoError(t, err)
	b.Deliver(5, p[5])
	require.ErrorIs(t, b.Refused[5], secagg.ErrUpload)
	require.ErrorIs(t, b.Server.Chunk(5, 0, make([]byte, 8*8)), secagg.ErrUpload)
	require.ErrorIs(t, b.Server.Chunk(4, 0, b.Uploads[4].Chunk(0)), secagg.ErrUpload)
	require.ErrorIs(t, b.Server.MarkWhole(5), secagg.ErrUpload)
	require.False(t, b.Server.Survivors().Has(5))
}

// S63, h1: rounds are numbered, and everything is signed over its own spec.
func TestReplayedSpec(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{Round: 4, Client: func(i uint8, c *secagg.ClientConfig) {
		if i <= 2 {
			c.LastRound = 3 + uint32(i)
		}
	}})
	b.Advertise(b.Cohort())
	requireLeft(t, b, secagg.ErrStale, 1, 2)
	require.Equal(t, []secagg.Fact{{Kind: secagg.FactRound, Round: 4}}, b.Facts[3])
}

func TestReplayedShare(t *testing.T) {
	old := masked(t, secaggtest.Options{})
	b := secaggtest.New(t, secaggtest.Options{Round: 2})
	b.Advertise(b.Cohort())
	require.ErrorIs(t, b.Server.Receive(1, old.Sent[1][0]), secagg.ErrEquivocation)
	require.Empty(t, b.Server.Blames()) // signed over another spec: no evidence
	require.NoError(t, b.Share(b.Cohort().Without(1)))
	require.ErrorIs(t, b.Server.Receive(1, old.Sent[1][1]), secagg.ErrSignature)
	oldPackets, err := old.Server.CloseShare()
	require.NoError(t, err)
	require.NoError(t, b.Mask(secagg.Set{}))
	b.Deliver(2, oldPackets[2])
	requireLeft(t, b, secagg.ErrSignature, 2)
}
