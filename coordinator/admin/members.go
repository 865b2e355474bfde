package admin

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/identity"
)

// Limits of an invite's life.
const (
	DefaultInvite = 72 * time.Hour
	maxInvite     = 30 * 24 * time.Hour
)

// Member is what the book holds about a member. Index is its number for life (S2).
type Member struct {
	Name      string
	Index     uint8
	Key       federation.Key // nil until it enrols
	Suspended bool

	invite  [32]byte // hash of the open invite's secret; zero when none is open
	expires int64
	since   int64 // Unix seconds from which the certificate of the newest enrolment is valid
}

// Enrolled reports whether the member has enrolled.
func (m Member) Enrolled() bool { return len(m.Key) > 0 }

type invited struct {
	Member  string `json:"member"`
	Index   uint8  `json:"index"`
	Hash    string `json:"hash"`
	Expires int64  `json:"expires"`
	By      string `json:"by"`
}

type enrolled struct {
	Member string         `json:"member"`
	Key    federation.Key `json:"key"`
	Since  int64          `json:"since,omitempty"`
	Roster rosterRecord   `json:"roster"`
}

type suspended struct {
	Member string       `json:"member"`
	Resume bool         `json:"resume"`
	Reason string       `json:"reason"`
	By     string       `json:"by"`
	Roster rosterRecord `json:"roster"`
}

type rosterRecord struct {
	Body      []byte `json:"body"`
	Signature []byte `json:"signature"`
}

