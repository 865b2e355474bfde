package coordinator_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/koinon-eu/koinon/coordinator"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/coordinator/rpc"
	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/status"
)

// lockedBuffer is a log that a test reads while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// unsyncable is a spool whose masked vectors cannot be made durable while broken is set.
type unsyncable struct{ spool.Store }

func (unsyncable) Sync(spool.Key) error { return errors.New("no space left") }

// What an admin reads is one sentence, an aborted round names members, and a vector that arrives while an admin stops
// the run is no error of the coordinator.
func TestWordsForAnAdmin(t *testing.T) {
	log := &lockedBuffer{}
	w := newWorld(t, func(cfg *coordinator.Config) {
		cfg.MaxAborts, cfg.FullCohort = 1, 2
		cfg.Log = slog.New(slog.NewTextHandler(log, nil))
		cfg.Spool = unsyncable{cfg.Spool}
	})
	p := plan(t, "mask: 200", "mask: 3")
	for _, name := range names {
		w.enrol(name)
	}
	anna := w.admin("anna")
	says := func(err error, want string) {
		t.Helper()
		require.Equal(t, want, status.Convert(err).Message())
	}
	body, err := p.Encode()
	require.NoError(t, err)
	_, err = anna.SubmitPlan(t.Context(), &pb.SubmitPlanRequest{Plan: body})
	require.NoError(t, err)
	_, err = anna.SubmitPlan(t.Context(), &pb.SubmitPlanRequest{Plan: body})
	digest := p.Digest()
	says(err, "plan document-risk ("+digest.Short()+") was submitted already")
	_, err = anna.StartRun(t.Context(), &pb.StartRunRequest{Plan: digest[:]})
	says(err, "plan document-risk: 0 of 5 members have approved, 4 needed")

	for _, name := range names[:4] {
		w.members[name].approve(p)
	}
	reply, err := anna.StartRun(t.Context(), &pb.StartRunRequest{Plan: digest[:]})
	require.NoError(t, err)
	w.until(p, "waits with a reason", func(r coordinator.Run) bool { return r.State == coordinator.Waiting && r.Reason != "" })
	_, err = anna.StopRun(t.Context(), &pb.StopRunRequest{Run: reply.Run})
	says(err, "stop run: say why, in 1 to 500 bytes")
	_, err = anna.StopRun(t.Context(), &pb.StopRunRequest{Run: reply.Run, Reason: "wrong\x1b[2J"})
	require.ErrorContains(t, err, "control character")
	_, err = anna.StopRun(t.Context(), &pb.StopRunRequest{Run: reply.Run, Reason: "wrong schema"})
	require.NoError(t, err)
	require.Equal(t, coordinator.Stopped, w.wait(p).State)
	_, err = anna.StopRun(t.Context(), &pb.StopRunRequest{Run: reply.Run, Reason: "again"})
	require.Regexp(t, `run [0-9a-f]{32} is over already$`, status.Convert(err).Message())

	err = w.c.Whole(t.Context(), 1, rpc.Vector{Run: [16]byte(reply.Run), Round: 1, K: 1})
	require.ErrorIs(t, err, secagg.ErrStale)

	w.members[names[4]].approve(p)
	_, err = anna.StartRun(t.Context(), &pb.StartRunRequest{Plan: digest[:]})
	require.NoError(t, err)
	for _, name := range names {
		w.members[name].before = func(secagg.Type) bool { return false } // its node dies
		w.members[name].connect()
	}
	failed := w.wait(p)
	require.Equal(t, coordinator.Failed, failed.State)
	require.Contains(t, failed.Reason, "; missing DE, FR, IT, PL")
	require.Empty(t, lines(log.String(), "level=ERROR"))
}

func lines(text, word string) (found []string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			found = append(found, line)
		}
	}
	return found
}
