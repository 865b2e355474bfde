package sign_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/sign"
)

// upstream trusts the key of the public fixtures and allows the paths that the
// reference implementation leaves out.
func upstream(t *testing.T) sign.Policy {
	t.Helper()
	text, err := os.ReadFile("testdata/oms/keys/signing-key-pub.pem")
	require.NoError(t, err)
	key, err := sign.ParsePublicKey(text)
	require.NoError(t, err)
	return sign.Policy{
		Keys:   []*ecdsa.PublicKey{key},
		Ignore: []string{".git", ".gitattributes", ".github", ".gitignore", "ignore-me"},
	}
}

func TestReferenceFixtures(t *testing.T) {
	for _, name := range []string{"v0.3.1-elliptic-key", "v1.0.0-elliptic-key"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("testdata/oms/fixtures", name)
			bundle, err := os.ReadFile(filepath.Join(dir, sign.SignatureName))
			require.NoError(t, err)
			m, err := sign.Verify(dir, bundle, upstream(t))
			require.NoError(t, err)
			require.Equal(t, "signme-1", m.Files[0].Name, "a model of one file is named \".\" by its signer")
			_, err = sign.Verify(dir, bundle, trust(newKey(t)))
			require.ErrorIs(t, err, sign.ErrKey)
		})
	}
	for _, name := range []string{"v0.3.1-certificate", "v1.0.0-certificate"} {
		bundle, err := os.ReadFile(filepath.Join("testdata/oms/fixtures", name, sign.SignatureName))
		require.NoError(t, err)
		_, err = sign.Open(bundle, upstream(t))
		require.ErrorIs(t, err, sign.ErrBundle)
		require.ErrorContains(t, err, "certificate")
	}
}

func TestSpecificationVectors(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata/oms/spec-vectors", name))
		require.NoError(t, err)
		return data
	}
	bundle := read("valid/key.bundle.json")
	one, err := os.ReadFile("testdata/oms/fixtures/v1.0.0-elliptic-key/signme-1")
	require.NoError(t, err)
	two, err := os.ReadFile("testdata/oms/fixtures/v1.0.0-certificate/signme-2")
	require.NoError(t, err)
	files := fstest.MapFS{"signme-1": {Data: one}, "signme-2": {Data: two}, "ignore-me": {Data: []byte("x")}}
	_, err = sign.VerifyFS(files, bundle, upstream(t))
	require.NoError(t, err)

	strict := upstream(t)
	strict.Ignore = nil
	_, err = sign.Open(bundle, strict)
	require.ErrorIs(t, err, sign.ErrIgnored)

	for name, want := range map[string]string{
		"valid/certificate.bundle.json":                     "a certificate",
		"valid/sigstore.bundle.json":                        "a Sigstore identity",
		"invalid/empty.bundle.json":                         "empty",
		"invalid/missing-envelope.bundle.json":              "dsseEnvelope",
		"invalid/missing-tlog-entries.bundle.json":          "a Sigstore identity",
		"invalid/missing-verification-material.bundle.json": "verificationMaterial",
	} {
		_, err := sign.Open(read(name), upstream(t))
		require.ErrorIs(t, err, sign.ErrBundle, name)
		require.ErrorContains(t, err, want, name)
	}
	// The vector was made by editing a signed statement, so the signature
	// already fails; TestSignedNonsense reaches the predicate itself.
	_, err = sign.Open(read("invalid-payload/wrong-predicate.bundle.json"), upstream(t))
	require.ErrorIs(t, err, sign.ErrSignature)
}

// TestSigstoreJavaScript lets the npm packages @sigstore/bundle and
// @sigstore/verify check a bundle made here. They are looked for where
// KOINON_SIGSTORE_JS points (a folder with node_modules). Where they are
// absent the test is skipped, or fails if KOINON_REQUIRE contains
// "sigstore-js".
func TestSigstoreJavaScript(t *testing.T) {
	modules := filepath.Join(os.Getenv("KOINON_SIGSTORE_JS"), "node_modules")
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(modules, "@sigstore", "verify"))
	}
	if err != nil {
		const reason = "sigstore-js: needs node and the npm packages @sigstore/bundle and @sigstore/verify below KOINON_SIGSTORE_JS"
		if strings.Contains(os.Getenv("KOINON_REQUIRE"), "sigstore-js") {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	key := newKey(t)
	dir := model(t)
	bundle, err := sign.Sign(dir, key)
	require.NoError(t, err)
	work := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(work, name)
		require.NoError(t, os.WriteFile(path, data, 0o600))
		return path
	}
	run := func(bundle, public string) (string, error) {
		cmd := exec.Command(node, filepath.Join("testdata", "verify.js"), bundle, public)
		cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	public, other := write("release.pub", publicPEM(t, key)), write("other.pub", publicPEM(t, newKey(t)))
	good := write("model.sig", bundle)
	out, err := run(good, public)
	require.NoError(t, err, out)
	require.Contains(t, out, "verified https://model_signing/signature/v1.0")
	out, err = run(good, other)
	require.Error(t, err, out)
}

func publicPEM(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