// Invite makes a one-time invite for a member and gives a new name the next index, which nobody else will ever have
// (S2). Inviting again replaces an invite that was not used; a member that enrols a second time gets a new key under
// its old index, and every operator has to accept that roster.
func (b *Book) Invite(ctx context.Context, by, name string, valid time.Duration) (identity.Invite, error) {
	if !federation.ValidName(name) || identity.CheckName(name) != nil {
		return identity.Invite{}, Errorf(ErrInvalid, "member name %.40q: want 1 to 32 letters, digits and inner . _ -", name)
	}
	if valid == 0 {
		valid = DefaultInvite
	}
	if valid < time.Minute || valid > maxInvite {
		return identity.Invite{}, Errorf(ErrInvalid, "invite valid for %s: want a minute to %s", valid, maxInvite)
	}
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return identity.Invite{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	index := len(b.members) + 1
	if m := b.member(name); m != nil {
		index = int(m.Index)
	}
	if index > federation.MaxMembers {
		return identity.Invite{}, Errorf(ErrForbidden, "all %d indexes are given", federation.MaxMembers)
	}
	hash, expires := secret.Hash(), b.cfg.Now().Add(valid).Truncate(time.Second)
	invite := identity.Invite{
		Federation: b.cfg.Federation, Member: name, Server: b.cfg.Enrolment,
		Root: identity.FingerprintOf(b.cfg.Authority.Root()), Secret: secret, Expires: expires,
	}
	if err := invite.Check(); err != nil {
		return identity.Invite{}, Errorf(ErrInvalid, "%w", err)
	}
	fact := invited{Member: name, Index: uint8(index), Hash: hex.EncodeToString(hash[:]), Expires: expires.Unix(), By: by}
	return invite, b.append(ctx, KindInvited, fact)
}

func (b *Book) foldInvited(v invited) error {
	hash, err := hex.DecodeString(v.Hash)
	if err != nil || len(hash) != 32 {
		return fmt.Errorf("invite of %s: hash is malformed", v.Member)
	}
	m := b.member(v.Member)
	if m == nil {
		if int(v.Index) != len(b.members)+1 {
			return fmt.Errorf("member %s: index %d, next is %d", v.Member, v.Index, len(b.members)+1)
		}
		m = &Member{Name: v.Member, Index: v.Index}
		b.members = append(b.members, m)
	}
	m.invite, m.expires = [32]byte(hash), v.Expires
	return nil
}

// Enrolment is what a node sends with its invite.
type Enrolment struct {
	Member string
	Secret []byte
	CSR    []byte // PKCS #10, DER
	Key    federation.Key
	Proof  []byte // by Key, over federation.EnrolmentProof
}

// Enrolled is the answer to an enrolment.
type Enrolled struct {
	Chain  [][]byte
	Root   []byte
	Roster federation.SignedRoster
	Server string
}

// Enrol spends an invite: the member gets a certificate and stands in the next roster version with its identity key.
// Nothing is spent when anything is wrong with the request.
func (b *Book) Enrol(ctx context.Context, e Enrolment) (Enrolled, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.member(e.Member)
	secret, err := identity.SecretFrom(e.Secret)
	if err != nil || m == nil || m.invite == ([32]byte{}) || !secret.Matches(m.invite) || b.cfg.Now().Unix() >= m.expires {
		return Enrolled{}, fmt.Errorf("enrol %.40q: %w", e.Member, ErrSpent)
	}
	proof := federation.EnrolmentProof(b.cfg.Federation, e.Member, e.CSR)
	if len(e.Key) != ed25519.PublicKeySize || !ed25519.Verify(ed25519.PublicKey(e.Key), proof, e.Proof) {
		return Enrolled{}, Errorf(ErrInvalid, "enrol %s: the identity key does not prove itself", e.Member)
	}
	chain, err := b.issue(ctx, m.Name, e.CSR)
	if err != nil {
		return Enrolled{}, err
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return Enrolled{}, fmt.Errorf("enrol %s: %w", e.Member, err)
	}
	next, err := b.nextRoster(func(list []federation.Member) []federation.Member {
		list = slices.DeleteFunc(list, func(o federation.Member) bool { return o.Index == m.Index })
		return append(list, federation.Member{Name: m.Name, Index: m.Index, Key: e.Key, Suspended: m.Suspended})
	})
	if err != nil {
		return Enrolled{}, Errorf(ErrInvalid, "enrol %s: %w", e.Member, err)
	}
	fact := enrolled{Member: m.Name, Key: e.Key, Since: leaf.NotBefore.Unix(), Roster: rosterRecord(next)}
	if err := b.append(ctx, KindEnrolled, fact); err != nil {
		return Enrolled{}, err
	}
	return Enrolled{Chain: chain, Root: b.cfg.Authority.Root().Raw, Roster: next, Server: b.cfg.Address}, nil
}

func (b *Book) issue(ctx context.Context, member string, csr []byte) ([][]byte, error) {
	return b.cfg.Authority.Issue(ctx, csr, identity.Profile{
		Peer:     identity.Peer{Federation: b.cfg.Federation, Kind: identity.Member, Name: member},
		Lifetime: b.cfg.Lifetime,
	})
}

// Renew issues a new certificate to a member whose old one was just checked by TLS.
func (b *Book) Renew(ctx context.Context, member string, csr []byte) ([][]byte, error) {
	m, err := b.Member(member)
	if err != nil {
		return nil, err
	}
	if m.Suspended {
		return nil, Errorf(ErrForbidden, "member %s is suspended", member)
	}
	return b.issue(ctx, member, csr)
}

func (b *Book) foldEnrolled(v enrolled) error {
	m := b.member(v.Member)
	if m == nil {
		return fmt.Errorf("member %.40q was never invited", v.Member)
	}
	for _, p := range b.plans {
		delete(p.words, m.Index) // a word stands under the key that signed it
	}
	m.Key, m.since, m.invite, m.expires = v.Key, v.Since, [32]byte{}, 0
	return b.foldRoster(v.Roster)
}

// Suspend keeps a member out of rounds, or lets it back in. N and t of plans do not change (S5).
func (b *Book) Suspend(ctx context.Context, by, member, reason string, resume bool) error {
	if reason == "" && !resume {
		return Errorf(ErrInvalid, "suspend %.40q: say why, in words", member)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.member(member)
	if m == nil || !m.Enrolled() {
		return fmt.Errorf("member %.40q: %w", member, ErrUnknown)
	}
	if m.Suspended != resume {
		return Errorf(ErrExists, "member %s is %s already", member, map[bool]string{true: "taking part", false: "suspended"}[resume])
	}
	next, err := b.nextRoster(func(list []federation.Member) []federation.Member {
		for i := range list {
			if list[i].Index == m.Index {
				list[i].Suspended = !resume
			}
		}
		return list
	})
	if err != nil {
		return err
	}
	return b.append(ctx, KindSuspended, suspended{Member: member, Resume: resume, Reason: reason, By: by, Roster: rosterRecord(next)})
}

func (b *Book) foldSuspended(v suspended) error {
	m := b.member(v.Member)
	if m == nil {
		return fmt.Errorf("member %.40q was never invited", v.Member)
	}
	m.Suspended = !v.Resume
	return b.foldRoster(v.Roster)
}

// nextRoster signs the next version after a change.
func (b *Book) nextRoster(change func([]federation.Member) []federation.Member) (federation.SignedRoster, error) {
	next := &federation.Roster{
		Federation: b.cfg.Federation, ID: b.cfg.ID, Version: uint32(len(b.rosters) + 1), Coordinator: b.cfg.Key,
	}
	if n := len(b.rosters); n > 0 {
		next.Members = slices.Clone(b.rosters[n-1].open.Members)
	}
	next.Members = change(next.Members)
	slices.SortFunc(next.Members, func(x, y federation.Member) int { return int(x.Index) - int(y.Index) })
	return federation.SignRoster(next, b.cfg.Sign)
}

func (b *Book) foldRoster(v rosterRecord) error {
	signed := federation.SignedRoster(v)
	open, err := signed.Open(ed25519.PublicKey(b.cfg.Key))
	if err != nil {
		return err
	}
	if int(open.Version) != len(b.rosters)+1 {
		return fmt.Errorf("roster version %d follows %d", open.Version, len(b.rosters))
	}
	b.rosters = append(b.rosters, roster{signed: signed, open: open})
	return nil
}

// member finds by name; the caller holds the lock.
func (b *Book) member(name string) *Member {
	i := slices.IndexFunc(b.members, func(m *Member) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return b.members[i]
}

// Member returns the enrolled member of that name.
func (b *Book) Member(name string) (Member, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	m := b.member(name)
	if m == nil || !m.Enrolled() {
		return Member{}, fmt.Errorf("member %.40q: %w", name, ErrUnknown)
	}
	return *m, nil
}

// Caller is Member for whoever shows a certificate of that name, valid from issued on. Enrolling again ends the
// certificates of before: whoever holds a stolen one, and what it was renewed to, is out.
func (b *Book) Caller(name string, issued time.Time) (Member, error) {
	m, err := b.Member(name)
	if err != nil {
		return Member{}, err
	}
	if issued.Unix() < m.since {
		return Member{}, Errorf(ErrForbidden, "member %s has enrolled again since this certificate was issued", name)
	}
	return m, nil
}

// Members lists all members, invited or enrolled, by index.
func (b *Book) Members() []Member {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make([]Member, len(b.members))
	for i, m := range b.members {
		out[i] = *m
	}
	return out
}

// Roster returns the newest roster; nil before the first member has enrolled.
func (b *Book) Roster() (*federation.Roster, federation.SignedRoster) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.rosters) == 0 {
		return nil, federation.SignedRoster{}
	}
	r := b.rosters[len(b.rosters)-1]
	return r.open, r.signed
}

// RosterVersion returns an older version.
func (b *Book) RosterVersion(version uint32) (*federation.Roster, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if version < 1 || int64(version) > int64(len(b.rosters)) {
		return nil, fmt.Errorf("roster version %d: %w", version, ErrUnknown)
	}
	return b.rosters[version-1].open, nil
}

// RosterByDigest returns the version with that digest, as a round's spec names it.
func (b *Book) RosterByDigest(digest [32]byte) (*federation.Roster, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for i := len(b.rosters) - 1; i >= 0; i-- {
		if b.rosters[i].open.Digest() == federation.Digest(digest) {
			return b.rosters[i].open, nil
		}
	}
	return nil, fmt.Errorf("roster %x: %w", digest[:6], ErrUnknown)
}
