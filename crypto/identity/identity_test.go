package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const federation = "documents.eu"

var (
	start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	hosts = []string{"localhost", "127.0.0.1"}
)

// clock is a time that tests move.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func newAuthority(t *testing.T, c *clock, name string) *Local {
	t.Helper()
	key, err := NewKey()
	require.NoError(t, err)
	root, err := NewRoot(name, key, c.now)
	require.NoError(t, err)
	a, err := NewLocal(name, root, key, c.Now)
	require.NoError(t, err)
	return a
}

func enrol(t *testing.T, a Authority, p Profile) *Credentials {
	t.Helper()
	key, err := NewKey()
	require.NoError(t, err)
	request, err := NewRequest(key, p)
	require.NoError(t, err)
	chain, err := a.Issue(t.Context(), request, p)
	require.NoError(t, err)
	c, err := NewCredentials(key, chain)
	require.NoError(t, err)
	return c
}

func member(name string) Profile {
	return Profile{Peer: Peer{federation, Member, name}, Lifetime: time.Hour}
}

func coordinator() Profile {
	return Profile{Peer: Peer{federation, Coordinator, ""}, Hosts: hosts, Lifetime: time.Hour}
}

func TestPeerNames(t *testing.T) {
	for id, want := range map[string]Peer{
		"spiffe://documents.eu/member/DE":        {federation, Member, "DE"},
		"spiffe://documents.eu/admin/a.b_c-9":    {federation, Admin, "a.b_c-9"},
		"spiffe://documents.eu/coordinator":      {federation, Coordinator, ""},
		"spiffe://a/member/x":                    {"a", Member, "x"},
		"spiffe://koinon-demo.test/member/x1234": {"koinon-demo.test", Member, "x1234"},
	} {
		got, err := ParsePeer(id)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, id, got.String())
		require.Equal(t, id, got.URL().String())
	}
	for _, id := range []string{
		"", "spiffe://", "spiffe:///member/DE", "http://documents.eu/member/DE", "spiffe://Documents.eu/member/DE",
		"spiffe://documents.eu/member", "spiffe://documents.eu/member/", "spiffe://documents.eu/member/DE/",
		"spiffe://documents.eu/member/DE/x", "spiffe://documents.eu/coordinator/", "spiffe://documents.eu/coordinator/x",
		"spiffe://documents.eu/owner/DE", "spiffe://documents.eu:443/member/DE", "spiffe://u@documents.eu/member/DE",
		"spiffe://documents.eu/member/DE?x=1", "spiffe://documents.eu/member/DE#x", "spiffe://documents.eu/member/%44E",
		"spiffe://documents.eu/member/..", "spiffe://-a/member/DE", "spiffe://documents.eu/member/D E", "SPIFFE://documents.eu/member/DE",
		"spiffe://documents.eu/member/DE\n",
	} {
		_, err := ParsePeer(id)
		require.Error(t, err, "%q", id)
	}
}

func FuzzParsePeer(f *testing.F) {
	f.Add("spiffe://documents.eu/member/DE")
	f.Add("spiffe://documents.eu/coordinator")
	f.Add("spiffe://documents.eu/admin/%00")
	f.Fuzz(func(t *testing.T, id string) {
		p, err := ParsePeer(id)
		if err != nil {
			return
		}
		require.Equal(t, id, p.String())
		require.NoError(t, p.Check())
		u, err := url.Parse(id)
		require.NoError(t, err)
		require.Equal(t, p.URL(), u)
	})
}

func TestIssue(t *testing.T) {
	c := &clock{start}
	a := newAuthority(t, c, federation)
	trust := &Trust{Federation: federation, Root: a.Root(), Now: c.Now}
	for _, p := range []Profile{member("DE"), coordinator(), {Peer: Peer{federation, Admin, "anna"}}} {
		creds := enrol(t, a, p)
		peer, err := trust.PeerOfCertificate(creds.Leaf())
		require.NoError(t, err)
		require.Equal(t, p.Peer, peer)
		root, err := creds.Root()
		require.NoError(t, err)
		require.True(t, root.Equal(a.Root()))
		lifetime := p.Lifetime
		if lifetime == 0 {
			lifetime = DefaultLifetime
		}
		require.Equal(t, start.Add(lifetime), creds.Leaf().NotAfter)
		require.Empty(t, creds.Leaf().Subject.String())
	}

	other := member("DE")
	other.Peer.Federation = "other.eu"
	_, err := a.Issue(t.Context(), nil, other)
	require.ErrorIs(t, err, ErrFederation)
	for _, lifetime := range []time.Duration{-1, time.Second, MaxLifetime + 1} {
		p := member("DE")
		p.Lifetime = lifetime
		key, _ := NewKey()
		request, err := NewRequest(key, p)
		require.NoError(t, err)
		_, err = a.Issue(t.Context(), request, p)
		require.ErrorContains(t, err, "lifetime")
	}
	c.now = start.Add(RootLifetime - time.Minute)
	key, _ := NewKey()
	request, err := NewRequest(key, member("DE"))
	require.NoError(t, err)
	_, err = a.Issue(t.Context(), request, member("DE"))
	require.ErrorContains(t, err, "authority's own certificate ends")
}

