package sim

import (
	"encoding/hex"
	"slices"
	"testing"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/node"

	"github.com/stretchr/testify/require"
)

// kept waits until a node keeps evidence and returns it by the names of its files, read as any other member would.
func (c *crook) kept(name string) map[string]federation.Evidence {
	c.t.Helper()
	a := c.actors[name]
	eventually(c.t, name+" keeps evidence", func() bool { return len(a.store.Evidence()) > 0 })
	out := map[string]federation.Evidence{}
	for file, data := range a.store.Evidence() {
		e, err := federation.DecodeEvidence(data)
		require.NoError(c.t, err)
		require.Equal(c.t, name, e.Keeper)
		require.Equal(c.t, c.plan.Digest(), e.Plan)
		out[file] = e
	}
	return out
}

// honest is a roster of the same federation in which the coordinator and every member has another key.
func (c *crook) honest() *federation.Roster {
	other := hireWith(c.t, c.plan, true, nil).roster
	other.ID = c.roster.ID
	return other
}

// requireProven wants every node to keep one file that proves a kind against the coordinator to whoever has the roster,
// and to nobody who has another one.
func (c *crook) requireProven(kind string, round uint32) {
	c.t.Helper()
	other := c.honest()
	for _, name := range five {
		files := c.kept(name)
		require.Len(c.t, files, 1)
		for file, e := range files {
			require.Regexp(c.t, `^0+\d+-07000000-`+kind+`-coordinator\.evidence$`, file)
			v := federation.Judge(c.roster, e.Proof)
			require.True(c.t, v.Proven, v.Why)
			require.Equal(c.t, federation.CoordinatorName, v.Names)
			require.Equal(c.t, kind, v.Kind)
			require.Equal(c.t, round, v.Round)
			require.Equal(c.t, c.plan.Digest(), v.Plan)
			require.True(c.t, v.SameRoster)
			require.Zero(c.t, v.Wrong)
			require.Positive(c.t, v.Signatures)
			require.False(c.t, federation.Judge(other, e.Proof).Proven)
			run, _, err := c.actors[name].store.Run(c.run, c.plan.Learning())
			require.NoError(c.t, err)
			if run.Stopped != "" {
				require.Equal(c.t, file, run.Evidence)
			}
		}
	}
}

// TestFalseSumIsProven: "a node that finds a false sum keeps it for whoever wants to see it" (S56, S68 kind 5), of the
// first sum of a batch and of a later one.
func TestFalseSumIsProven(t *testing.T) {
	t.Run("first", func(t *testing.T) {
		c := hire(t, testPlan(t), nil)
		c.whole(3)
		c.falsify = func(sum []uint64) { sum[0]++ }
		require.NoError(t, c.upTo(secagg.PhasePublish))
		c.stopped(secagg.ErrSpotCheck)
		c.requireProven("false-sum", 4)
	})
	t.Run("third of a batch", func(t *testing.T) {
		c := inBatch(t, 3)
		c.falsify = func(sum []uint64) { sum[len(sum)-4]++ }
		require.NoError(t, c.onTo(secagg.PhasePublish))
		c.sums = 1
		c.stopped(secagg.ErrSpotCheck)
		c.requireProven("false-sum", 4)
	})
}

