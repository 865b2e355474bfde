package rpc

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/koinon-eu/koinon/coordinator/admin"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A node that does not read loses its session; the sender never waits and the others get everything.
func TestSlowNodeLosesItsSession(t *testing.T) {
	h := NewHub()
	slow, quick := h.sit(1, Presence{}), h.sit(2, Presence{})
	for range queueLength + 1 {
		h.Broadcast(&pb.CoordinatorMessage{})
		<-quick.queue
	}
	select {
	case <-slow.gone:
	default:
		t.Fatal("the slow session goes on")
	}
	select {
	case <-quick.gone:
		t.Fatal("the quick session ended")
	default:
	}
	require.True(t, h.leave(slow, 7))
	require.Equal(t, secagg.SetOf(2), h.Connected())
	seen, live := h.Presence(1)
	require.False(t, live)
	require.Equal(t, int64(7), seen.LastSeen)
}

// The newest session of a member takes the place of an older one, whose end then changes nothing.
func TestNewestSessionCounts(t *testing.T) {
	h := NewHub()
	old := h.sit(1, Presence{RosterVersion: 1})
	h.sit(1, Presence{RosterVersion: 2})
	<-old.gone
	require.False(t, h.leave(old, 1))
	seen, live := h.Presence(1)
	require.True(t, live)
	require.Equal(t, uint32(2), seen.RosterVersion)
	h.end(2) // not there
	newest := h.sit(1, Presence{})
	h.end(1)
	<-newest.gone
}

func TestErrorsBecomeCodes(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for err, code := range map[error]codes.Code{
		fmt.Errorf("enrol DE: %w", admin.ErrSpent):      codes.PermissionDenied,
		fmt.Errorf("packet: %w", secagg.ErrSender):      codes.PermissionDenied,
		fmt.Errorf("chunk: %w", secagg.ErrUpload):       codes.FailedPrecondition,
		status.Error(codes.InvalidArgument, "chunk 3"):  codes.InvalidArgument,
		errors.New("open /var/lib/koinon/keys: denied"): codes.Internal,
	} {
		got := toStatus(log, "m", err)
		require.Equal(t, code, status.Code(got))
		if code == codes.Internal {
			require.Equal(t, "internal", status.Convert(got).Message())
			require.Equal(t, "internal", text(err))
		}
	}
	require.NoError(t, toStatus(log, "m", nil))
}
