package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/benchmarks/report"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/card"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/trees"
	"github.com/koinon-eu/koinon/models/trees/treestest"
)

const schemaYAML = `name: document-risk
id: case
label: {column: fraud, positive: "1"}
columns:
  age_days: {type: number, range: [0, 4000]}
  template: {type: category}
  sex: {type: category, role: group, values: [F, M]}
`

// table is what a member might hold: old documents of template B are risky.
func table() string {
	var b strings.Builder
	b.WriteString("case,age_days,template,sex,fraud\n")
	for i := range 400 {
		old, risky := i%7, i%5 == 0
		template, fraud := "A", 0
		if risky {
			template = "B"
		}
		if risky && old > 3 || i%41 == 0 {
			fraud = 1
		}
		fmt.Fprintf(&b, "c%03d,%d,%s,%s,%d\n", i, old*400, template, []string{"F", "M"}[i%2], fraud)
	}
	return b.String()
}

func encoder(t testing.TB) (*feature.Encoder, *feature.Statistics, *feature.Table) {
	t.Helper()
	schema, err := feature.ParseSchema([]byte(schemaYAML))
	require.NoError(t, err)
	rows, err := feature.ReadCSV(strings.NewReader(table()), schema, feature.Limits{})
	require.NoError(t, err)
	machine := feature.NewStatistics(schema)
	for !machine.Done() {
		sum, err := machine.Count(rows)
		require.NoError(t, err)
		require.NoError(t, machine.Apply(sum))
	}
	e, err := machine.Encoder()
	require.NoError(t, err)
	return e, machine, rows
}

// model is a logistic regression with weights set by hand.
func model(t testing.TB, e *feature.Encoder, plan release.Digest) *artifact.Model {
	t.Helper()
	m := &artifact.Model{
		Header: artifact.Header{
			Name: "document-risk-1", Purpose: "document-risk", Plan: plan.String(),
			Architecture: arch.Spec{Kind: arch.Logistic}, Threshold: 0.3, Bands: artifact.BandsAt(0.3, 0.6),
		},
		Encoder: e,
	}
	n, err := m.Header.Architecture.Params(m.Shape())
	require.NoError(t, err)
	m.Params = make([]float32, n)
	for i := range m.Params {
		m.Params[i] = float32(math.Sin(float64(3*i + 1)))
	}
	return m
}

// evaluate builds the report of a model on the table it was made of.
func evaluate(t testing.TB, m *artifact.Model, rows *feature.Table, plan, digest release.Digest) *report.Report {
	t.Helper()
	scorer, err := m.NewScorer()
	require.NoError(t, err)
	advisories, err := scorer.Score(rows, 0)
	require.NoError(t, err)
	scores := make([]float64, len(advisories))
	for i, a := range advisories {
		scores[i] = a.Score
	}
	codes, _ := rows.Category("sex")
	group := make([]int16, len(codes))
	for i, c := range codes {
		group[i] = int16(c)
	}
	s := metrics.TallySchema{Groups: []metrics.GroupColumn{{Name: "sex", Values: []string{"F", "M"}}}}
	words, err := s.Count(scores, rows.Label(), [][]int16{group})
	require.NoError(t, err)
	tally, err := s.Parse(words)
	require.NoError(t, err)
	least := 0.0
	rep, err := report.Build(report.Input{
		Tally: tally,
		Plan: report.Plan{
			Federation: "demo", Name: "document-risk", Digest: plan.String(), Artifact: digest.String(), Purpose: "document-risk",
			Unit: "document", Target: "false documents", Use: "order of examination", Architecture: m.Header.Architecture.Kind, Algorithm: "by hand",
			Members: members, FPR: 0.05,
		},
		Rounds: []report.Round{{Number: 1, Kind: "statistics", Survivors: members}, {Number: 2, Kind: "train", Survivors: members[:2]}},
		Gates:  []fairness.Gate{{Metric: fairness.AUROC, Bound: fairness.Lower, AtLeast: &least}},
	})
	require.NoError(t, err)
	return rep
}

var members = []string{"DE", "FR", "IT"}

// world is everything a script needs, made once.
type world struct {
	dir     string
	release *release.Release // of a logistic regression
	forest  *release.Release // of boosted trees
}

// signers approve and seal.
type signers struct {
	release, ada crypto.Signer
	bo           ed25519.PrivateKey
}

