package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
)

// ServerConfig is the coordinator's side of mutual TLS 1.3: every caller shows
// a member's or admin's certificate of this federation. Tickets are off, so
// each connection is checked anew.
func ServerConfig(t *Trust, s *Source) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"h2"},
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.certificate() },
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              t.pool(),
		Time:                   t.now,
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := t.PeerOf(state, Member, Admin)
			return err
		},
	}
}

// EnrolmentServerConfig is ServerConfig that also lets a caller in who has no
// certificate yet. For such a caller PeerOf returns ErrNoCertificate, and the
// server must refuse every method but enrolment.
func EnrolmentServerConfig(t *Trust, s *Source) *tls.Config {
	conf := ServerConfig(t, s)
	conf.ClientAuth = tls.VerifyClientCertIfGiven
	conf.VerifyConnection = func(state tls.ConnectionState) error {
		_, err := t.PeerOf(state, Member, Admin)
		if errors.Is(err, ErrNoCertificate) {
			return nil
		}
		return err
	}
	return conf
}

// ClientConfig is a member's or admin's side: it shows the newest certificate
// of s and accepts only this federation's coordinator under the host name it
// dialled.
func ClientConfig(t *Trust, s *Source) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return s.certificate()
		},
		RootCAs: t.pool(),
		Time:    t.now,
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := t.PeerOf(state, Coordinator)
			return err
		},
	}
}

// EnrolmentClientConfig is for the one call before a node has a certificate.
// It accepts only the coordinator of t.Federation at server (host:port, from
// the invite) whose authority has the pinned fingerprint; the coordinator
// sends that authority's certificate along, and PinnedRoot returns it. t.Root
// is not used.
func EnrolmentClientConfig(t *Trust, pin Fingerprint, server string) (*tls.Config, error) {
	host, _, err := net.SplitHostPort(server)
	if err != nil || host == "" {
		return nil, fmt.Errorf("server address %.260q: want host:port", server)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"},
		ServerName: host,
		Time:       t.now,
		// The usual check has no root to start from. VerifyConnection, which
		// runs on every handshake, does the whole of it with the pinned one.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			root, err := PinnedRoot(state, pin)
			if err != nil {
				return err
			}
			pinned := &Trust{Federation: t.Federation, Root: root, Now: t.Now}
			if _, err := pinned.PeerOf(state, Coordinator); err != nil {
				return err
			}
			// Not state.ServerName: it is empty for an IP address.
			return state.PeerCertificates[0].VerifyHostname(host)
		},
	}, nil
}

// PinnedRoot finds the authority's certificate with the pinned fingerprint
// among those the coordinator sent, or returns ErrFingerprint.
func PinnedRoot(state tls.ConnectionState, pin Fingerprint) (*x509.Certificate, error) {
	if len(state.PeerCertificates) == 0 {
		return nil, ErrNoCertificate
	}
	err := fmt.Errorf("%w: the server sent no authority", ErrFingerprint)
	for _, c := range state.PeerCertificates[1:] {
		if err = pin.Check(c); err == nil {
			return c, nil
		}
	}
	return nil, err
}
