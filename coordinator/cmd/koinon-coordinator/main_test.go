package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/crypto/keystore"
	"github.com/koinon-eu/koinon/deploy/cli"

	"github.com/stretchr/testify/require"
)

func command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = cli.Run(t.Context(), cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e}, args, "koinon-coordinator", "test", &grammar{})
	return code, o.String(), e.String()
}

func TestEveryCommandShowsAnExample(t *testing.T) {
	missing, err := cli.WithoutExample("koinon-coordinator", &grammar{})
	require.NoError(t, err)
	require.Empty(t, missing)
}

func initial(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "federation")
	args := []string{
		"init", "demo", "--dir", dir, "--admin", "anna:model-owner", "--admin", "ben:data-protection",
		"--host", "127.0.0.1", "--listen", "127.0.0.1", "--json",
	}
	for _, flag := range []string{"--federation-port", "--enrolment-port", "--web-port", "--metrics-port"} {
		args = append(args, flag, freePort(t))
	}
	code, out, errs := command(t, args...)
	require.Zero(t, code, errs)
	var facts map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &facts))
	require.Len(t, facts["fingerprint"], 64)
	return dir
}

// freePort finds a port that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

func TestInit(t *testing.T) {
	dir := initial(t)
	conf, err := load(dir)
	require.NoError(t, err)
	require.Equal(t, "demo", conf.Federation)
	people, err := conf.people(dir)
	require.NoError(t, err)
	require.Len(t, people, 2)
	require.NotNil(t, people[0].Key)
	for _, name := range []string{caFile, serverFile, identityFile, releaseFile, "admins/anna/approval.key", "admins/ben/credentials.pem", configFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
	before, err := os.ReadFile(filepath.Join(dir, caFile))
	require.NoError(t, err)
	code, _, errs := command(t, "init", "demo", "--dir", dir, "--admin", "anna:model-owner", "--admin", "ben:data-protection")
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, errs, "holds a federation already")
	after, err := os.ReadFile(filepath.Join(dir, caFile))
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// TestInitIsWholeOrNothing: what fails leaves no trace, and what is there stays.
func TestInitIsWholeOrNothing(t *testing.T) {
	parent := t.TempDir()
	key, err := keystore.Generate(filepath.Join(parent, "identity.key"), keystore.Ed25519)
	require.NoError(t, err)
	require.NotNil(t, key)
	there := filepath.Join(parent, "there") // as root makes it for the service's user
	require.NoError(t, os.Mkdir(there, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(there, ".profile"), nil, 0o600))
	attempt := func(dir string, more ...string) (int, string) {
		code, _, errs := command(t, append([]string{"init", "demo", "--dir", dir, "--admin", "anna:model-owner", "--admin", "ben:data-protection"}, more...)...)
		return code, errs
	}
	names := func(dir string) (out []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			out = append(out, e.Name())
		}
		return out
	}
	for _, dir := range []string{there, filepath.Join(parent, "absent")} {
		for want, reference := range map[string]string{
			"no such file": "file:" + filepath.Join(parent, "none.key"),
			"EC P-256":     "file:" + filepath.Join(parent, "identity.key"),
		} {
			code, errs := attempt(dir, "--release-key", reference)
			require.Equal(t, cli.ExitFailed, code)
			require.Contains(t, errs, "error: release key")
			require.Contains(t, errs, want)
		}
	}
	require.Equal(t, []string{"identity.key", "there"}, names(parent))
	require.Equal(t, []string{".profile"}, names(there))

	require.NoError(t, os.Mkdir(filepath.Join(there, "keys"), 0o700))
	code, errs := attempt(there)
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, errs, "holds keys already")
	require.NoError(t, os.Remove(filepath.Join(there, "keys")))

	release, err := keystore.Generate(filepath.Join(parent, "release.key"), keystore.P256)
	require.NoError(t, err)
	for _, dir := range []string{there, filepath.Join(parent, "deep", "absent")} {
		code, errs := attempt(dir, "--release-key", "file:"+filepath.Join(parent, "release.key"))
		require.Zero(t, code, errs)
		conf, err := load(dir)
		require.NoError(t, err)
		require.Equal(t, "file:"+filepath.Join(parent, "release.key"), conf.Keys.Release)
		public, err := os.ReadFile(filepath.Join(dir, releasePub))
		require.NoError(t, err)
		want, err := keystore.EncodePublic(release.Public())
		require.NoError(t, err)
		require.Equal(t, want, public)
		require.NoFileExists(t, filepath.Join(dir, releaseFile))
		info, err := os.Stat(dir)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
		for _, name := range names(dir) {
			require.NotContains(t, name, "koinon-init")
		}
	}
}

