package rpc

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/crypto/identity"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A session is one call that may last for weeks: it ends with the certificate under which it began.
func TestCallEndsWithItsCertificate(t *testing.T) {
	now := time.Now()
	s := &Server{
		cfg: Config{
			Trust: &identity.Trust{Now: func() time.Time { return now }}, Log: slog.New(slog.DiscardHandler), Observe: func(string, string) {},
		},
		inFlight: map[identity.Peer]int{},
	}
	who := func(context.Context) (caller, error) {
		return caller{Peer: identity.Peer{Federation: "test", Kind: identity.Member, Name: "DE"}, ends: now.Add(20 * time.Millisecond)}, nil
	}
	err := s.call(t.Context(), "Session", who, func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	require.Equal(t, codes.DeadlineExceeded, status.Code(err))
	require.Empty(t, s.inFlight)
}
