package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/keystore"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/budget"
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
roles: {provider: authority, deployers: [DE, FR, IT, PL, PT]}
affected_groups: [sex]
features: {deny: [sex]}
decision_role: advisory
oversight: {verifiers: 1, reason_required: true, random_examination_share: 0.02}
valid_until: 2099-12-01
lawpack: eu-2026-07-27
`

const planYAML = `
name: document-risk-2026-1
declaration: declaration.yaml
schema: schema.yaml
architecture: {kind: logistic, l2: 1.0}
algorithm: {name: fedadam, rounds: 60}
cohort: {members: [DE, FR, IT, PL, PT], minimum: 4}
gates:
  - {metric: auroc, bound: lower, at_least: 0.75, evidence: {positives: 100}}
`

func parsePlan(t *testing.T) *federation.Plan {
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

// enrolled makes a directory as enroll leaves it, with a coordinator that is not there.
func enrolled(t *testing.T) node.Dir {
	d := node.Dir(filepath.Join(t.TempDir(), "DE"))
	require.NoError(t, d.Make())
	key, err := keystore.Generate(d.Path("keys", "identity.pem"), keystore.Ed25519)
	require.NoError(t, err)
	authority, err := identity.CreateAuthority(filepath.Join(t.TempDir(), "ca.pem"), "eu-documents", time.Now)
	require.NoError(t, err)
	tlsKey, err := identity.NewKey()
	require.NoError(t, err)
	profile := identity.Profile{Peer: identity.Peer{Federation: "eu-documents", Kind: identity.Member, Name: "DE"}}
	csr, err := identity.NewRequest(tlsKey, profile)
	require.NoError(t, err)
	chain, err := authority.Issue(t.Context(), csr, profile)
	require.NoError(t, err)
	c, err := identity.NewCredentials(tlsKey, chain)
	require.NoError(t, err)
	require.NoError(t, c.Save(d.Path("certs", "node.pem")))
	require.NoError(t, os.WriteFile(d.Path("certs", "ca.pem"), identity.EncodeRoot(authority.Root()), 0o600))
	require.NoError(t, d.AcceptRoster(signedRoster(t, key.Public().(ed25519.PublicKey), 1)))
	require.NoError(t, os.WriteFile(d.Path("node.yaml"), []byte("federation: eu-documents\nmember: DE\ncoordinator: 127.0.0.1:1\ndata: table.csv\n"), 0o600))
	require.NoError(t, os.WriteFile(d.Path("table.csv"), []byte("doc_age_years,chip_auth,sex,fraud_found\n1.5,ok,female,0\n9,no_chip,male,1\n"), 0o600))
	require.NoError(t, d.KeepPlan(parsePlan(t)))
	return d
}

var coordinatorKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))

// signedRoster makes a signed roster of five, version 1, or with one member more, version 2.
func signedRoster(t *testing.T, de ed25519.PublicKey, version uint32) federation.SignedRoster {
	r := &federation.Roster{
		Federation: "eu-documents", ID: federation.Digest{1}, Version: version,
		Coordinator: federation.Key(coordinatorKey.Public().(ed25519.PublicKey)),
	}
	names := []string{"DE", "FR", "IT", "PL", "PT", "RO"}[:4+version]
	for i, name := range names {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 20)}, 32)).Public().(ed25519.PublicKey)
		if name == "DE" {
			key = de
		}
		r.Members = append(r.Members, federation.Member{Name: name, Index: uint8(i + 1), Key: federation.Key(key)})
	}
	s, err := federation.SignRoster(r, func(m []byte) ([]byte, error) { return ed25519.Sign(coordinatorKey, m), nil })
	require.NoError(t, err)
	return s
}

// run runs one command and returns its exit code and what it printed.
func run(t *testing.T, stdin string, args ...string) (code int, out, problems string) {
	var o, e bytes.Buffer
	code = cli.Run(t.Context(), cli.Streams{In: strings.NewReader(stdin), Out: &o, Err: &e}, args, "koinon-node", "test", &grammar{}, cli.Description(description))
	return code, o.String(), e.String()
}

func TestEveryCommandHasAnExample(t *testing.T) {
	missing, err := cli.WithoutExample("koinon-node", &grammar{}, cli.Description(description))
	require.NoError(t, err)
	require.Empty(t, missing)
}

func TestOffline(t *testing.T) {
	d := enrolled(t)
	dir := "--dir=" + string(d)
	for name, c := range map[string]struct {
		args []string
		code int
		out  []string
		err  []string
	}{
		"plan list":       {[]string{"plan", "list", dir, "--offline"}, 0, []string{"document-risk-2026-1", "none"}, nil},
		"plan show":       {[]string{"plan", "show", dir, "document-risk-2026-1"}, 0, []string{"N = 5, t = 4, c = 1: DE FR IT PL PT", "document-risk: order of expert", "law rules      allowed", "What its sums reveal", "never one\n    member's part"}, nil},
		"plan unknown":    {[]string{"plan", "show", dir, "other"}, 1, nil, []string{`error: no plan "other"`, "hint: list what was offered"}},
		"roster show":     {[]string{"roster", "show", dir, "--offline"}, 0, []string{"roster version 1 of eu-documents", "PT"}, nil},
		"data check":      {[]string{"data", "check", dir, "--plan", "document-risk-2026-1"}, 0, []string{"2 rows", "no errors"}, nil},
		"data check how":  {[]string{"data", "check", dir}, 2, nil, []string{"error: give --schema or --plan"}},
		"budget show":     {[]string{"budget", "show", dir}, 0, []string{"PLAN"}, nil},
		"egress list":     {[]string{"egress", "list", dir}, 0, []string{"TIME"}, nil},
		"egress verify":   {[]string{"egress", "verify", "--dir=" + t.TempDir()}, 1, nil, []string{"error: there is no egress record in", "hint: "}},
		"budget verify":   {[]string{"budget", "verify", dir}, 1, nil, []string{"error: there is no ledger in", "hint: "}},
		"list nowhere":    {[]string{"plan", "list", "--dir=" + t.TempDir()}, 1, nil, []string{"node.yaml", "or make one with: koinon-node enroll"}},
		"show nowhere":    {[]string{"roster", "show", "--dir=" + t.TempDir()}, 1, nil, []string{"node.yaml", "or make one with: koinon-node enroll"}},
		"nowhere offline": {[]string{"roster", "show", "--offline", "--dir=" + t.TempDir()}, 1, nil, []string{"roster.json", "or make one with: koinon-node enroll"}},
		"list unreached":  {[]string{"plan", "list", dir}, 1, nil, []string{"coordinator not reached", "add --offline"}},
		"accept version":  {[]string{"roster", "accept", "7", dir}, 1, nil, []string{"coordinator not reached"}},
		"figures":         {[]string{"figures", "show", dir}, 0, []string{"AUROC ALONE"}, nil},
		"no directory":    {[]string{"plan", "show", "--dir=" + t.TempDir(), "x"}, 1, nil, []string{"error: no plan"}},
		"serve nowhere":   {[]string{"serve", "--dir=" + t.TempDir()}, 1, nil, []string{"error: configuration", "hint: name the state directory"}},
		"unknown command": {[]string{"plans"}, 2, nil, []string{"error: ", "hint: "}},
		"unknown flag":    {[]string{"serve", "--fast"}, 2, nil, []string{"error: unknown flag --fast", "hint: "}},
		"approve offline": {[]string{"plan", "approve", dir, "document-risk-2026-1"}, 1, nil, []string{"coordinator not reached", "hint: check that the coordinator runs"}},
		"roster offline":  {[]string{"roster", "accept", dir}, 1, nil, []string{"coordinator not reached"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, problems := run(t, "", c.args...)
			require.Equal(t, c.code, code, "%s%s", out, problems)
			for _, s := range c.out {
				require.Contains(t, out, s)
			}
			for _, s := range c.err {
				require.Contains(t, problems, s)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	d := enrolled(t)
	dir := "--dir=" + string(d)
	for _, args := range [][]string{
		{"plan", "list", dir, "--offline", "--json"},
		{"plan", "show", dir, "document-risk-2026-1", "--json"},
		{"roster", "show", dir, "--offline", "--json"},
		{"data", "check", dir, "--plan", "document-risk-2026-1", "--json"},
		{"budget", "show", dir, "--json"},
		{"egress", "list", dir, "--json"},
		{"figures", "show", dir, "--json"},
	} {
		code, out, problems := run(t, "", args...)
		require.Zero(t, code, problems)
		require.True(t, json.Valid([]byte(out)), "%v: %s", args, out)
	}
}

func TestRosterChanges(t *testing.T) {
	d := enrolled(t)
	_, accepted, err := d.Offered()
	require.ErrorIs(t, err, node.ErrUnknown)
	require.Nil(t, accepted)
	r, err := d.Roster()
	require.NoError(t, err)
	de, _ := r.Member("DE")
	require.NoError(t, d.OfferRoster(signedRoster(t, ed25519.PublicKey(de.Key), 2)))
	code, out, _ := run(t, "", "roster", "show", "--dir="+string(d), "--offline")
	require.Zero(t, code)
	require.Contains(t, out, "version 2 is offered and changes")
	require.Contains(t, out, "RO  joined")
	require.Contains(t, out, "koinon-node roster accept 2\n")
	_, err = d.AcceptOffered(3)
	require.ErrorContains(t, err, "version 2, not 3")
	_, err = d.AcceptOffered(2)
	require.NoError(t, err)
	_, _, err = d.Offered()
	require.ErrorIs(t, err, node.ErrUnknown)
}

// TestRosterChangesNothing is what an enrolment with the same key makes: another version of the same list.
func TestRosterChangesNothing(t *testing.T) {
	d := enrolled(t)
	accepted, err := d.Roster()
	require.NoError(t, err)
	accepted.Version = 2
	same, err := federation.SignRoster(accepted, func(m []byte) ([]byte, error) { return ed25519.Sign(coordinatorKey, m), nil })
	require.NoError(t, err)
	require.NoError(t, d.OfferRoster(same))
	code, out, _ := run(t, "", "roster", "show", "--dir="+string(d), "--offline")
	require.Zero(t, code)
	require.Contains(t, out, "version 2 is offered and changes nothing\n")
}

// TestRecords holds both records, whole and damaged.
func TestRecords(t *testing.T) {
	d := enrolled(t)
	dir := "--dir=" + string(d)
	ledger, err := budget.Open(d.BudgetPath(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, ledger.Round(1, budget.Run{1}, 1))
	require.NoError(t, ledger.Round(1, budget.Run{1}, 2))
	require.NoError(t, ledger.Close())
	record, err := d.OperatorEgress(time.Now())
	require.NoError(t, err)
	require.NoError(t, record.Close())

	code, out, problems := run(t, "", "budget", "verify", dir, "--json")
	require.Zero(t, code, problems)
	var shown map[string]map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &shown))
	require.EqualValues(t, 2, shown["budget"]["entries"])
	require.Len(t, shown["budget"]["head"], 64)
	code, out, problems = run(t, "", "egress", "verify", dir, "--json")
	require.Zero(t, code, problems)
	shown = nil
	require.NoError(t, json.Unmarshal([]byte(out), &shown))
	require.Contains(t, shown, "egress_operator")

	text, err := os.ReadFile(d.BudgetPath())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(d.BudgetPath(), bytes.Replace(text, []byte(`"seq":1`), []byte(`"seq":9`), 1), 0o600))
	for _, args := range [][]string{{"budget", "verify", dir}, {"budget", "show", dir}, {"serve", dir}} {
		code, _, problems = run(t, "", args...)
		require.Equal(t, 1, code)
		require.Contains(t, problems, "content does not match its digest")
		require.Contains(t, problems, "hint: the file was changed or damaged", "%v", args)
	}
}

func TestPermissionIsExplained(t *testing.T) {
	require.Contains(t, cli.HintOf(hinted(fmt.Errorf("sync: %w", fs.ErrPermission))), "chown -R")
}

// TestDoctorOwner: a file that another user has written is found, and doctor itself then leaves none.
func TestDoctorOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give files away")
	}
	d := enrolled(t)
	require.NoError(t, os.Chown(d.Path("roster.json"), 1, 1))
	code, out, _ := run(t, "", "doctor", "--dir="+string(d))
	require.Equal(t, 1, code)
	require.Regexp(t, `fail  owner +1 files do not belong .*roster\.json`, out)
	require.Contains(t, out, "chown -R")
	require.Regexp(t, `warn  coordinator +not asked`, out)
}

func TestDoctor(t *testing.T) {
	d := enrolled(t)
	code, out, problems := run(t, "", "doctor", "--dir="+string(d))
	require.Equal(t, 1, code)
	for _, line := range []string{"ok    config", "ok    owner", "ok    keys", "ok    certificate", "ok    clock", "ok    roster", "ok    budget", "ok    egress", "ok    data", "fail  coordinator"} {
		require.Contains(t, out, line)
	}
	require.Contains(t, problems, "1 of 13 checks failed")

	require.NoError(t, os.Chmod(d.Path("keys"), 0o755))
	require.NoError(t, os.WriteFile(d.Path("budget.log"), []byte("not a ledger\n"), 0o600))
	require.NoError(t, d.Decide(node.Decision{Plan: parsePlan(t).Digest(), Approve: true, Time: time.Now()}))
	require.NoError(t, os.WriteFile(d.Path("table.csv"), []byte("doc_age_years,chip_auth,sex,fraud_found\n99,ok,female,0\n"), 0o600))
	require.NoError(t, os.WriteFile(d.Path("node.yaml"), []byte("federation: eu-documents\nmember: DE\ncoordinator: 127.0.0.1:1\ndata: table.csv\npolicy: none.yaml\n"), 0o600))
	findings := examine(context.Background(), d, time.Now().Add(-2*time.Hour))
	states := map[string]string{}
	for _, f := range findings {
		states[f.Check] = f.State
		if f.State != "ok" {
			require.NotEmpty(t, f.Hint, f.Check)
		}
	}
	for _, check := range []string{"keys", "budget", "data", "clock", "policy", "certificate"} {
		require.Contains(t, []string{"fail", "warn"}, states[check], check)
	}

	code, out, _ = run(t, "", "doctor", "--dir="+t.TempDir())
	require.Equal(t, 1, code)
	require.Contains(t, out, "fail  config")
}

func TestEnrollSaysWhatIsWrong(t *testing.T) {
	code, _, problems := run(t, "koinon-invite-v1.broken", "enroll", "--dir="+t.TempDir())
	require.Equal(t, 1, code)
	require.Contains(t, problems, "error: invite is not valid")
	require.Contains(t, problems, "hint: copy the whole line")
	code, _, problems = run(t, "", "enroll", "--dir="+t.TempDir(), "--invite-file", filepath.Join(t.TempDir(), "none"))
	require.Equal(t, 1, code)
	require.Contains(t, problems, "no such file")
}

func TestEnrollComparesTheFingerprint(t *testing.T) {
	secret, err := identity.NewSecret(strings.NewReader(strings.Repeat("s", 32)))
	require.NoError(t, err)
	invite := identity.Invite{
		Federation: "eu-documents", Member: "DE", Server: "127.0.0.1:1", Root: identity.Fingerprint{7}, Secret: secret,
		Expires: time.Now().Add(time.Hour).Truncate(time.Second),
	}
	text, err := invite.Text()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "node")
	code, _, problems := run(t, text, "enroll", "--dir="+dir, "--fingerprint", identity.Fingerprint{8}.String())
	require.Equal(t, 1, code)
	require.Contains(t, problems, "error: the invite has fingerprint 07")
	require.Contains(t, problems, "hint: nothing was sent")
	require.NoDirExists(t, dir)
	code, _, problems = run(t, text, "enroll", "--dir="+dir, "--fingerprint", "08")
	require.Equal(t, 2, code)
	require.Contains(t, problems, "want 64 hexadecimal digits")
	code, _, problems = run(t, text, "enroll", "--dir="+dir, "--fingerprint", strings.ToUpper(invite.Root.String()))
	require.Equal(t, 1, code)
	require.Contains(t, problems, "coordinator not reached", "the right one goes on")
	require.Contains(t, advice(node.Enrolled{Authority: "f4b8"}), "by telephone:\n  f4b8\n")
}

// TestDataCheckOfAServer: flags, and errors in one line with a hint.
func TestDataCheckOfAServer(t *testing.T) {
	d := enrolled(t)
	schema := filepath.Join(t.TempDir(), "schema.yaml")
	require.NoError(t, os.WriteFile(schema, []byte(schemaYAML), 0o600))
	dsn := filepath.Join(t.TempDir(), "dsn")
	require.NoError(t, os.WriteFile(dsn, []byte("postgres://reader:s3cret@127.0.0.1:1/cases"), 0o600))
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"down":     {[]string{"--postgres", "public.cases", "--dsn-file", dsn}, "error: PostgreSQL table public.cases: server at 127.0.0.1:1 is not reached: connect: connection refused\nhint: check that it runs"},
		"query":    {[]string{"--postgres", "select 1; select 2", "--dsn-file", dsn}, "want one statement"},
		"password": {[]string{"--postgres", "cases", "--dsn-file", dsn, "--password", "s3cret"}, "password reference must be file:PATH"},
		"both":     {[]string{"--postgres", "cases", "--data", "x.csv"}, "can't be used together"},
		"alone":    {[]string{"--dsn-file", dsn}, "go with --postgres"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, problems := run(t, "", append([]string{"data", "check", "--dir", string(d), "--schema", schema}, c.args...)...)
			require.NotZero(t, code)
			require.Contains(t, problems, c.want)
			require.NotContains(t, problems, "s3cret")
		})
	}
	require.NoError(t, os.WriteFile(d.Path("node.yaml"), []byte("federation: eu-documents\nmember: DE\ncoordinator: 127.0.0.1:1\ndata: {postgres: {table: cases, dsn_file: "+dsn+"}}\n"), 0o600))
	code, _, problems := run(t, "", "data", "check", "--dir", string(d), "--schema", schema)
	require.Equal(t, 1, code)
	require.Contains(t, problems, "is not reached")
	_, out, _ := run(t, "", "doctor", "--dir", string(d))
	require.Contains(t, out, "the PostgreSQL server was not asked: no plan is approved")
}
