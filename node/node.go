package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/deploy/service"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/chain"
	"github.com/koinon-eu/koinon/node/link"
	"github.com/koinon-eu/koinon/node/train"
)

// Ledger remembers durably what this node has given away. *budget.Ledger is one in a file, MemoryLedger one for
// benchmarks. now is Unix seconds.
type Ledger interface {
	Round(now int64, run budget.Run, round uint32) error
	LastRound(run budget.Run) uint32
	Reserve(now int64, s budget.Sum, limits budget.Limits) error
	Lock(now int64, lock budget.Lock) error
	Locked(name chain.Digest) (budget.Lock, bool)
	Draw(now int64, plan chain.Digest, run budget.Run, round uint32) error
	Draws(plan chain.Digest) int
	CheckCohort(c budget.Cohort) error
	Cohort(now int64, c budget.Cohort) error
	Saw(now int64, c budget.Cohort) error
	CheckPrivacy(m dp.Mechanism, limit budget.Privacy) error
	Spend(now int64, s budget.Spend, limit budget.Privacy) error
}

// Config makes a Node. Fields without a default are required.
type Config struct {
	Member     string        // own name in the roster
	Address    string        // host:port of the Federation service
	TLS        *tls.Config   // TLS 1.3 with this member's certificate
	Sign       secagg.Signer // identity key
	Store      Store
	Ledger     Ledger
	Policy     federation.Policy
	Releases   *release.Policy // who must have signed a model that a plan starts from; nil: the plan's digest decides
	Version    string
	Accept     bool                               // take over every newer roster unasked: benchmarks only
	Approve    func(*federation.Plan) bool        // decides on plans without an operator: benchmarks only
	Today      func() string                      // YYYY-MM-DD; default is the clock, in UTC
	Random     func(RunID, uint32, Use) io.Reader // seeded, for a step of a run: benchmarks only; default is S13
	Table      *feature.Table                     // the national table, if it is in memory
	Snapshot   func() ([32]byte, error)           // names the content of Table; nil: it never changes
	Open       OpenTable                          // else how to read and name it, read-only
	Live       bool                               // Open may find other rows each time: a run reads them when it begins, and no other run's
	Kept       KeptTable                          // where Open may have left a table of that name; nil: nowhere
	Began      func(RunID, *feature.Table)        // sees the rows of a run before it works on them
	Scratch    train.Scratch                      // where encoded rows lie; nil: in memory
	Record     func(link.Message) error           // egress record: sees every message before it leaves
	Received   func(link.Message)                 // sees every message that arrives
	Tick       time.Duration                      // of deadlines (S67), default 1 s; negative for none
	Heartbeat  time.Duration                      // default 15 s
	SpotBudget int                                // bytes a spot check may fetch (S56), default 16 MiB
	Hooks      Hooks
	Metrics    *service.Metrics
	Health     *service.Health
	Log        *slog.Logger
	Dial       func(context.Context, string) (net.Conn, error)
}

// OpenTable reads the national table under a schema and names the content it was read from, for instance by a digest of
// its file: as long as the name is the same, sums over different cohorts could be taken off each other (trees 37).
type OpenTable func(*feature.Schema) (*feature.Table, [32]byte, error)

// KeptTable returns a table that was read before, by its name, or nil.
type KeptTable func(*feature.Schema, [32]byte) *feature.Table

// Use says what randomness is for. Keys, seeds and masks are not among the uses: they always come from the operating
// system.
type Use string

// The uses of randomness that a benchmark may seed.
const (
	UseOrder    Use = "order"    // of rows in local epochs; never batches and noise of a plan with privacy
	UseRounding Use = "rounding" // of the encoded update (S45)
)

// Hooks tell a library user what happens. They are called by a run's own goroutine and must return soon.
type Hooks struct {
	Phase  func(run RunID, round uint32, phase string)
	Closed func(run RunID, round, step uint32, kind string)
	Left   func(run RunID, round uint32, err error)
	Figure func(Figures)
}

