package docs

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/keystore"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node"

	"github.com/stretchr/testify/require"
)

const samples = "samples"

func sample(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(samples, name))
	require.NoError(t, err)
	return text
}

// TestSamplePlan reads plan, declaration and schema as `plan check` does, on a day before the declaration ends.
func TestSamplePlan(t *testing.T) {
	p, err := federation.ParsePlan(sample(t, "plan.yaml"), os.DirFS(samples).(interface {
		ReadFile(string) ([]byte, error)
	}).ReadFile)
	require.NoError(t, err)
	require.NoError(t, p.Check("2026-12-01"))
	require.NoError(t, federation.DefaultPolicy().Allows(p), "the sample plan fits a node without a policy file")

	schema, err := feature.ParseSchema(sample(t, "schema.yaml"))
	require.NoError(t, err)
	require.Equal(t, p.Schema.Digest(), schema.Digest())
}

// TestSamplePolicy reads policy.yaml; its limits are the defaults, as it says.
func TestSamplePolicy(t *testing.T) {
	p, err := federation.ParsePolicy(sample(t, "policy.yaml"))
	require.NoError(t, err)
	require.Len(t, p.Unattended, 1)
	p.Unattended = nil
	require.Equal(t, federation.DefaultPolicy(), p)
}

// TestSampleNode reads node.yaml.
func TestSampleNode(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "node.yaml"), sample(t, "node.yaml"), 0o600))
	f, err := node.Dir(dir).LoadFile()
	require.NoError(t, err)
	require.Equal(t, "DE", f.Member)
	require.Equal(t, time.Second, f.Tick)
}

// TestSampleCoordinator has the program read coordinator.yaml: it then lacks the authority and nothing else.
func TestSampleCoordinator(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "coordinator.yaml"), sample(t, "coordinator.yaml"), 0o600))
	code, output := run(t, "koinon-coordinator", "serve", "--dir", dir)
	require.Equal(t, 1, code)
	require.Contains(t, output, filepath.Join("ca", "authority.pem"))
	require.NotContains(t, output, "coordinator.yaml")
}

// TestSampleTrust has the program read trust.yaml, with keys beside it; the release it then looks for is not there.
func TestSampleTrust(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "trust.yaml"), sample(t, "trust.yaml"), 0o600))
	for _, name := range []string{"release", "approval-anna", "approval-ben"} {
		key, err := keystore.Generate(filepath.Join(dir, name+".key"), keystore.P256)
		require.NoError(t, err)
		text, err := keystore.EncodePublic(key.Public())
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".pub"), text, 0o600))
	}
	made := t.TempDir()
	code, output := run(t, "koinon-coordinator", "init", "samples", "--dir", made, "--admin", "anna:model-owner", "--admin", "ben:data-protection")
	require.Zero(t, code, output)
	root, err := os.ReadFile(filepath.Join(made, "ca", "ca.pem"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ca.pem"), root, 0o600))

	for _, trust := range []string{filepath.Join(dir, "trust.yaml"), filepath.Join(made, "trust.yaml")} {
		code, output = run(t, "koinon", "verify", filepath.Join(dir, "nothing"), "--trust", trust)
		require.Equal(t, 1, code)
		require.Contains(t, output, "read release", "trust file %s was read", trust)
	}
}
