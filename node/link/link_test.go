package link_test

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/node/link"
)

// listen runs the session and collects what the handler hears.
type listen struct {
	mu      sync.Mutex
	ups     int
	downs   int
	packets []link.Packet
	notices []link.Notice
	flushed []link.Packet
}

func (h *listen) start(t *testing.T, l *link.Link) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	lock := func(f func()) { h.mu.Lock(); defer h.mu.Unlock(); f() }
	go func() {
		done <- l.Serve(ctx, link.Handler{
			Up:      func() { lock(func() { h.ups++ }) },
			Down:    func(error) { lock(func() { h.downs++ }) },
			Packet:  func(p link.Packet) { lock(func() { h.packets = append(h.packets, p) }) },
			Notice:  func(n link.Notice) { lock(func() { h.notices = append(h.notices, n) }) },
			Flushed: func(p link.Packet) { lock(func() { h.flushed = append(h.flushed, p) }) },
			Hello:   func() uint32 { return 3 },
		})
	}()
	t.Cleanup(func() { cancel(); require.ErrorIs(t, <-done, context.Canceled) })
}

func (h *listen) wait(t *testing.T, cond func() bool) {
	require.Eventually(t, func() bool { h.mu.Lock(); defer h.mu.Unlock(); return cond() }, 20*time.Second, time.Millisecond)
}

var packet = link.Packet{Run: [16]byte{1}, Round: 2, Plan: [32]byte{3}, Frames: []secagg.Frame{{Type: secagg.TypeAdvert, Sender: 1, Body: []byte("advert"), Signature: make([]byte, 64)}}}

func TestSessionReconnects(t *testing.T) {
	f := &far{greet: []*pb.CoordinatorMessage{
		{Message: &pb.CoordinatorMessage_Packet{Packet: pb.PacketToPB(packet.Run, packet.Round, packet.Plan, packet.Frames)}},
		{Message: &pb.CoordinatorMessage_Notice{Notice: &pb.Notice{Sync: true, Refused: "stale", Run: packet.Run[:], Round: 2}}},
	}}
	l, p, capture := pair(t, f)
	require.ErrorIs(t, l.Send(packet), link.ErrDown)
	h := &listen{}
	h.start(t, l)
	for n := 1; n <= 4; n++ {
		h.wait(t, func() bool { return h.ups == n && len(h.packets) == n && len(h.notices) == n })
		require.NoError(t, l.Send(packet))
		h.wait(t, func() bool { return len(h.flushed) == n })
		require.Eventually(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.packets) >= n }, 5*time.Second, time.Millisecond)
		p.cut()
	}
	require.Equal(t, packet, h.packets[0])
	require.Equal(t, link.Notice{Sync: true, Refused: "stale", Run: packet.Run, Round: 2}, h.notices[0])
	types := map[string]int{}
	for _, m := range capture.Sent() {
		types[m.Type]++
	}
	require.GreaterOrEqual(t, types["hello"], 4)
	require.Equal(t, 4, types["advert"])
	require.NotZero(t, l.Traffic()["advertise"].Up)
	require.NotZero(t, l.Traffic()["advertise"].Down)
}

func TestReconnect(t *testing.T) {
	f := &far{}
	l, _, _ := pair(t, f)
	l.Reconnect() // nothing to cut yet
	h := &listen{}
	h.start(t, l)
	// A session is up as soon as gRPC took its hello. Cut before that is on the wire, gRPC carries it over to the next
	// connection by itself, and nobody sees a session end: only one that the far side has heard of is lost.
	h.wait(t, func() bool { return h.ups == 1 && f.opened() == 1 })
	l.Reconnect()
	h.wait(t, func() bool { return h.ups == 2 && h.downs == 1 && f.opened() == 2 })
}

