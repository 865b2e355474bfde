package spool_test

import (
	"runtime"
	"testing"

	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"github.com/stretchr/testify/require"
)

// Memory of a sum is that of the sum itself, however many vectors are in it: one buffer a processor, and nothing a
// chunk or a member.
func TestSumMemory(t *testing.T) {
	const words = 40 * secagg.ChunkSize / 8
	s, err := spool.NewFiles(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	vector := ring.AppendLE(nil, make([]uint64, words))
	var members []uint8
	for m := uint8(1); m <= 60; m++ {
		members = append(members, m)
		require.NoError(t, s.WriteAt(spool.Key{Member: m}, vector, 0))
	}
	taken := func(n int) uint64 {
		j := spool.Job{Survivors: members[:n], Words: words, Check: func(uint8, uint32, []byte) error { return nil }}
		_, _, err := spool.Sum(s, j) // opens files
		require.NoError(t, err)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err = spool.Sum(s, j)
		runtime.ReadMemStats(&after)
		require.NoError(t, err)
		return after.TotalAlloc - before.TotalAlloc
	}
	few, many := taken(6), taken(60)
	most := uint64(len(vector) + (runtime.GOMAXPROCS(0)+2)*secagg.ChunkSize)
	require.Less(t, few, most)
	require.Less(t, many, most+1<<20) // names of files
	require.Less(t, many-few, uint64(1<<20))
}

// More files than stay open are written and read in any order, and a file that was closed meanwhile is opened again.
func TestManyFiles(t *testing.T) {
	s, err := spool.NewFiles(t.TempDir())
	require.NoError(t, err)
	for turn := range 3 {
		for m := uint8(1); m < 250; m++ {
			require.NoError(t, s.WriteAt(spool.Key{Member: m}, []byte{m}, int64(turn)))
		}
	}
	for m := uint8(1); m < 250; m++ {
		b := make([]byte, 3)
		require.NoError(t, s.Sync(spool.Key{Member: m}))
		require.NoError(t, s.ReadAt(spool.Key{Member: m}, b, 0))
		require.Equal(t, []byte{m, m, m}, b)
	}
	require.NoError(t, s.Close())
	require.NoError(t, s.ReadAt(spool.Key{Member: 7}, make([]byte, 1), 0))
	require.NoError(t, s.RemoveUploads([16]byte{}, 0))
	require.ErrorIs(t, s.ReadAt(spool.Key{Member: 7}, make([]byte, 1), 0), spool.ErrMissing)
	require.NoError(t, s.Close())
}
