package node_test

import (
	"bufio"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/node"
)

// vault starts the Vault core that `make vault-test` builds, with an Ed25519 key transit/ro in it, sets Vault's own
// variables, and returns the key's public part.
func vault(t *testing.T) string {
	const tool = "../.ci/bin/vault-test"
	if _, err := os.Stat(tool); err != nil {
		require.NotContains(t, strings.Split(os.Getenv("KOINON_REQUIRE"), ","), "vault", "run make vault-test")
		t.Skip("vault: run make vault-test")
	}
	folder := t.TempDir()
	cmd := exec.Command(tool, folder)
	in, err := cmd.StdinPipe() // its end is the sign to stop
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, in.Close())
		require.NoError(t, cmd.Wait())
	})
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		return strings.TrimSpace(string(text))
	}
	t.Setenv("VAULT_ADDR", read("address"))
	t.Setenv("VAULT_CACERT", filepath.Join(folder, "ca.pem"))
	t.Setenv("VAULT_TOKEN", read("token"))

	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM([]byte(read("ca.pem"))))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	call := func(method, path, body string) (answer struct {
		Data struct {
			Keys map[string]struct {
				PublicKey string `json:"public_key"`
			} `json:"keys"`
		} `json:"data"`
	},
	) {
		req, err := http.NewRequestWithContext(t.Context(), method, read("address")+"/v1/"+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("X-Vault-Token", read("token"))
		res, err := client.Do(req)
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		require.Less(t, res.StatusCode, 300, path)
		_ = json.NewDecoder(res.Body).Decode(&answer) // empty for some
		return answer
	}
	call(http.MethodPost, "sys/mounts/transit", `{"type": "transit"}`)
	call(http.MethodPost, "transit/keys/ro", `{"type": "ed25519"}`)
	return call(http.MethodGet, "transit/keys/ro", "").Data.Keys["1"].PublicKey
}

// TestEnrollWithVault registers a transit key: no key file is made, and the node signs with it afterwards.
func TestEnrollWithVault(t *testing.T) {
	public := vault(t)
	f, _ := newFake(t, members)
	d := node.Dir(filepath.Join(t.TempDir(), "node"))
	done, err := node.Enroll(t.Context(), d, f.invite(t, "RO"), node.File{Identity: "vault:transit/ro"}, time.Now())
	require.NoError(t, err)
	require.Equal(t, public, done.Identity)
	require.NoFileExists(t, d.Path("keys/identity.pem"))
	file, err := d.LoadFile()
	require.NoError(t, err)
	require.Equal(t, "vault:transit/ro", file.Identity)
	sign, err := d.Signer(t.Context(), file)
	require.NoError(t, err)
	signature, err := sign([]byte("advert"))
	require.NoError(t, err)
	roster, err := d.Roster()
	require.NoError(t, err)
	self, _ := roster.Member("RO")
	require.True(t, ed25519.Verify(ed25519.PublicKey(self.Key), []byte("advert"), signature))

	var key federation.Key
	require.NoError(t, key.UnmarshalText([]byte(public)))
	require.Equal(t, key, self.Key)
}
