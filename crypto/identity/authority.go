package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

// Lifetimes of certificates. A leaf lives 30 days unless the configuration
// says otherwise: a node that was off for a week still renews by itself, and a
// stolen key is of no use for long.
const (
	DefaultLifetime = 30 * 24 * time.Hour
	MinLifetime     = time.Minute
	MaxLifetime     = 90 * 24 * time.Hour
	RootLifetime    = 10 * 365 * 24 * time.Hour

	// clockSkew is how far NotBefore lies in the past, for nodes whose clocks
	// are behind; at most a tenth of the lifetime, because two thirds of the
	// whole must still lie ahead.
	clockSkew = 5 * time.Minute
)

// Profile is what a certificate shall say. The authority takes it from its own
// records, never from the request.
type Profile struct {
	Peer     Peer
	Hosts    []string      // DNS names and IP addresses of a coordinator; empty for others
	Lifetime time.Duration // 0 is DefaultLifetime
}

// Authority issues the certificates of one federation.
type Authority interface {
	// Issue checks the request (PKCS #10, DER) against the profile as
	// CheckRequest does and returns the chain: leaf, then root, each DER.
	Issue(ctx context.Context, request []byte, profile Profile) ([][]byte, error)
	// Root returns the certificate that all members trust.
	Root() *x509.Certificate
}

// Fingerprint is SHA-256 over the DER bytes of the authority's certificate,
// the same as `openssl x509 -fingerprint -sha256` prints. It covers the whole
// certificate, not only its key, so constraints are pinned as well.
type Fingerprint [32]byte

// FingerprintOf returns the fingerprint of an authority's certificate.
func FingerprintOf(root *x509.Certificate) Fingerprint { return sha256.Sum256(root.Raw) }

// String is the fingerprint in hexadecimal.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// ParseFingerprint reads 64 hexadecimal digits; colons, as openssl prints
// them, are allowed between bytes.
func ParseFingerprint(s string) (Fingerprint, error) {
	if strings.Contains(s, ":") {
		if len(s) != 95 {
			return Fingerprint{}, fmt.Errorf("fingerprint %.100q: want 32 bytes joined by colons", s)
		}
		for i := 2; i < len(s); i += 3 {
			if s[i] != ':' {
				return Fingerprint{}, fmt.Errorf("fingerprint %.100q: want 32 bytes joined by colons", s)
			}
		}
		s = strings.ReplaceAll(s, ":", "")
	}
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 {
		return Fingerprint{}, fmt.Errorf("fingerprint %.100q: want 64 hexadecimal digits", s)
	}
	return Fingerprint(b), nil
}

// Check returns ErrFingerprint unless root is an authority's certificate with
// this fingerprint.
func (f Fingerprint) Check(root *x509.Certificate) error {
	got := FingerprintOf(root)
	if subtle.ConstantTimeCompare(got[:], f[:]) != 1 {
		return fmt.Errorf("%w: %s, pinned is %s", ErrFingerprint, got, f)
	}
	return checkRoot(root)
}

func checkRoot(root *x509.Certificate) error {
	switch {
	case !root.IsCA || !root.BasicConstraintsValid || root.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("authority's certificate may not sign certificates")
	case !isP256(root.PublicKey):
		return errors.New("authority's key is not ECDSA P-256")
	}
	if err := root.CheckSignatureFrom(root); err != nil {
		return fmt.Errorf("authority's certificate does not sign itself: %w", err)
	}
	return nil
}

func isP256(key any) bool {
	k, ok := key.(*ecdsa.PublicKey)
	return ok && k.Curve == elliptic.P256()
}

// NewRoot makes the certificate of a new authority, signed with its own key
// (ECDSA P-256), and valid for RootLifetime from now.
func NewRoot(federation string, key crypto.Signer, now time.Time) (*x509.Certificate, error) {
	if err := CheckFederation(federation); err != nil {
		return nil, err
	}
	if !isP256(key.Public()) {
		return nil, errors.New("authority's key is not ECDSA P-256")
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Koinon"}, CommonName: rootName(federation)},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(RootLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	return x509.ParseCertificate(der)
}

// rootName is the common name of an authority. X.509 allows 64 characters; a
// longer federation name is cut, which costs nothing: nothing reads it back.
func rootName(federation string) string {
	return "federation " + federation[:min(len(federation), 53)]
}

// newSerial draws 127 random bits, so that serial numbers cannot be guessed
// and need no counter.
func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return serial.Add(serial, big.NewInt(1)), nil
}

// Local is an Authority whose key is at hand, in a file or behind a
// crypto.Signer.
type Local struct {
	federation string
	root       *x509.Certificate
	key        crypto.Signer
	now        func() time.Time
}

// NewLocal returns the authority of federation. now is its clock.
func NewLocal(federation string, root *x509.Certificate, key crypto.Signer, now func() time.Time) (*Local, error) {
	if err := CheckFederation(federation); err != nil {
		return nil, err
	}
	if err := checkRoot(root); err != nil {
		return nil, err
	}
	if !root.PublicKey.(*ecdsa.PublicKey).Equal(key.Public()) {
		return nil, errors.New("authority's key does not belong to its certificate")
	}
	return &Local{federation: federation, root: root, key: key, now: now}, nil
}

// Root implements Authority.
func (l *Local) Root() *x509.Certificate { return l.root }

// Issue implements Authority.
func (l *Local) Issue(ctx context.Context, request []byte, profile Profile) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if profile.Peer.Federation != l.federation {
		return nil, fmt.Errorf("%w: %q, this is %q", ErrFederation, profile.Peer.Federation, l.federation)
	}
	req, err := CheckRequest(request, profile)
	if err != nil {
		return nil, err
	}
	template, err := l.leaf(profile)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, l.root, req.PublicKey, l.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %s: %w", profile.Peer, err)
	}
	return [][]byte{der, l.root.Raw}, nil
}

func (l *Local) leaf(profile Profile) (*x509.Certificate, error) {
	lifetime := profile.Lifetime
	if lifetime == 0 {
		lifetime = DefaultLifetime
	}
	if lifetime < MinLifetime || lifetime > MaxLifetime {
		return nil, fmt.Errorf("certificate lifetime %s is not between %s and %s", lifetime, MinLifetime, MaxLifetime)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := l.now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		NotBefore:             now.Add(-min(clockSkew, lifetime/10)),
		NotAfter:              now.Add(lifetime),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{usageOf(profile.Peer.Kind)},
	}
	if !template.NotAfter.Before(l.root.NotAfter) {
		return nil, fmt.Errorf("authority's own certificate ends at %s: it must be renewed first", l.root.NotAfter.Format(time.DateOnly))
	}
	setNames(profile, &template.DNSNames, &template.IPAddresses)
	template.URIs = append(template.URIs, profile.Peer.URL())
	return template, nil
}

// usageOf keeps the two ends apart: a coordinator's certificate cannot call,
// a member's cannot answer.
func usageOf(kind Kind) x509.ExtKeyUsage {
	if kind == Coordinator {
		return x509.ExtKeyUsageServerAuth
	}
	return x509.ExtKeyUsageClientAuth
}

func setNames(profile Profile, names *[]string, addresses *[]net.IP) {
	for _, host := range profile.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			*addresses = append(*addresses, ip)
		} else {
			*names = append(*names, host)
		}
	}
}
