package node_test

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/link"
)

// toldWhy waits until the coordinator heard why each member left.
func (f *federationOfFive) toldWhy(want error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	require.True(f.t, f.await(30*time.Second, func() bool { return len(f.left) == 5 }), "not everyone left")
	for i, reason := range f.left {
		require.Equal(f.t, want.Error(), reason, f.roster.Name(i))
	}
}

// TestUnapprovedPlan: without the operator's word a plan does not run, whatever the coordinator believes.
func TestUnapprovedPlan(t *testing.T) {
	f := newFive(t, nil)
	for _, m := range f.nodes {
		require.NoError(t, m.store.Decide(node.Decision{Plan: f.plan.Digest()}))
	}
	require.ErrorIs(t, f.playRound(10*time.Second, nil), errAborted)
	f.toldWhy(errors.New("plan is not approved on this node"))
	for _, m := range f.nodes {
		for _, s := range m.capture.Sent() {
			require.Contains(t, []string{"hello", "sync", "approve", "left", "heartbeat"}, s.Type)
		}
	}
}

// TestRejectedPlan: a withdrawal takes effect at the next round.
func TestRejectedPlan(t *testing.T) {
	f := newFive(t, nil)
	require.NoError(t, f.playRound(20*time.Second, nil))
	for _, m := range f.nodes {
		require.NoError(t, m.store.Decide(node.Decision{Plan: f.plan.Digest(), Time: time.Now()}))
	}
	require.ErrorIs(t, f.playRound(10*time.Second, nil), errAborted)
}

// TestLyingCoordinator: what the coordinator asks for is compared with what the node derived (S73, S58).
func TestLyingCoordinator(t *testing.T) {
	for name, c := range map[string]struct {
		lie  func(*secagg.Sum)
		want error
	}{
		"query":      {func(s *secagg.Sum) { s.Query[0] ^= 1 }, secagg.ErrPolicy},
		"weight cap": {func(s *secagg.Sum) { s.WeightCap /= 2 }, secagg.ErrPolicy},
		"state":      {func(s *secagg.Sum) { s.State[0] ^= 1 }, secagg.ErrModel},
		"model":      {func(s *secagg.Sum) { s.Model[0] ^= 1 }, secagg.ErrModel},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFive(t, nil)
			f.alterSum = c.lie
			require.ErrorIs(t, f.playRound(10*time.Second, nil), errAborted)
			f.toldWhy(c.want)
		})
	}
}

// TestFalseSum: a sum that is not that of the uploads is caught by the spot check although the model follows from it
// honestly (S56). The node leaves the run until its operator decides.
func TestFalseSum(t *testing.T) {
	f := newFive(t, nil)
	for range 3 { // statistics sums are checked for consistency by the machine itself
		require.NoError(t, f.playRound(20*time.Second, nil))
	}
	f.alterResult = func(sum []uint64) { sum[0]++ }
	require.NoError(t, f.playRound(20*time.Second, nil))
	for name, m := range f.nodes {
		eventually(t, func() bool {
			run, _, err := m.store.Run(f.run, f.plan.Learning())
			return err == nil && run.Stopped != "" && len(m.left()) > 0
		}, name+" stops the run")
		require.ErrorIs(t, m.left()[0], secagg.ErrSpotCheck)
	}
	f.alterResult = nil
	require.ErrorIs(t, f.playRound(10*time.Second, nil), errAborted)
	f.toldWhy(secagg.ErrPlan)
}

// TestHiddenUploads: a coordinator that serves nobody the uploads stops its own run, because nobody takes over a sum
// that it could not check while nobody else has gone on from it (S56).
func TestHiddenUploads(t *testing.T) {
	f := newFive(t, nil)
	f.noSpot = true
	require.NoError(t, f.playRound(20*time.Second, nil))
	require.ErrorIs(t, f.playRound(10*time.Second, nil), errAborted)
	f.toldWhy(errors.New("uploads of the round are no longer served"))
}