// TestUploadResumes cuts the connection in the middle of a vector: what was stored is not sent again (S54).
func TestUploadResumes(t *testing.T) {
	const chunks = 64
	f := &far{want: chunks}
	l, p, _ := pair(t, f)
	p.mu.Lock()
	p.limit = 2 << 20 // of 4 MiB
	p.mu.Unlock()
	data := make([]byte, 65536)
	err := l.Upload(t.Context(), link.Vector{Run: packet.Run, Round: 2, K: 1, Chunks: chunks, Chunk: func(i int) []byte {
		data[0] = byte(i)
		return append([]byte(nil), data...)
	}})
	require.NoError(t, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Len(t, f.stored, chunks)
	require.Less(t, f.chunks, chunks+40)
	for i, b := range f.stored {
		require.Equal(t, byte(i), b[0])
	}
}

// TestUploadOvertakesMask: chunks may arrive before the mask message that declares them; a coordinator that goes on
// refusing is believed.
func TestUploadOvertakesMask(t *testing.T) {
	f := &far{want: 1, refuse: 3}
	l, _, _ := pair(t, f)
	v := link.Vector{Chunks: 1, Chunk: func(int) []byte { return make([]byte, 8) }}
	require.NoError(t, l.Upload(t.Context(), v))
	f.mu.Lock()
	f.stored, f.refuse = map[uint32][]byte{}, 1000
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, l.Upload(ctx, v), context.DeadlineExceeded)
	var remote *link.RemoteError
	require.ErrorAs(t, l.Upload(t.Context(), v), &remote)
	require.Equal(t, "no mask yet", remote.Text)
}

func TestDownloadsAreBounded(t *testing.T) {
	f := &far{sum: ring.AppendLE(nil, make([]uint64, 500))}
	l, _, _ := pair(t, f)
	c, err := l.Sum(t.Context(), packet.Run, 2, 500, false)
	require.NoError(t, err)
	require.Len(t, c.Words, 500)
	_, err = l.Sum(t.Context(), packet.Run, 2, 499, false)
	require.ErrorContains(t, err, "more than 499 words")
	_, err = l.Sum(t.Context(), packet.Run, 2, 501, false)
	require.ErrorContains(t, err, "want 501 words")
	f.frames = make([]*pb.Frame, 5000)
	for i := range f.frames {
		f.frames[i] = &pb.Frame{}
	}
	_, err = l.Sum(t.Context(), packet.Run, 2, 500, true)
	require.ErrorContains(t, err, "frames")

	for name, rounds := range map[string][]uint32{"not after": {3}, "not ascending": {5, 5}} {
		f.rounds = rounds
		_, err = l.Rounds(t.Context(), packet.Run, 3)
		require.ErrorContains(t, err, "rounds", name)
	}
	f.rounds = []uint32{4, 9}
	got, err := l.Rounds(t.Context(), packet.Run, 3)
	require.NoError(t, err)
	require.Equal(t, []uint32{4, 9}, got)

	for name, spots := range map[string][]*pb.SpotChunk{
		"too many":    {{Member: 1}, {Member: 2}, {Member: 3}},
		"large chunk": {{Member: 1, Data: make([]byte, 65537)}},
		"short path":  {{Member: 1, Path: [][]byte{make([]byte, 31)}}},
		"long path":   {{Member: 1, Path: make([][]byte, 33)}},
		"member":      {{Member: 256}},
	} {
		f.spots = spots
		_, err = l.Spot(t.Context(), packet.Run, 2, 0, 2)
		require.ErrorContains(t, err, "spot", name)
	}
}

func TestUnservedAndUnreachable(t *testing.T) {
	l, p, _ := pair(t, &far{})
	_, err := l.Sync(t.Context(), 1)
	var remote *link.RemoteError
	require.ErrorAs(t, err, &remote)
	require.True(t, remote.Unserved)
	require.NoError(t, p.Close())
	p.cut()
	require.Eventually(t, func() bool {
		_, err = l.Sync(t.Context(), 1)
		return errors.As(err, &remote) && remote.Unreachable
	}, 5*time.Second, 10*time.Millisecond)
}

// TestRecordRefuses: what cannot be recorded does not leave.
func TestRecordRefuses(t *testing.T) {
	f := &far{want: 1}
	l, _, _ := pair(t, f, func(c *link.Config) {
		c.Record = func(m link.Message) error {
			if m.Type == "chunk" || m.Type == "advert" {
				return errors.New("disk is full")
			}
			return nil
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.Error(t, l.Upload(ctx, link.Vector{Chunks: 1, Chunk: func(int) []byte { return make([]byte, 8) }}))
	h := &listen{}
	h.start(t, l)
	h.wait(t, func() bool { return h.ups == 1 })
	require.NoError(t, l.Send(packet))
	h.wait(t, func() bool { return h.ups >= 2 }) // the session is given up: it could not say what it had to
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Empty(t, f.stored)
	require.Empty(t, f.packets)
}

func TestOldTLSIsRefused(t *testing.T) {
	_, err := link.New(link.Config{Address: "127.0.0.1:1", TLS: &tls.Config{MinVersion: tls.VersionTLS12}})
	require.ErrorContains(t, err, "TLS 1.3")
}
