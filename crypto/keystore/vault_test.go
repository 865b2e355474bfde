package keystore_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/keystore"
	"github.com/koinon-eu/koinon/crypto/sign"
)

// mayUse is all a coordinator needs: see the public key, sign.
func mayUse(mount, key string) string {
	return fmt.Sprintf("path %q { capabilities = [\"read\"] }\npath %q { capabilities = [\"update\"] }\n",
		mount+"/keys/"+key, mount+"/sign/"+key)
}

func TestVaultTransit(t *testing.T) {
	s := vault(t)
	mount := s.mount(t, "ecdsa-p256", "ed25519")
	token := s.login(t, mayUse(mount, "ecdsa-p256")+mayUse(mount, "ed25519"))
	opt := s.options(tokenFile(t, token))
	for name, kind := range map[string]keystore.Kind{"ecdsa-p256": keystore.P256, "ed25519": keystore.Ed25519} {
		t.Run(name, func(t *testing.T) {
			reference := "vault:" + mount + "/" + name
			signer, err := keystore.Open(context.Background(), reference, opt)
			require.NoError(t, err)
			have, err := keystore.KindOf(signer.Public())
			require.NoError(t, err)
			require.Equal(t, kind, have)
			requireSigns(t, signer)

			// crypto/x509 drives the signer by its own rules, and checks the result.
			der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "DE"}}, signer)
			require.NoError(t, err)
			request, err := x509.ParseCertificateRequest(der)
			require.NoError(t, err)
			require.NoError(t, request.CheckSignature())

			_, err = signer.Sign(nil, make([]byte, 48), crypto.SHA384)
			require.ErrorContains(t, err, reference)

			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
				require.Equal(t, reference, fmt.Sprintf(verb, signer))
			}
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("opened", "key", signer)
			require.Contains(t, log.String(), reference)
			require.NotContains(t, log.String(), token)
		})
	}
	identity, err := keystore.Open(context.Background(), "vault:"+mount+"/ed25519", opt)
	require.NoError(t, err)
	_, err = identity.Sign(nil, []byte("x"), &ed25519.Options{Context: "other"})
	require.ErrorContains(t, err, "no context")
	_, err = identity.Sign(nil, nil, crypto.Hash(0))
	require.NoError(t, err, "the empty message")
}

// TestVaultSignsModel is a release: its key never leaves Vault, and a verifier
// needs nothing but the public key.
func TestVaultSignsModel(t *testing.T) {
	s := vault(t)
	mount := s.mount(t, "ecdsa-p256", "ed25519")
	opt := s.options(tokenFile(t, s.login(t, mayUse(mount, "+"))))
	signer, err := keystore.Open(context.Background(), "vault:"+mount+"/ecdsa-p256", opt)
	require.NoError(t, err)

	dir := t.TempDir()
	for name, text := range map[string]string{"model.koinon": "\x00weights", "card.json": "{}", "reports/report.md": "# Report\n"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	bundle, err := sign.Sign(dir, signer)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, sign.SignatureName), bundle, 0o644))

	text, err := keystore.EncodePublic(signer.Public())
	require.NoError(t, err)
	public, err := sign.ParsePublicKey(text)
	require.NoError(t, err)
	trust := sign.Policy{Keys: []*ecdsa.PublicKey{public}}
	manifest, err := sign.Verify(dir, bundle, trust)
	require.NoError(t, err)
	require.Len(t, manifest.Files, 3)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "card.json"), []byte("[]"), 0o644))
	_, err = sign.Verify(dir, bundle, trust)
	require.ErrorIs(t, err, sign.ErrFiles)

	identity, err := keystore.Open(context.Background(), "vault:"+mount+"/ed25519", opt)
	require.NoError(t, err)
	_, err = sign.Sign(dir, identity)
	require.ErrorContains(t, err, "EC P-256")
}

