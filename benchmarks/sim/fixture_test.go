package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/link"

	"github.com/stretchr/testify/require"
)

// The table of these tests: one number, a category whose values are learnt in the statistics steps, a listed
// category and a listed group, as in the pack document-risk but small.
const schemaYAML = `
name: document-risk
unit: document
id: file_number
label: {column: fraud_found, positive: "1"}
split: {column: part, test: test}
columns:
  age: {type: number, range: [0, 10]}
  family: {type: category}
  chip: {type: category, values: [ok, no_chip]}
  sex: {type: category, role: group, values: [female, male]}
  office: {type: category, role: group}
`

const declarationYAML = `
purpose_code: document-risk
unit: document
target: documents found false after examination
use: order of expert examination; never a reason for refusal
profiling: true
art6_3: none
art5: {5(1)(c): not used elsewhere, 5(1)(d): facts of the documents, 5(1)(g): no biometric input}
regime: GDPR
legal_basis: national act
roles: {provider: authority}
affected_groups: [sex, office]
decision_role: advisory
oversight: {verifiers: 1, reason_required: true, random_examination_share: 0.02}
valid_until: 2037-12-01
lawpack: eu-2026-07-27
`

const planYAML = `
name: document-risk
declaration: declaration.yaml
schema: schema.yaml
architecture: {kind: logistic, l2: 1.0}
algorithm: {name: fedadam, rounds: 3}
cohort: {members: [DE, FR, IT, PL, PT], minimum: 4}
gates:
  - {metric: auroc, bound: lower, at_least: 0.5}
deadlines: {advertise: 300, share: 300, mask: 300, agree: 300, unmask: 300}
`

var five = []string{"DE", "FR", "IT", "PL", "PT"}

// testPlan returns the plan of these tests with texts replaced, old and new in turn.
func testPlan(t testing.TB, replace ...string) *federation.Plan {
	t.Helper()
	r := strings.NewReplacer(replace...)
	p, err := federation.ParsePlan([]byte(r.Replace(planYAML)), func(name string) ([]byte, error) {
		switch name {
		case "schema.yaml":
			return []byte(schemaYAML), nil
		case "declaration.yaml":
			return []byte(r.Replace(declarationYAML)), nil
		}
		return nil, errors.New("no such file")
	})
	require.NoError(t, err)
	return p
}

// csvTable makes one member's table: old documents without a chip are more often false. edit, if given, has the last
// word on each row: file number, age, family, chip, sex, office, label, part.
func csvTable(t testing.TB, seed uint64, rows int, edit func(i int, row []string)) *feature.Table {
	t.Helper()
	s, err := feature.ParseSchema([]byte(schemaYAML))
	require.NoError(t, err)
	table, err := feature.ReadCSV(bytes.NewReader(csvText(seed, rows, edit)), s, feature.Limits{})
	require.NoError(t, err)
	return table
}

// csvText is the file of csvTable.
func csvText(seed uint64, rows int, edit func(i int, row []string)) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	pick := func(values ...string) string { return values[r.IntN(len(values))] }
	var b bytes.Buffer
	b.WriteString("file_number,age,family,chip,sex,office,fraud_found,part\n")
	for i := range rows {
		age, chip := 10*r.Float64(), pick("ok", "ok", "no_chip")
		label := "0"
		if risk := 0.02 + 0.04*age; chip == "no_chip" && r.Float64() < risk || r.IntN(40) == 0 {
			label = "1"
		}
		row := []string{
			fmt.Sprintf("%d-%d", seed, i), fmt.Sprintf("%.4f", age), pick("T01", "T02", "T03"), chip,
			pick("female", "male"), pick("north", "south"), label, pick("train", "train", "train", "test"),
		}
		if edit != nil {
			edit(i, row)
		}
		b.WriteString(strings.Join(row, ",") + "\n")
	}
	return b.Bytes()
}

// fiveTables gives each of the five members 240 rows and the next 20 more.
func fiveTables(t testing.TB) []Member {
	t.Helper()
	members := make([]Member, len(five))
	for i, name := range five {
		members[i] = Member{Name: name, Table: csvTable(t, uint64(i+1), 240+20*i, nil)}
	}
	return members
}