func TestAuthoritiesAreChecked(t *testing.T) {
	c := &clock{start}
	a, b := newAuthority(t, c, federation), newAuthority(t, c, federation)
	_, err := NewLocal(federation, a.root, b.key, c.Now)
	require.ErrorContains(t, err, "does not belong")
	_, err = NewLocal(federation, enrol(t, a, member("DE")).Leaf(), a.key, c.Now)
	require.ErrorContains(t, err, "may not sign")
	_, err = NewLocal("Not A Name", a.root, a.key, c.Now)
	require.Error(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, err = NewRoot(federation, p384, start)
	require.ErrorContains(t, err, "P-256")

	pin := FingerprintOf(a.Root())
	require.NoError(t, pin.Check(a.Root()))
	require.ErrorIs(t, pin.Check(b.Root()), ErrFingerprint)
	leaf := enrol(t, a, member("DE")).Leaf()
	require.ErrorContains(t, FingerprintOf(leaf).Check(leaf), "may not sign", "a pinned leaf is no authority")
	again, err := ParseFingerprint(pin.String())
	require.NoError(t, err)
	require.Equal(t, pin, again)
	colons := pin.String()[:2]
	for i := 2; i < 64; i += 2 {
		colons += ":" + pin.String()[i:i+2]
	}
	again, err = ParseFingerprint(colons)
	require.NoError(t, err)
	require.Equal(t, pin, again)
	for _, bad := range []string{"", "00", pin.String() + "00", colons[:94] + ":", ":" + colons[1:], pin.String()[:63] + "g"} {
		_, err := ParseFingerprint(bad)
		require.Error(t, err, bad)
	}
}

// TestRequestsAreStrict: a request that asks for anything but its profile is
// refused.
func TestRequestsAreStrict(t *testing.T) {
	key, err := NewKey()
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	de, fr := Peer{federation, Member, "DE"}.URL(), Peer{federation, Member, "FR"}.URL()
	request := func(change func(*x509.CertificateRequest), signer any) []byte {
		template := &x509.CertificateRequest{URIs: []*url.URL{de}, SignatureAlgorithm: x509.ECDSAWithSHA256}
		change(template)
		der, err := x509.CreateCertificateRequest(rand.Reader, template, signer)
		require.NoError(t, err)
		return der
	}
	same := func(*x509.CertificateRequest) {}
	good := request(same, key)
	_, err = CheckRequest(good, member("DE"))
	require.NoError(t, err)

	damaged := append([]byte{}, good...)
	damaged[len(damaged)-3] ^= 1
	for name, der := range map[string][]byte{
		"empty":        nil,
		"garbage":      []byte("hello"),
		"too long":     make([]byte, MaxRequest+1),
		"trailing":     append(append([]byte{}, good...), 0),
		"cut":          good[:len(good)-1],
		"signature":    damaged,
		"other member": request(func(r *x509.CertificateRequest) { r.URIs = []*url.URL{fr} }, key),
		"two members":  request(func(r *x509.CertificateRequest) { r.URIs = []*url.URL{de, fr} }, key),
		"same twice":   request(func(r *x509.CertificateRequest) { r.URIs = []*url.URL{de, de} }, key),
		"no member":    request(func(r *x509.CertificateRequest) { r.URIs = nil }, key),
		"dns name":     request(func(r *x509.CertificateRequest) { r.DNSNames = []string{"localhost"} }, key),
		"e-mail":       request(func(r *x509.CertificateRequest) { r.EmailAddresses = []string{"a@b.eu"} }, key),
		"subject":      request(func(r *x509.CertificateRequest) { r.Subject.CommonName = "DE" }, key),
		"wants to sign": request(func(r *x509.CertificateRequest) {
			r.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}}}
		}, key),
		"P-384":   request(func(r *x509.CertificateRequest) { r.SignatureAlgorithm = x509.ECDSAWithSHA384 }, p384),
		"SHA-512": request(func(r *x509.CertificateRequest) { r.SignatureAlgorithm = x509.ECDSAWithSHA512 }, key),
	} {
		_, err := CheckRequest(der, member("DE"))
		require.ErrorIs(t, err, ErrRequest, name)
	}

	_, err = NewRequest(p384, member("DE"))
	require.ErrorContains(t, err, "P-256")
	withHost := member("DE")
	withHost.Hosts = hosts
	_, err = NewRequest(key, withHost)
	require.ErrorContains(t, err, "no other does")
	noHost := coordinator()
	noHost.Hosts = nil
	_, err = NewRequest(key, noHost)
	require.Error(t, err)
	badHost := coordinator()
	badHost.Hosts = []string{"*.eu"}
	_, err = NewRequest(key, badHost)
	require.ErrorContains(t, err, "neither")
}

