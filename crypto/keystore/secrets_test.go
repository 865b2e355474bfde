package keystore_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/keystore"
	"github.com/koinon-eu/koinon/crypto/leaktest"
)

// A key file's key shows nowhere: not in the signer, and not in the errors about
// files that are almost right.
func TestFileKeyIsNeverPrinted(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "id.key")
	signer, err := keystore.Generate(path, keystore.Ed25519)
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	var s leaktest.Scanner
	s.Add("seed", key.(ed25519.PrivateKey).Seed())
	s.AddText("base64 line", string(text[40:60]))
	require.Empty(t, s.Find(leaktest.Render(signer)))
	require.NotEmpty(t, s.Find(leaktest.Render(key))) // it can fail

	for name, bad := range map[string][]byte{
		"cut": text[:len(text)-30], "twice": append(text, text...), "type": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: block.Bytes}),
		"der": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: block.Bytes[:40]}), "bare": block.Bytes,
	} {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, bad, 0o600))
		_, err := keystore.Open(t.Context(), "file:"+file, keystore.Options{})
		require.Error(t, err, name)
		require.Empty(t, s.Find(leaktest.Render(err)), name)
	}
	for _, pasted := range []string{string(text), "hvs.CAESIJ-not-a-real-token", string(text[40:]), "hvs:" + string(text[40:60])} { // where the reference belongs
		require.ErrorIs(t, keystore.Check(pasted), keystore.ErrReference)
		require.NotContains(t, keystore.Check(pasted).Error(), pasted[16:20])
	}
}
