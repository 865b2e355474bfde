package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/deploy/service"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
)

// Driver is what the services need of the coordinator's runs. Every method may block only as long as its context
// lives.
type Driver interface {
	// Joined and Gone tell that a member's node has a session or none; Changed that its hello changed.
	Joined(member uint8)
	Gone(member uint8)

	Packet(ctx context.Context, member uint8, p pb.RoundPacket) error
	Left(member uint8, run [16]byte, round uint32, reason string)
	Chunk(ctx context.Context, member uint8, at Vector, index uint32, data []byte) (complete bool, err error)
	Whole(ctx context.Context, member uint8, at Vector) error
	Have(ctx context.Context, member uint8, at Vector) (bitmap []byte, whole bool, err error)
	Rounds(ctx context.Context, member uint8, run [16]byte, after uint32, limit int) ([]uint32, error)
	Sum(ctx context.Context, member uint8, run [16]byte, round uint32) (*Sum, error)
	Spot(ctx context.Context, member uint8, run [16]byte, round, index uint32, send func(*pb.SpotChunk) error) error
	Start(ctx context.Context, member string, plan federation.Digest, send func(*pb.StartChunk) error) error

	Runs(run *[16]byte, rounds bool) ([]*pb.RunStatus, error)
	StartRun(ctx context.Context, by string, plan federation.Digest) ([16]byte, error)
	StopRun(ctx context.Context, by string, run [16]byte, reason string) error
	RunOf(plan federation.Digest) (run [16]byte, state string, ok bool)
	AnswerGate(ctx context.Context, by, name string, gate int, answer string) (state string, err error)
	ApproveRelease(ctx context.Context, by, name string, approval []byte) (state string, err error)
	RevokeRelease(ctx context.Context, by, name, mode, reason string) error
	Releases(name string) ([]*pb.ReleaseStatus, error)
}

// Vector names a masked vector of the calling member.
type Vector struct {
	Run   [16]byte
	Round uint32
	K     uint32
}

// Sum is a closed round as it is served.
type Sum struct {
	Transcript []secagg.Frame
	Size       int64 // bytes of the sum
	ReadAt     func(data []byte, offset int64) error
}

// Config wires the services.
type Config struct {
	Book      *admin.Book
	Hub       *Hub
	Driver    Driver
	Trust     *identity.Trust
	Source    *identity.Source // the coordinator's certificate
	Log       *slog.Logger
	Now       func() time.Time
	Heartbeat time.Duration // between heartbeats on an idle session; 0 is 15 s. So long may a node take to come back when its session was ended
	Observe   func(method, outcome string)
	Uploaded  func(bytes int) // counts stored chunk bytes
}

// Server serves the three services on two listeners.
type Server struct {
	cfg        Config
	federation *grpc.Server // Federation and Admin, mutual TLS
	enrolment  *grpc.Server
	conns      conns // of the Federation listener
	mu         sync.Mutex
	inFlight   map[identity.Peer]int
}

// maxInFlight bounds the calls of one caller at once.
const maxInFlight = 32

// What an upload may send before it is read: with a slow disk that much of each waits in memory, and no more. It does
// not grow with the speed of the line, as gRPC's own does; over a line with a round trip of 30 ms it admits 8 MB/s.
const (
	uploadWindow     = 256 << 10
	connectionWindow = 1 << 20
)

// A silent connection is asked after a while whether it lives.
const (
	pingAfter = 20 * time.Second
	pingWait  = 10 * time.Second
)

// Anybody may connect to the enrolment service: for one call, not to stay, and not in any number.
const (
	strangerTime = time.Minute
	maxStrangers = 256
)

// New returns a server that is not serving yet.
func New(cfg Config) *Server {
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = 15 * time.Second
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, string) {}
	}
	if cfg.Uploaded == nil {
		cfg.Uploaded = func(int) {}
	}
	s := &Server{cfg: cfg, conns: conns{open: map[string]net.Conn{}}, inFlight: map[identity.Peer]int{}}
	s.federation = grpc.NewServer(s.options(credentials.NewTLS(identity.ServerConfig(cfg.Trust, cfg.Source)),
		pb.MaxMessageBytes, keepalive.ServerParameters{Time: pingAfter, Timeout: pingWait}, s.known)...)
	pb.RegisterFederationServer(s.federation, &federationService{Server: s})
	pb.RegisterAdminServer(s.federation, &adminService{Server: s})
	s.enrolment = grpc.NewServer(s.options(credentials.NewTLS(identity.EnrolmentServerConfig(cfg.Trust, cfg.Source)),
		64<<10, keepalive.ServerParameters{
			Time: pingAfter, Timeout: pingWait, MaxConnectionIdle: strangerTime, MaxConnectionAge: strangerTime, MaxConnectionAgeGrace: pingWait,
		}, func(context.Context) (caller, error) { return caller{}, nil })...)
	pb.RegisterEnrolmentServer(s.enrolment, &enrolmentService{Server: s})
	return s
}