func TestVaultRotation(t *testing.T) {
	t.Setenv("VAULT_MAX_RETRIES", "0") // a refused version is status 500, which the client would repeat
	s := vault(t)
	mount := s.mount(t, "ecdsa-p256")
	opt, key, reference := s.options(s.path("token")), mount+"/keys/ecdsa-p256", "vault:"+mount+"/ecdsa-p256"
	open := func(reference string) *ecdsa.PublicKey {
		signer, err := keystore.Open(context.Background(), reference, opt)
		require.NoError(t, err)
		requireSigns(t, signer)
		return signer.Public().(*ecdsa.PublicKey)
	}
	running, err := keystore.Open(context.Background(), reference, opt)
	require.NoError(t, err)
	first := open(reference)
	s.write(t, key+"/rotate", nil)

	requireSigns(t, running) // with the key it was opened with
	require.True(t, first.Equal(running.Public()))
	require.False(t, first.Equal(open(reference)), "the newest version")
	require.True(t, first.Equal(open(reference+"@1")), "a pinned version outlives the rotation")
	require.True(t, open(reference).Equal(open(reference+"@2")))
	_, err = keystore.Open(context.Background(), reference+"@3", opt)
	require.ErrorContains(t, err, "no version 3: the newest is 2")

	// Vault's admin withdraws version 1: no more signatures, with the reason.
	s.write(t, key+"/config", map[string]any{"min_encryption_version": 2})
	_, err = running.Sign(nil, make([]byte, sha256.Size), crypto.SHA256)
	require.EqualError(t, err, "sign "+reference+": status 500: requested version for signing is less than the minimum encryption key version")
	s.write(t, key+"/config", map[string]any{"min_decryption_version": 2})
	_, err = keystore.Open(context.Background(), reference+"@1", opt)
	require.ErrorContains(t, err, "no version 1")
}

func TestVaultRefuses(t *testing.T) {
	t.Setenv("VAULT_MAX_RETRIES", "0")
	s := vault(t)
	mount := s.mount(t, "ecdsa-p256", "ecdsa-p384", "rsa-2048", "aes256-gcm96")
	s.write(t, mount+"/keys/derived", map[string]any{"type": "ed25519", "derived": true})
	good := s.options(s.path("token"))
	limited := s.login(t, mayUse(mount, "other")+mayUse(mount, "ecdsa-p256"))
	blind := s.login(t, fmt.Sprintf("path %q { capabilities = [\"read\"] }\n", mount+"/keys/ecdsa-p256"))

	foreign := good
	foreign.Vault.CA = filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(foreign.Vault.CA, authority(t), 0o644))
	noCA := good
	noCA.Vault.CA = filepath.Join(t.TempDir(), "none.pem")
	nobody := good
	nobody.Vault.Address = "https://127.0.0.1:1"

	for name, c := range map[string]struct {
		path string
		opt  keystore.Options
		want string
	}{
		"P-384":         {mount + "/ecdsa-p384", good, "ecdsa-p384"},
		"RSA":           {mount + "/rsa-2048", good, "rsa-2048"},
		"symmetric":     {mount + "/aes256-gcm96", good, "asymmetric"},
		"derived":       {mount + "/derived", good, "without derivation"},
		"no key":        {mount + "/none", good, "no such transit mount or key"},
		"no mount":      {"nowhere/ecdsa-p256", good, "no such transit mount or key"},
		"wrong token":   {mount + "/ecdsa-p256", s.options(tokenFile(t, "hvs.wrongtoken")), "permission denied"},
		"denied key":    {mount + "/ecdsa-p384", s.options(tokenFile(t, limited)), "permission denied"},
		"foreign CA":    {mount + "/ecdsa-p256", foreign, "is not trusted: name its CA: x509: certificate signed by unknown authority"},
		"no CA":         {mount + "/ecdsa-p256", noCA, "none.pem"},
		"nobody there":  {mount + "/ecdsa-p256", nobody, "does not answer"},
		"no token file": {mount + "/ecdsa-p256", s.options("/none/token"), "/none/token"},
		"two tokens":    {mount + "/ecdsa-p256", s.options(tokenFile(t, "hvs.wrongtoken more")), "holds 2 words"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := keystore.Open(context.Background(), "vault:"+c.path, c.opt)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "wrongtoken")
		})
	}
	t.Run("may read but not sign", func(t *testing.T) {
		signer, err := keystore.Open(context.Background(), "vault:"+mount+"/ecdsa-p256", s.options(tokenFile(t, blind)))
		require.NoError(t, err)
		_, err = signer.Sign(nil, make([]byte, sha256.Size), crypto.SHA256)
		require.ErrorContains(t, err, "sign vault:"+mount+"/ecdsa-p256: status 403: permission denied")
	})
}

