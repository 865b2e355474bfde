package coordinator

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/rpc"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/deploy/service"
	"github.com/koinon-eu/koinon/models/registry"
)

// retryEvery is how often runs and releases are looked at when nothing has changed.
const retryEvery = 15 * time.Second

// Coordinator runs one federation.
type Coordinator struct {
	cfg     Config
	id      federation.Digest
	book    *admin.Book
	hub     *rpc.Hub
	metrics *figures
	wake    chan struct{} // approvals, invites, presence: look again at what can start

	store      *registry.Store // nil: no candidates are drawn up
	publishing sync.Mutex
	starting   sync.Mutex                   // one decision at a time whether a plan gets a run
	refused    map[federation.Digest]string // under starting: why approved plans got none, told once each

	ctx  context.Context // of Serve; runs live below it
	stop context.CancelFunc
	live sync.WaitGroup

	mu      sync.Mutex
	runs    map[[16]byte]*run
	order   [][16]byte
	locks   map[[32]byte]lock                      // by place τ (S33)
	proofs  map[federation.Digest]map[uint8][]byte // by plan and member: evidence that a node accepts (S33)
	changed chan struct{}                          // closed and replaced at each change, see Watch
}

// New rebuilds a coordinator from its journal, whose chain it verifies. Nothing runs before Serve.
func New(ctx context.Context, cfg Config) (*Coordinator, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	c := &Coordinator{
		cfg: cfg, hub: rpc.NewHub(), runs: map[[16]byte]*run{}, locks: map[[32]byte]lock{}, proofs: map[federation.Digest]map[uint8][]byte{},
		refused: map[federation.Digest]string{}, wake: make(chan struct{}, 1), changed: make(chan struct{}), metrics: newFigures(cfg.Metrics),
	}
	c.id = federation.FederationID(cfg.Federation, identity.FingerprintOf(cfg.Authority.Root()))
	c.book = admin.NewBook(admin.Config{
		Federation: cfg.Federation, ID: c.id, Key: cfg.key(), Sign: cfg.signer(), Authority: cfg.Authority,
		Lifetime: cfg.CertificateLife, Address: cfg.Address, Enrolment: cfg.Enrolment, People: cfg.People, Now: cfg.Now,
		CheckPlan: c.checkStart,
	}, timed{cfg.Journal, c.metrics}, c.bookChanged)
	if cfg.Releases != "" {
		var err error
		if c.store, err = registry.OpenStore(filepath.Join(cfg.Releases, "store")); err != nil {
			return nil, err
		}
	}
	if err := c.replay(ctx); err != nil {
		return nil, fmt.Errorf("replay journal: %w", err)
	}
	for _, r := range c.book.Releases() {
		if id, err := parseRun(r.Run); err == nil && c.runs[id] != nil {
			c.runs[id].view.Release = r.Name
		}
	}
	if err := c.withhold(); err != nil {
		return nil, err
	}
	return c, nil
}

// timed measures appends.
type timed struct {
	journal.Journal
	metrics *figures
}

func (t timed) Append(ctx context.Context, entries ...journal.Entry) ([]journal.Record, error) {
	begun := time.Now()
	records, err := t.Journal.Append(ctx, entries...)
	t.metrics.journal.Observe(time.Since(begun).Seconds())
	return records, err
}

// Book returns members, plans and releases.
func (c *Coordinator) Book() *admin.Book { return c.book }

// ID returns the federation's digest.
func (c *Coordinator) ID() federation.Digest { return c.id }

// Listeners are the open sockets of the gRPC services.
type Listeners struct{ Federation, Enrolment net.Listener }

// Serve runs the federation until ctx ends: the gRPC services and every run that is not over.
func (c *Coordinator) Serve(ctx context.Context, listeners Listeners) error {
	c.ctx, c.stop = context.WithCancel(ctx)
	defer c.stop()
	server := rpc.New(rpc.Config{
		Book: c.book, Hub: c.hub, Driver: c, Trust: c.cfg.Trust, Source: c.cfg.Source, Log: c.cfg.Log, Now: c.cfg.Now,
		Heartbeat: c.cfg.Heartbeat,
		Observe:   func(method, outcome string) { c.metrics.calls.Inc(method, outcome) },
		Uploaded:  func(n int) { c.metrics.uploaded.Add(float64(n)) },
	})
	group, _ := service.NewGroup(c.ctx)
	group.Go("rpc", func(ctx context.Context) error { return server.Serve(ctx, listeners.Federation, listeners.Enrolment) })
	group.Go("certificate", c.renew)
	group.Go("runs", c.supervise)
	c.resume()
	err := group.Wait()
	c.stop()
	c.live.Wait()
	return err
}

// bookChanged is called by the book, with its lock held: it only leaves notes.
func (c *Coordinator) bookChanged() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
	c.touch()
}

// supervise starts runs whose whole cohort has approved, publishes what two people have approved, and tells nodes
// that there is something new.
func (c *Coordinator) supervise(ctx context.Context) error {
	again := time.NewTicker(retryEvery) // what a full disk has kept from happening
	defer again.Stop()
	for {
		c.startApproved(ctx)
		c.publishReady(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		case <-c.wake:
			c.hub.Broadcast(&pb.CoordinatorMessage{Message: &pb.CoordinatorMessage_Notice{Notice: &pb.Notice{Sync: true}}})
			c.eachRun(func(r *run) { r.nudge() })
		}
	}
}

// touch tells watchers that something changed.
func (c *Coordinator) touch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
}

// Watch returns a channel that is closed at the next change of anything that a status shows.
func (c *Coordinator) Watch() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// renew keeps the coordinator's own certificate fresh.
func (c *Coordinator) renew(ctx context.Context) error {
	renewer := &identity.Renewer{
		Source: c.cfg.Source, Now: c.cfg.Now, Log: c.cfg.Log,
		Renew: func(ctx context.Context, old *identity.Credentials) (*identity.Credentials, error) {
			return reissue(ctx, c.cfg.Authority, c.cfg.Federation, old)
		},
	}
	return renewer.Run(ctx)
}

// reissue makes a new key and a certificate for the same hosts.
func reissue(ctx context.Context, authority identity.Authority, name string, old *identity.Credentials) (*identity.Credentials, error) {
	leaf := old.Leaf()
	hosts := append([]string{}, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return Issue(ctx, authority, identity.Profile{
		Peer: identity.Peer{Federation: name, Kind: identity.Coordinator}, Hosts: hosts,
		Lifetime: min(leaf.NotAfter.Sub(leaf.NotBefore), identity.DefaultLifetime),
	})
}

// Issue makes a key and has the authority certify it.
func Issue(ctx context.Context, authority identity.Authority, profile identity.Profile) (*identity.Credentials, error) {
	key, err := identity.NewKey()
	if err != nil {
		return nil, err
	}
	request, err := identity.NewRequest(key, profile)
	if err != nil {
		return nil, err
	}
	chain, err := authority.Issue(ctx, request, profile)
	if err != nil {
		return nil, err
	}
	return identity.NewCredentials(key, chain)
}
