package link

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// Packet is what one side says at once in one round.
type Packet struct {
	Run    [16]byte
	Round  uint32
	Plan   federation.Digest
	Frames []secagg.Frame
}

// Handler is told what happens in the session, by one goroutine and in order.
type Handler struct {
	Up      func()            // a session is open; what was sent before may be lost
	Down    func(err error)   // the session ended; the link is already trying again
	Packet  func(Packet)      // from the coordinator
	Notice  func(Notice)      // from the coordinator
	Flushed func(Packet)      // gRPC took the packet: it is on its way
	Hello   func() (v uint32) // returns the accepted roster version, asked when a session opens
}

// Notice asks for a Sync, or says why the coordinator dropped a packet.
type Notice struct {
	Sync    bool
	Refused string
	Run     [16]byte
	Round   uint32
}

// ErrDown is returned by Send while there is no session.
var ErrDown = errors.New("link: no session")

// minSilence is the shortest silence that counts, whatever the heartbeat: the coordinator chooses its own.
const minSilence = time.Minute

// outbox is how many messages may wait for a slow coordinator before Send gives up on the session.
const outbox = 64

// Serve keeps a session open until ctx ends, reconnecting with jittered exponential backoff between MinBackoff and
// MaxBackoff. It returns ctx's error.
func (l *Link) Serve(ctx context.Context, h Handler) error {
	delay := l.cfg.MinBackoff
	for {
		heard := false
		err := l.session(ctx, h.listening(&heard))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if heard { // it was well: a coordinator that is started again gets its nodes back at once
			delay = l.cfg.MinBackoff
		}
		l.cfg.Log.Debug("session lost", "err", err, "retry", delay)
		// Half of the delay is jitter: after a restart of the coordinator its nodes come back spread out.
		wait := delay/2 + rand.N(delay/2+1)
		delay = min(delay*2, l.cfg.MaxBackoff)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// listening returns the handler that also notes whether the coordinator said anything about a round or a plan.
func (h Handler) listening(heard *bool) Handler {
	packet, notice := h.Packet, h.Notice
	h.Packet = func(p Packet) { *heard = true; packet(p) }
	h.Notice = func(n Notice) { *heard = true; notice(n) }
	return h
}

// session runs one Session stream to its end.
func (l *Link) session(ctx context.Context, h Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := l.client.Session(ctx)
	if err != nil {
		return wrap("session", err)
	}
	hello := &federationpb.Hello{Version: l.cfg.Version, RosterVersion: h.Hello(), Serving: true}
	if err := stream.Send(&federationpb.NodeMessage{Message: &federationpb.NodeMessage_Hello{Hello: hello}}); err != nil {
		if _, status := stream.Recv(); status != nil {
			err = status // Send itself only says io.EOF
		}
		return wrap("session", err)
	}
	out := make(chan *federationpb.NodeMessage, outbox)
	l.mu.Lock()
	l.out = out
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.out = nil
		l.mu.Unlock()
	}()

	var beats atomic.Int64 // heartbeats heard; unix milliseconds of the last
	flushed := make(chan Packet, outbox)
	writeErr := make(chan error, 1)
	go func() {
		err := l.write(ctx, stream, out, flushed, &beats)
		if !errors.Is(err, io.EOF) { // then the reader learns the status that ended the stream
			cancel()
		}
		writeErr <- err
	}()

	received := make(chan *federationpb.CoordinatorMessage)
	readErr := make(chan error, 1)
	go func() { readErr <- read(ctx, stream, received) }()

	h.Up()
	err = l.pump(h, received, flushed, readErr, &beats)
	cancel()
	if w := <-writeErr; !errors.Is(w, io.EOF) && !errors.Is(w, context.Canceled) {
		err = w
	}
	h.Down(err)
	return err
}

// pump hands what arrives to the handler, one thing at a time, until the stream ends.
func (l *Link) pump(h Handler, received <-chan *federationpb.CoordinatorMessage, flushed <-chan Packet, readErr <-chan error, beats *atomic.Int64) error {
	for {
		select {
		case p := <-flushed:
			h.Flushed(p)
		case m := <-received:
			if err := dispatch(h, m, beats); err != nil {
				return err
			}
		case err := <-readErr:
			return err
		}
	}
}

// dispatch hands one message on. A packet of a wrong shape ends the session: its sender is no coordinator of ours.
func dispatch(h Handler, m *federationpb.CoordinatorMessage, beats *atomic.Int64) error {
	switch {
	case m.GetPacket() != nil:
		p, err := packetFromPB(m.GetPacket())
		if err != nil {
			return err
		}
		h.Packet(p)
	case m.GetNotice() != nil:
		n := m.GetNotice()
		out := Notice{Sync: n.GetSync(), Refused: clip(n.GetRefused()), Round: n.GetRound()}
		copy(out.Run[:], n.GetRun())
		h.Notice(out)
	case m.GetHeartbeat() != nil:
		beats.Store(time.Now().UnixMilli())
	}
	return nil
}

// write sends what is in the outbox and a heartbeat now and then. A coordinator that sent heartbeats and then falls
// silent is gone, even if its connection still stands.
func (l *Link) write(ctx context.Context, stream federationpb.Federation_SessionClient, out <-chan *federationpb.NodeMessage, flushed chan<- Packet, beats *atomic.Int64) error {
	tick := time.NewTicker(l.cfg.Heartbeat)
	defer tick.Stop()
	for {
		var m *federationpb.NodeMessage
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m = <-out:
		case now := <-tick.C:
			silence := max(3*l.cfg.Heartbeat, minSilence).Milliseconds()
			if last := beats.Load(); last != 0 && now.UnixMilli()-last > silence {
				return errors.New("session: coordinator fell silent")
			}
			m = &federationpb.NodeMessage{Message: &federationpb.NodeMessage_Heartbeat{
				Heartbeat: &federationpb.Heartbeat{UnixMs: now.UnixMilli()},
			}}
		}
		if err := stream.Send(m); err != nil {
			return err
		}
		if pb := m.GetPacket(); pb != nil {
			p, _ := packetFromPB(pb) // made by packetToPB
			select {
			case flushed <- p:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

func read(ctx context.Context, stream federationpb.Federation_SessionClient, received chan<- *federationpb.CoordinatorMessage) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return wrap("session", err)
		}
		select {
		case received <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Send queues a packet for the open session. ErrDown: there is none, or it does not take more; whoever sends keeps
// its packets and sends them again when the session is up (S30 makes that harmless).
func (l *Link) Send(p Packet) error {
	return l.enqueue(&federationpb.NodeMessage{Message: &federationpb.NodeMessage_Packet{Packet: packetToPB(p)}})
}

// Left tells the coordinator that this node is out of a round, and why, in words that hold no data.
func (l *Link) Left(run [16]byte, round uint32, reason string) error {
	return l.enqueue(&federationpb.NodeMessage{Message: &federationpb.NodeMessage_Left{
		Left: &federationpb.Left{Run: run[:], Round: round, Reason: clip(reason)},
	}})
}

func (l *Link) enqueue(m *federationpb.NodeMessage) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out == nil {
		return ErrDown
	}
	select {
	case l.out <- m:
		return nil
	default:
		return ErrDown
	}
}
