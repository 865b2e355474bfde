package secagg_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// S68 kind 4: a second message of another sum is no evidence, which anyone could
// see who checks it; the server refuses it and names nobody.
func TestOtherSumIsNoEquivocation(t *testing.T) {
	b, frames := agreed(t, secaggtest.Options{})
	body := slices.Clone(frames[1].Body)
	body[1]++ // k
	second := secagg.SignFrame(b.Sign(2), secagg.TypeAgree, dspec(b), 2, body)
	err := b.Server.Receive(2, []secagg.Frame{second})
	require.ErrorIs(t, err, secagg.ErrTranscript)
	require.NotErrorIs(t, err, secagg.ErrBlamed)
	require.Empty(t, b.Server.Blames())
}
