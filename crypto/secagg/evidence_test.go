package secagg_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// S68 kind 5, S56: a sum that is not that of the uploads convicts the coordinator
// before anyone who has the roster.
func TestBlameSum(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{Sum: long(3)})
	b.Advertise(b.Cohort())
	require.NoError(t, b.Share(b.Cohort()))
	present := b.Cohort().Without(2)
	require.NoError(t, b.Mask(present))
	require.NoError(t, b.Agree(present))
	require.NoError(t, b.Unmask(present))
	b.ToNode = func(uint8, []secagg.Frame) []secagg.Frame { return nil }
	server := b.Server
	require.NoError(t, b.Publish(present))
	honest, sum := b.Result, append([]uint64(nil), b.Result...)
	sum[len(sum)-1] += 1 << 40 // in the last chunk

	// The coordinator signs another root for the same survivors and openings.
	frames := server.Published()
	lie := append([]secagg.Frame(nil), frames...)
	lie = append(lie[:len(lie)-2], secagg.ForgeSumRoot(b.Sign(0), dspec(b), frames[len(frames)-2], secagg.SumRoot(sum)), frames[len(frames)-1])
	closed, err := secagg.VerifyRound(b.Verify(), lie)
	require.NoError(t, err)
	k := b.Server.Sum().K
	for q := range uint32(3) {
		uploads, proof := proofs(b, int(q), sum)
		evidence := secagg.FalseSum(lie, 1, k, q, uploads, proof)
		if q < 2 {
			require.NoError(t, secagg.SpotCheck(closed, q, uploads, proof))
			_, _, err := secagg.CheckEvidence(b.Roster, evidence)
			require.ErrorIs(t, err, secagg.ErrTranscript)
			continue
		}
		require.ErrorIs(t, secagg.SpotCheck(closed, q, uploads, proof), secagg.ErrSpotCheck)
		requireNames(t, b, secagg.Blame{Kind: secagg.BlameSum, Evidence: evidence}, secagg.BlameSum, 0)

		// An honest result does not convict, not with a chunk or upload made up.
		_, right := proofs(b, int(q), honest)
		made := map[uint8]secagg.Proof{}
		for j, p := range uploads {
			made[j] = p
		}
		made[1] = uploads[3]
		for _, e := range [][]byte{
			secagg.FalseSum(frames, 1, k, q, uploads, right),
			secagg.FalseSum(frames, 1, k, q, uploads, proof),
			secagg.FalseSum(lie, 1, k, q, made, proof),
			secagg.FalseSum(lie, 1, k+1, q, uploads, proof),
			secagg.FalseSum(lie, 1, k, q+1, uploads, proof),
			secagg.FalseSum(lie, 1, k, q-1, uploads, proof),
		} {
			_, _, err := secagg.CheckEvidence(b.Roster, e)
			require.Error(t, err)
		}
	}
}

// S68 kind 3 with as many dropouts as a cohort of 34 bears: it fits a frame,
// so it can excuse its dealer's absence (S33).
func TestBlameDealingFitsFrame(t *testing.T) {
	const n = 34
	b := secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(n)})
	b.Advertise(b.Cohort())
	b.ToCoord = func(from uint8, p []secagg.Frame) []secagg.Frame {
		if from == 2 && p[0].Type == secagg.TypeShare {
			return secagg.ForgeDeal(b.Clients[2], func(shares map[uint8][][32]byte) { shares[4][0][0] ^= 1 })
		}
		return p
	}
	require.NoError(t, b.Share(b.Cohort()))
	present := b.Cohort()
	for d := range n - secagg.Threshold(n) {
		present = present.Without(uint8(n - d))
	}
	require.NoError(t, b.Mask(present))
	require.NoError(t, b.Agree(present))
	require.NoError(t, b.Unmask(present))
	require.ErrorIs(t, b.Publish(present), secagg.ErrBlamed)
	blame := b.Server.Blames()[0]
	require.Less(t, len(blame.Evidence), secagg.MaxEvidence/8)
	got, _, err := secagg.CheckEvidence(b.Roster, blame.Evidence)
	require.NoError(t, err)
	require.Equal(t, [2]uint8{secagg.BlameDealing, 2}, [2]uint8{got.Kind, got.Member})
}
