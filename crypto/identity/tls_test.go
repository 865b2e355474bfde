package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// world is a federation with a coordinator that answers on loopback with the
// name of whoever calls.
type world struct {
	clock  *clock
	ca     *Local
	trust  *Trust
	server *Source
	addr   string
}

func newWorld(t *testing.T, config func(*Trust, *Source) *tls.Config) *world {
	t.Helper()
	w := &world{clock: &clock{start}}
	w.ca = newAuthority(t, w.clock, federation)
	w.trust = &Trust{Federation: federation, Root: w.ca.Root(), Now: w.clock.Now}
	w.server = NewSource(enrol(t, w.ca, coordinator()))
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config(w.trust, w.server))
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	w.addr = listener.Addr().String()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go w.greet(conn.(*tls.Conn))
		}
	}()
	return w
}

func (w *world) greet(conn *tls.Conn) {
	defer conn.Close()
	if conn.Handshake() != nil {
		return
	}
	peer, err := w.trust.PeerOf(conn.ConnectionState(), Member, Admin)
	if errors.Is(err, ErrNoCertificate) {
		peer.Name = "nobody"
	} else if err != nil {
		return
	}
	_, _ = io.WriteString(conn, peer.Name)
}

// call returns whom the coordinator took the caller for.
func (w *world) call(conf *tls.Config) (string, tls.ConnectionState, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", w.addr, conf)
	if err != nil {
		return "", tls.ConnectionState{}, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	// In TLS 1.3 a refused client hears of it only when it reads.
	name, err := io.ReadAll(conn)
	if err == nil && len(name) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return string(name), conn.ConnectionState(), err
}

func TestMutualTLS(t *testing.T) {
	w := newWorld(t, ServerConfig)
	node := NewSource(enrol(t, w.ca, member("DE")))
	name, state, err := w.call(ClientConfig(w.trust, node))
	require.NoError(t, err)
	require.Equal(t, "DE", name)
	require.Equal(t, uint16(tls.VersionTLS13), state.Version)
	peer, err := w.trust.PeerOf(state, Coordinator)
	require.NoError(t, err)
	require.Equal(t, Peer{federation, Coordinator, ""}, peer)
}

func TestServerRefuses(t *testing.T) {
	w := newWorld(t, ServerConfig)
	foreign := newAuthority(t, w.clock, federation)
	expired := newAuthority(t, &clock{start.Add(-2 * time.Hour)}, federation)
	expired.root, expired.key = w.ca.root, w.ca.key
	good := func() *tls.Config { return ClientConfig(w.trust, NewSource(enrol(t, w.ca, member("DE")))) }
	as := func(c *Credentials) *tls.Config { return ClientConfig(w.trust, NewSource(c)) }

	old := good()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	nobody := good()
	nobody.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
	for name, c := range map[string]struct {
		conf *tls.Config
		want string
	}{
		"TLS 1.2":           {old, "protocol version"},
		"no certificate":    {nobody, "certificate required"},
		"foreign authority": {as(enrol(t, foreign, member("DE"))), "unknown certificate authority"},
		"expired":           {as(enrol(t, expired, member("DE"))), "expired certificate"},
		"a coordinator":     {as(enrol(t, w.ca, coordinator())), "bad certificate"},
		"not enrolled":      {ClientConfig(w.trust, NewSource(nil)), "enrol first"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := w.call(c.conf)
			require.ErrorContains(t, err, c.want)
		})
	}
	name, _, err := w.call(good())
	require.NoError(t, err)
	require.Equal(t, "DE", name)
}

func TestClientRefuses(t *testing.T) {
	w := newWorld(t, ServerConfig)
	node := NewSource(enrol(t, w.ca, member("DE")))
	foreign := newAuthority(t, w.clock, federation)

	_, _, err := w.call(ClientConfig(&Trust{Federation: federation, Root: foreign.Root(), Now: w.clock.Now}, node))
	require.ErrorContains(t, err, "unknown authority")
	_, _, err = w.call(ClientConfig(&Trust{Federation: "other.eu", Root: w.ca.Root(), Now: w.clock.Now}, node))
	require.ErrorIs(t, err, ErrFederation)
	elsewhere := ClientConfig(w.trust, node)
	elsewhere.ServerName = "elsewhere.eu"
	_, _, err = w.call(elsewhere)
	var host x509.HostnameError
	require.ErrorAs(t, err, &host)
	w.server.Set(enrol(t, w.ca, member("FR"))) // a member plays the coordinator
	_, _, err = w.call(ClientConfig(w.trust, node))
	require.Error(t, err)
}

