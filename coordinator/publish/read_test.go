package publish

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/koinon-eu/koinon/models/release"

	"github.com/stretchr/testify/require"
)

// Anybody may ask for a page, so what one request reads is bounded.
func TestPageReadsBoundedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "statement.json")
	require.NoError(t, os.WriteFile(path, []byte("{}"), 0o600))
	b, err := read(path)
	require.NoError(t, err)
	require.Equal(t, "{}", string(b))
	require.NoError(t, os.Truncate(path, release.MaxStatement+1))
	_, err = read(path)
	require.ErrorContains(t, err, "more than")
}