// TestVaultChanges is what can happen below a running service.
func TestVaultChanges(t *testing.T) {
	s := vault(t)
	mount := s.mount(t, "ecdsa-p256", "ed25519")
	digest := make([]byte, sha256.Size)
	open := func(name string, opt keystore.Options) crypto.Signer {
		signer, err := keystore.Open(context.Background(), "vault:"+mount+"/"+name, opt)
		require.NoError(t, err)
		return signer
	}

	t.Run("token ends and is replaced", func(t *testing.T) {
		token := s.login(t, mayUse(mount, "ecdsa-p256"))
		file := tokenFile(t, token)
		signer := open("ecdsa-p256", s.options(file))
		require.NoError(t, s.admin.Auth().Token().RevokeTree(token))
		_, err := signer.Sign(nil, digest, crypto.SHA256)
		require.ErrorContains(t, err, "permission denied")
		require.NotContains(t, err.Error(), token)

		require.NoError(t, os.Rename(tokenFile(t, s.login(t, mayUse(mount, "ecdsa-p256"))), file))
		requireSigns(t, signer)

		require.NoError(t, os.Remove(file))
		requireSigns(t, signer) // the token in memory still holds
	})

	t.Run("key deleted", func(t *testing.T) {
		signer := open("ed25519", s.options(s.path("token")))
		s.write(t, mount+"/keys/ed25519/config", map[string]any{"deletion_allowed": true})
		_, err := s.admin.Logical().Delete(mount + "/keys/ed25519")
		require.NoError(t, err)
		_, err = signer.Sign(nil, []byte("message"), crypto.Hash(0))
		require.ErrorContains(t, err, "signing key not found")

		// A key made anew under the old name is another key.
		s.write(t, mount+"/keys/ed25519", map[string]any{"type": "ed25519"})
		_, err = signer.Sign(nil, []byte("message"), crypto.Hash(0))
		require.ErrorContains(t, err, "does not verify")
	})

	t.Run("sealed", func(t *testing.T) {
		if _, err := os.Stat(s.path("unseal")); err != nil {
			t.Skip("vault: this server's folder has no unseal key")
		}
		t.Setenv("VAULT_MAX_RETRIES", "0")
		signer := open("ecdsa-p256", s.options(s.path("token")))
		require.NoError(t, s.admin.Sys().Seal())
		_, err := signer.Sign(nil, digest, crypto.SHA256)
		require.ErrorContains(t, err, "vault is sealed")
		_, err = keystore.Open(context.Background(), "vault:"+mount+"/ecdsa-p256", s.options(s.path("token")))
		require.ErrorContains(t, err, "vault is sealed")

		status, err := s.admin.Sys().Unseal(s.read(t, "unseal"))
		require.NoError(t, err)
		require.False(t, status.Sealed)
		requireSigns(t, signer)
	})

	t.Run("caller gives up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := keystore.Open(ctx, "vault:"+mount+"/ecdsa-p256", s.options(s.path("token")))
		require.ErrorIs(t, err, context.Canceled)
	})
}

// TestVaultTogether signs from several goroutines, as crypto.Signer is used.
func TestVaultTogether(t *testing.T) {
	s := vault(t)
	mount := s.mount(t, "ecdsa-p256")
	signer, err := keystore.Open(context.Background(), "vault:"+mount+"/ecdsa-p256", s.options(s.path("token")))
	require.NoError(t, err)
	failed := make(chan error)
	for i := range 8 {
		go func() {
			digest := sha256.Sum256([]byte{byte(i)})
			sig, err := signer.Sign(nil, digest[:], crypto.SHA256)
			if err == nil && !ecdsa.VerifyASN1(signer.Public().(*ecdsa.PublicKey), digest[:], sig) {
				err = fmt.Errorf("signature %d does not verify", i)
			}
			failed <- err
		}()
	}
	for range 8 {
		require.NoError(t, <-failed)
	}
}

func TestVaultNeedsToken(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "")
	_, err := keystore.Open(context.Background(), "vault:transit/release",
		keystore.Options{Vault: keystore.Vault{Address: "https://127.0.0.1:1"}})
	require.ErrorContains(t, err, "no token")
}

func TestVaultNeedsTLS(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "")
	open := func(address string) error {
		_, err := keystore.Open(context.Background(), "vault:transit/release", keystore.Options{Vault: keystore.Vault{Address: address}})
		return err
	}
	for _, address := range []string{"http://vault.example:8200", "HTTP://192.0.2.1", "http://127.0.0.1.example", "http://localhost.example:8200"} {
		require.ErrorContains(t, open(address), "plain http", address)
	}
	for _, address := range []string{"http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "https://vault.example:8200", "unix:///run/vault.sock"} {
		require.ErrorContains(t, open(address), "no token", address)
	}
	for _, name := range []string{"VAULT_ADDR", "VAULT_AGENT_ADDR"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "http://vault.example:8200")
			require.ErrorContains(t, open(""), "plain http")
		})
	}
}

// authority is a CA that has signed nothing.
func authority(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "foreign"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