// TestRenewalNeedsNoRestart: both sides replace their certificates while the
// listener and the configurations stay.
func TestRenewalNeedsNoRestart(t *testing.T) {
	w := newWorld(t, ServerConfig)
	node := NewSource(enrol(t, w.ca, member("DE")))
	conf := ClientConfig(w.trust, node)
	_, before, err := w.call(conf)
	require.NoError(t, err)

	w.clock.now = start.Add(50 * time.Minute)
	w.server.Set(enrol(t, w.ca, coordinator()))
	w.clock.now = start.Add(90 * time.Minute)
	_, _, err = w.call(conf)
	require.Error(t, err, "the node's own has expired")
	node.Set(enrol(t, w.ca, member("DE")))
	name, after, err := w.call(conf)
	require.NoError(t, err)
	require.Equal(t, "DE", name)
	require.NotEqual(t, before.PeerCertificates[0].SerialNumber, after.PeerCertificates[0].SerialNumber)
	require.False(t, after.DidResume)
}

func TestEnrolment(t *testing.T) {
	w := newWorld(t, EnrolmentServerConfig)
	pin := FingerprintOf(w.ca.Root())
	stranger := &Trust{Federation: federation, Now: w.clock.Now}
	conf, err := EnrolmentClientConfig(stranger, pin, w.addr)
	require.NoError(t, err)
	name, state, err := w.call(conf)
	require.NoError(t, err)
	require.Equal(t, "nobody", name)
	root, err := PinnedRoot(state, pin)
	require.NoError(t, err)
	require.True(t, root.Equal(w.ca.Root()))

	name, _, err = w.call(ClientConfig(w.trust, NewSource(enrol(t, w.ca, member("DE")))))
	require.NoError(t, err)
	require.Equal(t, "DE", name, "the same port knows those who have enrolled")
	foreign := newAuthority(t, w.clock, federation)
	_, _, err = w.call(ClientConfig(w.trust, NewSource(enrol(t, foreign, member("DE")))))
	require.Error(t, err, "a bad certificate is not the same as none")
}

func TestEnrolmentRefusesTheWrongCoordinator(t *testing.T) {
	w := newWorld(t, EnrolmentServerConfig)
	pin := FingerprintOf(w.ca.Root())
	dial := func(federation string, pin Fingerprint, server string) error {
		conf, err := EnrolmentClientConfig(&Trust{Federation: federation, Now: w.clock.Now}, pin, server)
		require.NoError(t, err)
		_, _, err = w.call(conf)
		return err
	}
	require.NoError(t, dial(federation, pin, "localhost:1"), "another name it has")
	require.ErrorIs(t, dial(federation, Fingerprint{1}, w.addr), ErrFingerprint)
	require.ErrorIs(t, dial("other.eu", pin, w.addr), ErrFederation)
	require.ErrorContains(t, dial(federation, pin, "elsewhere.eu:1"), "elsewhere.eu")
	require.ErrorContains(t, dial(federation, pin, "127.0.0.2:1"), "127.0.0.2")

	// An impostor that sends the true authority along with a leaf of its own.
	impostor := enrol(t, newAuthority(t, w.clock, federation), coordinator())
	impostor.Chain[1] = w.ca.Root().Raw
	w.server.Set(impostor)
	require.ErrorIs(t, dial(federation, pin, w.addr), ErrForeign)
	w.server.Set(enrol(t, w.ca, member("FR")))
	require.ErrorIs(t, dial(federation, pin, w.addr), ErrKind)
	alone := enrol(t, w.ca, coordinator())
	alone.Chain = alone.Chain[:1]
	w.server.Set(alone)
	require.ErrorIs(t, dial(federation, pin, w.addr), ErrFingerprint)
	w.clock.now = start.Add(2 * time.Hour)
	require.Error(t, dial(federation, pin, w.addr))

	for _, server := range []string{"", "host", ":1", "a:b:c"} {
		_, err := EnrolmentClientConfig(w.trust, pin, server)
		require.Error(t, err, server)
	}
}
