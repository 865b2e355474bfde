package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
)

// Credentials are a key and the certificates that speak for it.
type Credentials struct {
	Key   crypto.Signer
	Chain [][]byte // leaf, then root, each DER
	leaf  *x509.Certificate
}

// NewCredentials checks that the chain's leaf belongs to key.
func NewCredentials(key crypto.Signer, chain [][]byte) (*Credentials, error) {
	if len(chain) == 0 {
		return nil, errors.New("credentials: no certificate")
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	public, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || !public.Equal(key.Public()) {
		return nil, errors.New("credentials: key and certificate do not belong together")
	}
	return &Credentials{Key: key, Chain: chain, leaf: leaf}, nil
}

// String names the holder; the key stays hidden.
func (c *Credentials) String() string {
	if c == nil || c.leaf == nil || len(c.leaf.URIs) == 0 {
		return "identity.Credentials"
	}
	return fmt.Sprintf("identity.Credentials(%s)", c.leaf.URIs[0])
}

// Format keeps every verb from reaching the key.
func (c *Credentials) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue implements slog.LogValuer.
func (c *Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText keeps JSON from reaching the key.
func (c *Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Leaf is the certificate that names the holder.
func (c *Credentials) Leaf() *x509.Certificate { return c.leaf }

// Root is the authority's certificate at the end of the chain, or an error
// when the chain holds none.
func (c *Credentials) Root() (*x509.Certificate, error) {
	root, err := x509.ParseCertificate(c.Chain[len(c.Chain)-1])
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	if err := checkRoot(root); err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	return root, nil
}

// Source holds the newest credentials of a process. TLS configurations read
// it at each handshake, so a renewal needs no restart.
type Source struct {
	current atomic.Pointer[Credentials]
}

// NewSource starts with c, which may be nil for a holder still to enrol.
func NewSource(c *Credentials) *Source {
	s := &Source{}
	s.current.Store(c)
	return s
}

// Set replaces the credentials; connections that are open keep the old.
func (s *Source) Set(c *Credentials) { s.current.Store(c) }

// Current returns the newest credentials, or nil.
func (s *Source) Current() *Credentials { return s.current.Load() }

func (s *Source) certificate() (*tls.Certificate, error) {
	c := s.current.Load()
	if c == nil {
		return nil, errors.New("no certificate of our own yet: enrol first")
	}
	return &tls.Certificate{Certificate: c.Chain, PrivateKey: c.Key, Leaf: c.leaf}, nil
}
