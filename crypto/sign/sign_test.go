package sign_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/sign"
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func trust(keys ...*ecdsa.PrivateKey) sign.Policy {
	var p sign.Policy
	for _, k := range keys {
		p.Keys = append(p.Keys, &k.PublicKey)
	}
	return p
}

// model writes a small model with nested files and returns its folder.
func model(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"a.bin": "alpha", "a-b.bin": "", "sub/deep/c.json": "{}", "Ünïcode & <x>.txt": "u"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return dir
}

func TestSignAndVerify(t *testing.T) {
	dir, key := model(t), newKey(t)
	bundle, err := sign.Sign(dir, key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, sign.SignatureName), bundle, 0o644))

	m, err := sign.Verify(dir, bundle, trust(newKey(t), key))
	require.NoError(t, err)
	require.Equal(t, filepath.Base(dir), m.Model)
	names := make([]string, 0, len(m.Files))
	for _, f := range m.Files {
		names = append(names, f.Name)
	}
	require.Equal(t, []string{"a-b.bin", "a.bin", "sub/deep/c.json", "Ünïcode & <x>.txt"}, names, "order of the specification")

	again, err := sign.Sign(dir, key)
	require.NoError(t, err, "an existing signature is not part of what is signed")
	_, err = sign.Verify(dir, again, trust(key))
	require.NoError(t, err)
}

func TestTamperedDirectory(t *testing.T) {
	cases := map[string]struct {
		change func(t *testing.T, dir string)
		want   string
	}{
		"one byte": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.bin"), []byte("alphb"), 0o644))
		}, `changed: ["a.bin"]`},
		"missing": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "a.bin")))
		}, `missing: ["a.bin"]`},
		"extra": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", "x"), nil, 0o644))
		}, `not signed: ["sub/x"]`},
		"extra hidden": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, ".gitignore"), nil, 0o644))
		}, `not signed: [".gitignore"]`},
		"renamed": {func(t *testing.T, dir string) {
			require.NoError(t, os.Rename(filepath.Join(dir, "a.bin"), filepath.Join(dir, "b.bin")))
		}, `missing: ["a.bin"]; not signed: ["b.bin"]`},
		"symbolic link": {func(t *testing.T, dir string) {
			target := filepath.Join(t.TempDir(), "elsewhere")
			require.NoError(t, os.Rename(filepath.Join(dir, "a.bin"), target))
			require.NoError(t, os.Symlink(target, filepath.Join(dir, "a.bin")))
		}, "a.bin is not a regular file but a symbolic link"},
		"linked folder": {func(t *testing.T, dir string) {
			require.NoError(t, os.Symlink(filepath.Join(dir, "sub"), filepath.Join(dir, "sub2")))
		}, "sub2 is not a regular file but a symbolic link"},
		"twin by case": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "A.bin"), nil, 0o644))
		}, "are one on some systems"},
	}
	key := newKey(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS != "linux" && strings.Contains(name, "case") {
				t.Skip("needs a file system that tells cases apart")
			}
			dir := model(t)
			bundle, err := sign.Sign(dir, key)
			require.NoError(t, err)
			c.change(t, dir)
			m, err := sign.Verify(dir, bundle, trust(key))
			require.ErrorIs(t, err, sign.ErrFiles)
			require.ErrorContains(t, err, c.want)
			require.Nil(t, m)
		})
	}
}

func TestUntrusted(t *testing.T) {
	files := map[string][]byte{"a": []byte("x")}
	key := newKey(t)
	bundle, err := sign.SignFiles("m", files, key)
	require.NoError(t, err)
	_, err = sign.VerifyFiles(files, bundle, trust(key))
	require.NoError(t, err)
	_, err = sign.VerifyFiles(files, bundle, trust(newKey(t)))
	require.ErrorIs(t, err, sign.ErrKey)
	_, err = sign.VerifyFiles(files, bundle, sign.Policy{})
	require.ErrorIs(t, err, sign.ErrKey, "the zero policy trusts nobody")

	// A bundle that claims a trusted key but was signed with another.
	id, err := sign.KeyID(key.Public())
	require.NoError(t, err)
	other := newKey(t)
	otherID, err := sign.KeyID(other.Public())
	require.NoError(t, err)
	forged, err := sign.SignFiles("m", files, other)
	require.NoError(t, err)
	_, err = sign.VerifyFiles(files, bytes.ReplaceAll(forged, []byte(otherID), []byte(id)), trust(key))
	require.ErrorIs(t, err, sign.ErrSignature)
}

func TestEveryByteOfTheSignatureCounts(t *testing.T) {
	files := map[string][]byte{"a": []byte("x")}
	key := newKey(t)
	bundle, err := sign.SignFiles("m", files, key)
	require.NoError(t, err)
	for i := range bundle {
		bad := bytes.Clone(bundle)
		bad[i] ^= 1
		_, err := sign.VerifyFiles(files, bad, trust(key))
		require.Error(t, err, "byte %d (%q)", i, bundle[i])
	}
	for i := range bundle {
		_, err := sign.VerifyFiles(files, bundle[:i], trust(key))
		require.ErrorIs(t, err, sign.ErrBundle)
	}
}

