package link

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// Vector is a masked vector on its way: chunk i of Chunks, each at most 65,536 bytes (S53). What Chunk returns need only
// hold until it is called again, and one goroutine at a time calls it.
type Vector struct {
	Run    [16]byte
	Round  uint32
	K      uint32
	Chunks int
	Chunk  func(i int) []byte
	Again  bool // it was sent before: ask first what is stored
}

// ChunksOf returns the Chunk of a Vector: each call encodes a part of the words, in the same buffer.
func ChunksOf(words []uint64) func(i int) []byte {
	const size = secagg.ChunkSize / 8
	buffer := make([]byte, 8*min(size, len(words)))
	return func(i int) []byte {
		part := words[i*size : min((i+1)*size, len(words))]
		for k, w := range part {
			binary.LittleEndian.PutUint64(buffer[8*k:], w)
		}
		return buffer[:8*len(part)]
	}
}

// refusals is how often the coordinator may refuse a vector before Upload believes it. The mask message that declares
// the vector travels in the session, beside the chunks, and may arrive after the first of them.
const refusals = 10

// refusalShare of MinBackoff is the wait before the first repetition after a refusal; it doubles with each.
const refusalShare = 20

// Upload sends a masked vector until the coordinator has stored it whole. A cut connection is taken up again where
// it broke: Have tells which chunks are stored, the rest is sent (S54). It gives up when ctx ends, or when the
// coordinator goes on answering that it does not want the vector (S32).
func (l *Link) Upload(ctx context.Context, v Vector) error {
	lost, refused := 0, 0
	for attempt := 0; ; attempt++ {
		whole, err := l.uploadRest(ctx, v, v.Again || attempt > 0)
		if err == nil && whole {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("upload: %w", ctx.Err())
		}
		var delay time.Duration
		var remote *RemoteError
		if errors.As(err, &remote) && !remote.Unreachable {
			if refused++; refused == refusals {
				return err
			}
			delay = l.cfg.MinBackoff / refusalShare << refused
		} else {
			delay = min(l.cfg.MinBackoff<<min(lost, 16), l.cfg.MaxBackoff)
			lost++
		}
		l.cfg.Log.Debug("upload broken off", "round", v.Round, "err", err, "retry", delay)
		select {
		case <-ctx.Done():
			return fmt.Errorf("upload: %w", ctx.Err())
		case <-time.After(delay/2 + rand.N(delay/2+1)):
		}
	}
}

// uploadRest sends every chunk that the coordinator lacks; the first attempt of a new vector need not ask.
func (l *Link) uploadRest(ctx context.Context, v Vector, resume bool) (whole bool, err error) {
	var stored []byte
	if resume {
		reply, err := call(ctx, l, "have", l.client.Have, &federationpb.HaveRequest{Run: v.Run[:], Round: v.Round, K: v.K})
		if err != nil || reply.GetWhole() {
			return reply.GetWhole(), err
		}
		stored = reply.GetStored()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := l.client.Upload(ctx)
	if err != nil {
		return false, wrap("upload", err)
	}
	for i := range v.Chunks {
		if bit(stored, i) {
			continue
		}
		err := stream.Send(&federationpb.UploadChunk{Run: v.Run[:], Round: v.Round, K: v.K, Index: uint32(i), Data: v.Chunk(i)})
		if errors.Is(err, io.EOF) {
			break // CloseAndRecv says why
		}
		if err != nil {
			return false, wrap("upload", err)
		}
	}
	reply, err := stream.CloseAndRecv()
	return reply.GetWhole(), wrap("upload", err)
}

func bit(bitmap []byte, i int) bool { return i/8 < len(bitmap) && bitmap[i/8]>>(i%8)&1 == 1 }
