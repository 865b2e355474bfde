package node_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
)

// fake is a coordinator that a test scripts: real mutual TLS, real secagg.Server and schedule.Machine, and hooks
// where it can lie. It keeps everything in memory and knows no journal.
type fake struct {
	pb.UnimplementedFederationServer
	pb.UnimplementedEnrolmentServer
	t         testing.TB
	authority *identity.Local
	trust     *identity.Trust
	key       ed25519.PrivateKey
	address   string
	secret    identity.Secret // of the one invite that Enroll takes
	spent     bool

	hearingMu sync.Mutex
	heard     [][32]byte // SHA-256 of every message that arrived

	mu       sync.Mutex
	wake     *sync.Cond
	roster   *federation.Roster
	plan     *federation.Plan
	approved map[uint8]bool
	streams  map[uint8]pb.Federation_SessionServer
	machine  *schedule.Machine
	state    [32]byte
	run      [16]byte
	round    uint32
	server   *secagg.Server
	uploads  map[uint8][]byte
	closed   map[uint32]closedRound
	left     map[uint8]string // newest reason of each in this round
	lastSum  map[uint8]uint32 // rounds whose sum a member fetched
	h3       [32]byte

	// Lies and losses.
	alterSum    func(*secagg.Sum)                             // before a round opens
	alterResult func(sum []uint64)                            // the sum that is served and applied
	noSpot      bool                                          // uploads are never served
	invented    map[uint32]uint32                             // rounds that are told to be closed, with the transcript of another one
	refuse      func(member uint8, round, chunk uint32) error // of a spot check; nil: served
	drop        func(from uint8, t secagg.Type) bool
}

type closedRound struct {
	frames  []secagg.Frame
	words   []uint64
	uploads map[uint8][]uint64
}

func newFake(t testing.TB, members []string) (*fake, map[string]ed25519.PrivateKey) {
	f := &fake{
		t: t, approved: map[uint8]bool{}, streams: map[uint8]pb.Federation_SessionServer{}, run: [16]byte{1, 2, 3},
		closed: map[uint32]closedRound{}, left: map[uint8]string{}, lastSum: map[uint8]uint32{},
	}
	f.wake = sync.NewCond(&f.mu)
	var err error
	f.authority, err = identity.CreateAuthority(t.TempDir()+"/ca.pem", "eu-documents", time.Now)
	require.NoError(t, err)
	f.trust = &identity.Trust{Federation: "eu-documents", Root: f.authority.Root()}
	_, f.key, err = ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	f.roster = &federation.Roster{
		Federation: "eu-documents", ID: federation.FederationID("eu-documents", identity.FingerprintOf(f.trust.Root)), Version: 1,
		Coordinator: federation.Key(f.key.Public().(ed25519.PublicKey)),
	}
	keys := map[string]ed25519.PrivateKey{}
	for i, name := range members {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		keys[name] = private
		f.roster.Members = append(f.roster.Members, federation.Member{Name: name, Index: uint8(i + 1), Key: federation.Key(public)})
	}
	f.serve()
	return f, keys
}

// credentials issues a certificate as the coordinator's authority does.
func (f *fake) credentials(p identity.Peer, hosts ...string) *identity.Credentials {
	key, err := identity.NewKey()
	require.NoError(f.t, err)
	profile := identity.Profile{Peer: p, Hosts: hosts}
	csr, err := identity.NewRequest(key, profile)
	require.NoError(f.t, err)
	chain, err := f.authority.Issue(context.Background(), csr, profile)
	require.NoError(f.t, err)
	c, err := identity.NewCredentials(key, chain)
	require.NoError(f.t, err)
	return c
}

func (f *fake) serve() {
	own := identity.NewSource(f.credentials(identity.Peer{Federation: "eu-documents", Kind: identity.Coordinator}, "127.0.0.1"))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(f.t, err)
	f.address = listener.Addr().String()
	// One listener for both services: the enrolment configuration lets callers without a certificate in.
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(identity.EnrolmentServerConfig(f.trust, own))),
		grpc.ForceServerCodecV2(&hearing{CodecV2: encoding.GetCodecV2("proto"), f: f}))
	pb.RegisterFederationServer(s, f)
	pb.RegisterEnrolmentServer(s, f)
	go func() { _ = s.Serve(listener) }()
	f.t.Cleanup(s.Stop)
}