func TestRefusedSigners(t *testing.T) {
	files := map[string][]byte{"a": nil}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, err = sign.SignFiles("m", files, p384)
	require.ErrorContains(t, err, "EC P-256")
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	_, err = sign.SignFiles("m", files, ed)
	require.ErrorContains(t, err, "EC P-256")
	_, err = sign.SignFiles("m", files, faulty{newKey(t)})
	require.ErrorIs(t, err, sign.ErrSignature)
	_, err = sign.SignFiles("m", nil, newKey(t))
	require.ErrorContains(t, err, "no file")
	_, err = sign.SignFiles("", files, newKey(t))
	require.ErrorContains(t, err, "no name")
	for _, name := range []string{"/a", "../a", "a//b", "a\\b", "a\x00b", "a\nb", "", ".", "b/..", strings.Repeat("n", 2000), "\xff"} {
		_, err = sign.SignFiles("m", map[string][]byte{name: nil}, newKey(t))
		require.ErrorContains(t, err, "file name", "%q", name)
	}
	_, err = sign.SignFiles("m", map[string][]byte{"a": nil, "a/b": nil}, newKey(t))
	require.ErrorContains(t, err, "both a file and a folder")
}

// faulty is a key store that answers with another key's signature.
type faulty struct{ *ecdsa.PrivateKey }

func (f faulty) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return other.Sign(r, digest, opts)
}

// resign signs an arbitrary payload with key, to reach the checks behind the
// signature.
func resign(t testing.TB, key *ecdsa.PrivateKey, payload string) []byte {
	t.Helper()
	bundle, err := sign.SignPayload(key, []byte(payload))
	require.NoError(t, err)
	return bundle
}

func TestSignedNonsense(t *testing.T) {
	key := newKey(t)
	bundle, err := sign.SignFiles("m", map[string][]byte{"a": []byte("x"), "b": []byte("y")}, key)
	require.NoError(t, err)
	var b struct {
		Envelope struct{ Payload []byte } `json:"dsseEnvelope"`
	}
	require.NoError(t, json.Unmarshal(bundle, &b))
	good := string(b.Envelope.Payload)
	_, err = sign.Open(resign(t, key, good), trust(key))
	require.NoError(t, err)

	cases := map[string]struct{ old, new, want string }{
		"wrong predicate":  {"model_signing/signature/v1.0", "model_signing/signature/v2", "predicate"},
		"wrong type":       {"in-toto.io/Statement/v1", "in-toto.io/Statement/v0.1", "type"},
		"shards":           {`"method":"files"`, `"method":"shards"`, "shards"},
		"weak hash":        {`"hash_type":"sha256"`, `"hash_type":"md5"`, "md5"},
		"mixed hash":       {`"algorithm":"sha256"`, `"algorithm":"blake3"`, "blake3"},
		"links allowed":    {`"allow_symlinks":false`, `"allow_symlinks":true`, "symbolic links"},
		"hidden files":     {`["model.sig"]`, `["model.sig","a"]`, "leaves out"},
		"hidden root":      {`["model.sig"]`, `["."]`, "not a path below"},
		"climbing name":    {`"name":"a"`, `"name":"../a"`, "not a path below"},
		"absolute name":    {`"name":"a"`, `"name":"/etc/passwd"`, "not a path below"},
		"windows name":     {`"name":"a"`, `"name":"..\\a"`, "backslash"},
		"twin by case":     {`"name":"a"`, `"name":"B"`, "one on some systems"},
		"same name":        {`"name":"a"`, `"name":"b"`, "one on some systems"},
		"upper digest":     {`"sha256":"`, `"sha256":"A`, "hex digits"},
		"other root":       {`"sha256":"`, `"sha256":"` + strings.Repeat("0", 64) + `","x":"`, "root digest"},
		"duplicate key":    {`"name":"a"`, `"name":"a","name":"c"`, "decoding json"},
		"unknown key":      {`"_type"`, `"x":1,"_type"`, "decoding json"},
		"two subjects":     {`"subject":[`, `"subject":[{"name":"n","digest":{}},`, "exactly one subject"},
		"no subject name":  {`"name":"m"`, `"name":""`, "needs a name"},
		"trailing content": {`}}`, `}} {}`, "decoding json"},
		"not JSON":         {good, "hello", ""},
		"array":            {good, "[]", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, good, c.old)
			bad := resign(t, key, strings.Replace(good, c.old, c.new, 1))
			m, err := sign.Open(bad, trust(key))
			require.ErrorContains(t, err, c.want)
			require.Nil(t, m)
		})
	}
}

