package sim

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/direct"
	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/link"

	"golang.org/x/sync/errgroup"
)

// Name is the federation's name in every simulation.
const Name = "bench"

// Member is one Member State and its national table.
type Member = direct.Member

// Config says what to run. Plan's cohort must name exactly the members.
type Config struct {
	Plan     *federation.Plan
	Members  []Member
	Seed     uint64
	Progress func(step, steps int) // may be nil
	Log      *slog.Logger          // may be nil

	// The last word on the configuration of either side, for the tests of this package; may be nil.
	tuneCoordinator func(*coordinator.Config)
	tuneNode        func(member string, c *node.Config)
}

// Result is what a simulated run leaves.
type Result struct {
	Machine *schedule.Machine            // after the last step, equal at the coordinator and every node
	Rounds  int                          // rounds run, aborted ones included
	Batches int                          // key set-ups
	Phases  map[string]coordinator.Phase // by phase, summed over rounds
}

// Run runs the plan from enrolment to the evaluate step.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	fed, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return fed.coordinator.Serve(ctx, fed.listeners) })
	var result *Result
	group.Go(func() error {
		defer stop()
		var err error
		result, err = fed.run(ctx, group)
		return err
	})
	if err := group.Wait(); err != nil && !(errors.Is(err, context.Canceled) && result != nil) {
		return nil, err
	}
	return result, nil
}

// simulation is a coordinator that listens on loopback, and what its members need to reach it.
type simulation struct {
	cfg         Config
	coordinator *coordinator.Coordinator
	listeners   coordinator.Listeners
	trust       *identity.Trust
	root        identity.Fingerprint
}

func open(ctx context.Context, cfg Config) (*simulation, error) {
	caKey, err := identity.NewKey()
	if err != nil {
		return nil, err
	}
	root, err := identity.NewRoot(Name, caKey, time.Now())
	if err != nil {
		return nil, err
	}
	authority, err := identity.NewLocal(Name, root, caKey, time.Now)
	if err != nil {
		return nil, err
	}
	s := &simulation{cfg: cfg, trust: &identity.Trust{Federation: Name, Root: root}, root: identity.FingerprintOf(root)}
	credentials, err := coordinator.Issue(ctx, authority, identity.Profile{
		Peer:  identity.Peer{Federation: Name, Kind: identity.Coordinator},
		Hosts: []string{"127.0.0.1"},
	})
	if err != nil {
		return nil, err
	}
	_, identityKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	if s.listeners.Federation, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	if s.listeners.Enrolment, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	config := coordinator.Config{
		Federation: Name, Authority: authority, Trust: s.trust, Source: identity.NewSource(credentials), Identity: identityKey,
		People:  []admin.Person{{Name: "bench", Role: "bench", Key: identityKey.Public()}},
		Address: s.listeners.Federation.Addr().String(), Enrolment: s.listeners.Enrolment.Addr().String(),
		Journal: journal.NewMemory(), Spool: spool.NewMemory(), Patient: true, Log: cfg.Log,
	}
	if cfg.tuneCoordinator != nil {
		cfg.tuneCoordinator(&config)
	}
	s.coordinator, err = coordinator.New(ctx, config)
	return s, err
}

// run enrols the members one by one, so that indexes follow their order, submits the plan and waits for its end.
func (s *simulation) run(ctx context.Context, group *errgroup.Group) (*Result, error) {
	evaluated := make(chan struct{}, len(s.cfg.Members))
	stores := make([]*node.Memory, len(s.cfg.Members))
	var nodes []*node.Node
	for i, m := range s.cfg.Members {
		stores[i] = &node.Memory{}
		c, err := s.enrol(ctx, m, stores[i])
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", m.Name, err)
		}
		c.Hooks.Closed = func(_ node.RunID, _, _ uint32, kind string) {
			if kind == schedule.Evaluate.String() {
				evaluated <- struct{}{}
			}
		}
		n, err := node.New(c)
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", m.Name, err)
		}
		nodes = append(nodes, n)
	}
	body, err := s.cfg.Plan.Encode()
	if err != nil {
		return nil, err
	}
	if _, err := s.coordinator.Book().Submit(ctx, "bench", body); err != nil {
		return nil, err
	}
	for _, n := range nodes {
		group.Go(func() error { return n.Run(ctx) })
	}
	run, err := s.coordinator.WaitRun(ctx, s.cfg.Plan.Digest(), s.progress)
	if err != nil {
		return nil, err
	}
	if run.State != coordinator.Evaluated {
		return nil, fmt.Errorf("run ended %s: %s", run.State, run.Reason)
	}
	for range nodes {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-evaluated:
		}
	}
	return s.result(run, stores)
}

