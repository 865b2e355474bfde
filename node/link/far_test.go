package link_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/node/link"
)

// far is the other side of a link: it answers what a test tells it to.
type far struct {
	pb.UnimplementedFederationServer
	mu       sync.Mutex
	sessions int
	packets  []*pb.Packet
	greet    []*pb.CoordinatorMessage // sent when a session opens
	stored   map[uint32][]byte
	chunks   int // chunks heard, doubles included
	want     int // chunks of the vector
	refuse   int // uploads to refuse first
	sum      []byte
	frames   []*pb.Frame
	rounds   []uint32
	spots    []*pb.SpotChunk
	starts   []*pb.StartChunk
}

func (f *far) Session(stream pb.Federation_SessionServer) error {
	if m, err := stream.Recv(); err != nil || m.GetHello() == nil {
		return status.Error(codes.InvalidArgument, "no hello")
	}
	f.mu.Lock()
	f.sessions++
	greet := f.greet
	f.mu.Unlock()
	for _, m := range greet {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil
		}
		if p := m.GetPacket(); p != nil {
			f.mu.Lock()
			f.packets = append(f.packets, p)
			f.mu.Unlock()
		}
	}
}

// opened is how many sessions said hello.
func (f *far) opened() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sessions
}

func (f *far) Upload(stream pb.Federation_UploadServer) error {
	f.mu.Lock()
	refuse := f.refuse > 0
	f.refuse--
	f.mu.Unlock()
	if refuse {
		return status.Error(codes.FailedPrecondition, "no mask yet")
	}
	for {
		c, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		f.mu.Lock()
		f.stored[c.Index] = c.Data
		f.chunks++
		f.mu.Unlock()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return stream.SendAndClose(&pb.UploadReply{Whole: len(f.stored) == f.want})
}

func (f *far) Have(context.Context, *pb.HaveRequest) (*pb.HaveReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	bitmap := make([]byte, (f.want+7)/8)
	for i := range f.stored {
		bitmap[i/8] |= 1 << (i % 8)
	}
	return &pb.HaveReply{Stored: bitmap, Whole: len(f.stored) == f.want}, nil
}

func (f *far) Rounds(context.Context, *pb.RoundsRequest) (*pb.RoundsReply, error) {
	return &pb.RoundsReply{Rounds: f.rounds}, nil
}

func (f *far) Sum(_ *pb.SumRequest, stream pb.Federation_SumServer) error {
	if err := stream.Send(&pb.SumChunk{Frames: f.frames}); err != nil {
		return err
	}
	for b := f.sum; len(b) > 0; {
		n := min(len(b), 1001) // not whole words
		if err := stream.Send(&pb.SumChunk{Data: b[:n]}); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (f *far) Start(_ *pb.StartRequest, stream pb.Federation_StartServer) error {
	for _, s := range f.starts {
		if err := stream.Send(s); err != nil {
			return err
		}
	}
	return nil
}

func (f *far) Spot(_ *pb.SpotRequest, stream pb.Federation_SpotServer) error {
	for _, s := range f.spots {
		if err := stream.Send(s); err != nil {
			return err
		}
	}
	return nil
}

// proxy forwards TCP and cuts connections when told, or after a number of bytes.
type proxy struct {
	net.Listener
	to    string
	mu    sync.Mutex
	conns []net.Conn
	limit int64 // cut the next connection after so many bytes from the node; 0: never
}

func newProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{Listener: l, to: to}
	t.Cleanup(func() { _ = l.Close(); p.cut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) serve(c net.Conn) {
	d, err := net.Dial("tcp", p.to)
	if err != nil {
		_ = c.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, c, d)
	limit := p.limit
	p.limit = 0
	p.mu.Unlock()
	go func() { _, _ = io.Copy(c, d); _ = c.Close() }()
	if limit > 0 {
		_, _ = io.CopyN(d, c, limit)
	} else {
		_, _ = io.Copy(d, c)
	}
	_ = c.Close()
	_ = d.Close()
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// pair makes a far side and a link to it through a proxy, with a member's certificate.
func pair(t *testing.T, f *far, change ...func(*link.Config)) (*link.Link, *proxy, *link.Capture) {
	f.stored = map[uint32][]byte{}
	authority, err := identity.CreateAuthority(t.TempDir()+"/ca.pem", "eu-documents", time.Now)
	require.NoError(t, err)
	trust := &identity.Trust{Federation: "eu-documents", Root: authority.Root()}
	issue := func(p identity.Peer, hosts ...string) *identity.Source {
		key, err := identity.NewKey()
		require.NoError(t, err)
		profile := identity.Profile{Peer: p, Hosts: hosts}
		csr, err := identity.NewRequest(key, profile)
		require.NoError(t, err)
		chain, err := authority.Issue(t.Context(), csr, profile)
		require.NoError(t, err)
		c, err := identity.NewCredentials(key, chain)
		require.NoError(t, err)
		return identity.NewSource(c)
	}
	server := issue(identity.Peer{Federation: "eu-documents", Kind: identity.Coordinator}, "127.0.0.1")
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(identity.ServerConfig(trust, server))))
	pb.RegisterFederationServer(s, f)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	p := newProxy(t, l.Addr().String())
	capture := &link.Capture{}
	member := issue(identity.Peer{Federation: "eu-documents", Kind: identity.Member, Name: "DE"})
	cfg := link.Config{
		Address: p.Addr().String(), TLS: identity.ClientConfig(trust, member), Version: "test",
		Record: capture.Record, Received: capture.Received, MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
		Heartbeat: 20 * time.Millisecond, Timeout: 5 * time.Second,
	}
	for _, c := range change {
		c(&cfg)
	}
	out, err := link.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = out.Close() })
	return out, p, capture
}
