// Package identity says who is at the other end of a connection. A federation
// has one certificate authority; every certificate it issues carries exactly
// one SPIFFE identifier and nothing else that names anybody. TLS is 1.3 only
// and mutual, and certificates are short-lived and renew themselves.
package identity

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Kind is what a certificate holder is to the federation.
type Kind string

// The kinds of certificate holders.
const (
	Member      Kind = "member"      // a national node: spiffe://<federation>/member/<name>
	Admin       Kind = "admin"       // a person at EU level: spiffe://<federation>/admin/<name>
	Coordinator Kind = "coordinator" // the coordinator: spiffe://<federation>/coordinator
)

// Peer is a proven identity. Two peers are the same when they are ==.
type Peer struct {
	Federation string // trust domain, as CheckFederation allows
	Kind       Kind
	Name       string // "" for the coordinator
}

// Errors of this package that a caller branches on. All others mean that the
// peer is refused just the same.
var (
	ErrNoCertificate = errors.New("peer showed no certificate")
	ErrExpired       = errors.New("certificate is expired or not yet valid")
	ErrForeign       = errors.New("certificate is not issued by this federation's authority")
	ErrFederation    = errors.New("certificate belongs to another federation")
	ErrIdentity      = errors.New("certificate does not carry exactly one identity")
	ErrKind          = errors.New("certificate is of the wrong kind")
	ErrFingerprint   = errors.New("authority does not match the pinned fingerprint")
	ErrRequest       = errors.New("certificate request refused")
	ErrInvite        = errors.New("invite is not valid")
)

var (
	federationPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?){0,7}$`)
	namePattern       = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$`)
)

// CheckFederation refuses a name that cannot be a trust domain: labels of
// lower-case letters, digits and inner hyphens, joined by dots, at most 128
// bytes.
func CheckFederation(name string) error {
	if len(name) > 128 || !federationPattern.MatchString(name) {
		return fmt.Errorf("federation name %.140q: want lower-case letters, digits and hyphens, in labels joined by dots", name)
	}
	return nil
}

// CheckName refuses a member's or admin's name that is not 1 to 64 letters,
// digits, dots, underscores and hyphens, with a letter or digit at both ends.
func CheckName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("name %.80q: want 1 to 64 letters, digits and inner . _ -", name)
	}
	return nil
}

// Check refuses a peer that no certificate may name.
func (p Peer) Check() error {
	if err := CheckFederation(p.Federation); err != nil {
		return err
	}
	switch p.Kind {
	case Member, Admin:
		return CheckName(p.Name)
	case Coordinator:
		if p.Name != "" {
			return fmt.Errorf("the coordinator has no name of its own, found %.80q", p.Name)
		}
		return nil
	}
	return fmt.Errorf("unknown kind %.40q", string(p.Kind))
}

// String is the peer's SPIFFE identifier.
func (p Peer) String() string {
	id := "spiffe://" + p.Federation + "/" + string(p.Kind)
	if p.Name != "" {
		id += "/" + p.Name
	}
	return id
}

// URL is String as a URL, for a certificate.
func (p Peer) URL() *url.URL {
	return &url.URL{Scheme: "spiffe", Host: p.Federation, Path: strings.TrimPrefix(p.String(), "spiffe://"+p.Federation)}
}

// ParsePeer reads a SPIFFE identifier. Only the text that String returns is
// accepted: no port, query, escape or trailing slash.
func ParsePeer(id string) (Peer, error) {
	rest, ok := strings.CutPrefix(id, "spiffe://")
	if !ok {
		return Peer{}, fmt.Errorf("identity %.200q does not begin with spiffe://", id)
	}
	federation, path, _ := strings.Cut(rest, "/")
	kind, name, _ := strings.Cut(path, "/")
	p := Peer{Federation: federation, Kind: Kind(kind), Name: name}
	if err := p.Check(); err != nil {
		return Peer{}, fmt.Errorf("identity %.200q: %w", id, err)
	}
	if p.String() != id {
		return Peer{}, fmt.Errorf("identity %.200q is not canonical", id)
	}
	return p, nil
}