// hearing notes the digest of every message that arrives, from whomever.
type hearing struct {
	encoding.CodecV2
	f *fake
}

func (h *hearing) Unmarshal(data mem.BufferSlice, v any) error {
	digest := sha256.Sum256(data.Materialize())
	h.f.hearingMu.Lock()
	h.f.heard = append(h.f.heard, digest)
	h.f.hearingMu.Unlock()
	return h.CodecV2.Unmarshal(data, v)
}

func (f *fake) sign(m []byte) ([]byte, error) { return ed25519.Sign(f.key, m), nil }

func (f *fake) signed() federation.SignedRoster {
	s, err := federation.SignRoster(f.roster, f.sign)
	require.NoError(f.t, err)
	return s
}

func (f *fake) member(ctx context.Context) (uint8, error) {
	p, _ := peer.FromContext(ctx)
	who, err := f.trust.PeerOf(p.AuthInfo.(credentials.TLSInfo).State, identity.Member)
	if err != nil {
		return 0, status.Error(codes.Unauthenticated, err.Error())
	}
	m, ok := f.roster.Member(who.Name)
	if !ok {
		return 0, status.Error(codes.PermissionDenied, "not a member")
	}
	return m.Index, nil
}

func (f *fake) Enroll(_ context.Context, r *pb.EnrollRequest) (*pb.EnrollReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	secret, err := identity.SecretFrom(r.Secret)
	if err != nil || f.spent || !secret.Matches(f.secret.Hash()) {
		return nil, status.Error(codes.PermissionDenied, "invite is spent or unknown")
	}
	if !ed25519.Verify(r.IdentityKey, federation.EnrolmentProof("eu-documents", r.Member, r.Csr), r.Proof) {
		return nil, status.Error(codes.InvalidArgument, "proof does not verify")
	}
	f.spent = true
	chain, err := f.authority.Issue(context.Background(), r.Csr, identity.Profile{Peer: identity.Peer{Federation: "eu-documents", Kind: identity.Member, Name: r.Member}})
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	f.roster.Version++
	if i := slices.IndexFunc(f.roster.Members, func(m federation.Member) bool { return m.Name == r.Member }); i >= 0 {
		f.roster.Members[i].Key = r.IdentityKey // enrols again
	} else {
		f.roster.Members = append(f.roster.Members, federation.Member{Name: r.Member, Index: uint8(len(f.roster.Members) + 1), Key: r.IdentityKey})
	}
	return &pb.EnrollReply{Chain: chain, Ca: f.trust.Root.Raw, Roster: pb.RosterToPB(f.signed()), Address: f.address}, nil
}

func (f *fake) Renew(ctx context.Context, r *pb.RenewRequest) (*pb.RenewReply, error) {
	i, err := f.member(ctx)
	if err != nil {
		return nil, err
	}
	chain, err := f.authority.Issue(ctx, r.Csr, identity.Profile{Peer: identity.Peer{Federation: "eu-documents", Kind: identity.Member, Name: f.roster.Name(i)}})
	return &pb.RenewReply{Chain: chain}, err
}

func (f *fake) Sync(ctx context.Context, _ *pb.SyncRequest) (*pb.SyncReply, error) {
	i, err := f.member(ctx)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	reply := &pb.SyncReply{Roster: pb.RosterToPB(f.signed())}
	if f.plan != nil {
		body, err := f.plan.Encode()
		require.NoError(f.t, err)
		reply.Plans = []*pb.PlanOffer{{Plan: body, Approved: f.approved[i], Open: true}}
	}
	return reply, nil
}

func (f *fake) Approve(ctx context.Context, r *pb.ApproveRequest) (*pb.ApproveReply, error) {
	i, err := f.member(ctx)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m, _ := f.roster.Member(f.roster.Name(i))
	a := federation.Approval{Federation: f.roster.ID, Plan: federation.Digest(r.Plan), Member: i, Approve: r.Approve}
	if !a.Verify(m.Key, r.Signature) {
		return nil, status.Error(codes.InvalidArgument, "signature does not verify")
	}
	f.approved[i] = r.Approve
	f.wake.Broadcast()
	return &pb.ApproveReply{}, nil
}

