package spool_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/koinon-eu/koinon/coordinator/spool"

	"github.com/stretchr/testify/require"
)

// A disk without room is told from one that fails: Linux has a device that is always full.
func TestFilesFullDisk(t *testing.T) {
	dir := t.TempDir()
	s, err := spool.NewFiles(dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	k := spool.Key{Run: [16]byte{1}, Round: 1, Member: 1}
	path := filepath.Join(dir, k.String())
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.Symlink("/dev/full", path))
	err = s.WriteAt(k, []byte("x"), 0)
	require.ErrorIs(t, err, spool.ErrFull)
	require.ErrorContains(t, err, k.String())
	require.ErrorContains(t, err, "no space left")

	other := spool.Key{Run: [16]byte{1}, Round: 1, Member: 2}
	require.NoError(t, os.Symlink(dir, filepath.Join(dir, other.String())))
	err = s.WriteAt(other, []byte("x"), 0) // a directory
	require.Error(t, err)
	require.NotErrorIs(t, err, spool.ErrFull)
}