func TestIgnoredPathsNeedThePolicy(t *testing.T) {
	dir, key := model(t), newKey(t)
	files, err := sign.HashFS(os.DirFS(dir), []string{"sub"})
	require.NoError(t, err)
	bundle, err := sign.SignIgnoring(key, "m", files, []string{"sub", "model.sig"})
	require.NoError(t, err)
	_, err = sign.Verify(dir, bundle, trust(key))
	require.ErrorIs(t, err, sign.ErrIgnored)
	p := trust(key)
	p.Ignore = []string{"sub"}
	_, err = sign.Verify(dir, bundle, p)
	require.NoError(t, err)
}

func TestBundleForms(t *testing.T) {
	key := newKey(t)
	bundle, err := sign.SignFiles("m", map[string][]byte{"a": nil}, key)
	require.NoError(t, err)
	good := string(bundle)
	require.Contains(t, good, `"keyid":""`)
	for name, c := range map[string]struct{ old, new, want string }{
		"keyid null":      {`"keyid":""`, `"keyid":null`, ""},
		"keyid absent":    {`,"keyid":""`, ``, ""},
		"no tlog list":    {`,"tlogEntries":[]`, ``, ""},
		"a log entry":     {`"tlogEntries":[]`, `"tlogEntries":[{}]`, "tlogEntries"},
		"old version":     {"bundle.v0.3+json", "bundle.v0.2+json", "media type"},
		"folded key":      {`"dsseEnvelope"`, `"DsseEnvelope"`, "unknown key"},
		"duplicate":       {`"dsseEnvelope"`, `"dsseEnvelope":{},"dsseEnvelope"`, "twice"},
		"message":         {`"dsseEnvelope"`, `"messageSignature":{},"dsseEnvelope"`, "unknown key"},
		"two signatures":  {`"signatures":[`, `"signatures":[{"sig":"AA=="},`, "exactly one"},
		"no signature":    {`"sig":"`, `"sig":"","x":"`, "unknown key"},
		"other payload":   {"application/vnd.in-toto+json", "text/plain", "payload type"},
		"loose base64":    {`"payload":"`, `"payload":"\n`, "base64"},
		"no key":          {`"hint":"`, `"hint":"","rawBytes":"","keyDetails":"`, "names no public key"},
		"deeply nested":   {`"keyid":""`, `"keyid":` + strings.Repeat("[", 50) + strings.Repeat("]", 50), "nested"},
		"with whitespace": {`{"mediaType"`, " {\n\"mediaType\"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, good, c.old)
			_, err := sign.Open([]byte(strings.Replace(good, c.old, c.new, 1)), trust(key))
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, sign.ErrBundle)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err = sign.Open(bytes.Repeat([]byte(" "), sign.MaxBundle+1), trust(key))
	require.ErrorContains(t, err, "limit")
}

func TestVerifyFSInMemory(t *testing.T) {
	key := newKey(t)
	bundle, err := sign.SignFiles("m", map[string][]byte{"a/b": []byte("x")}, key)
	require.NoError(t, err)
	fsys := fstest.MapFS{"a/b": {Data: []byte("x")}, "model.sig": {Data: bundle}}
	_, err = sign.VerifyFS(fsys, bundle, trust(key))
	require.NoError(t, err)
	fsys["a/b"].Data = []byte("y")
	_, err = sign.VerifyFS(fsys, bundle, trust(key))
	var mismatch *sign.Mismatch
	require.ErrorAs(t, err, &mismatch)
	require.Equal(t, []string{"a/b"}, mismatch.Changed)
}

func FuzzOpen(f *testing.F) {
	key := newKey(f)
	bundle, err := sign.SignFiles("m", map[string][]byte{"a": []byte("x")}, key)
	require.NoError(f, err)
	f.Add(bundle)
	seeds, err := filepath.Glob("testdata/oms/*/*/*.json")
	require.NoError(f, err)
	for _, path := range seeds {
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := sign.Open(data, trust(key))
		require.Equal(t, err == nil, m != nil)
	})
}

func FuzzManifest(f *testing.F) {
	seeds, err := filepath.Glob("testdata/oms/spec-vectors/valid/*.json")
	require.NoError(f, err)
	for _, path := range seeds {
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		var b struct {
			Envelope struct{ Payload string } `json:"dsseEnvelope"`
		}
		require.NoError(f, json.Unmarshal(data, &b))
		payload, err := base64.StdEncoding.DecodeString(b.Envelope.Payload)
		require.NoError(f, err)
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, err := sign.ParseManifest(payload)
		if err != nil {
			return
		}
		again, err := sign.MarshalManifest(m)
		require.NoError(t, err)
		back, err := sign.ParseManifest(again)
		require.NoError(t, err)
		require.ElementsMatch(t, m.Files, back.Files)
	})
}
