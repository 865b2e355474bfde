package secagg_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// S65: a server restored from what was journalled, at any moment, sends the same
// bytes, and the members go on without noticing.
func TestRestartEachPhase(t *testing.T) {
	for at := secagg.PhaseMask; at <= secagg.PhaseUnmask; at++ {
		t.Run(at.String(), func(t *testing.T) {
			b := secaggtest.New(t, secaggtest.Options{})
			var journal []func(s *secagg.Server) error
			b.ToCoord = func(from uint8, p []secagg.Frame) []secagg.Frame {
				journal = append(journal, func(s *secagg.Server) error { return s.Receive(from, p) })
				if p[0].Type == secagg.TypeMask {
					journal = append(journal, func(s *secagg.Server) error { return s.RestoreWhole(from) })
				}
				return p
			}
			closePhase := func(s *secagg.Server) (err error) {
				switch s.Phase() {
				case secagg.PhaseAdvertise:
					_, err = s.CloseAdvertise()
				case secagg.PhaseShare:
					_, err = s.CloseShare()
				case secagg.PhaseMask:
					_, err = s.CloseMask()
				}
				return err
			}
			restart := func() {
				before, phase := b.Server, b.Server.Phase()
				s, err := secagg.NewServer(b.ServerConfig())
				require.NoError(t, err)
				for _, event := range journal {
					require.NoError(t, event(s))
				}
				require.Equal(t, phase, s.Phase())
				require.Equal(t, before.Opening(), s.Opening())
				want, err := before.CloseShare()
				require.NoError(t, err)
				got, err := s.CloseShare()
				require.NoError(t, err)
				require.Equal(t, want, got)
				require.Equal(t, before.Answered(), s.Answered())
				require.Equal(t, before.Survivors(), s.Survivors())
				b.Server = s
			}
			b.Advertise(b.Cohort())
			for i, step := range []func(secagg.Set) error{b.Share, b.Mask, b.Agree, b.Unmask, b.Publish} {
				who := b.Cohort()
				if i >= 1 {
					who = who.Without(2)
				}
				journal = append(journal, closePhase)
				require.NoError(t, step(who.Minus(secagg.SetOf(4, 5))))
				if i+1 == int(at) {
					restart()
				}
				if i < 4 {
					require.NoError(t, step(who)) // those who have answered are asked again
				}
			}
			require.Empty(t, b.Errors)
			require.Empty(t, b.Refused)
			requireSum(t, b, b.Cohort().Without(2))
		})
	}
}