func TestPlanFilesStandBesideThePlan(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plan")
	require.NoError(t, os.Mkdir(dir, 0o700))
	outside := filepath.Join(filepath.Dir(dir), "schema.yaml")
	require.NoError(t, os.WriteFile(outside, []byte("name: x\n"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "link.yaml")))
	text := strings.Replace(plan, "%NAME%", "trial", 1)
	begin, end := strings.Index(text, "schema:"), strings.Index(text, "architecture:")
	for _, name := range []string{"../schema.yaml", outside, "link.yaml"} {
		file := filepath.Join(dir, "plan.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text[:begin]+"schema: "+name+"\n"+text[end:]), 0o600))
		code, _, errs := command(t, "plan", "check", file)
		require.Equal(t, cli.ExitFailed, code)
		require.Contains(t, errs, name+" must stand beside the plan")
		require.NotContains(t, errs, "escapes")
	}
	file := filepath.Join(dir, "plan.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text[:begin]+"schema: none.yaml\nminrows: 3\n"+text[end:]), 0o600))
	_, _, errs := command(t, "plan", "check", file)
	require.Regexp(t, `error: plan: line \d+: unknown key minrows\n`, errs)
}

func TestInitRefusals(t *testing.T) {
	for want, args := range map[string][]string{
		"two people in two roles": {"--admin", "anna:model-owner"},
		"two roles":               {"--admin", "anna:model-owner", "--admin", "ben:model-owner"},
		"NAME:ROLE":               {"--admin", "anna", "--admin", "ben:x"},
		"listed twice":            {"--admin", "anna:a", "--admin", "anna:b"},
	} {
		code, _, errs := command(t, append([]string{"init", "demo", "--dir", t.TempDir()}, args...)...)
		require.Equal(t, cli.ExitUsage, code)
		require.Contains(t, errs, want)
	}
	code, _, errs := command(t, "init", "Not A Name", "--dir", t.TempDir(), "--admin", "anna:a", "--admin", "ben:b")
	require.Equal(t, cli.ExitUsage, code, errs)
}

func TestConfigIsStrict(t *testing.T) {
	dir := initial(t)
	path := filepath.Join(dir, configFile)
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	for want, change := range map[string][2]string{
		"tock":            {"tick: 1s", "tock: 1s"},
		"duration":        {"tick: 1s", "tick: soon"},
		"host:port":       {"metrics: 127.0.0.1:", "metrics: nine"},
		"https://":        {"web: https://", "web: http://"},
		"key reference":   {"identity: file:", "identity: floppy:"},
		"two people":      {"- name: ben", "- name: anna"},
		"second YAML doc": {"federation: demo", "federation: demo\n---\n"},
	} {
		require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(good), change[0], change[1], 1)), 0o600))
		_, err := load(dir)
		require.Error(t, err, want)
	}
}

const plan = `
name: %NAME%
declaration:
  purpose_code: document-risk
  unit: document
  target: documents found false after examination
  use: order of expert examination
  profiling: true
  art6_3: none
  art5: {5(1)(c): no, 5(1)(d): no, 5(1)(g): no}
  regime: GDPR
  legal_basis: national act
  roles: {provider: authority}
  decision_role: advisory
  oversight: {verifiers: 1}
  valid_until: 2037-01-01
  lawpack: eu-2026-07-27
schema:
  name: document-risk
  label: {column: fraud, positive: "1"}
  columns: {age: {type: number}}
architecture: {kind: logistic}
cohort: {members: [DE, FR, IT]}
gates: [{metric: auroc, bound: lower, at_least: 0.6}]
`

