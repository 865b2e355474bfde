package node

import (
	"crypto/sha256"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
)

// TestTableCache: node.yaml switches the cache on, off and to another folder;
// the table and its name are the same.
func TestTableCache(t *testing.T) {
	d, log := Dir(t.TempDir()), slog.New(slog.DiscardHandler)
	text := "y,a\n" + strings.Repeat("1,2\n0,3\n", 40)
	require.NoError(t, os.WriteFile(d.Path("table.csv"), []byte(text), 0o600))
	s, err := feature.ParseSchema([]byte("name: x\nlabel: {column: y, positive: \"1\"}\ncolumns:\n  a: {type: number}\n"))
	require.NoError(t, err)
	files := func(dir string) int {
		all, err := filepath.Glob(filepath.Join(dir, "*.columns"))
		require.NoError(t, err)
		return len(all)
	}
	other := t.TempDir()
	for _, c := range []struct {
		cache          string
		inState, other int
	}{{"", 0, 0}, {"true", 1, 0}, {"true", 1, 0}, {other, 1, 1}, {"false", 0, 1}} {
		f := File{Data: Data{File: "table.csv"}, Cache: c.cache}
		table, name, err := d.OpenTable(t.Context(), f, log)(s)
		require.NoError(t, err)
		require.Equal(t, 80, table.Rows())
		require.Equal(t, sha256.Sum256([]byte(text)), name)
		require.Equal(t, c.inState, files(d.Path("cache")), c.cache)
		require.Equal(t, c.other, files(other), c.cache)
		require.Equal(t, c.cache == "" || c.cache == "false", d.TableScratch(f) == nil)
	}
	_, _, err = d.OpenTable(t.Context(), File{}, log)(s)
	require.ErrorContains(t, err, "names no data")

	yaml := "federation: f\nmember: DE\ncoordinator: a:1\ndata: t.csv\ncache: true\ncache_gib: 3\n"
	require.NoError(t, os.WriteFile(d.Path(configName), []byte(yaml), 0o600))
	f, err := d.LoadFile()
	require.NoError(t, err)
	require.Equal(t, int64(3)<<30, d.TableCache(f, log).Max)
	require.NoError(t, os.WriteFile(d.Path(configName), []byte(strings.Replace(yaml, "3", "-3", 1)), 0o600))
	_, err = d.LoadFile()
	require.ErrorContains(t, err, "cache_gib")
}
