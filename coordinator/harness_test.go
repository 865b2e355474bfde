package coordinator_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/identity"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

const schemaYAML = `
name: document-risk
unit: document
label: {column: fraud, positive: "1"}
split: {column: split, test: test}
columns:
  age: {type: number, range: [0, 10]}
  chip: {type: category, values: [ok, no_chip]}
  sex: {type: category, role: group, values: [female, male]}
`

const declarationYAML = `
purpose_code: document-risk
unit: document
target: documents found false after examination
use: order of expert examination; never a reason for refusal
profiling: true
art6_3: none
art5: {5(1)(c): not used elsewhere, 5(1)(d): facts of the documents, 5(1)(g): no biometric input}
regime: GDPR
legal_basis: national act
roles: {provider: authority}
affected_groups: [sex]
decision_role: advisory
oversight: {verifiers: 1, reason_required: true, random_examination_share: 0.02}
valid_until: 2037-12-01
lawpack: eu-2026-07-27
`

const planYAML = `
name: document-risk
declaration: declaration.yaml
schema: schema.yaml
architecture: {kind: logistic, l2: 1.0}
algorithm: {name: fedadam, rounds: 3}
cohort: {members: [DE, FR, IT, PL, PT], minimum: 4}
gates:
  - {metric: auroc, bound: lower, at_least: 0.5}
deadlines: {advertise: 100, share: 100, mask: 200, agree: 100, unmask: 100}
`

func plan(t *testing.T, replace ...string) *federation.Plan {
	t.Helper()
	r := strings.NewReplacer(replace...)
	p, err := federation.ParsePlan([]byte(r.Replace(planYAML)), func(name string) ([]byte, error) {
		switch name {
		case "schema.yaml":
			return []byte(schemaYAML), nil
		case "declaration.yaml":
			return []byte(declarationYAML), nil
		}
		return nil, errors.New("no such file")
	})
	require.NoError(t, err)
	return p
}

var names = []string{"DE", "FR", "IT", "PL", "PT"}

// world is a federation on loopback with real mTLS. The coordinator can be stopped and started again on the same
// journal and spool.
type world struct {
	t         *testing.T
	authority *identity.Local
	source    *identity.Source
	trust     *identity.Trust
	identity  ed25519.PrivateKey
	release   *ecdsa.PrivateKey
	people    map[string]*ecdsa.PrivateKey
	journal   journal.Journal
	spool     spool.Store
	dir       string
	change    func(*coordinator.Config)

	federation, enrolment net.Listener
	c                     *coordinator.Coordinator
	stop                  func()
	members               map[string]*fake
}

func newWorld(t *testing.T, change func(*coordinator.Config)) *world {
	t.Helper()
	if change == nil {
		change = func(*coordinator.Config) {}
	}
	w := &world{
		t: t, dir: t.TempDir(), journal: journal.NewMemory(), spool: spool.NewMemory(), change: change,
		people: map[string]*ecdsa.PrivateKey{}, members: map[string]*fake{},
	}
	var err error
	w.authority, err = identity.CreateAuthority(w.dir+"/ca.pem", "test", time.Now)
	require.NoError(t, err)
	credentials, err := coordinator.Issue(t.Context(), w.authority, identity.Profile{
		Peer: identity.Peer{Federation: "test", Kind: identity.Coordinator}, Hosts: []string{"127.0.0.1"},
	})
	require.NoError(t, err)
	w.source = identity.NewSource(credentials)
	w.trust = &identity.Trust{Federation: "test", Root: w.authority.Root()}
	_, w.identity, err = ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	w.release = p256(t)
	w.people["anna"], w.people["ben"] = p256(t), p256(t)
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func p256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return k
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return l
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("cannot listen on %s", addr)
	return nil
}

func (w *world) start() {
	w.t.Helper()
	fed, enr := "127.0.0.1:0", "127.0.0.1:0"
	if w.federation != nil {
		fed, enr = w.federation.Addr().String(), w.enrolment.Addr().String()
	}
	w.federation, w.enrolment = listen(w.t, fed), listen(w.t, enr)
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("KOINON_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	cfg := coordinator.Config{
		Federation: "test", Authority: w.authority, Trust: w.trust, Source: w.source, Identity: w.identity, Release: w.release,
		People: []admin.Person{
			{Name: "anna", Role: "model-owner", Key: w.people["anna"].Public()},
			{Name: "ben", Role: "data-protection", Key: w.people["ben"].Public()},
		},
		Address: w.federation.Addr().String(), Enrolment: w.enrolment.Addr().String(),
		Journal: w.journal, Spool: w.spool, Releases: w.dir + "/artifacts",
		Tick: 20 * time.Millisecond, Grace: 5, FullCohort: 200, Version: "test", Log: log,
	}
	w.change(&cfg)
	var err error
	w.c, err = coordinator.New(w.t.Context(), cfg)
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- w.c.Serve(ctx, coordinator.Listeners{Federation: w.federation, Enrolment: w.enrolment})
	}()
	w.stop = func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(w.t, err)
		case <-time.After(20 * time.Second):
			w.t.Error("coordinator does not stop")
		}
		w.stop = func() {}
	}
}

