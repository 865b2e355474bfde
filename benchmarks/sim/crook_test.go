package sim

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/link"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	grpctls "google.golang.org/grpc/credentials"
)

// crook is a coordinator with all keys of a real one and a script instead of a conscience. Honest secagg.Server and
// schedule.Machine do its work; a test has the last word on every packet that leaves it. It serves real nodes over
// mutual TLS and keeps no journal.
type crook struct {
	pb.UnimplementedFederationServer
	t         testing.TB
	trust     *identity.Trust
	authority *identity.Local
	key       ed25519.PrivateKey
	address   string
	roster    *federation.Roster
	plan      *federation.Plan
	actors    map[string]*actor
	refusing  bool   // the nodes' operators approve nothing
	sums      uint16 // of each batch that it opens; 0 is 1

	mu      sync.Mutex
	streams map[uint8]pb.Federation_SessionServer
	run     [16]byte
	round   uint32
	machine *schedule.Machine
	state   [32]byte
	server  *secagg.Server
	uploads map[uint8][]byte
	agreed  map[uint8]secagg.Frame // of the open round
	h3      [32]byte
	opened  []uint64 // the newest sum, as it is published
	closed  map[uint32]published
	out     map[outOf]bool

	// The script. All are called with the lock held.
	alterSum func(*secagg.Sum)                               // before a round opens
	alter    func(to uint8, p []secagg.Frame) []secagg.Frame // each packet; nil result: not sent
	falsify  func(sum []uint64)                              // what is published as the sum
	announce func(state, model *[32]byte)                    // what the result says
	tamper   func(uploads map[uint8][]uint64)                // what is served of the uploads
	swap     bool                                            // serve another sum than the announced one
	swallow  secagg.Set                                      // whose uploads are said to be whole whatever they are
}

// outOf says that a member has left a round of a run.
type outOf struct {
	member uint8
	run    [16]byte
	round  uint32
}

type published struct {
	frames  []secagg.Frame
	words   []uint64
	uploads map[uint8][]uint64
}

// hire makes a crook and five honest nodes that are enrolled with it, approve its plan and are connected. tune has the
// last word on a node's configuration.
func hire(t testing.TB, plan *federation.Plan, tune func(name string, c *node.Config)) *crook {
	t.Helper()
	return hireWith(t, plan, false, tune)
}

func hireWith(t testing.TB, plan *federation.Plan, refusing bool, tune func(name string, c *node.Config)) *crook {
	t.Helper()
	c := &crook{
		t: t, plan: plan, refusing: refusing, actors: map[string]*actor{}, streams: map[uint8]pb.Federation_SessionServer{},
		run: [16]byte{7}, closed: map[uint32]published{}, out: map[outOf]bool{},
	}
	caKey, err := identity.NewKey()
	require.NoError(t, err)
	root, err := identity.NewRoot(Name, caKey, time.Now())
	require.NoError(t, err)
	c.authority, err = identity.NewLocal(Name, root, caKey, time.Now)
	require.NoError(t, err)
	c.trust = &identity.Trust{Federation: Name, Root: root}
	_, c.key, err = ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	c.roster = &federation.Roster{
		Federation: Name, ID: federation.FederationID(Name, identity.FingerprintOf(root)), Version: 1,
		Coordinator: federation.Key(c.key.Public().(ed25519.PublicKey)),
	}
	keys := map[string]ed25519.PrivateKey{}
	for i, name := range five {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		keys[name] = private
		c.roster.Members = append(c.roster.Members, federation.Member{Name: name, Index: uint8(i + 1), Key: federation.Key(public)})
	}
	c.restart()
	c.serve()
	for i, m := range fiveTables(t) {
		c.employ(i, m, keys[m.Name], tune)
	}
	for _, a := range c.actors {
		a.play()
	}
	c.ready(5)
	return c
}

// restart forgets what was learnt: the machine before the first step.
func (c *crook) restart() {
	machine, err := schedule.New(c.plan.Learning())
	require.NoError(c.t, err)
	c.machine, c.state = machine, secagg.InitialState(c.plan.Digest(), digestOf(c.t, machine))
}

