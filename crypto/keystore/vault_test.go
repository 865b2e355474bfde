package keystore_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/keystore"
)

// TestVaultTransit needs a real Vault: its address in KOINON_TEST_VAULT, a
// token that may mount transit engines in VAULT_TOKEN (default "root"). A
// stand-in HTTP server would only prove that it agrees with itself.
func TestVaultTransit(t *testing.T) {
	address := os.Getenv("KOINON_TEST_VAULT")
	if address == "" {
		t.Skip("vault: set KOINON_TEST_VAULT to the address of a HashiCorp Vault server")
	}
	token := os.Getenv("VAULT_TOKEN")
	if token == "" {
		token = "root"
	}
	admin := vaultAdmin(t, address, token)
	mount := "koinon-test-" + rand.Text()[:8]
	require.NoError(t, admin.Sys().Mount(mount, &api.MountInput{Type: "transit"}))
	t.Cleanup(func() { _ = admin.Sys().Unmount(mount) })
	for name, kind := range map[string]string{"release": "ecdsa-p256", "identity": "ed25519", "other": "ecdsa-p384"} {
		_, err := admin.Logical().Write(mount+"/keys/"+name, map[string]any{"type": kind})
		require.NoError(t, err)
	}
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, keystore.WriteSecret(file, []byte(token+"\n")))
	opt := keystore.Options{Vault: keystore.Vault{Address: address, TokenFile: file, CA: os.Getenv("VAULT_CACERT")}}
	ctx := context.Background()

	for _, name := range []string{"release", "identity"} {
		signer, err := keystore.Open(ctx, "vault:"+mount+"/"+name, opt)
		require.NoError(t, err)
		requireSigns(t, signer)
	}
	signer, err := keystore.Open(ctx, "vault:"+mount+"/release", opt)
	require.NoError(t, err)
	_, err = signer.Sign(nil, make([]byte, 48), crypto.SHA384)
	require.ErrorContains(t, err, "SHA-256")

	// A rotation does not change the key under a running service.
	_, err = admin.Logical().Write(mount+"/keys/release/rotate", nil)
	require.NoError(t, err)
	requireSigns(t, signer)
	rotated, err := keystore.Open(ctx, "vault:"+mount+"/release", opt)
	require.NoError(t, err)
	require.False(t, signer.Public().(*ecdsa.PublicKey).Equal(rotated.Public()))

	_, err = keystore.Open(ctx, "vault:"+mount+"/other", opt)
	require.ErrorContains(t, err, "ecdsa-p384")
	_, err = keystore.Open(ctx, "vault:"+mount+"/none", opt)
	require.ErrorContains(t, err, "no such")

	bad := filepath.Join(t.TempDir(), "bad")
	require.NoError(t, keystore.WriteSecret(bad, []byte("s.wrongtoken")))
	opt.Vault.TokenFile = bad
	_, err = keystore.Open(ctx, "vault:"+mount+"/release", opt)
	require.ErrorContains(t, err, "permission denied")
	require.NotContains(t, err.Error(), "wrongtoken")
}

func vaultAdmin(t *testing.T, address, token string) *api.Client {
	t.Helper()
	conf := api.DefaultConfig()
	require.NoError(t, conf.Error)
	conf.Address = address
	client, err := api.NewClient(conf)
	require.NoError(t, err)
	client.SetToken(token)
	return client
}

func TestVaultNeedsToken(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "")
	_, err := keystore.Open(context.Background(), "vault:transit/release",
		keystore.Options{Vault: keystore.Vault{Address: "https://127.0.0.1:1"}})
	require.ErrorContains(t, err, "no token")
}
