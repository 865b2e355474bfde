package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/prg"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"github.com/stretchr/testify/require"
)

func stores(t *testing.T) map[string]spool.Store {
	files, err := spool.NewFiles(filepath.Join(t.TempDir(), "spool"))
	require.NoError(t, err)
	return map[string]spool.Store{"memory": spool.NewMemory(), "files": files}
}

func TestStore(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			k := spool.Key{Run: [16]byte{7}, Round: 3, Member: 9}
			_, err := s.Size(k)
			require.ErrorIs(t, err, spool.ErrMissing)
			require.ErrorIs(t, s.ReadAt(k, make([]byte, 1), 0), spool.ErrMissing)
			require.Error(t, s.Sync(k))
			require.NoError(t, s.Remove(k))
			require.NoError(t, s.RemoveUploads(k.Run, k.Round))

			require.NoError(t, s.WriteAt(k, []byte("world"), 6))
			require.NoError(t, s.WriteAt(k, []byte("hello "), 0))
			require.NoError(t, s.Sync(k))
			b := make([]byte, 11)
			require.NoError(t, s.ReadAt(k, b, 0))
			require.Equal(t, "hello world", string(b))
			require.ErrorIs(t, s.ReadAt(k, b, 1), spool.ErrMissing, "not all of it is there")
			size, err := s.Size(k)
			require.NoError(t, err)
			require.Equal(t, int64(11), size)

			require.NoError(t, s.WriteAt(spool.Key{Run: k.Run, Round: k.Round}, ring.AppendLE(nil, []uint64{1, 2, 3}), 0))
			require.NoError(t, s.RemoveUploads(k.Run, k.Round))
			_, err = s.Size(k)
			require.ErrorIs(t, err, spool.ErrMissing)
			sum, err := spool.ReadSum(s, k.Run, k.Round)
			require.NoError(t, err)
			require.Equal(t, []uint64{1, 2, 3}, sum)
		})
	}
}

// S32: the sum is that of the survivors' vectors with the streams taken off, over several chunks; a chunk that is not
// the declared one stops it.
func TestSum(t *testing.T) {
	const words = 3*8192 + 5
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			want := make([]uint64, words)
			streams := []prg.Stream{{Key: [32]byte{1}, Negative: true}, {Key: [32]byte{2}}}
			for m := uint8(1); m <= 3; m++ {
				v := make([]uint64, words)
				for i := range v {
					v[i] = uint64(m) * uint64(i+1)
				}
				if m < 3 {
					ring.Add(want, v)
				}
				if m == 1 {
					prg.Apply(v, 0, []prg.Stream{{Key: [32]byte{1}}, {Key: [32]byte{2}, Negative: true}})
				}
				require.NoError(t, s.WriteAt(spool.Key{Run: [16]byte{1}, Round: 2, Member: m}, ring.AppendLE(nil, v), 0))
			}
			job := spool.Job{
				Run: [16]byte{1}, Round: 2, Survivors: []uint8{1, 2}, Words: words, Streams: streams,
				Check: func(uint8, uint32, []byte) error { return nil },
			}
			got, root, err := spool.Sum(s, job)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, secagg.SumRoot(want), root)
			stored, err := spool.ReadSum(s, job.Run, job.Round)
			require.NoError(t, err)
			require.Equal(t, want, stored)

			bad := job
			bad.Check = func(m uint8, q uint32, _ []byte) error {
				if m == 2 && q == 3 {
					return errors.New("changed")
				}
				return nil
			}
			_, _, err = spool.Sum(s, bad)
			require.ErrorContains(t, err, "changed")
			_, err = spool.ReadSum(s, job.Run, job.Round)
			require.ErrorIs(t, err, spool.ErrMissing, "half a sum is none")
			bad = job
			bad.Survivors = []uint8{1, 4}
			_, _, err = spool.Sum(s, bad)
			require.ErrorIs(t, err, spool.ErrMissing)
			bad = job
			bad.Words++
			_, _, err = spool.Sum(s, bad)
			require.Error(t, err)
		})
	}
}

func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s, err := spool.NewFiles(dir)
	require.NoError(t, err)
	k := spool.Key{Run: [16]byte{1}, Round: 1, Member: 1}
	require.NoError(t, s.WriteAt(k, []byte("x"), 0))
	info, err := os.Stat(filepath.Join(dir, k.String()))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}
