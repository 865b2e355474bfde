package secagg_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

func FuzzCheckEvidence(f *testing.F) {
	b := secaggtest.New(f, secaggtest.Options{Members: secaggtest.Indexes(3)})
	require.NoError(f, b.Run(nil))
	require.Error(f, b.Server.Receive(1, b.Sent[2][3]))
	for kind := range uint8(7) {
		e := []byte{kind}
		for _, frame := range b.Server.Published() {
			raw, err := frame.MarshalBinary()
			require.NoError(f, err)
			e = append(e, raw...)
			f.Add(e)
		}
	}
	batch := secaggtest.New(f, secaggtest.Options{Members: secaggtest.Indexes(3), Sums: 3})
	require.NoError(f, batch.Run(nil))
	require.NoError(f, batch.Next(batch.Cohort(), batch.Step(2), nil))
	require.NoError(f, batch.RunSum(everyone(batch)))
	uploads, sum := proofs(batch, 0, batch.Result)
	f.Add(secagg.FalseSum(batch.Server.Published(), 1, 2, 0, uploads, sum))
	f.Add(secagg.ShareEvidence(batch.Server, 1, 2, batch.Sent[2][len(batch.Sent[2])-1][0]))
	f.Add(secagg.FalseModel(b.Server.Published(), 1, 1, [32]byte{1}, b.Result))
	f.Add(secagg.FalseModel(batch.Server.Published(), 2, 2, [32]byte{1}, nil))
	f.Fuzz(func(t *testing.T, e []byte) {
		in, err := secagg.InspectEvidence(b.Roster, e)
		if err == nil && in.Signed.Valid+in.Signed.Wrong > in.Frames {
			t.Fatalf("%d frames with %d signatures", in.Frames, in.Signed.Valid+in.Signed.Wrong)
		}
		// The results here announce a word for their state, which is the coordinator's own lie (kind 6).
		if blame, _, err := secagg.CheckEvidence(b.Roster, e); err == nil && (blame.Kind != secagg.BlameModel || blame.Member != 0) {
			t.Fatalf("an honest round names %d", blame.Member)
		}
	})
}
