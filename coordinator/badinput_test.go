package coordinator_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func code(t *testing.T, want codes.Code, err error) {
	t.Helper()
	require.Equal(t, want, status.Code(err), "%v", err)
}

func TestEnrolmentRefusals(t *testing.T) {
	w := newWorld(t, nil)
	enrolment := pb.NewEnrolmentClient(w.dial(w.enrolment.Addr().String(), nil))
	invite := w.invite("DE")
	good, _, _ := request(t, invite)

	bad := func(change func(r *pb.EnrollRequest)) error {
		r := &pb.EnrollRequest{Member: good.Member, Secret: good.Secret, Csr: good.Csr, IdentityKey: good.IdentityKey, Proof: good.Proof}
		change(r)
		_, err := enrolment.Enroll(t.Context(), r)
		return err
	}
	code(t, codes.PermissionDenied, bad(func(r *pb.EnrollRequest) { r.Secret = make([]byte, 32) }))
	code(t, codes.PermissionDenied, bad(func(r *pb.EnrollRequest) { r.Secret = []byte("short") }))
	code(t, codes.PermissionDenied, bad(func(r *pb.EnrollRequest) { r.Member = "FR" }))
	code(t, codes.InvalidArgument, bad(func(r *pb.EnrollRequest) { r.Proof = make([]byte, 64) }))
	code(t, codes.InvalidArgument, bad(func(r *pb.EnrollRequest) { r.IdentityKey = nil }))
	other, _, _ := request(t, identity.Invite{Member: "FR", Secret: invite.Secret})
	code(t, codes.InvalidArgument, bad(func(r *pb.EnrollRequest) {
		r.Csr = other.Csr // asks for another name than the invite's
		_, key, _ := ed25519.GenerateKey(rand.Reader)
		r.IdentityKey, r.Proof = key.Public().(ed25519.PublicKey), ed25519.Sign(key, federation.EnrolmentProof("test", "DE", other.Csr))
	}))
	code(t, codes.ResourceExhausted, bad(func(r *pb.EnrollRequest) { r.Csr = make([]byte, 1<<20) }))
	require.NoError(t, bad(func(*pb.EnrollRequest) {}), "a refused try does not spend the invite")
	err := bad(func(*pb.EnrollRequest) {})
	code(t, codes.PermissionDenied, err)
	require.ErrorContains(t, err, "spent")

	// One key cannot stand twice in the roster (S10).
	second, _, _ := request(t, w.invite("FR"))
	r, ok := w.c.Book().Roster()
	require.NotNil(t, r, ok)
	second.IdentityKey, second.Proof = good.IdentityKey, good.Proof
	_, err = enrolment.Enroll(t.Context(), second)
	code(t, codes.InvalidArgument, err)
}

