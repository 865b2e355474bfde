package node

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/keystore"
	"github.com/koinon-eu/koinon/deploy/service"
	"github.com/koinon-eu/koinon/node/link"

	"go.yaml.in/yaml/v4"
)

// Enrolled says what an enrolment led to.
type Enrolled struct {
	Federation string    `json:"federation"`
	Member     string    `json:"member"`
	Index      uint8     `json:"index"`
	Identity   string    `json:"identity_key"` // base64
	Authority  string    `json:"authority"`    // fingerprint
	Roster     uint32    `json:"roster_version"`
	Expires    time.Time `json:"certificate_expires"`
	Offered    uint32    `json:"roster_offered,omitempty"` // a newer roster that waits for the operator
	Already    bool      `json:"already"`                  // the directory had been enrolled before; nothing was changed
}

// Errors of enrolment that a caller branches on.
var (
	ErrOtherMember      = errors.New("directory is enrolled as somebody else") // than the invite names
	ErrOtherCoordinator = errors.New("coordinator is not the one that this node has pinned")
)

// Enroll turns a directory into a member's node: it makes the keys here, or opens the identity key that node.yaml or
// file names, pins the authority that the invite names, trades the invite for a certificate, and pins the first roster.
// Run again it changes nothing. Where the certificate was moved away it gets another one: the roster that the operator
// accepted stays, and the newest one is only offered. file gives further settings of node.yaml, which is written only if
// there is none.
func Enroll(ctx context.Context, d Dir, invite identity.Invite, file File, now time.Time) (Enrolled, error) {
	if err := d.Make(); err != nil {
		return Enrolled{}, err
	}
	peer := identity.Peer{Federation: invite.Federation, Kind: identity.Member, Name: invite.Member}
	if _, err := os.Stat(d.Path(credentialsName)); err == nil {
		return d.enrolledAs(peer)
	}
	if invite.Expired(now) {
		return Enrolled{}, fmt.Errorf("%w: it expired at %s", identity.ErrInvite, invite.Expires.Format(time.RFC3339))
	}
	if err := d.checkPinned(peer, invite.Root); err != nil {
		return Enrolled{}, err
	}
	file, err := d.settled(peer, file)
	if err != nil {
		return Enrolled{}, err
	}
	key, err := d.identityKey(ctx, file)
	if err != nil {
		return Enrolled{}, err
	}
	egress, err := d.OperatorEgress(now)
	if err != nil {
		return Enrolled{}, err
	}
	defer func() { _ = egress.Close() }()
	tlsKey, err := identity.NewKey()
	if err != nil {
		return Enrolled{}, err
	}
	csr, err := identity.NewRequest(tlsKey, identity.Profile{Peer: peer})
	if err != nil {
		return Enrolled{}, err
	}
	proof, err := signer(key)(federation.EnrolmentProof(invite.Federation, invite.Member, csr))
	if err != nil {
		return Enrolled{}, err
	}
	got, err := link.Enroll(ctx, link.Enrolment{
		Address: invite.Server, Federation: invite.Federation, Pin: invite.Root, Member: invite.Member,
		Secret: invite.Secret.Bytes(), CSR: csr, Identity: key.Public().(ed25519.PublicKey), Proof: proof, Record: egress.Record,
	})
	if err != nil {
		return Enrolled{}, err
	}
	credentials, err := identity.NewCredentials(tlsKey, got.Chain)
	if err != nil {
		return Enrolled{}, err
	}
	if err := checkEnrolled(peer, invite.Root, got, credentials, key); err != nil {
		return Enrolled{}, err
	}
	file.Federation, file.Member, file.Coordinator = invite.Federation, invite.Member, got.Address // of a new node.yaml
	if err := d.keepEnrolled(got, credentials, file); err != nil {
		return Enrolled{}, err
	}
	out, err := d.enrolledAs(peer)
	text, _ := federation.Key(key.Public().(ed25519.PublicKey)).MarshalText() // cannot fail
	out.Identity, out.Already = string(text), false
	return out, err
}

// checkPinned refuses, before anything is sent, an invite into another federation than that of the accepted roster.
func (d Dir) checkPinned(peer identity.Peer, root identity.Fingerprint) error {
	pinned, err := d.Roster()
	switch {
	case errors.Is(err, ErrUnknown):
		return nil
	case err != nil:
		return err
	case pinned.Federation != peer.Federation || pinned.ID != federation.FederationID(peer.Federation, root):
		return fmt.Errorf("%w: it is pinned to federation %s under another authority than the invite's", ErrOtherCoordinator, pinned.Federation)
	}
	return nil
}

// settled returns the settings that hold: those of a node.yaml that is there already, else those given.
func (d Dir) settled(peer identity.Peer, given File) (File, error) {
	if _, err := os.Stat(d.Path(configName)); errors.Is(err, fs.ErrNotExist) {
		return given, nil
	}
	file, err := d.LoadFile()
	switch {
	case err != nil:
		return File{}, err
	case file.Federation != peer.Federation || file.Member != peer.Name:
		return File{}, fmt.Errorf("%w: node.yaml says member %s of %s", ErrOtherMember, file.Member, file.Federation)
	case given.Identity != "" && given.Identity != file.Identity:
		return File{}, fmt.Errorf("node.yaml is there already and says another identity than %s: change it there", given.Identity)
	}
	return file, nil
}