func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

// dial connects with credentials (nil: none) to one of the listeners.
func (w *world) dial(addr string, c *identity.Credentials) *grpc.ClientConn {
	w.t.Helper()
	conf := identity.ClientConfig(w.trust, identity.NewSource(c))
	if c == nil {
		conf.GetClientCertificate = nil
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(conf)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(pb.MaxMessageBytes)))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

// admin dials as an admin.
func (w *world) admin(name string) pb.AdminClient {
	w.t.Helper()
	c, err := coordinator.Issue(w.t.Context(), w.authority, identity.Profile{
		Peer: identity.Peer{Federation: "test", Kind: identity.Admin, Name: name},
	})
	require.NoError(w.t, err)
	return pb.NewAdminClient(w.dial(w.federation.Addr().String(), c))
}

func (w *world) invite(name string) identity.Invite {
	w.t.Helper()
	reply, err := w.admin("anna").Invite(w.t.Context(), &pb.InviteRequest{Member: name})
	require.NoError(w.t, err)
	invite, err := identity.ParseInvite(reply.Invite)
	require.NoError(w.t, err)
	return invite
}

// request makes what a node sends to enrol.
func request(t *testing.T, invite identity.Invite) (*pb.EnrollRequest, crypto.Signer, ed25519.PrivateKey) {
	t.Helper()
	tlsKey, err := identity.NewKey()
	require.NoError(t, err)
	csr, err := identity.NewRequest(tlsKey, identity.Profile{
		Peer: identity.Peer{Federation: "test", Kind: identity.Member, Name: invite.Member},
	})
	require.NoError(t, err)
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	proof := ed25519.Sign(key, federation.EnrolmentProof("test", invite.Member, csr))
	return &pb.EnrollRequest{
		Member: invite.Member, Secret: invite.Secret.Bytes(), Csr: csr, IdentityKey: public, Proof: proof,
	}, tlsKey, key
}

func (w *world) enrol(name string) *fake {
	w.t.Helper()
	r, tlsKey, key := request(w.t, w.invite(name))
	reply, err := pb.NewEnrolmentClient(w.dial(w.enrolment.Addr().String(), nil)).Enroll(w.t.Context(), r)
	require.NoError(w.t, err)
	c, err := identity.NewCredentials(tlsKey, reply.Chain)
	require.NoError(w.t, err)
	f := newFake(w, name, key, c)
	w.members[name] = f
	return f
}

// federate enrols all five, submits the plan and has them approve and connect; before that, prepare changes what they do.
func (w *world) federate(p *federation.Plan, prepare ...func()) {
	w.t.Helper()
	for _, name := range names {
		w.enrol(name)
	}
	for _, f := range prepare {
		f()
	}
	body, err := p.Encode()
	require.NoError(w.t, err)
	_, err = w.admin("anna").SubmitPlan(w.t.Context(), &pb.SubmitPlanRequest{Plan: body})
	require.NoError(w.t, err)
	for _, name := range names {
		w.members[name].approve(p)
	}
	for _, name := range names {
		w.members[name].connect()
	}
}

// wait returns the run once it is over.
func (w *world) wait(p *federation.Plan) coordinator.Run {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 60*time.Second)
	defer cancel()
	r, err := w.c.WaitRun(ctx, p.Digest(), nil)
	if err != nil {
		last, _ := w.c.RunByPlan(p.Digest())
		w.t.Fatalf("run is not over: %s, %s, rounds %+v", last.State, last.Reason, last.Rounds)
	}
	return r
}

// until waits for something to be true of a run.
func (w *world) until(p *federation.Plan, what string, ok func(coordinator.Run) bool) coordinator.Run {
	w.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		r, found := w.c.RunByPlan(p.Digest())
		if found && ok(r) {
			return r
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s; run is %s, %s, rounds %+v", what, r.State, r.Reason, r.Rounds)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// table makes a member's rows: a CSV in which old documents without a chip are more often false.
func table(seed int) []byte {
	var b bytes.Buffer
	b.WriteString("age,chip,sex,fraud,split\n")
	state := uint64(seed)*0x9e3779b97f4a7c15 + 1
	next := func(n uint64) uint64 {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		return state % n
	}
	for range 400 {
		age, chip, sex := next(100), next(4), next(2)
		fraud := 0
		if risk := age/2 + 30*(1-min(chip, 1)); next(100) < risk {
			fraud = 1
		}
		fmt.Fprintf(&b, "%d.%d,%s,%s,%d,%s\n", age/10, age%10, []string{"no_chip", "ok"}[min(chip, 1)],
			[]string{"female", "male"}[sex], fraud, []string{"train", "test"}[min(next(5), 4)/4])
	}
	return b.Bytes()
}