func (c *crook) serve() {
	own, err := coordinator.Issue(c.t.Context(), c.authority, identity.Profile{
		Peer: identity.Peer{Federation: Name, Kind: identity.Coordinator}, Hosts: []string{"127.0.0.1"},
	})
	require.NoError(c.t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(c.t, err)
	c.address = listener.Addr().String()
	s := grpc.NewServer(grpc.Creds(grpctls.NewTLS(identity.ServerConfig(c.trust, identity.NewSource(own)))))
	pb.RegisterFederationServer(s, c)
	go func() { _ = s.Serve(listener) }()
	c.t.Cleanup(s.Stop)
}

// employ prepares one member's real node.
func (c *crook) employ(i int, m Member, key ed25519.PrivateKey, tune func(string, *node.Config)) {
	own, err := coordinator.Issue(c.t.Context(), c.authority, identity.Profile{Peer: identity.Peer{Federation: Name, Kind: identity.Member, Name: m.Name}})
	require.NoError(c.t, err)
	a := &actor{t: c.t, store: &node.Memory{}, ledger: &node.MemoryLedger{}, wire: &link.Capture{}}
	require.NoError(c.t, a.store.AcceptRoster(c.signed()))
	config := node.Config{
		Member: m.Name, Address: c.address, TLS: identity.ClientConfig(c.trust, identity.NewSource(own)), Store: a.store, Table: m.Table,
		Sign:    func(b []byte) ([]byte, error) { return ed25519.Sign(key, b), nil },
		Approve: func(*federation.Plan) bool { return true }, Log: testLog().With("member", m.Name),
	}
	a.equip(&config)
	if tune != nil {
		tune(m.Name, &a.config)
	}
	c.actors[m.Name] = a
}

func (c *crook) signed() federation.SignedRoster {
	s, err := federation.SignRoster(c.roster, c.sign)
	require.NoError(c.t, err)
	return s
}

func (c *crook) sign(m []byte) ([]byte, error) { return ed25519.Sign(c.key, m), nil }

// resign signs a body as the coordinator: Ed25519 over u8 len(tag) ‖ tag ‖ d_spec ‖ u8 sender ‖ body (S3).
func (c *crook) resign(kind secagg.Type, spec [32]byte, body []byte) secagg.Frame {
	tag := "koinon/secagg/v1/" + kind.String()
	message := append([]byte{byte(len(tag))}, tag...)
	message = append(append(append(message, spec[:]...), 0), body...)
	return secagg.Frame{Type: kind, Body: body, Signature: ed25519.Sign(c.key, message)}
}

// opening signs a spec and a sum that no honest server would make.
func (c *crook) opening(spec secagg.Spec, sum secagg.Sum) []secagg.Frame {
	spec.First = sum.Digest()
	body, err := spec.MarshalBinary()
	require.NoError(c.t, err)
	sumBody, err := sum.MarshalBinary()
	require.NoError(c.t, err)
	return []secagg.Frame{c.resign(secagg.TypeSpec, [32]byte{}, body), c.resign(secagg.TypeSum, spec.Digest(), sumBody)}
}

// survivorsWithout makes a survivors packet that leaves one member out: k u16 ‖ U3 ‖ u8 0, then the masks of U3.
func (c *crook) survivorsWithout(p []secagg.Frame, out uint8) []secagg.Frame {
	set := c.server.Survivors().Without(out)
	body := append(binary.BigEndian.AppendUint16(nil, c.server.Sum().K), set[:]...)
	packet := []secagg.Frame{c.resign(secagg.TypeSurvivors, c.server.Spec().Digest(), append(body, 0))}
	for _, f := range p[1:] {
		if f.Sender != out {
			packet = append(packet, f)
		}
	}
	return packet
}

// certificateOf makes a certificate of the agreements that came: k u16 ‖ u8 count ‖ (member ‖ signature) ascending.
func (c *crook) certificateOf(members ...uint8) []secagg.Frame {
	body := append(binary.BigEndian.AppendUint16(nil, c.server.Sum().K), byte(len(members)))
	for _, m := range members {
		body = append(append(body, m), c.agreed[m].Signature...)
	}
	return []secagg.Frame{{Type: secagg.TypeCertificate, Body: body}}
}
