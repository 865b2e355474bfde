package participant_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/leaktest"
	"github.com/koinon-eu/koinon/node/participant"
)

// TestRhoIsNeverPrinted: S13, neither by the configuration that brings it nor by the machine, in any phase.
func TestRhoIsNeverPrinted(t *testing.T) {
	s := newScript(t)
	cfg := s.config(1)
	var scanner leaktest.Scanner
	scanner.Add("rho", cfg.Rho[:])
	fresh, err := participant.New(cfg)
	require.NoError(t, err)
	for _, v := range []any{cfg, &cfg, fresh} {
		require.Empty(t, scanner.Find(leaktest.Render(v)), "%T", v)
	}
	require.NotEmpty(t, scanner.Find(leaktest.Render(cfg.Rho))) // it can fail
	require.False(t, reflect.TypeOf(cfg).Comparable())
	s.start(nil)
	for _, next := range []func(){s.advertise, s.share, func() { s.mask(everyone) }, func() { s.agree() }} {
		next()
		require.Empty(t, scanner.Find(leaktest.Render(s.parts[1])))
	}
	require.Contains(t, s.parts[1].String(), "agree")
}