// TestSpotsAreDrawnOnce: a coordinator that does not answer where the sum is false must not be asked for another chunk
// instead, however often the node tries again (S56).
func TestSpotsAreDrawnOnce(t *testing.T) {
	wide := replace(planYAML, "{kind: logistic, l2: 1.0}", "{kind: mlp, hidden: [256, 256]}")
	f := newFiveOf(t, wide, func(_ string, cfg *node.Config) { cfg.SpotBudget = 1 })
	for range 3 {
		require.NoError(t, f.playRound(20*time.Second, nil))
	}
	asked := map[uint8][]uint32{}
	f.refuse = func(member uint8, round, chunk uint32) error {
		if round == 4 {
			asked[member] = append(asked[member], chunk)
			return status.Error(codes.Internal, "a fault")
		}
		return nil
	}
	require.NoError(t, f.playRound(20*time.Second, nil))
	require.Greater(t, len(f.closed[4].words), 4*secagg.ChunkSize/8, "more than one chunk to choose from")
	for range 4 {
		require.ErrorIs(t, f.playRound(10*time.Second, nil), errAborted)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range uint8(5) {
		require.GreaterOrEqual(t, len(asked[i+1]), 3)
		for _, chunk := range asked[i+1] {
			require.Equal(t, asked[i+1][0], chunk, "member %d draws again", i+1)
		}
	}
}

// TestRefusedSpot: who is refused the uploads of the newest sum does not take it over until another round has closed on
// it, and then follows until it has checked one itself (S56, S62).
func TestRefusedSpot(t *testing.T) {
	f := newFive(t, nil)
	f.refuse = func(member uint8, round, _ uint32) error {
		if member == 5 && round == 1 {
			return status.Error(codes.NotFound, "no longer served")
		}
		return nil
	}
	m := f.nodes["PT"]
	run := func() node.Run {
		r, _, err := m.store.Run(f.run, f.plan.Learning())
		require.NoError(t, err)
		return r
	}
	require.NoError(t, f.playRound(20*time.Second, nil))
	eventually(t, func() bool { return len(m.left()) == 1 }, "PT leaves")
	require.Zero(t, run().Closed)
	require.NoError(t, f.playRound(20*time.Second, nil))
	require.False(t, f.server.Survivors().Has(5))
	eventually(t, func() bool { return run().Closed == 2 }, "PT catches up once others have gone on")
	require.True(t, run().Follow)
	require.NoError(t, f.playRound(20*time.Second, nil))
	require.True(t, f.server.Survivors().Has(5))
	eventually(t, func() bool { return run().Closed == 3 && !run().Follow }, "PT has checked a sum itself")
}

// TestRefusedSpotWithAnInventedRound: that others have gone on has to be proven.
func TestRefusedSpotWithAnInventedRound(t *testing.T) {
	f := newFive(t, nil)
	for range 4 {
		require.NoError(t, f.playRound(20*time.Second, nil))
	}
	run := func(m *member) node.Run {
		r, _, err := m.store.Run(f.run, f.plan.Learning())
		require.NoError(t, err)
		return r
	}
	for name, m := range f.nodes {
		eventually(t, func() bool { return run(m).Closed == 4 }, name+" is up to date")
	}
	f.mu.Lock()
	f.noSpot, f.invented = true, map[uint32]uint32{6: 4}
	f.mu.Unlock()
	require.NoError(t, f.playRound(20*time.Second, nil))
	for name, m := range f.nodes {
		eventually(t, func() bool { return len(m.left()) > 0 }, name+" leaves")
		require.EqualValues(t, 4, run(m).Closed)
		require.False(t, run(m).Follow)
	}
}

// refusing is a ledger that refuses one thing.
type refusing struct {
	*node.MemoryLedger
	reserve, lock error
}

func (r *refusing) Reserve(now int64, s budget.Sum, l budget.Limits) error {
	if r.reserve != nil {
		return r.reserve
	}
	return r.MemoryLedger.Reserve(now, s, l)
}

func (r *refusing) Lock(now int64, l budget.Lock) error {
	if r.lock != nil {
		return r.lock
	}
	return r.MemoryLedger.Lock(now, l)
}

// TestBudgetRefusal: no mask message and no chunk leaves when the budget is spent or the ledger cannot be written.
func TestBudgetRefusal(t *testing.T) {
	f := newFive(t, func(name string, cfg *node.Config) {
		if name == "PT" {
			cfg.Ledger = &refusing{MemoryLedger: &node.MemoryLedger{}, reserve: budget.ErrSpent}
		}
	})
	require.NoError(t, f.playRound(20*time.Second, nil))
	require.Equal(t, members[:4], f.roster.Names(f.server.Survivors()))
	m := f.nodes["PT"]
	eventually(t, func() bool { return len(m.left()) > 0 }, "PT leaves")
	require.ErrorIs(t, m.left()[0], secagg.ErrBudget)
	for _, s := range m.capture.Sent() {
		require.NotContains(t, []string{"mask", "chunk"}, s.Type)
	}
}

// TestLockBeforeUnmask: no share leaves when the lock cannot be stored (S33), and a lock that was stored before a
// crash holds afterwards.
func TestLockBeforeUnmask(t *testing.T) {
	f := newFive(t, func(name string, cfg *node.Config) {
		if name == "PT" {
			cfg.Ledger = &refusing{MemoryLedger: &node.MemoryLedger{}, lock: errors.New("disk is full")}
		}
	})
	require.NoError(t, f.playRound(20*time.Second, nil))
	for _, s := range f.nodes["PT"].capture.Sent() {
		require.NotEqual(t, "unmask", s.Type)
	}
}

// TestCrashBetweenLockAndUnmask kills a node after the lock is stored and before its shares leave: the step stays
// locked to those survivors (S33).
func TestCrashBetweenLockAndUnmask(t *testing.T) {
	crash, healed := errors.New("crashed here"), atomic.Bool{}
	f := newFive(t, func(name string, cfg *node.Config) {
		record := cfg.Record
		cfg.Record = func(m link.Message) error {
			if m.Type == "unmask" && !healed.Load() {
				return crash // what is not recorded does not leave
			}
			return record(m)
		}
	})
	require.ErrorIs(t, f.playRound(3*time.Second, nil), errAborted)
	locked := f.server.Survivors()
	require.Equal(t, 5, locked.Len())
	place := secagg.LockName(f.roster.ID, f.plan.Digest(), f.server.Sum().Kind, 1)
	for name, m := range f.nodes {
		lock, ok := m.ledger.Locked(place)
		require.True(t, ok, name)
		require.Equal(t, locked, secagg.Set(lock.Survivors))
	}
	// The same step with fewer survivors is refused by everyone, although it is a new round.
	healed.Store(true)
	f.nodes["PT"].kill()
	f.ready(4)
	require.ErrorIs(t, f.playRound(3*time.Second, nil), errAborted)
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Contains(t, f.left, uint8(1))
	require.Equal(t, secagg.ErrStepReleased.Error(), f.left[1])
}

// TestDataFaultsStayHere: a table that does not fit leaves no trace but the word that this node has no data.
func TestDataFaultsStayHere(t *testing.T) {
	f := newFive(t, func(name string, cfg *node.Config) {
		if name == "PT" {
			cfg.Table, cfg.Open = nil, failingTable
		}
	})
	require.NoError(t, f.playRound(20*time.Second, nil))
	f.mu.Lock()
	require.Equal(t, secagg.ErrNoData.Error(), f.left[5])
	f.mu.Unlock()
	for _, s := range f.nodes["PT"].capture.Sent() {
		require.False(t, bytes.Contains(s.Bytes, []byte("secret-column")))
	}
}

// TestForeignRun: a run belongs to one plan, and a coordinator cannot fill the disk with invented ones.
func TestForeignRun(t *testing.T) {
	plan := parsePlan(t, planYAML)
	machine, err := schedule.New(plan.Learning())
	require.NoError(t, err)
	f := newFive(t, func(name string, cfg *node.Config) {
		if name == "DE" {
			for i := range 20 {
				require.NoError(t, cfg.Store.SaveRun(node.Run{ID: node.RunID{0xee, byte(i)}, Plan: plan.Digest(), Done: true}, machine))
			}
		}
	})
	require.NoError(t, f.playRound(20*time.Second, nil))
	require.Equal(t, members[1:], f.roster.Names(f.server.Survivors()))
}