// TestFalseModelIsProven: what was announced does not follow from the sum (S58, S68 kind 6). A false state shows to whoever
// has the roster; a false model, with a state that fits it, to who computes again from the model before the round.
func TestFalseModelIsProven(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.whole(2)
	c.announce = func(state, _ *[32]byte) { state[0] ^= 1 }
	require.NoError(t, c.upTo(secagg.PhasePublish))
	c.stopped(secagg.ErrModel)
	c.requireProven("false-model", 3)

	c = hire(t, testPlan(t), nil)
	c.whole(2)
	before := c.state
	c.announce = func(state, model *[32]byte) {
		model[0] ^= 1
		sigma := secagg.StepDigest(c.roster.ID, c.plan.Digest(), c.server.Sum())
		root := secagg.SumRoot(c.opened)
		*state = secagg.NextState(before, sigma, c.h3, root, *model)
	}
	require.NoError(t, c.upTo(secagg.PhasePublish))
	c.stopped(secagg.ErrModel)
	for _, e := range c.kept("DE") {
		v := federation.Judge(c.roster, e.Proof)
		require.False(t, v.Proven)
		require.True(t, v.Recompute)
		for _, name := range five { // each of them is at that round
			require.NoError(t, node.Recompute(c.actors[name].store, c.roster, e.Proof))
		}
		empty := &node.Memory{}
		require.ErrorIs(t, node.Recompute(empty, c.roster, e.Proof), node.ErrUnknown)
		require.NoError(t, empty.KeepPlan(c.plan))
		require.NoError(t, empty.SaveRun(node.Run{ID: c.run, Plan: c.plan.Digest()}, c.machine))
		require.ErrorContains(t, node.Recompute(empty, c.roster, e.Proof), "another model than the one before round 3")
	}
}

// TestHonestModelIsNotBlamed: evidence about a model that is right convinces nobody, whatever its keeper says.
func TestHonestModelIsNotBlamed(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.whole(2)
	before := &node.Memory{}
	require.NoError(t, before.KeepPlan(c.plan))
	require.NoError(t, before.SaveRun(node.Run{ID: c.run, Plan: c.plan.Digest(), State: c.state, Closed: 2}, c.machine))
	c.whole(1)
	p := c.closed[3]
	proof := secagg.FalseModel(p.frames, 1, 1, [32]byte{9}, p.words)
	v := federation.Judge(c.roster, proof)
	require.False(t, v.Proven)
	require.True(t, v.Recompute)
	require.ErrorContains(t, node.Recompute(before, c.roster, proof), "is the one that follows from the sum")
	require.ErrorContains(t, node.Recompute(before, c.roster, secagg.FalseModel(p.frames, 1, 1, [32]byte{9}, nil)), "too large")
	p.words[0]++
	require.Error(t, node.Recompute(before, c.roster, secagg.FalseModel(p.frames, 1, 1, [32]byte{9}, p.words)))
}

// TestServedSumLeavesAReason: a sum that is not the announced one is not signed by anybody (S71): the node keeps what it
// found in words, and nobody is proven guilty.
func TestServedSumLeavesAReason(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.swap = true
	require.NoError(t, c.upTo(secagg.PhasePublish))
	c.stopped(secagg.ErrResult)
	for file, e := range c.kept("FR") {
		require.Equal(t, "00000001-07000000-reason.evidence", file)
		require.Empty(t, e.Proof)
		require.Contains(t, e.Reason, "not the announced one")
		require.False(t, federation.Judge(c.roster, e.Proof).Proven)
	}
}

// TestResultOfAnotherLengthStopsTheRun: a signed result that does not fit the round (S31) stops the run like one that is
// false in what it says (S56).
func TestResultOfAnotherLengthStopsTheRun(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.alter = onType(secagg.TypeResult, func(_ uint8, p []secagg.Frame) []secagg.Frame {
		body := slices.Clone(p[0].Body) // k 2 · h3 32 · sum_root 32 · words 4 …
		body[69]++
		p[0] = c.resign(secagg.TypeResult, c.server.Spec().Digest(), body)
		return p
	})
	require.NoError(t, c.upTo(secagg.PhasePublish))
	c.alter = nil
	c.stopped(secagg.ErrResult)
	for file := range c.kept("FR") {
		require.Equal(t, "00000001-07000000-reason.evidence", file)
	}
}

// TestServedUploadLeavesAReason: so it is with a part of an upload that is not the announced one (S71), although the spot
// check fails over it (S56).
func TestServedUploadLeavesAReason(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.tamper = func(uploads map[uint8][]uint64) { uploads[2][0]++ }
	require.NoError(t, c.upTo(secagg.PhasePublish))
	c.tamper = nil
	c.stopped(secagg.ErrSpotCheck)
	for _, e := range c.kept("FR") {
		require.Empty(t, e.Proof)
		require.Contains(t, e.Reason, "of 2 does not lead to its root")
	}
}

