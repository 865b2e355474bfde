package identity

import (
	"crypto"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAuthorityFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authority.pem")
	c := &clock{start}
	made, err := CreateAuthority(path, federation, c.Now)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	_, err = CreateAuthority(path, federation, c.Now)
	require.ErrorIs(t, err, fs.ErrExist, "a federation's authority is never overwritten")
	opened, err := OpenAuthority(path, federation, c.Now)
	require.NoError(t, err)
	require.Equal(t, FingerprintOf(made.Root()), FingerprintOf(opened.Root()))
	trust := &Trust{Federation: federation, Root: made.Root(), Now: c.Now}
	_, err = trust.PeerOfCertificate(enrol(t, opened, member("DE")).Leaf())
	require.NoError(t, err)

	root, err := ParseRoot(EncodeRoot(made.Root()))
	require.NoError(t, err)
	require.True(t, root.Equal(made.Root()))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, text := range map[string][]byte{
		"with key": whole, "empty": nil, "twice": append(EncodeRoot(root), EncodeRoot(root)...),
		"leaf": EncodeRoot(enrol(t, made, member("DE")).Leaf()), "trailing": append(EncodeRoot(root), "x"...),
	} {
		_, err := ParseRoot(text)
		require.Error(t, err, name)
	}
}

func TestCredentialsFile(t *testing.T) {
	c := &clock{start}
	a := newAuthority(t, c, federation)
	path := filepath.Join(t.TempDir(), "node.pem")
	for range 2 { // the second replaces the first
		creds := enrol(t, a, member("DE"))
		require.NoError(t, creds.Save(path))
		loaded, err := LoadCredentials(path)
		require.NoError(t, err)
		require.Equal(t, creds.Chain, loaded.Chain)
		require.Equal(t, creds.Key, loaded.Key)
	}
	names, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, names, 1, "no temporary file is left")

	elsewhere := enrol(t, a, member("DE"))
	elsewhere.Key = struct{ crypto.Signer }{elsewhere.Key}
	require.ErrorContains(t, elsewhere.Save(path), "kept elsewhere")

	require.NoError(t, os.Chmod(path, 0o640))
	_, err = LoadCredentials(path)
	require.ErrorContains(t, err, "lets others read the key")
	require.NoError(t, os.Chmod(path, 0o600))
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	other := enrol(t, a, member("FR"))
	require.NoError(t, other.Save(path))
	foreign, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, text := range map[string][]byte{
		"empty": nil, "garbage": []byte("hello"), "cut": good[:len(good)-30], "two keys": append(append([]byte{}, good...), foreign...),
		"no key": EncodeRoot(a.Root()), "large": make([]byte, maxPEM+1),
		"other's key": append(append([]byte{}, foreign[:250]...), good[250:]...),
	} {
		require.NoError(t, os.WriteFile(path, text, 0o600))
		_, err := LoadCredentials(path)
		require.Error(t, err, name)
		require.ErrorContains(t, err, path, name)
	}
	_, err = LoadCredentials(filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = NewCredentials(elsewhere.Key, nil)
	require.Error(t, err)
	_, err = NewCredentials(other.Key, elsewhere.Chain)
	require.ErrorContains(t, err, "do not belong together")
}
