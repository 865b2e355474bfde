package sim

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/journal/sqlite"
	"github.com/koinon-eu/koinon/deploy/service"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

// filling is a journal in an SQLite file on a disk that a test fills and empties. That a really full disk gives this
// error, and that the file survives it, is shown in package sqlite.
type filling struct {
	*sqlite.Journal
	full    atomic.Bool
	refused atomic.Int64
}

// Append implements journal.Journal.
func (f *filling) Append(ctx context.Context, entries ...journal.Entry) ([]journal.Record, error) {
	if f.full.Load() {
		f.refused.Add(1)
		return nil, fmt.Errorf("append %d records: %w: database or disk is full (13)", len(entries), sqlite.ErrFull)
	}
	return f.Journal.Append(ctx, entries...)
}

// TestFullDisk: "full disk on the journal", "with a clear error, nothing lost, the round unharmed": while there is no
// room the coordinator says so in words to who watches it and to who calls it, sends nothing and decides nothing; when
// there is room it goes on where it was, and the journal verifies.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	file, err := sqlite.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	disk, health := &filling{Journal: file}, &service.Health{}
	s := setStage(t, testPlan(t, "rounds: 3", "rounds: 8"), fiveTables(t), func(c *coordinator.Config) {
		c.Journal, c.Health = disk, health
	})
	s.journal = disk
	pt := s.wild("PT")
	s.submit()

	disk.full.Store(true)
	roster, _ := s.simulation.coordinator.Book().Roster()
	digest := s.plan.Digest()
	signature, err := federation.Approval{Federation: roster.ID, Plan: digest, Member: pt.index, Approve: true}.Sign(pt.config.Sign)
	require.NoError(t, err)
	_, err = pt.client.Approve(t.Context(), &pb.ApproveRequest{Plan: digest[:], Approve: true, Signature: signature})
	refusal(t, codes.Unavailable, "no space left for the journal", err)
	_, err = s.simulation.coordinator.Book().Invite(t.Context(), "bench", "XX", 0)
	require.ErrorIs(t, err, sqlite.ErrFull)
	disk.full.Store(false)
	plan, err := s.simulation.coordinator.Book().Plan(digest)
	require.NoError(t, err)
	require.Zero(t, plan.Approved().Len(), "what was not journalled did not happen")

	pt.approve()
	pt.connect()
	s.playAll()
	s.until("two rounds close", func(r coordinator.Run) bool { return len(r.Rounds) > 2 })
	disk.full.Store(true)
	before := disk.refused.Load()
	eventually(t, "the journal refuses", func() bool { return disk.refused.Load() > before })
	eventually(t, "readiness says why", func() bool { return health.Reasons()["journal"] != "" })
	require.Contains(t, health.Reasons()["journal"], "no space left for the journal")
	time.Sleep(50 * time.Millisecond) // what was under way has arrived
	heard := func() (n int) {
		for _, a := range s.actors {
			for _, m := range a.wire.Got() {
				if m.Round > 0 && m.Phase != "result" {
					n++
				}
			}
		}
		return n
	}
	quiet := heard()
	time.Sleep(250 * time.Millisecond)
	require.Equal(t, quiet, heard(), "nothing is sent that is not journalled")
	disk.full.Store(false)

	r := s.evaluated()
	require.Empty(t, health.Reasons()["journal"])
	for _, round := range r.Rounds {
		require.Equal(t, "closed", round.Outcome)
		require.Equal(t, 5, round.Survivors.Len())
	}
	s.checkSums(r)
	again, err := sqlite.OpenReadOnly(path)
	require.NoError(t, err)
	defer func() { _ = again.Close() }()
	_, err = journal.Verify(t.Context(), again)
	require.NoError(t, err)
}