// TestFalseSumIsProvenLater: a node that was away finds the false sum when it catches up (S62), and what it was served
// proves it as well.
func TestFalseSumIsProvenLater(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	c.whole(2)
	c.actors["PT"].stop()
	c.ready(4)
	c.falsify = func(sum []uint64) { sum[0]++ }
	require.NoError(t, c.upTo(secagg.PhasePublish))
	c.falsify = nil
	c.kept("DE")
	c.actors["PT"].play()
	c.ready(5)
	require.NoError(t, c.upTo(secagg.PhaseAdvertise))
	for file, e := range c.kept("PT") {
		require.Equal(t, "00000003-07000000-false-sum-coordinator.evidence", file)
		v := federation.Judge(c.roster, e.Proof)
		require.True(t, v.Proven, v.Why)
		require.Equal(t, uint32(3), v.Round)
	}
}

// TestTwoFacesAreProven: two different messages of the coordinator where one is allowed (S30, S68 kind 4) are kept,
// together: survivors after the node's Agree, and a second form of a sum that is over.
func TestTwoFacesAreProven(t *testing.T) {
	c := hire(t, testPlan(t), nil)
	require.NoError(t, c.upTo(secagg.PhaseAgree))
	c.mu.Lock()
	p, err := c.server.CloseMask()
	require.NoError(t, err)
	c.send(c.server.Spec().Cohort, same(c.survivorsWithout(p, 5)))
	c.mu.Unlock()
	for _, name := range five {
		c.refuses(name, secagg.ErrEquivocation, append(untilMask, "agree")...)
	}
	c.requireProven("two-messages", 1)

	c = inBatch(t, 3)
	for _, name := range five {
		eventually(t, name+" has closed it", func() bool { return c.actors[name].last() == 3 })
	}
	c.mu.Lock()
	old := c.server.Sum()
	old.Query[0] ^= 1
	body, err := old.MarshalBinary()
	require.NoError(t, err)
	c.round++
	c.send(c.server.Spec().Cohort, same([]secagg.Frame{c.resign(secagg.TypeSum, c.server.Spec().Digest(), body)}))
	c.mu.Unlock()
	for _, name := range five {
		c.refuses(name, secagg.ErrEquivocation)
	}
	c.requireProven("two-messages", 3)
}

// TestCheatLeavesEvidence: a member that signs two vectors for one sum is proven guilty (S68 kind 4): what the real
// coordinator journals convinces whoever has the roster, and survives being handed on as a file.
func TestCheatLeavesEvidence(t *testing.T) {
	s, pt, run := heldRound(t, nil)
	second := packetOf(pt.newest(secagg.TypeMask), pt.sign(secagg.TypeMask, specOf(pt), append([]byte{0, 1, 9}, make([]byte, 67)...)))
	require.Contains(t, pt.asked(second), "two different messages")
	var proofs []round.Record
	require.NoError(t, s.journal.Read(t.Context(), 1, func(r journal.Record) error {
		if r.Kind != round.KindEvidence {
			return nil
		}
		fact, err := round.DecodeRecord(r.Kind, r.Body)
		proofs = append(proofs, fact)
		return err
	}))
	require.Len(t, proofs, 1)
	require.Equal(t, uint8(5), proofs[0].Member)
	file, err := federation.Evidence{
		Federation: Name, Keeper: federation.CoordinatorName, Run: hex.EncodeToString(run.ID[:]), Round: 1, Proof: proofs[0].Proof,
	}.Encode()
	require.NoError(t, err)
	e, err := federation.DecodeEvidence(file)
	require.NoError(t, err)
	roster, err := s.actors["DE"].store.Roster()
	require.NoError(t, err)
	v := federation.Judge(roster, e.Proof)
	require.True(t, v.Proven, v.Why)
	require.Equal(t, "PT", v.Names)
	require.Equal(t, "two-messages", v.Kind)
	require.Equal(t, hex.EncodeToString(run.ID[:]), v.Run)
	require.True(t, v.SameRoster)
	s.completes(pt, run.ID, 4)
}
