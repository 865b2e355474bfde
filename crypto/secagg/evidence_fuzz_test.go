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
	for kind := range uint8(6) {
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
	f.Fuzz(func(t *testing.T, e []byte) {
		if blame, _, err := secagg.CheckEvidence(b.Roster, e); err == nil {
			t.Fatalf("an honest round names %d", blame.Member)
		}
	})
}