func (c *Config) defaults() error {
	switch {
	case c.Member == "" || c.Address == "" || c.TLS == nil:
		return errors.New("node: member, address and TLS are required")
	case c.Sign == nil || c.Store == nil || c.Ledger == nil:
		return errors.New("node: identity key, store and ledger are required")
	case (c.Table == nil) == (c.Open == nil):
		return errors.New("node: want either a table or a way to open one")
	}
	if c.Policy.MinCohort == 0 {
		c.Policy = federation.DefaultPolicy()
	}
	if c.Today == nil {
		c.Today = func() string { return time.Now().UTC().Format(time.DateOnly) }
	}
	if c.Tick == 0 {
		c.Tick = time.Second
	}
	if c.SpotBudget == 0 {
		c.SpotBudget = 16 << 20
	}
	if c.Health == nil {
		c.Health = &service.Health{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c.Policy.Validate()
}

// maxRuns is how many runs of one plan a node takes part in: each leaves a record, and a coordinator must not be
// able to fill a disk with invented ones.
const maxRuns = 16

// Node is one member's node. Make it with New, run it with Run.
type Node struct {
	cfg    Config
	link   *link.Link
	data   tables
	meters meters
	poke   chan struct{} // asks for a Sync

	mu     sync.Mutex
	actors map[RunID]*actor
	group  *service.Group
}

// New checks the configuration and makes a node. Nothing is dialled before Run.
func New(cfg Config) (*Node, error) {
	if err := cfg.defaults(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, poke: make(chan struct{}, 1), actors: map[RunID]*actor{}}
	n.data = tables{open: cfg.Open, live: cfg.Live, old: cfg.Kept}
	if cfg.Table != nil {
		n.data.open = func(s *feature.Schema) (*feature.Table, [32]byte, error) {
			var name [32]byte
			t, err := fitting(cfg.Table, s)
			if err == nil && cfg.Snapshot != nil {
				name, err = cfg.Snapshot()
			}
			return t, name, err
		}
	}
	n.meters = newMeters(cfg.Metrics)
	var err error
	n.link, err = link.New(link.Config{
		Address: cfg.Address, TLS: cfg.TLS, Version: cfg.Version, Record: n.record, Received: n.received,
		Heartbeat: cfg.Heartbeat, Log: cfg.Log, Dial: cfg.Dial,
	})
	return n, err
}

// fitting returns a table in memory for a schema that it was read under.
func fitting(t *feature.Table, s *feature.Schema) (*feature.Table, error) {
	if t.Schema().Digest() != s.Digest() {
		return nil, errors.New("table in memory was read under another schema")
	}
	return t, nil
}

// Run takes part until ctx ends, and returns nil then.
func (n *Node) Run(ctx context.Context) error {
	defer func() { _ = n.link.Close() }()
	group, _ := service.NewGroup(ctx) // each member of the group gets its context
	n.mu.Lock()
	n.group = group
	n.mu.Unlock()
	n.cfg.Health.NotReady("coordinator", "no session yet")
	group.Go("sync", n.syncLoop)
	group.Go("session", func(ctx context.Context) error {
		err := n.link.Serve(ctx, link.Handler{
			Up: n.up, Down: n.down, Packet: func(p link.Packet) { n.packet(ctx, p) }, Notice: n.notice,
			Flushed: func(p link.Packet) { n.flushed(ctx, p) },
			Hello:   n.rosterVersion,
		})
		return ignoreCancel(err)
	})
	return group.Wait()
}

func ignoreCancel(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Traffic returns the bytes that crossed the link, by phase.
func (n *Node) Traffic() map[string]link.Traffic { return n.link.Traffic() }

func (n *Node) record(m link.Message) error {
	if n.cfg.Record != nil {
		if err := n.cfg.Record(m); err != nil {
			n.cfg.Log.Error("egress record refused: message stays here", "type", m.Type, "err", err)
			return err
		}
	}
	n.meters.bytes.Add(float64(len(m.Bytes)), "up", m.Phase)
	return nil
}

func (n *Node) received(m link.Message) {
	if n.cfg.Received != nil {
		n.cfg.Received(m)
	}
	n.meters.bytes.Add(float64(len(m.Bytes)), "down", m.Phase)
}

func (n *Node) rosterVersion() uint32 {
	r, err := n.cfg.Store.Roster()
	if err != nil {
		return 0
	}
	return r.Version
}

func (n *Node) up() {
	n.cfg.Log.Info("session open", "coordinator", n.cfg.Address)
	n.cfg.Health.Ready("coordinator")
	n.meters.connected.Set(1)
	n.askSync()
	for _, a := range n.running() {
		a.post(sessionUp{})
	}
}

func (n *Node) down(err error) {
	n.cfg.Log.Warn("session lost; reconnecting", "err", err)
	n.cfg.Health.NotReady("coordinator", "session lost")
	n.meters.connected.Set(0)
}

func (n *Node) notice(notice link.Notice) {
	if notice.Sync {
		n.askSync()
	}
	if notice.Refused != "" {
		n.cfg.Log.Warn("coordinator dropped a packet", "run", short(notice.Run), "round", notice.Round, "reason", notice.Refused)
	}
}

func (n *Node) running() []*actor {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]*actor, 0, len(n.actors))
	for _, a := range n.actors {
		out = append(out, a)
	}
	return out
}

func (n *Node) packet(ctx context.Context, p link.Packet) {
	a, err := n.actor(ctx, p.Run, p.Plan)
	if err != nil {
		n.refuse(p, err)
		return
	}
	a.post(p)
}

func (n *Node) flushed(_ context.Context, p link.Packet) {
	n.mu.Lock()
	a := n.actors[p.Run]
	n.mu.Unlock()
	if a != nil {
		a.post(flushed(p))
	}
}

// refuse tells the coordinator that this node takes no part, in the words of a sentinel.
func (n *Node) refuse(p link.Packet, err error) {
	if len(p.Frames) == 0 || p.Frames[0].Type != secagg.TypeSpec {
		return // not the beginning of a round: nothing to leave
	}
	n.cfg.Log.Warn("round refused", "run", short(p.Run), "round", p.Round, "plan", p.Plan.Short(), "err", err)
	n.meters.rounds.Inc("refused")
	_ = n.link.Left(p.Run, p.Round, publicReason(err)) // no session: then there is nobody to tell
	if n.cfg.Hooks.Left != nil {
		n.cfg.Hooks.Left(p.Run, p.Round, err)
	}
}

// actor returns the goroutine that owns a run, and starts it when there is none.
func (n *Node) actor(ctx context.Context, run RunID, plan federation.Digest) (*actor, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a := n.actors[run]; a != nil {
		if a.digest != plan {
			return nil, fmt.Errorf("%w: the run belongs to another plan", secagg.ErrPlan)
		}
		return a, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	a, err := n.openRun(run, plan)
	if err != nil {
		return nil, err
	}
	n.actors[run] = a
	n.group.Go("run "+short(run), a.loop)
	return a, nil
}

func short(run RunID) string { return fmt.Sprintf("%x", run[:4]) }