// newWorld writes keys and trust files, and seals releases.
func newWorld(t testing.TB) world {
	t.Helper()
	w := world{dir: t.TempDir()}
	pub, bo, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	keys := signers{newKey(t), newKey(t), bo}
	w.publicKey(t, "release.pub", keys.release.Public())
	w.publicKey(t, "other.pub", newKey(t).Public())
	w.publicKey(t, "ada.pub", keys.ada.Public())
	w.publicKey(t, "bo.pub", pub)
	w.write(t, "trust.yaml", "release_keys: [release.pub]\napprovers:\n"+
		"  - {person: Ada, role: data-protection, key: ada.pub}\n  - {person: Bo, role: model-owner, key: bo.pub}\nca: ca.pem\n")
	w.write(t, "struck-off.yaml", "release_keys: [release.pub]\napprovers:\n  - {person: Ada, role: data-protection, key: ada.pub}\n")

	plan := release.Digest{1}
	e, statistics, rows := encoder(t)
	m := model(t, e, plan)
	w.release = keys.seal(t, m, rows, plan)
	f := model(t, e, plan)
	grow(t, f, statistics, rows)
	w.forest = keys.seal(t, f, rows, plan)
	return w
}

// grow makes a model boosted trees.
func grow(t testing.TB, m *artifact.Model, statistics *feature.Statistics, rows *feature.Table) {
	t.Helper()
	m.Header.Name = "document-forest-1"
	m.Header.Architecture = arch.Spec{Kind: arch.Trees, Trees: &trees.Params{Trees: 5, Depth: 3}}.WithDefaults()
	p := *m.Header.Architecture.Trees
	bins, err := trees.NewBins(statistics, m.Encoder, p.Bins, p.Floor)
	require.NoError(t, err)
	machine, err := trees.New(trees.Config{Params: p, Rows: m.Encoder.Rows, Positives: m.Encoder.Positives}, bins)
	require.NoError(t, err)
	member, err := treestest.New(bins, m.Encoder, rows)
	require.NoError(t, err)
	for !machine.Done() {
		require.NoError(t, machine.Apply(treestest.Sum(machine, member)))
	}
	m.Params, m.Ensemble = nil, machine.Ensemble()
}

// seal makes a release of a model the way a coordinator makes one.
func (k signers) seal(t testing.TB, m *artifact.Model, rows *feature.Table, plan release.Digest) *release.Release {
	t.Helper()
	bytes, err := m.Marshal()
	require.NoError(t, err)
	rep := evaluate(t, m, rows, plan, sha256.Sum256(bytes))
	record := &card.Record{
		Format: card.Format, Name: m.Header.Name, Federation: "demo",
		Model: card.Model{Architecture: m.Header.Architecture.Kind, Digest: hexOf(bytes)},
	}
	record.AddReport(rep, nil)
	at := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	files, err := release.Draft(release.Statement{
		Federation: "demo", Created: release.FormatTime(at), Code: "v0.1.0", Purpose: "document-risk",
		Plan: release.Plan{Name: "document-risk", Digest: plan}, Roster: release.Digest{2}, Members: members,
		Rounds: []release.Round{
			{Round: 1, Kind: "statistics", Step: release.Digest{3}, Survivors: members, H3: release.Digest{4}},
			{Round: 2, Kind: "train", Step: release.Digest{5}, Survivors: members[:2], H3: release.Digest{6}},
		},
		Thresholds: []release.Threshold{{Name: "raised", Value: 0.3}, {Name: "high", Value: 0.6}},
	}, record, rep, bytes, m.Encoder.Canonical())
	require.NoError(t, err)
	digest := release.StatementDigest(files[release.StatementFile])
	first, err := release.Approve(k.ada, "Ada", "data-protection", digest, at)
	require.NoError(t, err)
	second, err := release.Approve(k.bo, "Bo", "model-owner", digest, at)
	require.NoError(t, err)
	sealed, err := release.Seal(files, []release.Approval{first, second}, nil, k.release)
	require.NoError(t, err)
	return sealed
}

func hexOf(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func (w world) publicKey(t testing.TB, name string, key crypto.PublicKey) {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	require.NoError(t, err)
	w.write(t, name, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
}

func (w world) write(t testing.TB, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644))
}
