package node_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/link"
)

const schemaYAML = `
name: document-risk
unit: application
split: {column: part, test: "test"}
label: {column: fraud_found, positive: "1", empty: skip}
columns:
  doc_age_years:   {type: number, unit: years, range: [0, 10]}
  template_family: {type: category}
  chip_auth:       {type: category, values: [ok, no_chip]}
  sex:             {type: category, role: group, values: [female, male]}
`

const declarationYAML = `
purpose_code: document-risk
unit: application
target: documents found false after examination
use: order of expert examination; never a reason for refusal
profiling: true
annex_iii: [7c]
art6_3: none
art5: {5(1)(c): not used elsewhere, 5(1)(d): facts of the filed documents, 5(1)(g): no biometric input}
regime: GDPR
legal_basis: national act
roles: {provider: authority, deployers: [DE, FR, IT, PL, PT]}
affected_groups: [sex]
features: {deny: [sex]}
decision_role: advisory
oversight: {verifiers: 1, reason_required: true, random_examination_share: 0.02}
valid_until: 2027-12-01
lawpack: eu-2026-07-27
`

const planYAML = `
name: document-risk-2026-1
declaration: declaration.yaml
schema: schema.yaml
architecture: {kind: logistic, l2: 1.0}
algorithm: {name: fedadam, rounds: 3}
cohort: {members: [DE, FR, IT, PL, PT], minimum: 4}
deadlines: {advertise: 600, share: 600, mask: 600, agree: 600, unmask: 600}
gates:
  - {metric: auroc, bound: lower, at_least: 0.75, evidence: {positives: 100}}
`

var members = []string{"DE", "FR", "IT", "PL", "PT"}

func parsePlan(t testing.TB, yaml string) *federation.Plan {
	p, err := federation.ParsePlan([]byte(yaml), func(name string) ([]byte, error) {
		switch name {
		case "schema.yaml":
			return []byte(schemaYAML), nil
		case "declaration.yaml":
			return []byte(declarationYAML), nil
		}
		return nil, errors.New("no such file")
	})
	require.NoError(t, err)
	return p
}

// rareFamily is a category value that only one member has, and few rows of it: it must never leave.
const rareFamily = "KESTREL-9-UNIQUE"

// csv makes one member's table: 400 rows, a label that depends on age and chip.
func csv(seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 1))
	var b bytes.Buffer
	b.WriteString("doc_age_years,template_family,chip_auth,sex,fraud_found,part\n")
	for i := range 400 {
		age, chip, family := r.Float64()*10, "ok", fmt.Sprintf("family-%d", r.IntN(4))
		if r.IntN(3) == 0 {
			chip = "no_chip"
		}
		if i == 7 && seed == 0 {
			family = rareFamily
		}
		label := "0"
		if r.Float64() < 0.05+0.03*age && chip == "no_chip" || r.IntN(50) == 0 {
			label = "1"
		}
		part, sex := "train", "female"
		if r.IntN(3) == 0 {
			part = "test"
		}
		if r.IntN(2) == 0 {
			sex = "male"
		}
		fmt.Fprintf(&b, "%.4f,%s,%s,%s,%s,%s\n", age, family, chip, sex, label, part)
	}
	return b.String()
}

// federationOfFive is a fake coordinator and five nodes in one process, over loopback and mutual TLS.
type federationOfFive struct {
	*fake
	keys     map[string]ed25519.PrivateKey
	nodes    map[string]*member
	planning *federation.Plan
}

// member is one node with what a test looks at.
type member struct {
	cfg     node.Config
	store   *node.Memory
	ledger  *node.MemoryLedger
	capture *link.Capture
	node    *node.Node
	stop    context.CancelFunc
	done    chan error

	mu     sync.Mutex
	phases []string
	lefts  []error
}

func (m *member) left() []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]error(nil), m.lefts...)
}

func newFive(t testing.TB, change func(name string, cfg *node.Config)) *federationOfFive {
	return newFiveOf(t, planYAML, change)
}

func newFiveOf(t testing.TB, plan string, change func(name string, cfg *node.Config)) *federationOfFive {
	return newFiveWith(t, parsePlan(t, plan), change)
}

