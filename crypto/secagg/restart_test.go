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
				case secagg.PhaseReveal:
					_, err = s.CloseReveal()
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
			if version2 {
				journal = append(journal, closePhase)
				require.NoError(t, b.Reveal(b.Cohort()))
			}
			for i, step := range []func(secagg.Set) error{b.Share, b.Mask, b.Agree, b.Unmask, b.Publish} {
				who := b.Cohort()
				if i >= 1 {
					who = who.Without(2)
				}
				journal = append(journal, closePhase)
				require.NoError(t, step(who.Minus(secagg.SetOf(4, 5))))
				if secagg.PhaseShare+secagg.Phase(i) == at {
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

// S65: a server restored in the second sum of a batch from what was journalled,
// the announcement of that sum included.
func TestRestartInBatch(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{Sums: 3})
	var journal []func(s *secagg.Server) error
	note := func(event func(s *secagg.Server) error) { journal = append(journal, event) }
	b.ToCoord = func(from uint8, p []secagg.Frame) []secagg.Frame {
		note(func(s *secagg.Server) error { return s.Receive(from, p) })
		if p[0].Type == secagg.TypeMask {
			note(func(s *secagg.Server) error { return s.RestoreWhole(from) })
		}
		return p
	}
	closePhase := []func(s *secagg.Server) error{
		func(s *secagg.Server) error { _, err := s.CloseAdvertise(); return err },
		func(s *secagg.Server) error { _, err := s.CloseShare(); return err },
		func(s *secagg.Server) error { _, err := s.CloseMask(); return err },
	}
	b.Advertise(b.Cohort())
	for i, step := range []func(secagg.Set) error{b.Share, b.Mask, b.Agree, b.Unmask, b.Publish} {
		if i < len(closePhase) {
			note(closePhase[i])
		}
		require.NoError(t, step(b.Cohort()))
	}
	first := b.Result
	note(func(s *secagg.Server) error {
		if _, err := s.Open(); err != nil {
			return err
		}
		_, err := s.Result(uint32(len(first)), secagg.SumRoot(first), secaggtest.Digest("next state"), secaggtest.Digest("next model"))
		return err
	})
	note(func(s *secagg.Server) error { _, err := s.Next(b.Step(2), nil, nil); return err })
	require.NoError(t, b.Next(b.Cohort().Without(4), b.Step(2), nil))
	packet := b.Packet

	before := b.Server
	s, err := secagg.NewServer(b.ServerConfig())
	require.NoError(t, err)
	for _, event := range journal {
		require.NoError(t, event(s))
	}
	require.Equal(t, before.Sum(), s.Sum())
	require.Equal(t, before.Answered(), s.Answered())
	require.Equal(t, before.Eligible(), s.Eligible())
	b.Server, b.Packet = s, packet
	b.Announce(b.Cohort()) // those who have masked send it again
	require.NoError(t, b.RunSum(everyone(b)))
	require.Empty(t, b.Errors)
	require.Empty(t, b.Refused)
	requireSum(t, b, b.Cohort())
}