// testLog is silent unless KOINON_TEST_LOG is set.
func testLog() *slog.Logger {
	if os.Getenv("KOINON_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// stage is a real coordinator that serves on loopback, and real nodes that come and go.
type stage struct {
	*simulation
	t       testing.TB
	plan    *federation.Plan
	source  *identity.Source // the coordinator's certificate
	journal journal.Journal
	actors  map[string]*actor
	tuned   coordinator.Config
	halt    func() // ends the coordinator and waits for it
}

// actor is one member's real node with what it keeps over a restart, and with what a test looks at.
type actor struct {
	t      testing.TB
	config node.Config
	store  *node.Memory
	ledger *node.MemoryLedger
	wire   *link.Capture
	node   *node.Node
	stop   func() // ends the node and waits for it
	vanish func() // ends it without waiting

	mu     sync.Mutex
	lefts  []error
	fallen []uint32 // the rounds it left
	closed []uint32 // the rounds it closed
}

// setStage opens the coordinator and enrols the members of the plan; nothing runs yet.
func setStage(t testing.TB, plan *federation.Plan, members []Member, tune func(*coordinator.Config)) *stage {
	t.Helper()
	s := &stage{t: t, plan: plan, journal: journal.NewMemory(), actors: map[string]*actor{}}
	cfg := Config{Plan: plan, Members: members, Seed: 1, Log: testLog(), tuneCoordinator: func(c *coordinator.Config) {
		c.Journal, c.Patient, c.Tick, c.Grace, c.FullCohort = s.journal, false, 20*time.Millisecond, 3, 500
		s.source = c.Source
		if tune != nil {
			tune(c)
		}
		s.tuned = *c
	}}
	var err error
	s.simulation, err = open(t.Context(), cfg)
	require.NoError(t, err)
	s.serve()
	t.Cleanup(func() { s.halt() })
	for _, m := range members {
		s.join(m)
	}
	_, newest := s.simulation.coordinator.Book().Roster()
	for _, a := range s.actors {
		require.NoError(t, a.store.AcceptRoster(newest))
	}
	return s
}

// serve runs the coordinator until halt.
func (s *stage) serve() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	c, l := s.simulation.coordinator, s.listeners
	go func() { done <- c.Serve(ctx, l) }()
	s.halt = sync.OnceFunc(func() {
		cancel()
		require.NoError(s.t, <-done)
	})
}

// reboot ends the coordinator in the middle of whatever it does, and starts it again from its journal and its spool.
func (s *stage) reboot() {
	s.t.Helper()
	s.halt()
	for _, l := range []*net.Listener{&s.listeners.Federation, &s.listeners.Enrolment} {
		again, err := net.Listen("tcp", (*l).Addr().String())
		require.NoError(s.t, err)
		*l = again
	}
	var err error
	s.simulation.coordinator, err = coordinator.New(s.t.Context(), s.tuned)
	require.NoError(s.t, err)
	s.serve()
}

// join enrols a member and prepares its node.
func (s *stage) join(m Member) *actor {
	s.t.Helper()
	store := &node.Memory{}
	c, err := s.enrol(s.t.Context(), m, store)
	require.NoError(s.t, err)
	a := &actor{t: s.t, store: store, ledger: &node.MemoryLedger{}, wire: &link.Capture{}}
	a.equip(&c)
	s.actors[m.Name] = a
	return a
}

// equip gives a node's configuration the actor's ledger, capture and hooks.
func (a *actor) equip(c *node.Config) {
	c.Ledger, c.Record, c.Received = a.ledger, a.wire.Record, a.wire.Received
	c.Tick = 20 * time.Millisecond
	c.Hooks.Left = func(_ node.RunID, round uint32, err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.lefts, a.fallen = append(a.lefts, err), append(a.fallen, round)
	}
	c.Hooks.Closed = func(_ node.RunID, round, _ uint32, _ string) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.closed = append(a.closed, round)
	}
	a.config = *c
}

// play runs the actor's node until stop or vanish; what it stored stays for the next play.
func (a *actor) play() {
	a.t.Helper()
	n, err := node.New(a.config)
	require.NoError(a.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	a.mu.Lock()
	a.node, a.vanish = n, cancel
	a.mu.Unlock()
	go func() { done <- n.Run(ctx) }()
	a.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(a.t, <-done)
	})
	a.t.Cleanup(a.stop)
}

// die is vanish for a hook of the node itself.
func (a *actor) die() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.vanish()
}

// left returns why the node left rounds so far.
func (a *actor) left() []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]error(nil), a.lefts...)
}

// fell returns the first round that the node left, and last the last that it closed.
func (a *actor) fell() uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fallen[0]
}

func (a *actor) last() uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.closed); n > 0 {
		return a.closed[n-1]
	}
	return 0
}

// submit offers the plan to its cohort.
func (s *stage) submit() {
	s.t.Helper()
	body, err := s.plan.Encode()
	require.NoError(s.t, err)
	_, err = s.simulation.coordinator.Book().Submit(s.t.Context(), "bench", body)
	require.NoError(s.t, err)
}

// playAll starts every node that has none yet.
func (s *stage) playAll() {
	for _, m := range s.cfg.Members {
		if a := s.actors[m.Name]; a != nil && a.stop == nil {
			a.play()
		}
	}
}

// finish waits for the end of the plan's run.
func (s *stage) finish() coordinator.Run {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 90*time.Second)
	defer cancel()
	r, err := s.simulation.coordinator.WaitRun(ctx, s.plan.Digest(), nil)
	if err != nil {
		last, _ := s.simulation.coordinator.RunByPlan(s.plan.Digest())
		s.t.Fatalf("run does not end: %s, %s, rounds %+v", last.State, last.Reason, last.Rounds)
	}
	return r
}

// evaluated waits for the run's end, wants it complete, and verifies the journal.
func (s *stage) evaluated() coordinator.Run {
	s.t.Helper()
	r := s.finish()
	require.Equal(s.t, coordinator.Evaluated, r.State, r.Reason)
	s.verifies()
	return r
}

func (s *stage) verifies() {
	s.t.Helper()
	_, err := journal.Verify(s.t.Context(), s.journal)
	require.NoError(s.t, err)
}

// until waits for something to be true of the plan's run.
func (s *stage) until(what string, ok func(coordinator.Run) bool) coordinator.Run {
	s.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		r, found := s.simulation.coordinator.RunByPlan(s.plan.Digest())
		if found && ok(r) {
			return r
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("never: %s; run is %s, %s, rounds %+v", what, r.State, r.Reason, r.Rounds)
		}
	}
}

// eventually waits for what a node does after the coordinator's last word.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 30*time.Second, 2*time.Millisecond, what)
}
