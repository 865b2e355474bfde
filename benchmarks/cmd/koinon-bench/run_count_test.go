package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/synth"
)

// travelTable writes three states' tables as one.
func travelTable(t *testing.T) (data, schema string) {
	t.Helper()
	dir := t.TempDir()
	var all strings.Builder
	for i, state := range synth.TravelStates()[:3] {
		var b bytes.Buffer
		require.NoError(t, synth.GenerateTravel(&b, state, 1))
		header, rows, _ := strings.Cut(b.String(), "\n")
		if i == 0 {
			all.WriteString("member," + header + "\n")
		}
		for row := range strings.Lines(rows) {
			all.WriteString(state + "," + state + "-" + row)
		}
	}
	data, schema = filepath.Join(dir, "t.csv"), filepath.Join(dir, "s.yaml")
	require.NoError(t, os.WriteFile(data, []byte(all.String()), 0o600))
	require.NoError(t, os.WriteFile(schema, synth.TravelPack().Schema, 0o600))
	return data, schema
}

// TestRunForecasts: a label that counts has figures of its own.
func TestRunForecasts(t *testing.T) {
	data, schema := travelTable(t)
	args := []string{"run", "--data", data, "--schema", schema, "--node-column", "member", "--rounds", "30"}
	code, out, errs := command(t, append(args, "--dispersion", "6", "--json")...)
	require.Zero(t, code, errs)
	var c countComparison
	require.NoError(t, json.Unmarshal([]byte(out), &c))
	require.Equal(t, "linear", c.Architecture.Kind)
	require.Equal(t, 6.0, c.Architecture.Dispersion)
	require.Len(t, c.Nodes, 3)
	require.Positive(t, c.Nodes[0].Test)
	require.Greater(t, *c.Federated.OverBase, 0.05)
	require.InDelta(t, *c.Pooled.Deviance, *c.Federated.Deviance, 0.3**c.Pooled.Deviance)
	require.Equal(t, int64(3), c.WithBaseline)

	code, out, errs = command(t, append(args[:len(args)-1], "2", "--loss", "poisson")...)
	require.Zero(t, code, errs)
	require.Contains(t, out, "Deviance is Poisson's, a row.")
	require.Contains(t, out, "inside 80 %")

	code, _, errs = command(t, append(args[:len(args)-2], "--architecture", "trees")...)
	require.NotZero(t, code)
	require.Contains(t, errs, "have no loss for counts")
	binary, binarySchema := smallTable(t, 3, 90)
	code, _, errs = command(t, "run", "--data", binary, "--schema", binarySchema, "--node-column", "node", "--loss", "poisson")
	require.NotZero(t, code)
	require.Contains(t, errs, "label of kind count")
}
