package keystore

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPasswordOfFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
		return "file:" + path
	}
	p, err := Password(t.Context(), write("good", "s3cret word\n", 0o600), Options{})
	require.NoError(t, err)
	require.Equal(t, "s3cret word", p)
	for name, reference := range map[string]string{
		"open to others": write("open", "s3cret", 0o644),
		"two lines":      write("two", "s3cret\ns3cret\n", 0o600),
		"empty":          write("empty", "\n", 0o600),
		"absent":         "file:" + filepath.Join(dir, "absent"),
		"no reference":   "s3cret-that-was-put-here",
		"no field":       "vault:secret/koinon",
		"climbs":         "vault:secret/../x#s3cret",
	} {
		_, err := Password(t.Context(), reference, Options{})
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "s3cret-that-was", name)
	}
}

// TestPasswordOfVault asks a stand-in: the path of a key-value mount of version
// 2, and answers that lack the field.
func TestPasswordOfVault(t *testing.T) {
	answer := `{"data":{"data":{"password":"s3cret"}}}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/kv/data/koinon/db" || r.Header.Get("X-Vault-Token") != "t" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	t.Setenv("VAULT_TOKEN", "t")
	opt := Options{Vault: Vault{Address: server.URL}}
	p, err := Password(t.Context(), "vault:kv/koinon/db#password", opt)
	require.NoError(t, err)
	require.Equal(t, "s3cret", p)
	_, err = Password(t.Context(), "vault:kv/koinon/other#password", opt)
	require.ErrorContains(t, err, "no such secret")
	answer = `{"data":{"data":{"password":7}}}`
	_, err = Password(t.Context(), "vault:kv/koinon/db#password", opt)
	require.ErrorContains(t, err, "has no field password")
}
