package rpc

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/koinon-eu/koinon/coordinator/admin"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"google.golang.org/grpc"
)

type sessionStream = grpc.BidiStreamingServer[pb.NodeMessage, pb.CoordinatorMessage]

// Session carries a node's packets, one at a time: the next is read when the round has judged the last, so a node
// can never queue more than one. What is refused is answered with a notice and ends nothing but the packet.
func (s *federationService) Session(stream sessionStream) error {
	ctx := stream.Context()
	member, err := s.member(ctx)
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	hello := first.GetHello()
	if hello == nil {
		return invalid(errors.New("session: the first message must be a hello"))
	}
	seat := s.cfg.Hub.sit(member.Index, s.presence(hello))
	s.cfg.Driver.Joined(member.Index)
	s.cfg.Log.Info("node connected", "member", member.Name, "version", clip(hello.Version), "roster", hello.RosterVersion)
	s.remind(member.Index, hello)
	sent := make(chan error, 1)
	go func() { sent <- s.send(ctx, stream, seat) }()
	received := make(chan error, 1)
	go func() { received <- s.receive(ctx, stream, member.Index, member.Name) }()
	select {
	case err = <-sent:
	case err = <-received:
	case <-seat.gone:
		err = ErrGone
	}
	if s.cfg.Hub.leave(seat, s.cfg.Now().Unix()) {
		s.cfg.Driver.Gone(member.Index)
		s.cfg.Log.Info("node disconnected", "member", member.Name)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	if ctx.Err() == nil {
		s.reset(member, s.conns.cutter(ctx))
	}
	return err
}

// reset cuts the connection of a session that was ended here, unless its node has opened another one in time. A node
// that reads what it is told does; one that does not read would never hear that its session is over, and block in what
// it still sends.
func (s *federationService) reset(member admin.Member, cut func()) {
	time.AfterFunc(s.cfg.Heartbeat, func() {
		if s.cfg.Hub.Connected().Has(member.Index) {
			return
		}
		s.cfg.Log.Warn("session was ended and the node has not come back, its connection is cut", "member", member.Name)
		cut()
	})
}

// remind asks a node to sync whose hello names another roster than the newest. It may have accepted that one since it
// said hello, and then its sync, which may have overtaken the hello, has to come once more: what it said last counts.
func (s *Server) remind(member uint8, hello *pb.Hello) {
	if roster, _ := s.cfg.Book.Roster(); roster != nil && hello.RosterVersion != roster.Version {
		s.cfg.Hub.Send(secagg.SetOf(member), &pb.CoordinatorMessage{Message: &pb.CoordinatorMessage_Notice{Notice: &pb.Notice{Sync: true}}})
	}
}

func (s *Server) presence(h *pb.Hello) Presence {
	return Presence{
		Version: h.Version[:min(len(h.Version), pb.MaxVersionBytes)], RosterVersion: h.RosterVersion,
		Serving: h.Serving, LastSeen: s.cfg.Now().Unix(),
	}
}

// send empties the queue and keeps an idle session warm.
func (s *Server) send(ctx context.Context, stream sessionStream, seat *seat) error {
	beat := newTicker(s.cfg.Heartbeat)
	defer beat.Stop()
	for {
		var m *pb.CoordinatorMessage
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-seat.gone:
			return ErrGone
		case m = <-seat.queue:
		case <-beat.C:
			m = &pb.CoordinatorMessage{Message: &pb.CoordinatorMessage_Heartbeat{
				Heartbeat: &pb.Heartbeat{UnixMs: s.cfg.Now().UnixMilli()},
			}}
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
}

func (s *Server) receive(ctx context.Context, stream sessionStream, index uint8, name string) error {
	var next time.Time
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		switch v := m.Message.(type) {
		case *pb.NodeMessage_Hello:
			if err := until(ctx, next); err != nil {
				return err
			}
			next = time.Now().Add(helloEvery)
			p := s.presence(v.Hello)
			s.cfg.Hub.note(index, func(old *Presence) { *old = p })
			s.cfg.Driver.Joined(index)
		case *pb.NodeMessage_Heartbeat:
			now := s.cfg.Now().Unix()
			s.cfg.Hub.note(index, func(p *Presence) { p.LastSeen = now })
		case *pb.NodeMessage_Left:
			s.left(index, name, v.Left)
		case *pb.NodeMessage_Packet:
			if err := s.packet(ctx, index, name, v.Packet); err != nil {
				return err
			}
		default:
			return invalid(errors.New("session: empty message"))
		}
	}
}

// helloEvery is how often a session takes a hello, for each has the coordinator look at every run. One that comes
// sooner waits, and what the node sends after it.
const helloEvery = time.Second

func until(ctx context.Context, when time.Time) error {
	wait := time.Until(when)
	if wait <= 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (s *Server) left(index uint8, name string, l *pb.Left) {
	run, err := pb.RunID(l.GetRun())
	if err != nil {
		return
	}
	reason := cleared(l.Reason[:min(len(l.Reason), pb.MaxReasonBytes)])
	s.cfg.Log.Info("node left the round", "member", name, "round", l.Round, "reason", reason)
	s.cfg.Driver.Left(index, run, l.Round, reason)
}

// packet hands a packet to its round. A refusal goes back as a notice; only the end of the connection is an error.
func (s *Server) packet(ctx context.Context, index uint8, name string, p *pb.Packet) error {
	packet, err := pb.PacketFromPB(p)
	if err != nil {
		return invalid(err)
	}
	err = s.cfg.Driver.Packet(ctx, index, packet)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.cfg.Log.Warn("packet refused", "member", name, "round", packet.Round, "error", err)
	s.cfg.Hub.Send(secagg.SetOf(index), &pb.CoordinatorMessage{Message: &pb.CoordinatorMessage_Notice{
		Notice: &pb.Notice{Refused: text(err), Run: packet.Run[:], Round: packet.Round},
	}})
	return nil
}
