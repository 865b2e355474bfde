package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/federationpb"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// Config says where the coordinator is and how to speak to it. Zero durations take the defaults named below.
type Config struct {
	Address string      // host:port of the Federation service
	TLS     *tls.Config // TLS 1.3 with this member's certificate; a callback may renew it without a new link
	Version string      // of this program, told in Hello

	// Record sees every message before it leaves; an error keeps the message here. It may be called by several
	// goroutines at once. Nil records nothing.
	Record func(Message) error
	// Received sees every message that arrives. Nil is allowed.
	Received func(Message)

	Heartbeat  time.Duration // between two heartbeats, default 15 s
	MinBackoff time.Duration // before the first attempt to reconnect, default 200 ms
	MaxBackoff time.Duration // default 15 s
	Timeout    time.Duration // of one short call, default 30 s
	Log        *slog.Logger
	// Dial opens the connection below TLS; nil dials TCP with keep-alive probes.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&c.Heartbeat, 15*time.Second)
	def(&c.MinBackoff, 200*time.Millisecond)
	def(&c.MaxBackoff, 15*time.Second)
	def(&c.Timeout, 30*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Record == nil {
		c.Record = func(Message) error { return nil }
	}
	if c.Dial == nil {
		d := &net.Dialer{
			Timeout:         10 * time.Second,
			KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
		}
		c.Dial = func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }
	}
	return c
}

// Link is one member's connection to its coordinator. Its methods may be called by several goroutines at once.
type Link struct {
	cfg    Config
	conn   *grpc.ClientConn
	client federationpb.FederationClient

	mu      sync.Mutex
	traffic map[string]Traffic // by phase
	out     chan *federationpb.NodeMessage
	wire    net.Conn // newest connection
}

// New makes a link; it connects when first used.
func New(cfg Config) (*Link, error) {
	if cfg.TLS == nil || cfg.TLS.MinVersion < tls.VersionTLS13 {
		return nil, errors.New("link: the TLS configuration must require TLS 1.3")
	}
	l := &Link{cfg: cfg.withDefaults(), traffic: map[string]Traffic{}}
	conn, err := grpc.NewClient("passthrough:///"+cfg.Address, l.dialOptions(l.cfg.TLS)...)
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	l.conn, l.client = conn, federationpb.NewFederationClient(conn)
	return l, nil
}

// downloadWindow is what a stream of the coordinator may send before it is read, which is what a sum waits in memory.
const downloadWindow = 1 << 20

func (l *Link) dialOptions(tlsConfig *tls.Config) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(tlsConfig)),
		grpc.WithContextDialer(l.dial),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(), // ours, so that each attempt is recorded
		grpc.WithIdleTimeout(0),
		grpc.WithInitialWindowSize(downloadWindow), grpc.WithInitialConnWindowSize(2 * downloadWindow),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: l.cfg.MinBackoff, Multiplier: 1.6, Jitter: 0.3, MaxDelay: l.cfg.MaxBackoff},
			MinConnectTimeout: 10 * time.Second,
		}),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(newCodec(l.sent, l.received)),
			grpc.MaxCallRecvMsgSize(federationpb.MaxMessageBytes), grpc.MaxCallSendMsgSize(federationpb.MaxMessageBytes),
		),
	}
}

// dial opens a connection and remembers it for Reconnect.
func (l *Link) dial(ctx context.Context, address string) (net.Conn, error) {
	c, err := l.cfg.Dial(ctx, address)
	if err == nil {
		l.mu.Lock()
		l.wire = c
		l.mu.Unlock()
	}
	return c, err
}

// Reconnect cuts the connection, so that the next one shows the certificate that is current now: the coordinator
// holds each call to the certificate of its connection. Session and uploads go on by themselves.
func (l *Link) Reconnect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wire != nil {
		_ = l.wire.Close() // what matters is that it ends
		l.wire = nil
	}
}

// Close ends the connection and with it every call and the session.
func (l *Link) Close() error { return l.conn.Close() }

func (l *Link) sent(m Message) error {
	if err := l.cfg.Record(m); err != nil {
		return err
	}
	l.count(m.Phase, Traffic{Up: uint64(len(m.Bytes))})
	return nil
}

func (l *Link) received(m Message) error {
	if l.cfg.Received != nil {
		l.cfg.Received(m)
	}
	l.count(m.Phase, Traffic{Down: uint64(len(m.Bytes))})
	return nil
}

func (l *Link) count(phase string, t Traffic) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum := l.traffic[phase]
	l.traffic[phase] = Traffic{Up: sum.Up + t.Up, Down: sum.Down + t.Down}
}

// Traffic returns the bytes that crossed since New, by phase of the round protocol; the empty phase is the rest.
func (l *Link) Traffic() map[string]Traffic {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]Traffic, len(l.traffic))
	for phase, t := range l.traffic {
		out[phase] = t
	}
	return out
}

// call runs one short call under the configured timeout, with a readable error.
func call[Req, Reply any](ctx context.Context, l *Link, name string, f func(context.Context, Req, ...grpc.CallOption) (Reply, error), req Req) (Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	reply, err := f(ctx, req)
	return reply, wrap(name, err)
}

// Sync asks for the newest signed roster and for the plans whose cohort names this member. version is that of the
// roster the operator accepted.
func (l *Link) Sync(ctx context.Context, version uint32) (*federationpb.SyncReply, error) {
	return call(ctx, l, "sync", l.client.Sync, &federationpb.SyncRequest{RosterVersion: version})
}

// Approve tells the coordinator the operator's signed word on a plan; reason is for a rejection and may be empty.
func (l *Link) Approve(ctx context.Context, plan federation.Digest, approve bool, signature []byte, reason string) error {
	_, err := call(ctx, l, "approve", l.client.Approve, &federationpb.ApproveRequest{
		Plan: plan[:], Approve: approve, Signature: signature, Reason: reason,
	})
	return err
}

// Renew exchanges a certificate request (PKCS #10, DER) for a certificate chain (DER, leaf first), under the
// certificate that is still valid.
func (l *Link) Renew(ctx context.Context, csr []byte) ([][]byte, error) {
	reply, err := call(ctx, l, "renew", l.client.Renew, &federationpb.RenewRequest{Csr: csr})
	return reply.GetChain(), err
}

// RemoteError is what the coordinator answered to a call, or that it was not reached at all.
type RemoteError struct {
	Call        string
	Text        string
	Unreachable bool // no answer: try again later
	Denied      bool // the coordinator does not accept this member or this call
	Unserved    bool // the coordinator does not offer this call
	NotFound    bool
}

func (e *RemoteError) Error() string {
	if e.Unreachable {
		return fmt.Sprintf("%s: coordinator not reached: %s", e.Call, e.Text)
	}
	return fmt.Sprintf("%s: %s", e.Call, e.Text)
}

// wrap turns a gRPC status into a RemoteError; nil stays nil.
func wrap(name string, err error) error {
	if err == nil {
		return nil
	}
	s := status.Convert(err)
	e := &RemoteError{Call: name, Text: s.Message()}
	switch s.Code() {
	case codes.Unavailable, codes.DeadlineExceeded:
		e.Unreachable = true
	case codes.PermissionDenied, codes.Unauthenticated:
		e.Denied = true
	case codes.Unimplemented:
		e.Unserved = true
	case codes.NotFound:
		e.NotFound = true
	case codes.Canceled:
		return fmt.Errorf("%s: %w", name, context.Canceled)
	}
	return e
}
