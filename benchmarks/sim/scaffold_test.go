package sim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestScaffold: a run of SCAFFOLD over the real stack, with a node that dies before its vector is in a sum and is
// started again. Its control variate is the one it stored, so it takes part in every later step.
func TestScaffold(t *testing.T) {
	s := setStage(t, testPlan(t, "{name: fedadam, rounds: 3}", "{name: scaffold, rounds: 8}"), fiveTables(t), nil)
	it := s.actors["IT"]
	dead := it.dieOn("sum", 6)
	s.submit()
	s.playAll()
	select {
	case <-dead:
	case <-t.Context().Done():
		t.Fatal("IT never saw the sum of round 6")
	}
	it.stop()
	it.play()
	r := s.evaluated()
	require.Equal(t, 4, r.Rounds[5].Survivors.Len())
	for _, one := range r.Rounds[7:] {
		require.Equal(t, 5, one.Survivors.Len(), "round %d", one.Number)
	}
	s.checkSums(r)
}