// The service and its own commands, over real sockets.
func TestServe(t *testing.T) {
	dir := initial(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() {
		var out, errs bytes.Buffer
		done <- cli.Run(ctx, cli.Streams{Out: &out, Err: &errs}, []string{"serve", "--dir", dir}, "koinon-coordinator", "test", &grammar{})
	}()
	require.Eventually(t, func() bool {
		code, _, _ := command(t, "member", "list", "--dir", dir, "--as", "anna", "--json")
		return code == 0
	}, 20*time.Second, 50*time.Millisecond)

	code, out, errs := command(t, "member", "invite", "DE", "--dir", dir, "--as", "anna")
	require.Zero(t, code, errs)
	require.True(t, strings.HasPrefix(out, "koinon-invite-v1."))
	require.Equal(t, 1, strings.Count(out, "\n"))

	file := filepath.Join(t.TempDir(), "plan.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(plan, "%NAME%", "trial", 1)), 0o600))
	code, out, errs = command(t, "plan", "check", file)
	require.Zero(t, code, errs)
	require.Contains(t, out, "3 must answer in every phase, 0 may be lost")
	code, _, errs = command(t, "plan", "submit", file, "--dir", dir, "--as", "ben")
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, errs, "no member has enrolled")
	for _, args := range [][]string{{"plan", "list"}, {"run", "list"}, {"release", "list"}} {
		code, out, errs = command(t, append(args, "--dir", dir, "--as", "anna", "--json")...)
		require.Zero(t, code, errs)
		require.Equal(t, "[]\n", out)
	}
	code, _, errs = command(t, "run", "show", "nothing", "--dir", dir, "--as", "anna")
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, errs, "no run nothing")
	code, _, errs = command(t, "serve", "--dir", dir)
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, errs, "in use by another process")

	copied := filepath.Join(t.TempDir(), "copy")
	code, _, errs = command(t, "backup", "--dir", dir, "--to", copied)
	require.Zero(t, code, errs)
	require.Contains(t, errs, filepath.Join(dir, adminsDir, "anna")+" is not in the backup")
	require.Contains(t, errs, filepath.Join(dir, adminsDir, "ben")+" is not in the backup")
	require.NoDirExists(t, filepath.Join(copied, adminsDir))
	trusted, err := os.ReadFile(filepath.Join(dir, trustName))
	require.NoError(t, err)
	again := filepath.Join(t.TempDir(), "again")
	code, _, errs = command(t, "restore", "--from", copied, "--dir", again)
	require.Zero(t, code, errs)
	for _, place := range []string{copied, again} {
		kept, err := os.ReadFile(filepath.Join(place, trustName))
		require.NoError(t, err)
		require.Equal(t, trusted, kept)
	}
	_, here, _ := command(t, "journal", "verify", "--dir", dir, "--json")
	code, there, errs := command(t, "journal", "verify", "--dir", again, "--json")
	require.Zero(t, code, errs)
	require.Equal(t, here, there)
	code, out, _ = command(t, "journal", "export", "--dir", again)
	require.Zero(t, code)
	require.Contains(t, out, `"kind":"member-invited"`)

	cancel()
	require.Zero(t, <-done)
	code, _, errs = command(t, "member", "list", "--dir", dir, "--as", "anna")
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, errs, "hint: is `koinon-coordinator serve` running")
}

// TestPlanCheckStart: a plan with a stop and a warm start says so offline, and is held to the release that it names.
func TestPlanCheckStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plan.yaml")
	text := strings.NewReplacer("rounds: 60", "rounds: 60, stop: {patience: 8}", "cohort:", "warm_start: {release: "+strings.Repeat("0a", 32)+"}\ncohort:").Replace(samplePlan(t, filepath.Dir(file)))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	code, out, errs := command(t, "plan", "check", file)
	require.Zero(t, code, errs)
	require.Contains(t, out, "stop        after 8 judgements without a better one, one every round, by 10 % of the training rows")
	require.Contains(t, out, "warm start  0a0a0a")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.koinon"), []byte("x"), 0o600))
	code, _, errs = command(t, "plan", "check", file, "--start", dir)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "not the one that the plan names, 0a0a0a0a0a0a")
}

// samplePlan copies the sample's parts beside a plan and returns its text.
func samplePlan(t *testing.T, dir string) string {
	samples := filepath.Join("..", "..", "..", "docs", "samples")
	for _, name := range []string{"declaration.yaml", "schema.yaml"} {
		b, err := os.ReadFile(filepath.Join(samples, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	b, err := os.ReadFile(filepath.Join(samples, "plan.yaml"))
	require.NoError(t, err)
	return string(b)
}
