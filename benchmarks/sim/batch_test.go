package sim

import (
	"sync"
	"testing"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/node/link"

	"github.com/stretchr/testify/require"
)

// batched is the plan of these tests with six training rounds and another batch than the default.
func batched(t testing.TB, batch string) *federation.Plan {
	return testPlan(t, "rounds: 3", "rounds: 6", "gates:", "batch: "+batch+"\ngates:")
}

// TestBatchesDoNotChangeTheModel: masks leave no trace in the sums, so a run with one key set-up ends, bit for bit, with
// the model of a run with one for each sum (S37); only its phases say which it was.
func TestBatchesDoNotChangeTheModel(t *testing.T) {
	var digests [][32]byte
	for _, c := range []struct {
		batch   string
		batches int
	}{{"1", 10}, {"4", 3}, {"16", 1}} {
		plan := batched(t, c.batch)
		r, err := Run(t.Context(), Config{Plan: plan, Members: fiveTables(t), Seed: 3, Log: testLog()})
		require.NoError(t, err)
		require.Equal(t, 10, r.Rounds)
		require.Equal(t, c.batches, r.Batches)
		digests = append(digests, digestOf(t, r.Machine))
	}
	require.Equal(t, digests[0], digests[1])
	require.Equal(t, digests[0], digests[2])
}

// TestDropoutInABatch: in one run a node dies in each phase of a second or later sum and is started again (S38, S64). The
// sum is the survivors'; the coordinator sees that the node waits, makes new keys at the next boundary (S40), and the
// node's rows count again.
func TestDropoutInABatch(t *testing.T) {
	s := setStage(t, testPlan(t, "rounds: 3", "rounds: 14"), fiveTables(t), nil)
	deaths := []struct {
		member, packet string
		round          uint32
		lost           bool // from the sum
	}{
		{"IT", "sum", 2, true},
		{"PL", "survivors", 5, false},
		{"PT", "certificate", 8, false},
		{"DE", "result", 11, false},
	}
	var dead []<-chan struct{}
	for _, d := range deaths {
		dead = append(dead, s.actors[d.member].dieOn(d.packet, d.round))
	}
	s.submit()
	s.playAll()
	for i, d := range deaths {
		select {
		case <-dead[i]:
		case <-t.Context().Done():
			t.Fatalf("%s never saw %s of round %d", d.member, d.packet, d.round)
		}
		s.actors[d.member].stop()
		s.actors[d.member].play()
	}
	r := s.evaluated()
	for _, d := range deaths {
		one := r.Rounds[d.round-1]
		require.Equal(t, "closed", one.Outcome, "%s in round %d", d.member, d.round)
		require.Equal(t, !d.lost, one.Survivors.Len() == 5, "%s in round %d", d.member, d.round)
	}
	batches := 0
	for _, one := range r.Rounds {
		if one.K == 1 {
			require.Equal(t, 5, one.Survivors.Len(), "round %d: whoever waited is in the new batch", one.Number)
			batches++
		}
	}
	require.GreaterOrEqual(t, batches, 1+len(deaths))
	require.Less(t, batches, len(r.Rounds)-len(deaths), "and the others go on without new keys")
	require.Equal(t, 5, r.Rounds[len(r.Rounds)-1].Survivors.Len(), "evaluation waits for the whole cohort")
	s.checkSums(r)
}

// TestCutInABatch: a node that merely loses its connection, at any moment of a batch, goes on in it: no new keys, no
// lost sum (S64, S30).
func TestCutInABatch(t *testing.T) {
	for _, packet := range []string{"sum", "survivors", "certificate", "result"} {
		t.Run(packet, func(t *testing.T) {
			s := setStage(t, testPlan(t), fiveTables(t), func(c *coordinator.Config) { c.Grace = 200 })
			pt, wire := s.actors["PT"], &cable{}
			pt.config.Dial = wire.dial
			pt.cutOn(packet, 2, wire)
			pt.cutOn(packet, 4, wire)
			s.submit()
			s.playAll()
			r := s.evaluated()
			require.Empty(t, pt.left())
			for _, one := range r.Rounds {
				require.Equal(t, "closed", one.Outcome)
				require.Equal(t, secagg.SetOf(1, 2, 3, 4, 5), one.Survivors, "round %d", one.Number)
				require.EqualValues(t, one.Number, one.K, "one batch")
			}
			s.checkSums(r)
		})
	}
}

// cutOn cuts the connection the moment a packet of this type of this round has reached the node.
func (a *actor) cutOn(kind string, round uint32, wire *cable) {
	once, received := sync.Once{}, a.config.Received
	a.config.Received = func(m link.Message) {
		received(m)
		if m.Type == kind && m.Round == round {
			once.Do(wire.cut)
		}
	}
}
