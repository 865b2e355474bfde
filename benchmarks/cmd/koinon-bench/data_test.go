package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestData: every reader reads the whole table, and the files stay where asked.
func TestData(t *testing.T) {
	dir := t.TempDir()
	code, text, errs := command(t, "data", "--rows", "2000", "--columns", "4", "--repeat", "1", "--dir", dir, "--json")
	require.Zero(t, code, errs)
	var out []dataResult
	require.NoError(t, json.Unmarshal([]byte(text), &out))
	require.Len(t, out, 7)
	for _, r := range out {
		require.Positive(t, r.Wall, r.Reader)
	}
	for _, name := range []string{dataCSV, dataGzip, dataParquet} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Positive(t, info.Size())
	}
	require.NoDirExists(t, filepath.Join(dir, dataCache))
	code, text, errs = command(t, "data", "--rows", "1000", "--columns", "3", "--repeat", "1")
	require.Zero(t, code, errs)
	require.Contains(t, text, "ROWS PER CPU s")
	code, _, errs = command(t, "data", "--rows", "1")
	require.NotZero(t, code)
	require.Contains(t, errs, "error:")
}