func FuzzCheckRequest(f *testing.F) {
	key, err := NewKey()
	require.NoError(f, err)
	good, err := NewRequest(key, member("DE"))
	require.NoError(f, err)
	f.Add(good)
	f.Add(good[:40])
	f.Fuzz(func(t *testing.T, der []byte) {
		req, err := CheckRequest(der, member("DE"))
		if err == nil {
			require.Equal(t, "spiffe://documents.eu/member/DE", req.URIs[0].String())
			require.Len(t, req.Raw, len(der))
		}
	})
}

// forge signs any template with the federation's own key: what a careless
// authority could issue must still be refused.
func forge(t *testing.T, a *Local, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	key, err := NewKey()
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: start.Add(-time.Minute), NotAfter: start.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs: []*url.URL{Peer{federation, Member, "DE"}.URL()},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.root, &key.PublicKey, a.key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return leaf
}

func TestPeerOfIsTotal(t *testing.T) {
	c := &clock{start}
	a, foreign := newAuthority(t, c, federation), newAuthority(t, c, federation)
	trust := &Trust{Federation: federation, Root: a.Root(), Now: c.Now}
	de := Peer{federation, Member, "DE"}.URL()
	for name, test := range map[string]struct {
		leaf *x509.Certificate
		want error
	}{
		"good":             {forge(t, a, func(*x509.Certificate) {}), nil},
		"expired":          {forge(t, a, func(c *x509.Certificate) { c.NotAfter = start.Add(-time.Second) }), ErrExpired},
		"not yet":          {forge(t, a, func(c *x509.Certificate) { c.NotBefore = start.Add(time.Second) }), ErrExpired},
		"foreign":          {forge(t, foreign, func(*x509.Certificate) {}), ErrForeign},
		"two URIs":         {forge(t, a, func(c *x509.Certificate) { c.URIs = append(c.URIs, de) }), ErrIdentity},
		"no URI":           {forge(t, a, func(c *x509.Certificate) { c.URIs = nil; c.DNSNames = []string{"DE"} }), ErrIdentity},
		"e-mail":           {forge(t, a, func(c *x509.Certificate) { c.EmailAddresses = []string{"a@b.eu"} }), ErrIdentity},
		"host as well":     {forge(t, a, func(c *x509.Certificate) { c.DNSNames = []string{"localhost"} }), ErrIdentity},
		"unknown kind":     {forge(t, a, func(c *x509.Certificate) { c.URIs[0].Path = "/owner/DE" }), ErrIdentity},
		"other federation": {forge(t, a, func(c *x509.Certificate) { c.URIs[0].Host = "other.eu" }), ErrFederation},
		"server purpose":   {forge(t, a, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), ErrKind},
		"no purpose":       {forge(t, a, func(c *x509.Certificate) { c.ExtKeyUsage = nil }), ErrKind},
		"two purposes": {forge(t, a, func(c *x509.Certificate) {
			c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		}), ErrKind},
		"an authority": {forge(t, a, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }), ErrForeign},
		"the root":     {a.Root(), ErrForeign},
	} {
		state := tls.ConnectionState{Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{test.leaf}}
		_, err := trust.PeerOf(state)
		require.ErrorIs(t, err, test.want, name)
		_, err = trust.PeerOf(state, Admin, Coordinator)
		require.Error(t, err, name)
		state.Version = tls.VersionTLS12
		_, err = trust.PeerOf(state)
		require.ErrorContains(t, err, "only TLS 1.3", name)
	}
	_, err := trust.PeerOf(tls.ConnectionState{Version: tls.VersionTLS13})
	require.ErrorIs(t, err, ErrNoCertificate)
	good := forge(t, a, func(*x509.Certificate) {})
	_, err = trust.PeerOfCertificate(good, Admin)
	require.ErrorIs(t, err, ErrKind)
	c.now = start.Add(RootLifetime + time.Second)
	late := forge(t, a, func(l *x509.Certificate) { l.NotAfter = c.now.Add(time.Hour) })
	_, err = trust.PeerOfCertificate(late)
	require.ErrorIs(t, err, ErrExpired, "an expired authority vouches for nobody")
}