func TestInviteExpires(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	w := newWorld(t, func(cfg *coordinator.Config) {
		cfg.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	r, _, _ := request(t, w.invite("DE"))
	mu.Lock()
	now = now.Add(73 * time.Hour)
	mu.Unlock()
	_, err := pb.NewEnrolmentClient(w.dial(w.enrolment.Addr().String(), nil)).Enroll(t.Context(), r)
	code(t, codes.PermissionDenied, err)
}

func TestCertificateRefusals(t *testing.T) {
	w := newWorld(t, nil)
	w.enrol("DE")
	addr := w.federation.Addr().String()
	sync := func(c *identity.Credentials) error {
		_, err := pb.NewFederationClient(w.dial(addr, c)).Sync(t.Context(), &pb.SyncRequest{})
		return err
	}
	require.NoError(t, sync(w.members["DE"].credentials))
	code(t, codes.Unavailable, sync(nil))

	foreign, err := identity.CreateAuthority(t.TempDir()+"/ca.pem", "test", time.Now)
	require.NoError(t, err)
	profile := identity.Profile{Peer: identity.Peer{Federation: "test", Kind: identity.Member, Name: "DE"}}
	c, err := coordinator.Issue(t.Context(), foreign, profile)
	require.NoError(t, err)
	code(t, codes.Unavailable, sync(c))

	past, err := identity.OpenAuthority(w.dir+"/ca.pem", "test", func() time.Time { return time.Now().Add(-60 * 24 * time.Hour) })
	require.NoError(t, err)
	expired, err := coordinator.Issue(t.Context(), past, profile)
	require.NoError(t, err)
	code(t, codes.Unavailable, sync(expired))

	unknown, err := coordinator.Issue(t.Context(), w.authority, identity.Profile{Peer: identity.Peer{Federation: "test", Kind: identity.Member, Name: "XX"}})
	require.NoError(t, err)
	code(t, codes.NotFound, sync(unknown))

	// A member is no admin, an admin is no member, and nobody calls Federation where enrolment is served.
	_, err = pb.NewAdminClient(w.dial(addr, w.members["DE"].credentials)).Members(t.Context(), &pb.MembersRequest{})
	code(t, codes.PermissionDenied, err)
	someone, err := coordinator.Issue(t.Context(), w.authority, identity.Profile{Peer: identity.Peer{Federation: "test", Kind: identity.Admin, Name: "carl"}})
	require.NoError(t, err)
	code(t, codes.PermissionDenied, sync(someone))
	_, err = pb.NewAdminClient(w.dial(addr, someone)).Members(t.Context(), &pb.MembersRequest{})
	code(t, codes.NotFound, err)
	_, err = pb.NewFederationClient(w.dial(w.enrolment.Addr().String(), nil)).Sync(t.Context(), &pb.SyncRequest{})
	code(t, codes.Unimplemented, err)
}

func TestPlanRefusals(t *testing.T) {
	w := newWorld(t, nil)
	w.enrol("DE")
	w.enrol("FR")
	anna := w.admin("anna")
	submit := func(body []byte) error {
		_, err := anna.SubmitPlan(t.Context(), &pb.SubmitPlanRequest{Plan: body})
		return err
	}
	p := plan(t)
	body, err := p.Encode()
	require.NoError(t, err)
	code(t, codes.InvalidArgument, submit(nil))
	code(t, codes.InvalidArgument, submit(append(body, ' ')))
	code(t, codes.InvalidArgument, submit(body)) // its cohort is not enrolled
	late := plan(t)
	late.Declaration.ValidUntil = "2020-01-01"
	body, err = late.Encode()
	require.NoError(t, err)
	err = submit(body)
	code(t, codes.InvalidArgument, err)
	require.ErrorContains(t, err, "valid until")

	digest := p.Digest()
	_, err = w.members["DE"].client.Approve(t.Context(), &pb.ApproveRequest{Plan: digest[:], Approve: true, Signature: make([]byte, 64)})
	code(t, codes.NotFound, err)
}

// What one member does wrong is answered to it alone; the round and the run go on unharmed.
func TestBadPacketsDoNotHarmTheRound(t *testing.T) {
	w := newWorld(t, nil)
	p := plan(t)
	for _, name := range names {
		w.enrol(name)
	}
	outsider := w.enrol("XX")
	body, err := p.Encode()
	require.NoError(t, err)
	_, err = w.admin("anna").SubmitPlan(t.Context(), &pb.SubmitPlanRequest{Plan: body})
	require.NoError(t, err)
	digest := p.Digest()
	_, err = w.members["DE"].client.Approve(t.Context(), &pb.ApproveRequest{Plan: digest[:], Approve: true, Signature: make([]byte, 64)})
	code(t, codes.InvalidArgument, err)
	_, err = outsider.client.Approve(t.Context(), &pb.ApproveRequest{Plan: digest[:], Approve: true, Signature: make([]byte, 64)})
	code(t, codes.PermissionDenied, err)

	var once sync.Once
	ready := make(chan struct{})
	release := sync.OnceFunc(func() { close(ready) })
	defer release()
	w.members["PT"].before = func(mt secagg.Type) bool {
		if mt == secagg.TypeMask { // holds the first round in Mask
			once.Do(func() { <-ready })
		}
		return true
	}
	for _, name := range names {
		w.members[name].approve(p)
	}
	for _, name := range names {
		w.members[name].connect()
	}
	r := w.until(p, "Mask", func(r coordinator.Run) bool { return len(r.Rounds) == 1 && r.Rounds[0].Phase == "mask" })

	de, run := w.members["DE"], r.ID
	upload := func(f *fake, chunks ...*pb.UploadChunk) error {
		stream, err := f.client.Upload(t.Context())
		require.NoError(t, err)
		for _, c := range chunks {
			if stream.Send(c) != nil {
				break
			}
		}
		_, err = stream.CloseAndRecv()
		return err
	}
	w.until(p, "DE's upload", func(coordinator.Run) bool {
		have, err := de.client.Have(t.Context(), &pb.HaveRequest{Run: run[:], Round: 1, K: 1})
		return err == nil && have.Whole
	})
	chunk := func(change func(*pb.UploadChunk)) *pb.UploadChunk {
		c := &pb.UploadChunk{Run: run[:], Round: 1, K: 1, Data: make([]byte, 64)}
		change(c)
		return c
	}
	code(t, codes.InvalidArgument, upload(de))
	code(t, codes.InvalidArgument, upload(de, chunk(func(c *pb.UploadChunk) { c.Data = nil })))
	code(t, codes.InvalidArgument, upload(de, chunk(func(c *pb.UploadChunk) { c.Data = make([]byte, 65537) })))
	code(t, codes.ResourceExhausted, upload(de, chunk(func(c *pb.UploadChunk) { c.Data = make([]byte, 9<<20) })))
	code(t, codes.FailedPrecondition, upload(de, chunk(func(c *pb.UploadChunk) {})))                               // truncated
	code(t, codes.FailedPrecondition, upload(de, chunk(func(c *pb.UploadChunk) { c.Data = make([]byte, 65536) }))) // other bytes
	code(t, codes.FailedPrecondition, upload(de, chunk(func(c *pb.UploadChunk) { c.Round = 7 })))
	code(t, codes.NotFound, upload(de, chunk(func(c *pb.UploadChunk) { c.K = 2 })))
	code(t, codes.NotFound, upload(de, chunk(func(c *pb.UploadChunk) { c.Run = make([]byte, 16) })))
	code(t, codes.InvalidArgument, upload(de, chunk(func(c *pb.UploadChunk) { c.Run = run[:15] })))
	code(t, codes.PermissionDenied, upload(outsider, chunk(func(c *pb.UploadChunk) {})))
	_, err = outsider.client.Rounds(t.Context(), &pb.RoundsRequest{Run: run[:]})
	code(t, codes.PermissionDenied, err)

	// A session of another member that speaks for DE, for another round, and in no language at all.
	w.members["FR"].kill()
	stream, err := w.members["FR"].client.Session(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&pb.NodeMessage{Message: &pb.NodeMessage_Hello{Hello: &pb.Hello{RosterVersion: 6}}}))
	say := func(round uint32, frames ...secagg.Frame) string {
		require.NoError(t, stream.Send(&pb.NodeMessage{Message: &pb.NodeMessage_Packet{Packet: pb.PacketToPB(run, round, digest, frames)}}))
		for {
			m, err := stream.Recv()
			require.NoError(t, err)
			if n := m.GetNotice(); n != nil && n.Refused != "" {
				return n.Refused
			}
		}
	}
	advert := secagg.Frame{Type: secagg.TypeAdvert, Sender: 1, Body: make([]byte, 1281), Signature: make([]byte, 64)}
	require.Contains(t, say(1, advert), "another sender")
	advert.Sender = 2
	require.Contains(t, say(1, advert), "two different messages")
	require.Contains(t, say(9, advert), "round 9 is over, 1 is open")
	require.Contains(t, say(1, secagg.Frame{Type: 0x99, Sender: 2}), "canonical")
	require.NoError(t, stream.Send(&pb.NodeMessage{Message: &pb.NodeMessage_Packet{Packet: &pb.Packet{Run: run[:], Round: 1, Plan: digest[:4]}}}))
	for err == nil {
		_, err = stream.Recv()
	}
	code(t, codes.InvalidArgument, err)

	w.members["FR"].connect()
	release()
	r = w.wait(p)
	require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
	require.Equal(t, 5, r.Rounds[len(r.Rounds)-1].Survivors.Len())
	require.Equal(t, "closed", r.Rounds[0].Outcome)
}

// A member that changes its word without end fills no journal: one word a second counts. Words say nothing to a terminal.
func TestWordsFlood(t *testing.T) {
	w := newWorld(t, nil)
	p := plan(t)
	for _, name := range names {
		w.enrol(name)
	}
	body, err := p.Encode()
	require.NoError(t, err)
	_, err = w.admin("anna").SubmitPlan(t.Context(), &pb.SubmitPlanRequest{Plan: body})
	require.NoError(t, err)
	pt := w.members["PT"]
	_, id := w.c.Book().Federation()
	digest := p.Digest()
	say := func(approve bool, reason string) error {
		signature, err := federation.Approval{Federation: id, Plan: digest, Member: pt.index, Approve: approve}.Sign(pt.sign)
		require.NoError(t, err)
		_, err = pt.client.Approve(t.Context(), &pb.ApproveRequest{Plan: digest[:], Approve: approve, Signature: signature, Reason: reason})
		return err
	}
	code(t, codes.InvalidArgument, say(false, "no\x1b[2J"))
	refused, begin := 0, time.Now()
	for i := range 40 {
		if say(i%2 == 0, "") != nil {
			refused++
		}
	}
	taken := int(time.Since(begin)/time.Second) + 2 // at most one in each second that was touched
	require.GreaterOrEqual(t, refused, (40-2*taken)/2)
	require.Eventually(t, func() bool { return say(false, "too wide") == nil }, 5*time.Second, 50*time.Millisecond)
}

// A member that has not approved is not invited, and its packets are refused.
func TestUnapprovedMemberIsNotInvited(t *testing.T) {
	w := newWorld(t, func(cfg *coordinator.Config) { cfg.FullCohort = 5 })
	p := plan(t)
	for _, name := range names {
		w.enrol(name)
	}
	body, err := p.Encode()
	require.NoError(t, err)
	anna := w.admin("anna")
	_, err = anna.SubmitPlan(t.Context(), &pb.SubmitPlanRequest{Plan: body})
	require.NoError(t, err)
	pt := w.members["PT"]
	pt.plan = p
	for _, name := range names[:4] {
		w.members[name].approve(p)
	}
	saw := make(chan secagg.Type, 64)
	pt.before = func(mt secagg.Type) bool {
		select {
		case saw <- mt:
		default:
		}
		return false
	}
	for _, name := range names {
		w.members[name].connect()
	}
	digest := p.Digest()
	_, err = anna.StartRun(t.Context(), &pb.StartRunRequest{Plan: digest[:]})
	require.NoError(t, err)
	r := w.wait(p)
	require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
	for _, round := range r.Rounds {
		require.Equal(t, secagg.SetOf(1, 2, 3, 4), round.Survivors)
	}
	close(saw)
	for mt := range saw {
		require.NotEqual(t, secagg.TypeSpec, mt)
	}
	_, err = anna.Suspend(t.Context(), &pb.SuspendRequest{Member: "DE", Reason: "test"})
	require.NoError(t, err)
	_, err = w.members["DE"].client.Renew(t.Context(), &pb.RenewRequest{})
	code(t, codes.PermissionDenied, err)
}
