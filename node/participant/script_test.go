package participant_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/prg"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/hpkeseal"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/participant"
)

const schemaYAML = `
name: document-risk
unit: application
label: {column: fraud_found, positive: "1", empty: skip}
columns:
  doc_age_years: {type: number, unit: years, range: [0, 10]}
  chip_auth:     {type: category, values: [ok, no_chip]}
  sex:           {type: category, role: group, values: [female, male]}
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
roles: {provider: authority, deployers: [M1, M2, M3, M4, M5]}
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
cohort: {members: [M1, M2, M3, M4, M5], minimum: 4}
gates:
  - {metric: auroc, bound: lower, at_least: 0.75, evidence: {positives: 100}}
`

// today lies within the plan's validity.
const today = "2026-11-24"

func plan(t *testing.T) *federation.Plan {
	p, err := federation.ParsePlan([]byte(planYAML), func(name string) ([]byte, error) {
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

// script is a federation of five in memory: participants on one side, a secagg.Server on the other, and a test
// between them.
type script struct {
	t      *testing.T
	roster *federation.Roster
	keys   map[uint8]ed25519.PrivateKey
	plan   *federation.Plan
	step   schedule.Step
	sum    secagg.Sum // as every honest side derives it
	server *secagg.Server

	parts   map[uint8]*participant.Participant
	uploads map[uint8]*secagg.Upload
	facts   map[uint8][]secagg.Fact
	closed  map[uint8]*secagg.Closed
	said    map[uint8][]secagg.Frame // what each said last
}

func newScript(t *testing.T) *script {
	s := &script{
		t: t, plan: plan(t), keys: map[uint8]ed25519.PrivateKey{}, parts: map[uint8]*participant.Participant{},
		uploads: map[uint8]*secagg.Upload{}, facts: map[uint8][]secagg.Fact{}, closed: map[uint8]*secagg.Closed{},
		said: map[uint8][]secagg.Frame{},
	}
	for i := range uint8(6) {
		seed := sha256.Sum256([]byte{'k', i})
		s.keys[i] = ed25519.NewKeyFromSeed(seed[:])
	}
	s.roster = &federation.Roster{
		Federation: "eu-documents", ID: federation.FederationID("eu-documents", [32]byte{1}), Version: 1,
		Coordinator: federation.Key(s.keys[0].Public().(ed25519.PublicKey)),
	}
	for i, name := range s.plan.Cohort.Members {
		index := uint8(i + 1)
		s.roster.Members = append(s.roster.Members, federation.Member{
			Name: name, Index: index, Key: federation.Key(s.keys[index].Public().(ed25519.PublicKey)),
		})
	}
	machine, err := schedule.New(s.plan.Learning())
	require.NoError(t, err)
	model, err := machine.Digest()
	require.NoError(t, err)
	var more bool
	s.step, more = machine.Next()
	require.True(t, more)
	s.sum = s.plan.Sum(s.step, [16]byte{7}, 4, secagg.InitialState(s.plan.Digest(), model), model)
	return s
}

func (s *script) sign(i uint8) secagg.Signer {
	return func(m []byte) ([]byte, error) { return ed25519.Sign(s.keys[i], m), nil }
}

// config is what member i's node knows by itself.
func (s *script) config(i uint8) participant.Config {
	return participant.Config{
		Self: i, Roster: s.roster, Plan: s.plan, Approved: true, Today: today, Policy: federation.DefaultPolicy(),
		Run: [16]byte{7}, LastRound: 3, Expect: s.sum, Number: 1, Rows: 50, Sign: s.sign(i), Seal: hpkeseal.Seal,
		Rho: sha256.Sum256([]byte{'r', i}),
	}
}

// serve makes the coordinator's side for a sum that may be a lie.
func (s *script) serve(sum secagg.Sum) *secagg.Server {
	cohort, err := s.plan.Set(s.roster)
	require.NoError(s.t, err)
	spec, err := s.plan.Spec(s.roster, sum, sha256.Sum256([]byte("nonce")))
	require.NoError(s.t, err)
	server, err := secagg.NewServer(secagg.ServerConfig{
		Roster: s.roster.SecAgg(), RosterDigest: s.roster.Digest(), Federation: s.roster.ID, Plan: s.plan.Digest(),
		Cohort: cohort, Spec: spec, Sum: sum, Sign: s.sign(0),
	})
	require.NoError(s.t, err)
	return server
}

// abortOf is the coordinator's signed abort of sum k (§5, 7f).
func (s *script) abortOf(spec secagg.Spec, k byte) secagg.Frame {
	body := append([]byte{0, k, secagg.ReasonUnmask}, make([]byte, 32)...)
	tag, digest := "koinon/secagg/v1/abort", spec.Digest()
	message := append(append([]byte{uint8(len(tag))}, tag...), digest[:]...)
	signature, err := s.sign(0)(append(append(message, 0), body...))
	require.NoError(s.t, err)
	return secagg.Frame{Type: secagg.TypeAbort, Body: body, Signature: signature}
}

// start makes all participants, with a last word of the test on each configuration.
func (s *script) start(change func(i uint8, cfg *participant.Config)) *script {
	s.server = s.serve(s.sum)
	for i := uint8(1); i <= 5; i++ {
		cfg := s.config(i)
		if change != nil {
			change(i, &cfg)
		}
		p, err := participant.New(cfg)
		require.NoError(s.t, err)
		s.parts[i] = p
	}
	return s
}

// vector is an honest, empty answer to the statistics step.
func (s *script) vector() []uint64 {
	words, err := s.step.Encoding.Encode(nil, make([]int64, s.step.Encoding.Layout.Ints), 50, zero{})
	require.NoError(s.t, err)
	return words
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// give hands a packet to member i and its answer to the server, training and upload included.
func (s *script) give(i uint8, frames []secagg.Frame) error {
	out, err := s.parts[i].Receive(frames)
	if err != nil {
		return err
	}
	s.take(i, out)
	if out.Train {
		if out, err = s.parts[i].Vector(s.vector()); err != nil {
			return err
		}
		s.take(i, out)
	}
	return nil
}

func (s *script) take(i uint8, out participant.Output) {
	s.facts[i] = append(s.facts[i], out.Store...)
	if out.Closed != nil {
		s.closed[i] = out.Closed
	}
	if len(out.Send) > 0 {
		s.said[i] = out.Send
		require.NoError(s.t, s.server.Receive(i, out.Send))
	}
	if out.Upload != nil {
		s.uploads[i] = out.Upload
		for q := range out.Upload.Chunks {
			require.NoError(s.t, s.server.Chunk(i, uint32(q), out.Upload.Chunk(q)))
		}
		require.NoError(s.t, s.server.MarkWhole(i))
		require.NoError(s.t, s.parts[i].Uploaded())
	}
}

// all hands one packet to every member of a set, all of which must accept it.
func (s *script) all(set secagg.Set, frames []secagg.Frame) {
	for _, i := range set.Members() {
		require.NoError(s.t, s.give(i, frames))
	}
}

// The phases, each by its coordinator's packet.

func (s *script) advertise() { s.all(secagg.SetOf(1, 2, 3, 4, 5), s.server.Opening()) }

func (s *script) share() {
	frames, err := s.server.CloseAdvertise()
	require.NoError(s.t, err)
	s.all(s.server.Advertised(), frames)
}

func (s *script) mask(who secagg.Set) {
	frames, err := s.server.CloseShare()
	require.NoError(s.t, err)
	for _, i := range who.Members() {
		require.NoError(s.t, s.give(i, frames[i]))
	}
}

func (s *script) agree() []secagg.Frame {
	frames, err := s.server.CloseMask()
	require.NoError(s.t, err)
	s.all(s.server.Survivors(), frames)
	return frames
}

func (s *script) certificate() []secagg.Frame {
	frames, ok := s.server.Certificate()
	require.True(s.t, ok)
	return frames
}

func (s *script) result() []secagg.Frame {
	streams, err := s.server.Open()
	require.NoError(s.t, err)
	sum := make([]uint64, s.server.Sum().Layout().Words())
	for _, j := range s.server.Survivors().Members() {
		ring.Add(sum, s.uploads[j].Words)
	}
	prg.Apply(sum, 0, streams)
	frames, err := s.server.Result(uint32(len(sum)), secagg.SumRoot(sum), [32]byte{1}, [32]byte{2})
	require.NoError(s.t, err)
	return frames
}
