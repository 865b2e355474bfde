package sim

import (
	"testing"

	"github.com/koinon-eu/koinon/crypto/secagg"

	"github.com/stretchr/testify/require"
)

// Lies that a coordinator tells in the second or third sum of a batch, where a node has no advert to say no in.

// inBatch hires five nodes and closes the first sums of a batch honestly.
func inBatch(t *testing.T, closed int) *crook {
	c := hire(t, testPlan(t, "rounds: 3", "rounds: 6"), nil)
	c.sums = 8
	c.whole(1)
	for range closed - 1 {
		require.NoError(t, c.onTo(secagg.PhasePublish))
	}
	return c
}

// What a node says in a sum that is not the first, until its vector is whole.
var untilMaskInBatch = []string{"mask", "chunk"}

// TestLiarTooManySums: a batch of more sums than the plan says (S9): ErrPolicy before a word is said.
func TestLiarTooManySums(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.sums = 17
	require.NoError(t, c.upTo(secagg.PhaseAdvertise))
	for _, name := range five {
		c.refuses(name, secagg.ErrPolicy)
	}
}

// TestLiarTellsFalseSumInABatch: one word of the sum is another one (S56): ErrSpotCheck; the node leaves batch
// and run.
func TestLiarTellsFalseSumInABatch(t *testing.T) {
	c := inBatch(t, 3)
	c.falsify = func(sum []uint64) { sum[0]++ }
	require.NoError(t, c.onTo(secagg.PhasePublish))
	c.sums = 1
	c.stopped(secagg.ErrSpotCheck)
}

// TestLiarShowsTwoModelsInABatch: another model, state, query or place in the batch for one member, properly signed
// (S58, S73, S38): refused before a vector is masked.
func TestLiarShowsTwoModelsInABatch(t *testing.T) {
	c := inBatch(t, 2)
	lies := map[uint8]func(*secagg.Sum){
		1: func(s *secagg.Sum) { s.Model[3] ^= 1 },
		2: func(s *secagg.Sum) { s.State[3] ^= 1 },
		3: func(s *secagg.Sum) { s.Query[3] ^= 1 },
		4: func(s *secagg.Sum) { s.Members = s.Members.Without(5) },
		5: func(s *secagg.Sum) { s.Prev[3] ^= 1 },
	}
	c.alter = func(to uint8, _ []secagg.Frame) []secagg.Frame {
		sum := c.server.Sum()
		lies[to](&sum)
		body, err := sum.MarshalBinary()
		require.NoError(t, err)
		return []secagg.Frame{c.resign(secagg.TypeSum, c.server.Spec().Digest(), body)}
	}
	require.NoError(t, c.onTo(secagg.PhaseMask))
	for name, want := range map[string]error{
		"DE": secagg.ErrModel, "FR": secagg.ErrModel, "IT": secagg.ErrPolicy, "PL": secagg.ErrTranscript, "PT": secagg.ErrTranscript,
	} {
		c.refuses(name, want)
	}
}

// TestLiarReplaysSumInABatch: the last sum once more under the next number moves nobody and costs nothing (S30, S39);
// with other contents it is a second answer for used seeds (S27): ErrEquivocation, and no second vector.
func TestLiarReplaysSumInABatch(t *testing.T) {
	c := inBatch(t, 2)
	replay := func(change func(*secagg.Sum)) {
		c.mu.Lock()
		defer c.mu.Unlock()
		old := c.server.Sum()
		change(&old)
		body, err := old.MarshalBinary()
		require.NoError(t, err)
		c.round++
		c.send(c.server.Spec().Cohort, same([]secagg.Frame{c.resign(secagg.TypeSum, c.server.Spec().Digest(), body)}))
	}
	replay(func(*secagg.Sum) {})
	c.round--
	require.NoError(t, c.onTo(secagg.PhasePublish))
	for _, name := range five {
		eventually(t, name+" goes on", func() bool { return c.actors[name].last() == 3 })
		require.Empty(t, c.actors[name].left())
	}
	replay(func(s *secagg.Sum) { s.Query[0] ^= 1 })
	for _, name := range five {
		c.refuses(name, secagg.ErrEquivocation)
	}
}

// TestLiarSkipsTheResult: the next sum before the present one has ended (S39): ErrTranscript, and the shares of the
// present one are not given after it.
func TestLiarSkipsTheResult(t *testing.T) {
	c := inBatch(t, 1)
	require.NoError(t, c.onTo(secagg.PhaseAgree))
	sum := c.server.Sum()
	sum.K, sum.Round = sum.K+1, sum.Round+1
	body, err := sum.MarshalBinary()
	require.NoError(t, err)
	c.mu.Lock()
	c.round++
	c.send(c.server.Spec().Cohort, same([]secagg.Frame{c.resign(secagg.TypeSum, c.server.Spec().Digest(), body)}))
	c.round--
	c.mu.Unlock()
	for _, name := range five {
		c.refuses(name, secagg.ErrTranscript, append(untilMaskInBatch, "agree")...)
	}
}

// TestLiarAsksForBothSeedsInABatch: after its Agree of the second sum a node is told that PT has dropped out (S24, S26,
// S30): ErrEquivocation, no shares; and two halves that are shown different survivors get no certificate (S23).
func TestLiarAsksForBothSeedsInABatch(t *testing.T) {
	c := inBatch(t, 1)
	require.NoError(t, c.onTo(secagg.PhaseAgree))
	c.mu.Lock()
	p, err := c.server.CloseMask()
	require.NoError(t, err)
	c.send(secagg.SetOf(1, 2), same(c.survivorsWithout(p, 5)))
	c.mu.Unlock()
	for _, name := range []string{"DE", "FR"} {
		c.refuses(name, secagg.ErrEquivocation, append(untilMaskInBatch, "agree")...)
	}
	require.Empty(t, c.actors["PT"].left())
}

// TestLiarSplitsSurvivorsInABatch: the halves of a split U3 in the second sum (Agreed row, S23): ErrCertificate.
func TestLiarSplitsSurvivorsInABatch(t *testing.T) {
	c := inBatch(t, 1)
	c.alter = func(to uint8, p []secagg.Frame) []secagg.Frame {
		if p[0].Type == secagg.TypeSurvivors && to <= 2 {
			return c.survivorsWithout(p, 5)
		}
		return p
	}
	require.NoError(t, c.onTo(secagg.PhaseAgree))
	c.mu.Lock()
	c.alter = nil
	c.send(secagg.SetOf(1, 3), same(c.certificateOf(1, 2, 3, 4)))
	c.send(secagg.SetOf(2), same(c.certificateOf(1, 2)))
	c.send(secagg.SetOf(4, 5), same(c.certificateOf(3, 4, 5)))
	c.mu.Unlock()
	for _, name := range five {
		c.refuses(name, secagg.ErrCertificate, append(untilMaskInBatch, "agree")...)
	}
}