// identityKey opens this member's identity key. Where no other is named it is a file, made if there is none.
func (d Dir) identityKey(ctx context.Context, file File) (key crypto.Signer, err error) {
	if own := "file:" + d.Path(identityName); d.IdentityReference(file) == own {
		key, err = keystore.Generate(d.Path(identityName), keystore.Ed25519)
		if errors.Is(err, fs.ErrExist) {
			key, err = keystore.Open(ctx, own, keystore.Options{})
		}
	} else {
		key, err = keystore.Open(ctx, d.IdentityReference(file), keystore.Options{Vault: file.Vault})
	}
	if err != nil {
		return nil, fmt.Errorf("identity key: %w", err)
	}
	if _, ok := key.Public().(ed25519.PublicKey); !ok {
		return nil, errors.New("identity key: want Ed25519")
	}
	return key, nil
}

// checkEnrolled holds the coordinator's answer to the invite: certificate and roster must name this very member.
func checkEnrolled(peer identity.Peer, pin identity.Fingerprint, got link.Enrolled, c *identity.Credentials, key crypto.Signer) error {
	trust := &identity.Trust{Federation: peer.Federation, Root: got.CA}
	named, err := trust.PeerOfCertificate(c.Leaf(), identity.Member)
	if err != nil {
		return err
	}
	if named != peer {
		return fmt.Errorf("certificate names %s, want %s", named, peer)
	}
	roster, err := got.Roster.Open(nil)
	if err != nil {
		return err
	}
	if roster.Federation != peer.Federation || roster.ID != federation.FederationID(peer.Federation, pin) {
		return errors.New("roster: belongs to another federation")
	}
	self, ok := roster.Member(peer.Name)
	if !ok || !ed25519.PublicKey(self.Key).Equal(key.Public()) {
		return fmt.Errorf("roster: does not list %s with the key that was made here", peer.Name)
	}
	return nil
}

// keepEnrolled writes what was got; the credentials come last, since they say that the rest is there.
func (d Dir) keepEnrolled(got link.Enrolled, c *identity.Credentials, file File) error {
	if err := d.keepRoster(got.Roster); err != nil {
		return err
	}
	if err := service.WriteFile(d.Path(rootName), identity.EncodeRoot(got.CA), 0o600); err != nil {
		return err
	}
	if _, err := os.Stat(d.Path(configName)); errors.Is(err, fs.ErrNotExist) {
		text, err := yaml.Marshal(file.settings())
		if err != nil {
			return err
		}
		if err := service.WriteFile(d.Path(configName), text, 0o600); err != nil {
			return err
		}
	}
	return c.Save(d.Path(credentialsName))
}

// keepRoster pins a node's first roster. A later one is only offered: the operator compares keys before it counts.
func (d Dir) keepRoster(signed federation.SignedRoster) error {
	pinned, err := d.Roster()
	if errors.Is(err, ErrUnknown) {
		return d.AcceptRoster(signed)
	}
	if err != nil {
		return err
	}
	newest, err := signed.Open(nil)
	if err != nil {
		return err
	}
	if !bytes.Equal(newest.Coordinator, pinned.Coordinator) {
		return fmt.Errorf("%w: its roster is signed with another identity key", ErrOtherCoordinator)
	}
	if newest.Version <= pinned.Version {
		return nil
	}
	return d.OfferRoster(signed)
}

// settings are the lines of node.yaml that say something.
func (f File) settings() map[string]any {
	out := map[string]any{"federation": f.Federation, "member": f.Member, "coordinator": f.Coordinator}
	for name, value := range map[string]string{"data": f.Data.File, "policy": f.Policy, "metrics": f.Metrics, "identity": f.Identity} {
		if value != "" {
			out[name] = value
		}
	}
	if f.Tick > 0 {
		out["tick"] = f.Tick.String()
	}
	if f.Heartbeat > 0 {
		out["heartbeat"] = f.Heartbeat.String()
	}
	return out
}

// enrolledAs describes a directory that is enrolled, or says ErrOtherMember.
func (d Dir) enrolledAs(peer identity.Peer) (Enrolled, error) {
	c, trust, err := d.Credentials(peer.Federation)
	if err != nil {
		return Enrolled{}, err
	}
	named, err := identity.ParsePeer(c.Leaf().URIs[0].String())
	if err != nil {
		return Enrolled{}, err
	}
	if named != peer {
		return Enrolled{}, fmt.Errorf("%w: %s", ErrOtherMember, named)
	}
	roster, err := d.Roster()
	if err != nil {
		return Enrolled{}, err
	}
	self, _ := roster.Member(peer.Name)
	key, _ := self.Key.MarshalText() // cannot fail
	var offered uint32
	if _, newest, err := d.Offered(); err == nil && newest.Version > roster.Version {
		offered = newest.Version
	} else if err != nil && !errors.Is(err, ErrUnknown) {
		return Enrolled{}, err
	}
	return Enrolled{
		Offered:    offered,
		Federation: peer.Federation, Member: peer.Name, Index: self.Index, Identity: string(key),
		Authority: identity.FingerprintOf(trust.Root).String(), Roster: roster.Version, Expires: c.Leaf().NotAfter, Already: true,
	}, nil
}

// Credentials loads this member's certificate and the authority it trusts.
func (d Dir) Credentials(name string) (*identity.Credentials, *identity.Trust, error) {
	c, err := identity.LoadCredentials(d.Path(credentialsName))
	if err != nil {
		return nil, nil, err
	}
	if len(c.Leaf().URIs) != 1 {
		return nil, nil, fmt.Errorf("credentials: %w", identity.ErrIdentity)
	}
	text, err := d.read(rootName, maxState)
	if err != nil {
		return nil, nil, err
	}
	root, err := identity.ParseRoot(text)
	return c, &identity.Trust{Federation: name, Root: root}, err
}