func (s *simulation) progress(r coordinator.Run) {
	if s.cfg.Progress != nil {
		s.cfg.Progress(int(r.Step), int(r.Steps))
	}
}

// result takes the model from the nodes, which must all have come to the same.
func (s *simulation) result(run coordinator.Run, stores []*node.Memory) (*Result, error) {
	out := &Result{Rounds: len(run.Rounds), Phases: map[string]coordinator.Phase{}}
	var first [32]byte
	for i, store := range stores {
		kept, machine, err := store.Run(run.ID, s.cfg.Plan.Learning())
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", s.cfg.Members[i].Name, err)
		}
		if i == 0 {
			out.Machine, first = machine, kept.State
		}
		if kept.State != first {
			return nil, fmt.Errorf("member %s ended with another state than %s", s.cfg.Members[i].Name, s.cfg.Members[0].Name)
		}
	}
	for _, r := range run.Rounds {
		if r.K == 1 {
			out.Batches++
		}
		for name, p := range r.Phases {
			sum := out.Phases[name]
			out.Phases[name] = coordinator.Phase{Seconds: sum.Seconds + p.Seconds, Up: sum.Up + p.Up, Down: sum.Down + p.Down}
		}
	}
	return out, nil
}

// enrol spends an invite over the Enrolment service and returns the member's node configuration.
func (s *simulation) enrol(ctx context.Context, m Member, store *node.Memory) (node.Config, error) {
	invite, err := s.coordinator.Book().Invite(ctx, "bench", m.Name, 0)
	if err != nil {
		return node.Config{}, err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return node.Config{}, err
	}
	key, err := identity.NewKey()
	if err != nil {
		return node.Config{}, err
	}
	peer := identity.Peer{Federation: Name, Kind: identity.Member, Name: m.Name}
	csr, err := identity.NewRequest(key, identity.Profile{Peer: peer})
	if err != nil {
		return node.Config{}, err
	}
	got, err := link.Enroll(ctx, link.Enrolment{
		Address: invite.Server, Federation: Name, Pin: s.root, Member: m.Name, Secret: invite.Secret.Bytes(), CSR: csr,
		Identity: public, Proof: ed25519.Sign(private, federation.EnrolmentProof(Name, m.Name, csr)),
	})
	if err != nil {
		return node.Config{}, err
	}
	if err := store.AcceptRoster(got.Roster); err != nil {
		return node.Config{}, err
	}
	c, err := identity.NewCredentials(key, got.Chain)
	if err != nil {
		return node.Config{}, err
	}
	policy := federation.DefaultPolicy()
	policy.MinCohort = min(policy.MinCohort, len(s.cfg.Members))
	policy.AcceptPairCounts = true
	policy.Privacy.Epsilon = federation.NoLimit
	config := node.Config{
		Member: m.Name, Address: got.Address, TLS: identity.ClientConfig(s.trust, identity.NewSource(c)),
		Sign:  func(message []byte) ([]byte, error) { return ed25519.Sign(private, message), nil },
		Store: store, Ledger: &node.MemoryLedger{}, Policy: policy, Accept: true, Tick: -1, Log: s.cfg.Log.With("member", m.Name),
		Approve: func(*federation.Plan) bool { return true }, Table: m.Table, Random: s.random(m.Name),
	}
	if s.cfg.tuneNode != nil {
		s.cfg.tuneNode(m.Name, &config)
	}
	return config, nil
}

// random gives each member, step and use a stream of its own from the seed.
func (s *simulation) random(member string) func(node.RunID, uint32, node.Use) io.Reader {
	return func(_ node.RunID, step uint32, use node.Use) io.Reader {
		return direct.Random(s.cfg.Seed, member, step, use)
	}
}