func (s *Server) options(tls credentials.TransportCredentials, limit int, alive keepalive.ServerParameters, who func(context.Context) (caller, error)) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(tls),
		grpc.ForceServerCodecV2(pb.Codec{}),
		grpc.MaxRecvMsgSize(limit),
		grpc.MaxSendMsgSize(pb.MaxMessageBytes),
		grpc.MaxConcurrentStreams(maxInFlight),
		grpc.InitialWindowSize(uploadWindow),
		grpc.InitialConnWindowSize(connectionWindow),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.MaxHeaderListSize(16 << 10),
		grpc.KeepaliveParams(alive),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			var reply any
			err := s.call(ctx, info.FullMethod, who, func(ctx context.Context) (err error) {
				reply, err = next(ctx, req)
				return err
			})
			return reply, err
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			return s.call(stream.Context(), info.FullMethod, who, func(ctx context.Context) error {
				return next(srv, &namedStream{ServerStream: stream, ctx: ctx})
			})
		}),
	}
}

type namedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *namedStream) Context() context.Context { return s.ctx }

// caller is who calls, by the certificate of its connection.
type caller struct {
	identity.Peer
	issued, ends time.Time // zero without a certificate
}

type callerKey struct{}

// call names the caller, bounds its calls, and maps the error. No call, not even a session, outlives the certificate
// under which it began.
func (s *Server) call(ctx context.Context, method string, who func(context.Context) (caller, error), next func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.cfg.Log.Error("call panicked", "method", method, "panic", r)
			err = errors.New("panic")
		}
		err = toStatus(s.cfg.Log, method, err)
		outcome := "ok"
		if err != nil {
			outcome = "refused"
		}
		s.cfg.Observe(method, outcome)
	}()
	from, err := who(ctx)
	if err != nil {
		return err
	}
	if from.Name != "" {
		if !s.enter(from.Peer) {
			return fmt.Errorf("%s: %w", from, ErrBusy)
		}
		defer s.leave(from.Peer)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, from.ends.Sub(s.now()))
		defer cancel()
	}
	return next(context.WithValue(ctx, callerKey{}, from))
}

func (s *Server) enter(caller identity.Peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inFlight[caller] >= maxInFlight {
		return false
	}
	s.inFlight[caller]++
	return true
}

func (s *Server) leave(caller identity.Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inFlight[caller]--; s.inFlight[caller] == 0 {
		delete(s.inFlight, caller)
	}
}

// now is the clock by which certificates are judged.
func (s *Server) now() time.Time {
	if s.cfg.Trust == nil || s.cfg.Trust.Now == nil {
		return time.Now()
	}
	return s.cfg.Trust.Now()
}

// known takes the caller's identity from its certificate, again on every call.
func (s *Server) known(ctx context.Context) (caller, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return caller{}, identity.ErrNoCertificate
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return caller{}, identity.ErrNoCertificate
	}
	named, err := s.cfg.Trust.PeerOf(info.State, identity.Member, identity.Admin)
	if err != nil {
		return caller{}, err
	}
	leaf := info.State.PeerCertificates[0]
	return caller{Peer: named, issued: leaf.NotBefore, ends: leaf.NotAfter}, nil
}

// member returns the enrolled member that calls (S12).
func (s *Server) member(ctx context.Context) (admin.Member, error) {
	from, _ := ctx.Value(callerKey{}).(caller)
	if from.Kind != identity.Member {
		return admin.Member{}, fmt.Errorf("%s: only members may call this: %w", from, identity.ErrKind)
	}
	return s.cfg.Book.Caller(from.Name, from.issued)
}

// person returns the admin that calls.
func (s *Server) person(ctx context.Context) (admin.Person, error) {
	from, _ := ctx.Value(callerKey{}).(caller)
	if from.Kind != identity.Admin {
		return admin.Person{}, fmt.Errorf("%s: only admins may call this: %w", from, identity.ErrKind)
	}
	return s.cfg.Book.Person(from.Name)
}

// Serve answers on both listeners until ctx ends, then lets calls in flight finish for a short while.
func (s *Server) Serve(ctx context.Context, federation, enrolment net.Listener) error {
	failed := make(chan error, 2)
	go func() { failed <- s.federation.Serve(s.conns.over(federation)) }()
	go func() { failed <- s.enrolment.Serve(service.AtMost(enrolment, maxStrangers)) }()
	select {
	case err := <-failed:
		s.federation.Stop()
		s.enrolment.Stop()
		return err
	case <-ctx.Done():
	}
	s.cfg.Hub.Close()
	time.AfterFunc(3*time.Second, func() { s.federation.Stop(); s.enrolment.Stop() })
	s.enrolment.GracefulStop()
	s.federation.GracefulStop()
	return nil
}
