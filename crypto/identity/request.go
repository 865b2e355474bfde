package identity

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"net"
	"regexp"
	"slices"
)

// MaxRequest is the largest certificate request, in bytes of DER.
const MaxRequest = 8 << 10

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

// Check refuses a profile that cannot be issued.
func (p Profile) Check() error {
	if err := p.Peer.Check(); err != nil {
		return err
	}
	if (len(p.Hosts) > 0) != (p.Peer.Kind == Coordinator) {
		return fmt.Errorf("%s: a coordinator's certificate names its hosts, no other does", p.Peer)
	}
	for _, host := range p.Hosts {
		if net.ParseIP(host) == nil && (len(host) > 253 || !hostPattern.MatchString(host)) {
			return fmt.Errorf("host %.260q is neither a DNS name nor an IP address", host)
		}
	}
	return nil
}

// NewRequest makes a certificate request (PKCS #10, DER) for the holder of
// key: an empty subject and the profile's names, nothing else.
func NewRequest(key crypto.Signer, profile Profile) ([]byte, error) {
	if err := profile.Check(); err != nil {
		return nil, err
	}
	if !isP256(key.Public()) {
		return nil, fmt.Errorf("request for %s: key is not ECDSA P-256", profile.Peer)
	}
	template := &x509.CertificateRequest{SignatureAlgorithm: x509.ECDSAWithSHA256}
	setNames(profile, &template.DNSNames, &template.IPAddresses)
	template.URIs = append(template.URIs, profile.Peer.URL())
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, fmt.Errorf("request for %s: %w", profile.Peer, err)
	}
	return der, nil
}

// CheckRequest refuses, with ErrRequest, any request that asks for other than
// the profile: its signature proves possession of a P-256 key, its subject is
// empty, its only extension names exactly the profile's identity and hosts.
func CheckRequest(der []byte, profile Profile) (*x509.CertificateRequest, error) {
	if err := profile.Check(); err != nil {
		return nil, err
	}
	if len(der) > MaxRequest {
		return nil, fmt.Errorf("%w: %d bytes, limit is %d", ErrRequest, len(der), MaxRequest)
	}
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if err := checkNames(req, profile); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if !isP256(req.PublicKey) || req.SignatureAlgorithm != x509.ECDSAWithSHA256 {
		return nil, fmt.Errorf("%w: key is not ECDSA P-256 with SHA-256", ErrRequest)
	}
	if err := req.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return req, nil
}

func checkNames(req *x509.CertificateRequest, profile Profile) error {
	var names []string
	var addresses []net.IP
	setNames(profile, &names, &addresses)
	switch {
	case len(req.Subject.Names) != 0:
		return fmt.Errorf("subject is not empty")
	case len(req.Extensions) != 1:
		return fmt.Errorf("%d extensions, want the subject alternative names alone", len(req.Extensions))
	case len(req.EmailAddresses) != 0:
		return fmt.Errorf("asks for an e-mail address")
	case len(req.URIs) != 1 || req.URIs[0].String() != profile.Peer.String():
		return fmt.Errorf("asks for %.300q, allowed is %s", req.URIs, profile.Peer)
	case !slices.Equal(req.DNSNames, names):
		return fmt.Errorf("asks for the DNS names %.300q, allowed are %q", req.DNSNames, names)
	case !slices.EqualFunc(req.IPAddresses, addresses, net.IP.Equal):
		return fmt.Errorf("asks for the addresses %v, allowed are %v", req.IPAddresses, addresses)
	}
	return nil
}
