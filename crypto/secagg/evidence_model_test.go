package secagg_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// S68 kind 6: a state that does not follow from what stands beside it, and a sum out of range that was published all the
// same (S48), convict the coordinator before anyone who has the roster. An honest result does not, with whatever words.
func TestBlameModel(t *testing.T) {
	for _, sums := range []uint16{1, 3} {
		b := secaggtest.New(t, secaggtest.Options{Sums: sums})
		require.NoError(t, b.Run(nil))
		if sums > 1 {
			require.NoError(t, b.Next(b.Cohort(), b.Step(2), nil))
			require.NoError(t, b.RunSum(everyone(b)))
		}
		frames, sum, k := b.Server.Published(), b.Server.Sum(), b.Server.Sum().K
		honest := honestResult(t, b, frames, sum)
		nobody := [32]byte{1}
		for _, e := range [][]byte{
			secagg.FalseModel(honest, 1, k, nobody, b.Result),
			secagg.FalseModel(honest, 1, k, nobody, nil),
			secagg.FalseModel(frames, 1, k, nobody, b.Result[:len(b.Result)-1]),
			secagg.FalseModel(frames, 1, k+1, nobody, b.Result),
			secagg.FalseModel(frames[1:], 1, k, nobody, b.Result),
		} {
			_, _, err := secagg.CheckEvidence(b.Roster, e)
			require.Error(t, err)
		}
		claim, err := secagg.ReadModelClaim(b.Roster, secagg.FalseModel(honest, 4, k, nobody, b.Result))
		require.NoError(t, err)
		require.Equal(t, b.Result, claim.Words)
		require.Equal(t, uint8(4), claim.Reporter)
		require.Equal(t, nobody, claim.Computed)
		require.Equal(t, sum, claim.Sum)
		other := slices.Clone(b.Result)
		other[0]++
		_, err = secagg.ReadModelClaim(b.Roster, secagg.FalseModel(honest, 1, k, nobody, other))
		require.ErrorIs(t, err, secagg.ErrTranscript)

		// The batch's own result announces the digest of a word for its state, which follows from nothing.
		requireNames(t, b, secagg.Blame{Kind: secagg.BlameModel, Evidence: secagg.FalseModel(frames, 1, k, nobody, nil)}, secagg.BlameModel, 0)

		// A sum out of range with a state that fits it.
		wrong := slices.Clone(b.Result)
		wrong[len(wrong)-1]++ // one member more than survived
		lie := resultOf(t, b, frames, sum, secagg.SumRoot(wrong))
		requireNames(t, b, secagg.Blame{Kind: secagg.BlameModel, Evidence: secagg.FalseModel(lie, 1, k, [32]byte{}, wrong)}, secagg.BlameModel, 0)
	}
}

func honestResult(t *testing.T, b *secaggtest.Batch, frames []secagg.Frame, sum secagg.Sum) []secagg.Frame {
	return resultOf(t, b, frames, sum, secagg.SumRoot(b.Result))
}

// resultOf signs another result for a round: with this root and the state that follows from it.
func resultOf(t *testing.T, b *secaggtest.Batch, frames []secagg.Frame, sum secagg.Sum, root [32]byte) []secagg.Frame {
	t.Helper()
	spec := b.Server.Spec()
	n := len(frames)
	body := slices.Clone(frames[n-2].Body) // k 2 · h3 32 · sum_root 32 · words 4 · state 32 · model 32 · openings_root 32
	copy(body[34:], root[:])
	sigma := secagg.StepDigest(spec.Federation, spec.Plan, sum)
	state := secagg.NextState(sum.State, sigma, [32]byte(body[2:34]), root, [32]byte(body[102:134]))
	copy(body[70:], state[:])
	out := slices.Clone(frames)
	out[n-2] = b.Resign(secagg.Frame{Type: secagg.TypeResult, Body: body}, spec.Digest(), "koinon/secagg/v1/result")
	return out
}

// S30, S68 kind 4: of two packets each pair of signed messages that may not both exist is evidence, and no other pair.
func TestEquivocations(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{})
	require.NoError(t, b.Run(nil))
	frames, dspec := b.Server.Published(), b.Server.Spec().Digest()
	require.Empty(t, secagg.Equivocations(b.Roster, frames[0], frames, frames))
	var second []secagg.Frame
	for _, f := range frames {
		if f.Type == secagg.TypeResult || f.Type == secagg.TypeMask && f.Sender == 3 {
			body := slices.Clone(f.Body)
			body[40] ^= 1
			second = append(second, b.Resign(secagg.Frame{Type: f.Type, Sender: f.Sender, Body: body}, dspec, "koinon/secagg/v1/"+f.Type.String()))
		}
	}
	require.Len(t, second, 2)
	all := secagg.Equivocations(b.Roster, frames[0], frames, second)
	require.Len(t, all, 2)
	for i, member := range []uint8{3, 0} {
		requireNames(t, b, secagg.Blame{Kind: secagg.BlameEquivocation, Member: member, Evidence: all[i]}, secagg.BlameEquivocation, member)
	}
	in, err := secagg.InspectEvidence(b.Roster, all[1])
	require.NoError(t, err)
	require.Equal(t, secagg.Signed{Valid: 3}, in.Signed)
	require.Equal(t, uint32(1), in.Round)
	second[1].Signature[3] ^= 1
	require.Len(t, secagg.Equivocations(b.Roster, frames[0], frames, second), 1)
}
