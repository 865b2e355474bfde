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
	for kind := range uint8(5) {
		e := []byte{kind}
		for _, frame := range b.Server.Published() {
			raw, err := frame.MarshalBinary()
			require.NoError(f, err)
			e = append(e, raw...)
			f.Add(e)
		}
	}
	f.Fuzz(func(t *testing.T, e []byte) {
		if blame, _, err := secagg.CheckEvidence(b.Roster, e); err == nil {
			t.Fatalf("an honest round names %d", blame.Member)
		}
	})
}
