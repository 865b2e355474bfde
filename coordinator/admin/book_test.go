package admin_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/crypto/identity"

	"github.com/stretchr/testify/require"
)

type office struct {
	t       *testing.T
	book    *admin.Book
	journal *journal.Memory
	config  admin.Config
	now     time.Time
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{t: t, journal: journal.NewMemory(), now: time.Now()}
	clock := func() time.Time { return o.now }
	authority, err := identity.CreateAuthority(t.TempDir()+"/ca.pem", "test", clock)
	require.NoError(t, err)
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	o.config = admin.Config{
		Federation: "test", ID: federation.FederationID("test", identity.FingerprintOf(authority.Root())),
		Key: federation.Key(public), Sign: func(m []byte) ([]byte, error) { return ed25519.Sign(key, m), nil },
		Authority: authority, Address: "127.0.0.1:1", Enrolment: "127.0.0.1:2", Now: clock,
		People: []admin.Person{{Name: "anna", Role: "model-owner"}},
	}
	o.book = admin.NewBook(o.config, o.journal, nil)
	return o
}

func (o *office) enrol(name string) (ed25519.PrivateKey, error) {
	o.t.Helper()
	invite, err := o.book.Invite(o.t.Context(), "anna", name, 0)
	require.NoError(o.t, err)
	tlsKey, err := identity.NewKey()
	require.NoError(o.t, err)
	csr, err := identity.NewRequest(tlsKey, identity.Profile{Peer: identity.Peer{Federation: "test", Kind: identity.Member, Name: name}})
	require.NoError(o.t, err)
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(o.t, err)
	_, err = o.book.Enrol(o.t.Context(), admin.Enrolment{
		Member: name, Secret: invite.Secret.Bytes(), CSR: csr, Key: federation.Key(public),
		Proof: ed25519.Sign(key, federation.EnrolmentProof("test", name, csr)),
	})
	return key, err
}

// again is the book that a restart makes of the journal.
func (o *office) again() *admin.Book {
	o.t.Helper()
	b := admin.NewBook(o.config, o.journal, nil)
	_, err := journal.Replay(o.t.Context(), o.journal, b.Fold)
	require.NoError(o.t, err)
	return b
}

// S2: an index is given once, at invitation, and stays with its name.
func TestIndexForLife(t *testing.T) {
	o := newOffice(t)
	_, err := o.book.Invite(t.Context(), "anna", "DE", 0)
	require.NoError(t, err)
	_, err = o.enrol("FR")
	require.NoError(t, err)
	_, err = o.enrol("DE")
	require.NoError(t, err)
	first, err := o.book.Member("DE")
	require.NoError(t, err)
	require.Equal(t, uint8(1), first.Index)
	_, err = o.enrol("DE") // a new key under the old index
	require.NoError(t, err)
	second, err := o.book.Member("DE")
	require.NoError(t, err)
	require.Equal(t, uint8(1), second.Index)
	require.NotEqual(t, first.Key, second.Key)
	roster, signed := o.book.Roster()
	require.Equal(t, uint32(3), roster.Version)
	require.Equal(t, []string{"DE", "FR"}, []string{roster.Members[0].Name, roster.Members[1].Name})
	old, err := o.book.RosterVersion(2)
	require.NoError(t, err)
	require.Equal(t, []federation.Change{{Member: "DE", What: "identity key changed"}}, federation.Changes(old, roster))
	found, err := o.book.RosterByDigest(old.Digest())
	require.NoError(t, err)
	require.Equal(t, uint32(2), found.Version)

	restored, same := o.again().Roster()
	require.Equal(t, roster, restored)
	require.Equal(t, signed, same)
	require.Equal(t, o.book.Members(), o.again().Members())
}

func TestSuspend(t *testing.T) {
	o := newOffice(t)
	_, err := o.enrol("DE")
	require.NoError(t, err)
	require.ErrorIs(t, o.book.Suspend(t.Context(), "anna", "DE", "", false), admin.ErrInvalid)
	require.ErrorIs(t, o.book.Suspend(t.Context(), "anna", "FR", "why", false), admin.ErrUnknown)
	require.ErrorIs(t, o.book.Suspend(t.Context(), "anna", "DE", "", true), admin.ErrExists)
	require.NoError(t, o.book.Suspend(t.Context(), "anna", "DE", "key under review", false))
	roster, _ := o.book.Roster()
	require.True(t, roster.Members[0].Suspended)
	_, err = o.book.Renew(t.Context(), "DE", nil)
	require.ErrorIs(t, err, admin.ErrForbidden)
	require.NoError(t, o.book.Suspend(t.Context(), "anna", "DE", "", true))
	roster, _ = o.again().Roster()
	require.False(t, roster.Members[0].Suspended)
	require.Equal(t, uint32(3), roster.Version)
}

// Whoever stole a member's certificate is out when the member enrols again, also after a restart.
func TestEnrollingAgainEndsOldCertificates(t *testing.T) {
	o := newOffice(t)
	before := o.now
	_, err := o.enrol("DE")
	require.NoError(t, err)
	_, err = o.book.Caller("DE", before)
	require.NoError(t, err)
	o.now = before.Add(time.Hour)
	_, err = o.enrol("DE")
	require.NoError(t, err)
	for _, book := range []*admin.Book{o.book, o.again()} {
		_, err = book.Caller("DE", before)
		require.ErrorIs(t, err, admin.ErrForbidden)
		_, err = book.Caller("DE", o.now)
		require.NoError(t, err)
		_, err = book.Caller("FR", o.now)
		require.ErrorIs(t, err, admin.ErrUnknown)
	}
}

func TestInviteRefusals(t *testing.T) {
	o := newOffice(t)
	for _, name := range []string{"", "../DE", "D E", "-DE"} {
		_, err := o.book.Invite(t.Context(), "anna", name, 0)
		require.ErrorIs(t, err, admin.ErrInvalid, name)
	}
	_, err := o.book.Invite(t.Context(), "anna", "DE", time.Second)
	require.ErrorIs(t, err, admin.ErrInvalid)
	_, err = o.book.Invite(t.Context(), "anna", "DE", 400*24*time.Hour)
	require.ErrorIs(t, err, admin.ErrInvalid)
	require.Empty(t, o.book.Members())
}

// A record that does not follow is refused at replay, never folded.
func TestFoldRefuses(t *testing.T) {
	for kind, body := range map[string]string{
		admin.KindInvited:       `{"member":"DE","index":7,"hash":"00","expires":1,"by":"anna"}`,
		admin.KindEnrolled:      `{"member":"DE","key":"","roster":{}}`,
		admin.KindSuspended:     `{"member":"DE"}`,
		admin.KindSubmitted:     `{"plan":"e30=","by":"anna"}`,
		admin.KindApproval:      `{"plan":"","member":1}`,
		admin.KindReleaseDrawn:  `{"name":"../x"}`,
		admin.KindReleaseWord:   `{"name":"x","approval":"e30="}`,
		admin.KindReleaseSigned: `{"name":"x","unknown":1}`,
		admin.KindRevoked:       `{"name":"x"}`,
	} {
		o := newOffice(t)
		require.Error(t, o.book.Fold(journal.Record{Kind: kind, Body: []byte(body)}), kind)
	}
}