func (f *fake) Session(stream pb.Federation_SessionServer) error {
	i, err := f.member(stream.Context())
	if err != nil {
		return err
	}
	if m, err := stream.Recv(); err != nil || m.GetHello() == nil {
		return status.Error(codes.InvalidArgument, "no hello")
	}
	f.mu.Lock()
	f.streams[i] = stream
	f.wake.Broadcast()
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.streams[i] == stream {
			delete(f.streams, i)
		}
		f.wake.Broadcast()
	}()
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		f.hear(i, m)
	}
}

func (f *fake) hear(i uint8, m *pb.NodeMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.wake.Broadcast()
	if l := m.GetLeft(); l != nil && l.Round == f.round { // the word on an earlier round may arrive when this one is open
		f.left[i] = l.Reason
	}
	p, err := pb.PacketFromPB(m.GetPacket())
	if err != nil || p.Round != f.round || f.server == nil {
		return
	}
	if f.drop != nil && f.drop(i, p.Frames[0].Type) {
		return
	}
	if p.Frames[0].Type == secagg.TypeAgree {
		f.h3 = [32]byte(p.Frames[0].Body[34:66]) // k u16 · g 32 · h3 32
	}
	if err := f.server.Receive(i, p.Frames); err != nil {
		f.t.Logf("packet of %d refused: %v", i, err)
	}
}

func (f *fake) Upload(stream pb.Federation_UploadServer) error {
	i, err := f.member(stream.Context())
	if err != nil {
		return err
	}
	for {
		c, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := f.chunk(i, c); err != nil {
			return status.Error(codes.FailedPrecondition, err.Error())
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	stored, whole := f.server.Have(i)
	return stream.SendAndClose(&pb.UploadReply{Whole: whole, Stored: stored})
}

func (f *fake) chunk(i uint8, c *pb.UploadChunk) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.wake.Broadcast()
	if c.Round != f.round {
		return secagg.ErrStale
	}
	if err := f.server.Chunk(i, c.Index, c.Data); err != nil {
		return err
	}
	f.uploads[i] = append(f.uploads[i], c.Data...) // the node sends them in order
	if _, whole := f.server.Have(i); whole {
		return f.server.MarkWhole(i)
	}
	return nil
}

func (f *fake) Have(ctx context.Context, _ *pb.HaveRequest) (*pb.HaveReply, error) {
	i, err := f.member(ctx)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	stored, whole := f.server.Have(i)
	return &pb.HaveReply{Stored: stored, Whole: whole}, nil
}

func (f *fake) Rounds(_ context.Context, r *pb.RoundsRequest) (*pb.RoundsReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	reply := &pb.RoundsReply{}
	for round := r.After + 1; round <= f.round; round++ {
		if _, ok := f.closed[round]; ok {
			reply.Rounds = append(reply.Rounds, round)
		}
	}
	for round := range f.invented {
		reply.Rounds = append(reply.Rounds, round)
	}
	return reply, nil
}

func (f *fake) Sum(r *pb.SumRequest, stream pb.Federation_SumServer) error {
	i, err := f.member(stream.Context())
	if err != nil {
		return err
	}
	f.mu.Lock()
	number := r.Round
	if n, ok := f.invented[number]; ok {
		number = n
	}
	c, ok := f.closed[number]
	f.lastSum[i] = r.Round
	f.mu.Unlock()
	if !ok {
		return status.Error(codes.NotFound, "no such round")
	}
	if r.Transcript {
		if err := stream.Send(&pb.SumChunk{Frames: pb.FramesToPB(c.frames)}); err != nil {
			return err
		}
	}
	return stream.Send(&pb.SumChunk{Data: ring.AppendLE(nil, c.words)})
}

func (f *fake) Spot(r *pb.SpotRequest, stream pb.Federation_SpotServer) error {
	i, err := f.member(stream.Context())
	if err != nil {
		return err
	}
	f.mu.Lock()
	c, ok := f.closed[r.Round]
	hide := f.noSpot
	if f.refuse != nil {
		err = f.refuse(i, r.Round, r.Index)
	}
	f.mu.Unlock()
	if err != nil {
		return err
	}
	if !ok || hide {
		return status.Error(codes.NotFound, "no longer served")
	}
	for member, words := range c.uploads {
		u, hashes := secagg.Upload{Words: words}, secagg.ChunkHashes(words)
		m := &pb.SpotChunk{Member: uint32(member), Data: u.Chunk(int(r.Index))}
		for _, p := range secagg.MerklePath(hashes, int(r.Index)) {
			m.Path = append(m.Path, p[:])
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}
