package rpc

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/koinon-eu/koinon/coordinator/federationpb"

	"github.com/stretchr/testify/require"
)

// talk is a session on which a node says hello again and again.
type talk struct {
	sessionStream
	left int
}

func (s *talk) Recv() (*pb.NodeMessage, error) {
	if s.left == 0 {
		return nil, io.EOF
	}
	s.left--
	return &pb.NodeMessage{Message: &pb.NodeMessage_Hello{Hello: &pb.Hello{}}}, nil
}

type joins struct {
	Driver
	n int
}

func (j *joins) Joined(uint8) { j.n++ }

func TestHelloFloodWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &joins{}
		s := &Server{cfg: Config{Hub: NewHub(), Driver: d, Now: time.Now, Log: slog.New(slog.DiscardHandler)}}
		begin := time.Now()
		require.ErrorIs(t, s.receive(t.Context(), &talk{left: 4}, 1, "DE"), io.EOF)
		require.Equal(t, 3*helloEvery, time.Since(begin))
		require.Equal(t, 4, d.n)
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, s.receive(ctx, &talk{left: 1 << 30}, 1, "DE"), context.DeadlineExceeded)
		require.Equal(t, 6, d.n)
	})
}
