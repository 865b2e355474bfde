package participant_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/participant"
)

// newLargeScript is a script with so many members that version 2 runs.
func newLargeScript(t *testing.T) *script {
	s := newScript(t)
	for i := len(s.roster.Members) + 1; i <= secagg.MaxComplete+1; i++ {
		seed := sha256.Sum256([]byte{'k', uint8(i)})
		s.keys[uint8(i)] = ed25519.NewKeyFromSeed(seed[:])
		m := federation.Member{Name: fmt.Sprintf("M%d", i), Index: uint8(i), Key: federation.Key(s.keys[uint8(i)].Public().(ed25519.PublicKey))}
		s.roster.Members = append(s.roster.Members, m)
		s.plan.Cohort.Members = append(s.plan.Cohort.Members, m.Name)
		s.plan.Declaration.Roles.Deployers = append(s.plan.Declaration.Roles.Deployers, m.Name)
	}
	s.plan.Cohort.Minimum = secagg.Threshold(len(s.plan.Cohort.Members))
	machine, err := schedule.New(s.plan.Learning())
	require.NoError(t, err)
	model, err := machine.Digest()
	require.NoError(t, err)
	s.step, _ = machine.Next()
	s.sum = s.plan.Sum(s.step, [16]byte{7}, 4, secagg.InitialState(s.plan.Digest(), model), model)
	s.server = s.serve(s.sum)
	for i := range s.roster.Members {
		p, err := participant.New(s.config(uint8(i + 1)))
		require.NoError(t, err)
		s.parts[uint8(i+1)] = p
	}
	return s
}

// V6, V12: in a large cohort a node reveals its part in the draw of the graph before it shares; that it takes part is
// in the same output, and Reveal has the deadline of Advertise.
func TestLargeCohort(t *testing.T) {
	s := newLargeScript(t)
	cohort := s.server.Expected()
	s.all(cohort, s.server.Opening())
	adverts, err := s.server.CloseAdvertise()
	require.NoError(t, err)
	s.all(cohort, adverts)
	require.Equal(t, participant.Reveal, s.parts[1].Phase())
	require.Equal(t, "reveal", s.parts[1].Phase().String())
	require.Equal(t, secagg.FactDraw, s.facts[1][1].Kind)
	reveals, err := s.server.CloseReveal()
	require.NoError(t, err)
	require.NoError(t, s.give(1, reveals))
	require.Equal(t, participant.Share, s.parts[1].Phase())

	limit := s.server.Spec().Deadlines[0]
	for range limit {
		require.NoError(t, s.parts[2].Tick())
	}
	require.Equal(t, participant.Reveal, s.parts[2].Phase())
	for range 5 {
		require.NoError(t, s.parts[2].Tick())
	}
	require.ErrorIs(t, s.parts[2].Tick(), participant.ErrDeadline)

	cfg := s.config(3)
	cfg.Drawn = secagg.MaxDraws
	p, err := participant.New(cfg)
	require.NoError(t, err)
	_, err = p.Receive(s.server.Opening())
	require.NoError(t, err)
	_, err = p.Receive(adverts)
	require.ErrorIs(t, err, secagg.ErrBudget)
}
