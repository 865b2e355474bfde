package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/identity"

	"google.golang.org/grpc"
)

// maxChain is the longest certificate chain that a coordinator may hand out: leaf, intermediates, root.
const maxChain = 4

// Enrolment is what a new member sends with its invite.
type Enrolment struct {
	Address    string // of the Enrolment service, host:port
	Federation string
	Pin        identity.Fingerprint // of the certificate authority, from the invite
	Member     string
	Secret     []byte
	CSR        []byte // PKCS #10, DER
	Identity   []byte // Ed25519 public key
	Proof      []byte // by the identity key over federation.EnrolmentProof
	// Record sees every message before it leaves, as in Config.
	Record func(Message) error
	// Dial opens the connection below TLS; nil dials TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// Enrolled is what the coordinator gave in return. CA has the fingerprint that the invite names.
type Enrolled struct {
	Chain   [][]byte // DER, leaf first
	CA      *x509.Certificate
	Roster  federation.SignedRoster
	Address string // of the Federation service, host:port
}

// Enroll trades a one-time invite for a certificate. The server must show, in the TLS handshake, a coordinator's
// certificate under the authority with the pinned fingerprint (identity.ErrFingerprint); before that nothing is
// sent, the secret least of all.
func Enroll(ctx context.Context, e Enrolment) (Enrolled, error) {
	l := &Link{cfg: Config{Record: e.Record, Dial: e.Dial}.withDefaults(), traffic: map[string]Traffic{}}
	refused := make(chan error, 1)
	conf, err := pinnedTLS(e, refused)
	if err != nil {
		return Enrolled{}, fmt.Errorf("enroll: %w", err)
	}
	conn, err := grpc.NewClient("passthrough:///"+e.Address, l.dialOptions(conf)...)
	if err != nil {
		return Enrolled{}, fmt.Errorf("enroll: %w", err)
	}
	defer func() { _ = conn.Close() }()
	reply, err := call(ctx, l, "enroll", federationpb.NewEnrolmentClient(conn).Enroll, &federationpb.EnrollRequest{
		Member: e.Member, Secret: e.Secret, Csr: e.CSR, IdentityKey: e.Identity, Proof: e.Proof,
	})
	if err == nil {
		return enrolledFromPB(reply, e.Pin)
	}
	select {
	case why := <-refused: // gRPC would hide the reason in text
		return Enrolled{}, fmt.Errorf("enroll: %w", why)
	default:
		return Enrolled{}, err
	}
}

// pinnedTLS is identity.EnrolmentClientConfig that also tells why it refused a server.
func pinnedTLS(e Enrolment, refused chan<- error) (*tls.Config, error) {
	conf, err := identity.EnrolmentClientConfig(&identity.Trust{Federation: e.Federation}, e.Pin, e.Address)
	if err != nil {
		return nil, err
	}
	verify := conf.VerifyConnection
	conf.VerifyConnection = func(state tls.ConnectionState) error {
		err := verify(state)
		if err != nil {
			select {
			case refused <- err:
			default:
			}
		}
		return err
	}
	return conf, nil
}

func enrolledFromPB(reply *federationpb.EnrollReply, pin identity.Fingerprint) (Enrolled, error) {
	roster, err := federationpb.RosterFromPB(reply.GetRoster())
	if err != nil {
		return Enrolled{}, fmt.Errorf("enroll: %w", err)
	}
	ca, err := x509.ParseCertificate(reply.GetCa())
	if err != nil {
		return Enrolled{}, fmt.Errorf("enroll: authority: %w", err)
	}
	if err := pin.Check(ca); err != nil {
		return Enrolled{}, fmt.Errorf("enroll: %w", err)
	}
	if n := len(reply.GetChain()); n == 0 || n > maxChain {
		return Enrolled{}, fmt.Errorf("enroll: chain of %d certificates, want 1 to %d", n, maxChain)
	}
	if _, _, err := net.SplitHostPort(reply.GetAddress()); err != nil {
		return Enrolled{}, errors.New("enroll: coordinator names no address of its federation service")
	}
	return Enrolled{Chain: reply.GetChain(), CA: ca, Roster: roster, Address: reply.GetAddress()}, nil
}
