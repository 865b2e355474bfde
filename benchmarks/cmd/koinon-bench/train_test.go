package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTrain: the command trains, and the same table gives the same model on two cores.
func TestTrain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "table.csv")
	args := []string{"train", "--rows", "4000", "--columns", "6", "--trees", "8", "--depth", "3", "--repeat", "1", "--json"}
	read := func(args ...string) (out trainResult) {
		code, text, errs := command(t, args...)
		require.Zero(t, code, errs)
		require.NoError(t, json.Unmarshal([]byte(text), &out))
		return out
	}
	one := read(append(args, "--write", file)...)
	two := read(append(args, "--threads", "2")...)
	require.Equal(t, "trees", one.Engine)
	require.Greater(t, one.AUROC, 0.65)
	require.Equal(t, one.AUROC, two.AUROC)
	require.Positive(t, one.RowsCPU)
	require.Len(t, one.Phases, 3)

	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	records, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	require.Len(t, records, 5001)
	require.Len(t, records[0], 8)

	code, out, errs := command(t, args[:len(args)-1]...)
	require.Zero(t, code, errs)
	require.Contains(t, out, "rows per CPU second")
	for _, bad := range [][]string{
		{"train", "--rows", "10"},
		{"train", "--columns", "2"},
		{"train", "--repeat", "0"},
		{"train", "--engine", "x"},
		{"train", "--rows", "2000", "--depth", "99"},
		{"train", "--rows", "2000", "--trees", "-1"},
	} {
		code, _, errs := command(t, bad...)
		require.NotZero(t, code)
		require.Contains(t, errs, "error:")
	}
}
