package keystore_test

import (
	"bufio"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/keystore"
)

// tool is a Vault core for tests; `make vault-test` builds it.
const tool = "../../.ci/bin/vault-test"

// server is a real Vault. A stand-in would only prove that it agrees with
// itself.
type server struct {
	folder  string // files address, ca.pem, token, unseal: see .ci/vault
	address string
	admin   *api.Client
}

// vault returns the server of the folder KOINON_TEST_VAULT or, without one,
// starts the tool for this test alone. If neither is there the test is
// skipped, or fails if KOINON_REQUIRE contains vault.
func vault(t *testing.T) *server {
	t.Helper()
	folder := os.Getenv("KOINON_TEST_VAULT")
	if folder == "" {
		if _, err := os.Stat(tool); err != nil {
			missing := "vault: run make vault-test, or set KOINON_TEST_VAULT to the folder of a running server"
			require.NotContains(t, strings.Split(os.Getenv("KOINON_REQUIRE"), ","), "vault", missing)
			t.Skip(missing)
		}
		folder = start(t)
	}
	s := &server{folder: folder}
	s.address = s.read(t, "address")
	conf := api.DefaultConfig()
	require.NoError(t, conf.Error)
	conf.Address = s.address
	require.NoError(t, conf.ConfigureTLS(&api.TLSConfig{CACert: s.path("ca.pem")}))
	admin, err := api.NewClient(conf)
	require.NoError(t, err)
	admin.SetToken(s.read(t, "token"))
	s.admin = admin
	return s
}

// start runs the tool until the test ends.
func start(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	cmd := exec.Command(tool, folder)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe() // its end is the sign to stop, also if this process dies
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, in.Close())
		require.NoError(t, cmd.Wait())
	})
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, "vault-test did not start")
	return folder
}

func (s *server) path(name string) string { return filepath.Join(s.folder, name) }

func (s *server) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(s.path(name))
	require.NoError(t, err)
	return strings.TrimSpace(string(text))
}

// options reach the server with the token in a file.
func (s *server) options(file string) keystore.Options {
	return keystore.Options{Vault: keystore.Vault{Address: s.address, TokenFile: file, CA: s.path("ca.pem")}}
}

// mount makes a transit mount for this test with a key of every given type,
// named like it.
func (s *server) mount(t *testing.T, kinds ...string) (mount string) {
	t.Helper()
	mount = "test/" + strings.ToLower(rand.Text())
	require.NoError(t, s.admin.Sys().Mount(mount, &api.MountInput{Type: "transit"}))
	t.Cleanup(func() { require.NoError(t, s.admin.Sys().Unmount(mount)) })
	for _, kind := range slices.Compact(kinds) {
		s.write(t, mount+"/keys/"+kind, map[string]any{"type": kind})
	}
	return mount
}

func (s *server) write(t *testing.T, path string, data map[string]any) *api.Secret {
	t.Helper()
	secret, err := s.admin.Logical().Write(path, data)
	require.NoError(t, err)
	return secret
}

// login makes an AppRole whose policy is the given rules and returns the token
// it logs in with: how a coordinator gets its own.
func (s *server) login(t *testing.T, rules string) (token string) {
	t.Helper()
	name := "test-" + strings.ToLower(rand.Text())
	require.NoError(t, s.admin.Sys().EnableAuthWithOptions(name, &api.EnableAuthOptions{Type: "approle"}))
	t.Cleanup(func() { require.NoError(t, s.admin.Sys().DisableAuth(name)) })
	require.NoError(t, s.admin.Sys().PutPolicy(name, rules))
	t.Cleanup(func() { require.NoError(t, s.admin.Sys().DeletePolicy(name)) })
	role := "auth/" + name + "/role/coordinator"
	s.write(t, role, map[string]any{"token_policies": name, "token_ttl": "5m", "secret_id_num_uses": 1})
	id, err := s.admin.Logical().Read(role + "/role-id")
	require.NoError(t, err)
	secret := s.write(t, role+"/secret-id", nil)
	in := s.write(t, "auth/"+name+"/login", map[string]any{"role_id": id.Data["role_id"], "secret_id": secret.Data["secret_id"]})
	return in.Auth.ClientToken
}

func tokenFile(t *testing.T, token string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "token")
	require.NoError(t, keystore.WriteSecret(path, []byte(token+"\n")))
	return path
}
