package main

import (
	"encoding/json"
	"testing"

	"github.com/koinon-eu/koinon/benchmarks/secagg"

	"github.com/stretchr/testify/require"
)

func TestSecagg(t *testing.T) {
	args := []string{"secagg", "--nodes", "3", "--params", "20000", "--bits", "15", "--rounds", "1", "--no-fsync", "--dir", t.TempDir()}
	code, out, errs := command(t, append(args, "--json")...)
	require.Zero(t, code, errs)
	require.Contains(t, errs, "round 1 of 1: secure sum")
	var r secagg.Report
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Equal(t, []int{3, 20000, 15, 3}, []int{r.Nodes, r.Params, r.Bits, r.Threshold})
	require.Positive(t, r.Ratio)

	code, out, errs = command(t, args...)
	require.Zero(t, code, errs)
	for _, want := range []string{"spec to result", "fetch", "ratio ", "of it key set-up", "up per parameter", "peak memory"} {
		require.Contains(t, out, want)
	}
}

func TestSecaggRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		args        []string
		want, hints string
	}{
		"dropouts": {[]string{"--nodes", "10", "--dropouts", "4"}, "error: 4 dropouts of 10 nodes: the round cannot close with fewer than 7", "hint: at most 3"},
		"nodes":    {[]string{"--nodes", "2"}, "error: 2 nodes", "hint: a cohort has 3 to 255 members"},
		"bits":     {[]string{"--bits", "20"}, "bits", ""},
		"params":   {[]string{"--params", "0"}, "error: 0 parameters", "hint: 1 to"},
		"dir":      {[]string{"--dir", "/nowhere/at/all"}, "/nowhere/at/all", ""},
	} {
		code, out, errs := command(t, append([]string{"secagg"}, c.args...)...)
		require.Equal(t, 2, code, name)
		require.Empty(t, out, name)
		require.Contains(t, errs, c.want, name)
		require.Contains(t, errs, c.hints, name)
	}
}
