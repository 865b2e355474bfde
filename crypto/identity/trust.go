package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Trust is what a party knows of its federation: the name, the authority's
// certificate and the time.
type Trust struct {
	Federation string
	Root       *x509.Certificate
	Now        func() time.Time // nil is time.Now
}

func (t *Trust) now() time.Time {
	if t.Now == nil {
		return time.Now()
	}
	return t.Now()
}

func (t *Trust) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(t.Root)
	return pool
}

// PeerOf returns who is at the other end of a connection. It trusts nothing
// the handshake may have skipped: it checks the chain, the time, the purpose
// and the one identity again, so a server calls it for every request and a
// long connection ends with its certificate. kinds, if any, are the only ones
// allowed (ErrKind). Without a certificate the error is ErrNoCertificate.
func (t *Trust) PeerOf(state tls.ConnectionState, kinds ...Kind) (Peer, error) {
	if len(state.PeerCertificates) == 0 {
		return Peer{}, ErrNoCertificate
	}
	if state.Version < tls.VersionTLS13 {
		return Peer{}, fmt.Errorf("%s is not allowed, only TLS 1.3", tls.VersionName(state.Version))
	}
	return t.PeerOfCertificate(state.PeerCertificates[0], kinds...)
}

// PeerOfCertificate is PeerOf for a leaf certificate alone.
func (t *Trust) PeerOfCertificate(leaf *x509.Certificate, kinds ...Kind) (Peer, error) {
	if err := t.checkChain(leaf); err != nil {
		return Peer{}, err
	}
	peer, err := identityOf(leaf)
	if err != nil {
		return Peer{}, err
	}
	if peer.Federation != t.Federation {
		return Peer{}, fmt.Errorf("%w: %s, this is %s", ErrFederation, peer.Federation, t.Federation)
	}
	if !slices.Contains(leaf.ExtKeyUsage, usageOf(peer.Kind)) || len(leaf.ExtKeyUsage) != 1 || len(leaf.UnknownExtKeyUsage) != 0 {
		return Peer{}, fmt.Errorf("%w: purposes do not fit %s", ErrKind, peer)
	}
	if len(kinds) > 0 && !slices.Contains(kinds, peer.Kind) {
		return Peer{}, fmt.Errorf("%w: %s, allowed: %v", ErrKind, peer, kinds)
	}
	return peer, nil
}

func (t *Trust) checkChain(leaf *x509.Certificate) error {
	now := t.now()
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return fmt.Errorf("%w: valid %s to %s, now %s", ErrExpired,
			leaf.NotBefore.Format(time.RFC3339), leaf.NotAfter.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots:       t.pool(),
		CurrentTime: now,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, // PeerOfCertificate holds it to its kind
	})
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return fmt.Errorf("%w: the authority's certificate: %w", ErrExpired, err)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if leaf.IsCA || !isP256(leaf.PublicKey) {
		return fmt.Errorf("%w: not an end certificate with a P-256 key", ErrForeign)
	}
	return nil
}

func identityOf(leaf *x509.Certificate) (Peer, error) {
	if len(leaf.URIs) != 1 || len(leaf.EmailAddresses) != 0 {
		return Peer{}, fmt.Errorf("%w: %d URIs, %d e-mail addresses", ErrIdentity, len(leaf.URIs), len(leaf.EmailAddresses))
	}
	peer, err := ParsePeer(leaf.URIs[0].String())
	if err != nil {
		return Peer{}, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	if peer.Kind != Coordinator && len(leaf.DNSNames)+len(leaf.IPAddresses) != 0 {
		return Peer{}, fmt.Errorf("%w: %s also names hosts", ErrIdentity, peer)
	}
	return peer, nil
}
