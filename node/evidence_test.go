package node_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/node"
)

func encoded(t *testing.T, round uint32, proof []byte) []byte {
	b, err := federation.Evidence{
		Federation: "demo", Keeper: "DE", Run: strings.Repeat("0a", 16), Round: round, Reason: "found", Proof: proof,
	}.Encode()
	require.NoError(t, err)
	return b
}

// TestEvidenceFolder: what is kept is readable by nobody else, is not replaced, and a coordinator cannot fill the disk
// with it.
func TestEvidenceFolder(t *testing.T) {
	d := node.Dir(t.TempDir())
	require.NoError(t, d.Make())
	name := func(i int) string { return fmt.Sprintf("%08d-07000000-reason.evidence", i) }
	require.NoError(t, d.KeepEvidence(name(1), encoded(t, 1, nil)))
	require.NoError(t, d.KeepEvidence(name(1), encoded(t, 9, nil)))
	info, err := os.Stat(d.Path("evidence", name(1)))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	kept, err := d.Evidence()
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Equal(t, uint32(1), kept[0].Evidence.Round)

	for i := 2; i <= 64; i++ {
		require.NoError(t, d.KeepEvidence(name(i), encoded(t, uint32(i), nil)))
	}
	require.ErrorContains(t, d.KeepEvidence(name(65), encoded(t, 65, nil)), "full")
	require.NoError(t, d.KeepEvidence(name(64), encoded(t, 64, nil)), "kept already")
	require.NoError(t, os.Remove(d.Path("evidence", name(3))))
	require.NoError(t, d.KeepEvidence(name(65), encoded(t, 65, nil)))

	require.NoError(t, os.WriteFile(d.Path("evidence", name(2)), []byte("something else"), 0o600))
	require.NoError(t, os.WriteFile(d.Path("evidence", "notes.txt"), nil, 0o600))
	kept, err = d.Evidence()
	require.NoError(t, err)
	require.Len(t, kept, 64)
	require.ErrorIs(t, kept[1].Err, federation.ErrMalformed)

	e, err := d.ReadEvidence(name(1))
	require.NoError(t, err)
	require.Equal(t, "found", e.Reason)
	elsewhere := filepath.Join(t.TempDir(), "from-france")
	require.NoError(t, os.WriteFile(elsewhere, encoded(t, 5, []byte("proof")), 0o600))
	e, err = d.ReadEvidence(elsewhere)
	require.NoError(t, err)
	require.Equal(t, "proof", string(e.Proof))
	_, err = d.ReadEvidence("missing")
	require.ErrorIs(t, err, node.ErrUnknown)
}

// TestEvidenceFolderTotal: the bytes are bounded as well as the files.
func TestEvidenceFolderTotal(t *testing.T) {
	d := node.Dir(t.TempDir())
	require.NoError(t, d.Make())
	f, err := os.Create(d.Path("evidence", "large"))
	require.NoError(t, err)
	require.NoError(t, f.Truncate(128<<20))
	require.NoError(t, f.Close())
	require.ErrorContains(t, d.KeepEvidence("00000001-07000000-reason.evidence", encoded(t, 1, nil)), "full")
}
