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
	"encoding/pem"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/keystore"
)

func TestGenerateOpenSign(t *testing.T) {
	for _, kind := range []keystore.Kind{keystore.P256, keystore.Ed25519} {
		t.Run(string(kind), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "some.key")
			made, err := keystore.Generate(path, kind)
			require.NoError(t, err)
			opened, err := keystore.Open(context.Background(), "file:"+path, keystore.Options{})
			require.NoError(t, err)
			require.Equal(t, made.Public(), opened.Public())
			requireSigns(t, opened)

			info, err := os.Stat(path)
			require.NoError(t, err)
			if runtime.GOOS != "windows" {
				require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
			}
			names, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			require.Len(t, names, 1, "temporary file left behind")

			before, err := os.ReadFile(path)
			require.NoError(t, err)
			_, err = keystore.Generate(path, kind)
			require.ErrorIs(t, err, fs.ErrExist)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, before, after)

			text, err := keystore.EncodePublic(opened.Public())
			require.NoError(t, err)
			pub, err := keystore.ParsePublic(text)
			require.NoError(t, err)
			require.Equal(t, opened.Public(), pub)
			require.NoError(t, keystore.WritePublic(path+".pub", text))
			require.ErrorIs(t, keystore.WritePublic(path+".pub", text), fs.ErrExist)
		})
	}
	_, err := keystore.Generate(filepath.Join(t.TempDir(), "k"), "rsa")
	require.ErrorContains(t, err, "rsa")
}

func requireSigns(t *testing.T, signer crypto.Signer) {
	t.Helper()
	message := []byte("statement")
	digest := sha256.Sum256(message)
	switch pub := signer.Public().(type) {
	case *ecdsa.PublicKey:
		sig, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
		require.NoError(t, err)
		require.True(t, ecdsa.VerifyASN1(pub, digest[:], sig))
	case ed25519.PublicKey:
		sig, err := signer.Sign(rand.Reader, message, crypto.Hash(0))
		require.NoError(t, err)
		require.True(t, ed25519.Verify(pub, message, sig))
	default:
		t.Fatalf("unexpected key %T", pub)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(p384)
	require.NoError(t, err)
	sec1, err := x509.MarshalECPrivateKey(p384)
	require.NoError(t, err)
	write := func(name string, data []byte, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, data, mode))
		require.NoError(t, os.Chmod(path, mode))
		return "file:" + path
	}
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	cases := map[string]struct{ ref, want string }{
		"open to others": {write("open.key", block("PRIVATE KEY", der), 0o640), "mode 0640"},
		"other curve":    {write("p384.key", block("PRIVATE KEY", der), 0o600), "EC P-384"},
		"SEC1":           {write("sec1.key", block("EC PRIVATE KEY", sec1), 0o600), "PKCS#8"},
		"two blocks":     {write("two.key", bytes.Repeat(block("PRIVATE KEY", der), 2), 0o600), "more than one"},
		"no PEM":         {write("text.key", []byte("hunter2"), 0o600), "no PEM"},
		"bad DER":        {write("der.key", block("PRIVATE KEY", []byte("hunter2")), 0o600), "not a valid PKCS#8"},
		"empty":          {write("empty.key", nil, 0o600), "empty"},
		"too long":       {write("long.key", make([]byte, 1<<17), 0o600), "more than"},
		"directory":      {"file:" + dir, "secret " + dir},
		"absent":         {"file:" + filepath.Join(dir, "none"), "no such file"},
		"no scheme":      {"release.key", "file:PATH"},
		"other scheme":   {"pkcs11:token", "file:PATH"},
		"no transit key": {"vault:transit", "vault:MOUNT/KEY"},
		"climbing path":  {"vault:transit/../sys", "vault:MOUNT/KEY"},
		"absolute path":  {"vault:/transit/x", "vault:MOUNT/KEY"},
		"empty segment":  {"vault:transit//x", "vault:MOUNT/KEY"},
		"no key":         {"vault:transit/@1", "vault:MOUNT/KEY"},
		"version 0":      {"vault:transit/x@0", "vault:MOUNT/KEY"},
		"version 01":     {"vault:transit/x@01", "vault:MOUNT/KEY"},
		"no version":     {"vault:transit/x@", "vault:MOUNT/KEY"},
		"huge version":   {"vault:transit/x@4294967296", "vault:MOUNT/KEY"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if name == "open to others" && runtime.GOOS == "windows" {
				t.Skip("Windows has no such modes")
			}
			_, err := keystore.Open(context.Background(), c.ref, keystore.Options{})
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
	require.NoError(t, keystore.Check("file:x"))
	require.NoError(t, keystore.Check("vault:transit/x"))
	require.NoError(t, keystore.Check("vault:national/transit/x@2"))
	require.ErrorIs(t, keystore.Check("x"), keystore.ErrReference)
}

func TestKeyIsNeverPrinted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "id.key")
	key, err := keystore.Generate(path, keystore.P256)
	require.NoError(t, err)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("opened", "key", key)
	require.Contains(t, log.String(), "file:"+path)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		require.Equal(t, "file:"+path, fmt.Sprintf(verb, key))
	}
}

func TestParsePublicRefuses(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, err = keystore.EncodePublic(p384.Public())
	require.ErrorContains(t, err, "P-384")
	der, err := x509.MarshalPKIXPublicKey(p384.Public())
	require.NoError(t, err)
	for _, text := range []string{"", "x", strings.Repeat("x", 1<<17), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))} {
		_, err := keystore.ParsePublic([]byte(text))
		require.Error(t, err)
	}
}

func FuzzParsePublic(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f, err)
	text, err := keystore.EncodePublic(key.Public())
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		pub, err := keystore.ParsePublic(text)
		if err == nil {
			_, err = keystore.EncodePublic(pub)
			require.NoError(t, err)
		}
	})
}