func newFiveWith(t testing.TB, plan *federation.Plan, change func(name string, cfg *node.Config)) *federationOfFive {
	f := &federationOfFive{nodes: map[string]*member{}, planning: plan}
	f.fake, f.keys = newFake(t, members)
	f.plan = f.planning
	var err error
	f.machine, err = schedule.New(f.plan.Learning())
	require.NoError(t, err)
	f.begin()
	for i, name := range members {
		f.nodes[name] = f.newMember(name, uint64(i), change)
	}
	for _, name := range members {
		f.nodes[name].start(t)
	}
	f.ready(5)
	return f
}

// begin sets the state before the first round.
func (f *federationOfFive) begin() {
	model, err := f.machine.Digest()
	require.NoError(f.t, err)
	f.state = secagg.InitialState(f.plan.Digest(), model)
}

func sha(b []byte) [32]byte { return sha256.Sum256(b) }

func replace(s, old, new string) string { return strings.Replace(s, old, new, 1) }

func (f *federationOfFive) newMember(name string, seed uint64, change func(string, *node.Config)) *member {
	schema, err := feature.ParseSchema([]byte(schemaYAML))
	require.NoError(f.t, err)
	table, err := feature.ReadCSV(bytes.NewReader([]byte(csv(seed))), schema, feature.Limits{})
	require.NoError(f.t, err)
	m := &member{store: &node.Memory{}, ledger: &node.MemoryLedger{}, capture: &link.Capture{}}
	require.NoError(f.t, m.store.AcceptRoster(f.signed()))
	c := f.credentials(identity.Peer{Federation: "eu-documents", Kind: identity.Member, Name: name})
	key := f.keys[name]
	m.cfg = node.Config{
		Member: name, Address: f.address, TLS: identity.ClientConfig(f.trust, identity.NewSource(c)),
		Sign:  func(b []byte) ([]byte, error) { return ed25519.Sign(key, b), nil },
		Store: m.store, Ledger: m.ledger, Table: table, Tick: 10 * time.Millisecond,
		Approve: func(*federation.Plan) bool { return true }, Today: func() string { return "2026-11-24" },
		Random: func(_ node.RunID, step uint32, use node.Use) io.Reader {
			var s [32]byte
			copy(s[:], fmt.Sprintf("%s %d %s", name, step, use))
			return rand.NewChaCha8(s)
		},
		Record: m.capture.Record, Received: m.capture.Received,
		Log: slog.New(slog.NewTextHandler(testWriter{f.t}, nil)).With("member", name),
		Hooks: node.Hooks{
			Phase: func(_ node.RunID, _ uint32, phase string) {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.phases = append(m.phases, phase)
			},
			Left: func(_ node.RunID, _ uint32, err error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.lefts = append(m.lefts, err)
			},
		},
	}
	if change != nil {
		change(name, &m.cfg)
	}
	return m
}

// testWriter writes logs into the test's, while it runs.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	if testing.Verbose() {
		fmt.Print(string(b))
	}
	return len(b), nil
}

func (m *member) start(t testing.TB) {
	var err error
	m.node, err = node.New(m.cfg)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	m.stop, m.done = stop, make(chan error, 1)
	go func() { m.done <- m.node.Run(ctx) }()
	t.Cleanup(m.kill)
}

// kill stops a node; it may be called twice.
func (m *member) kill() {
	m.stop()
	if m.done != nil {
		<-m.done
		m.done = nil
	}
}

// ready waits until n members are connected and have approved.
func (f *federationOfFive) ready(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	require.True(f.t, f.await(30*time.Second, func() bool { return len(f.streams) >= n && len(f.approved) >= n }), "nodes are not ready")
}

// finish plays rounds until the plan is complete.
func (f *federationOfFive) finish() {
	for {
		f.mu.Lock()
		_, more := f.machine.Next()
		f.mu.Unlock()
		if !more {
			return
		}
		require.NoError(f.t, f.playRound(20*time.Second, nil))
	}
}

// eventually waits for what a node does after the last word of the coordinator.
func eventually(t testing.TB, cond func() bool, what string) {
	require.Eventually(t, cond, 30*time.Second, 5*time.Millisecond, what)
}

// failingTable is a national table whose error names a column that must not leave.
func failingTable(*feature.Schema) (*feature.Table, [32]byte, error) {
	return nil, [32]byte{}, errors.New("line 7, column secret-column: not a number")
}
