package sim

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"sync"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/node/link"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpctls "google.golang.org/grpc/credentials"
)

// clock is the coordinator's idea of the time.
type clock struct {
	mu sync.Mutex
	by time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.by)
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by += d
}

// TestInvites: "second use of an invite", an expired one, a wrong secret, another name, a CSR or a proof that is not
// the caller's: each is refused in words by the real Enrolment service, through the node's own client, and a refused
// try does not spend the invite.
func TestInvites(t *testing.T) {
	var hand clock
	s := setStage(t, testPlan(t), nil, func(c *coordinator.Config) { c.Now = hand.now })
	book := s.simulation.coordinator.Book()
	invite := func(name string) identity.Invite {
		i, err := book.Invite(t.Context(), "bench", name, time.Hour)
		require.NoError(t, err)
		return i
	}
	try := func(i identity.Invite, change func(*link.Enrolment)) error {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		key, err := identity.NewKey()
		require.NoError(t, err)
		csr, err := identity.NewRequest(key, identity.Profile{Peer: identity.Peer{Federation: Name, Kind: identity.Member, Name: i.Member}})
		require.NoError(t, err)
		e := link.Enrolment{
			Address: i.Server, Federation: Name, Pin: s.root, Member: i.Member, Secret: i.Secret.Bytes(), CSR: csr,
			Identity: public, Proof: ed25519.Sign(private, federation.EnrolmentProof(Name, i.Member, csr)),
		}
		if change != nil {
			change(&e)
		}
		_, err = link.Enroll(t.Context(), e)
		return err
	}
	de := invite("DE")
	for name, c := range map[string]struct {
		change func(*link.Enrolment)
		words  string
	}{
		"wrong secret":      {func(e *link.Enrolment) { e.Secret = make([]byte, 32) }, "invite"},
		"no secret":         {func(e *link.Enrolment) { e.Secret = nil }, "invite"},
		"another member":    {func(e *link.Enrolment) { e.Member = "FR" }, "invite"},
		"no proof":          {func(e *link.Enrolment) { e.Proof = make([]byte, 64) }, "does not prove itself"},
		"short key":         {func(e *link.Enrolment) { e.Identity = e.Identity[:31] }, "key"},
		"no request":        {func(e *link.Enrolment) { e.CSR = []byte("what?") }, ""},
		"another authority": {func(e *link.Enrolment) { e.Pin[0] ^= 1 }, "authority"},
	} {
		require.ErrorContains(t, try(de, c.change), c.words, name)
	}
	require.NoError(t, try(de, nil), "refused tries have not spent it")
	require.ErrorContains(t, try(de, nil), "spent")

	late := invite("FR")
	hand.forward(61 * time.Minute)
	require.ErrorContains(t, try(late, nil), "expired")
	hand.forward(-61 * time.Minute)
	old := invite("IT")
	newer := invite("IT")
	require.ErrorContains(t, try(old, nil), "invite", "a second invite replaces the first")
	require.NoError(t, try(newer, nil))
	roster, _ := book.Roster()
	require.Len(t, roster.Members, 2)
	s.verifies()
}

// TestCertificates: "unknown member, expired or foreign certificate": none of them gets a call through, while a run of
// the others is under way and goes on unharmed.
func TestCertificates(t *testing.T) {
	var authority identity.Authority
	var hand clock
	s := setStage(t, testPlan(t, "rounds: 3", "rounds: 1"), fiveTables(t), func(c *coordinator.Config) {
		authority = c.Authority
		c.Trust = &identity.Trust{Federation: c.Trust.Federation, Root: c.Trust.Root, Now: hand.now}
	})
	s.submit()
	s.playAll()
	dial := func(a identity.Authority, p identity.Profile) pb.FederationClient {
		own, err := coordinator.Issue(t.Context(), a, p)
		require.NoError(t, err)
		conn, err := grpc.NewClient(s.actors["DE"].config.Address,
			grpc.WithTransportCredentials(grpctls.NewTLS(identity.ClientConfig(s.trust, identity.NewSource(own)))))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return pb.NewFederationClient(conn)
	}
	call := func(c pb.FederationClient) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := c.Sync(ctx, &pb.SyncRequest{RosterVersion: 5})
		return err
	}
	member := func(name string) identity.Profile {
		return identity.Profile{Peer: identity.Peer{Federation: Name, Kind: identity.Member, Name: name}}
	}
	refusal(t, codes.NotFound, "XX", call(dial(authority, member("XX"))))
	refusal(t, codes.PermissionDenied, "member", call(dial(authority, identity.Profile{Peer: identity.Peer{Federation: Name, Kind: identity.Admin, Name: "eve"}})))

	key, err := identity.NewKey()
	require.NoError(t, err)
	root, err := identity.NewRoot(Name, key, time.Now())
	require.NoError(t, err)
	foreign, err := identity.NewLocal(Name, root, key, time.Now)
	require.NoError(t, err)
	refusal(t, codes.Unavailable, "", call(dial(foreign, member("DE"))))

	bare, err := grpc.NewClient(s.actors["DE"].config.Address, grpc.WithTransportCredentials(grpctls.NewTLS(
		func() *tls.Config { c := identity.ClientConfig(s.trust, nil); c.GetClientCertificate = nil; return c }())))
	require.NoError(t, err)
	defer func() { _ = bare.Close() }()
	refusal(t, codes.Unavailable, "", call(pb.NewFederationClient(bare)))

	for _, round := range s.evaluated().Rounds {
		require.Equal(t, "closed", round.Outcome)
		require.Equal(t, 5, round.Survivors.Len())
	}

	// A month later every certificate has expired: a new connection fails, and so does the next call on an old one.
	good := dial(authority, member("DE"))
	require.NoError(t, call(good))
	hand.forward(31 * 24 * time.Hour)
	refusal(t, codes.Unauthenticated, "expired", call(good))
	refusal(t, codes.Unavailable, "", call(dial(authority, member("DE"))))
}
