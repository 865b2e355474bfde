package coordinator

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"time"

	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/deploy/service"
)

// Config is what a coordinator is made of. Fields without a word about their zero value are required.
type Config struct {
	Federation string
	Authority  identity.Authority
	Trust      *identity.Trust
	Source     *identity.Source // the coordinator's TLS certificate
	Identity   crypto.Signer    // Ed25519: signs rosters and the round protocol
	Release    crypto.Signer    // EC P-256: signs releases; nil: candidates are drawn up but cannot be published
	People     []admin.Person   // admins

	Address   string // host:port of the Federation service, as nodes dial it
	Enrolment string // host:port of the Enrolment service, in invites
	Web       string // https://host[:port] of the public site, in links; may be empty

	Schedule func(*federation.Plan) (Schedule, error) // what a plan sums; nil: what it trains and evaluates

	Journal  journal.Journal
	Spool    spool.Store
	Releases string // directory of candidates and of the registry; empty: no candidate is drawn up

	Tick       time.Duration // unit of all deadlines; 0 is one second
	Heartbeat  time.Duration // on idle sessions; so long may a node take to come back when its session was ended; 0 is 15 s
	Grace      uint32        // ticks until a lost member no longer holds up a phase; 0 is 5
	FullCohort uint32        // ticks to wait for the whole cohort before statistics and evaluation; 0 is 600
	// MaxBatchTicks is the age at which a batch of sums gets no further one, so that no node keeps its secrets longer (S40);
	// 0 is 3,600.
	MaxBatchTicks uint32
	MaxAborts     int           // aborted rounds of one step before the run fails; 0 is 20
	Window        time.Duration // how long the last round's masked vectors are kept for spot checks (S55); 0 is 10 minutes
	Patient       bool          // no deadlines: for a federation in one process

	CertificateLife time.Duration // of members; 0 is the default of package identity
	Version         string        // of this program, in statements
	Now             func() time.Time
	Log             *slog.Logger
	Metrics         *service.Metrics // nil: none
	Health          *service.Health  // nil: none
}

func (c *Config) setDefaults() error {
	switch {
	case c.Authority == nil, c.Trust == nil, c.Source == nil, c.Identity == nil:
		return errors.New("coordinator: authority, trust, source and identity key are required")
	case c.Journal == nil, c.Spool == nil:
		return errors.New("coordinator: journal and spool are required")
	}
	if _, ok := c.Identity.Public().(ed25519.PublicKey); !ok {
		return errors.New("coordinator: identity key is not Ed25519")
	}
	setZero(&c.Tick, time.Second)
	setZero(&c.Grace, 5)
	setZero(&c.FullCohort, 600)
	setZero(&c.MaxBatchTicks, 3600)
	setZero(&c.MaxAborts, 20)
	setZero(&c.Window, 10*time.Minute)
	setZero(&c.Version, "unknown")
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Health == nil {
		c.Health = &service.Health{}
	}
	return nil
}

func setZero[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (c *Config) key() federation.Key { return federation.Key(c.Identity.Public().(ed25519.PublicKey)) }

// signer makes Ed25519 signatures with the coordinator's identity key, wherever it lives.
func (c *Config) signer() secagg.Signer {
	return func(message []byte) ([]byte, error) { return c.Identity.Sign(nil, message, crypto.Hash(0)) }
}
