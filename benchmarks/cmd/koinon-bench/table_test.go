package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
)

// publicFolder writes small tables of random rows under the names of public ones.
func publicFolder(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		set, err := setNamed(name)
		require.NoError(t, err)
		schema, err := set.readSchema()
		require.NoError(t, err)
		r := rand.New(rand.NewPCG(7, 8))
		header := []string{schema.Label.Column, set.nodes.Column}
		for _, c := range schema.Columns {
			header = append(header, c.Name)
		}
		var b strings.Builder
		b.WriteString(strings.Trim(strings.Join(header, ","), ",") + "\n")
		for i := range 240 {
			z := r.NormFloat64()
			row := []string{"0", fmt.Sprint(i)}
			if z+r.NormFloat64()/2 > 0 {
				row[0] = "1"
			}
			for _, c := range schema.Columns {
				if c.Type == feature.TypeNumber {
					row = append(row, fmt.Sprintf("%.2f", z+r.NormFloat64()))
				} else {
					row = append(row, fmt.Sprintf("k%d", r.IntN(3)))
				}
			}
			if set.nodes.Column == "" {
				row = append(row[:1], row[2:]...)
			}
			b.WriteString(strings.Join(row, ",") + "\n")
		}
		text := strings.Replace(b.String(), ",,", ",", 1)
		f, err := os.Create(filepath.Join(dir, set.file+".csv.gz"))
		require.NoError(t, err)
		z := gzip.NewWriter(f)
		_, err = z.Write([]byte(text))
		require.NoError(t, err)
		require.NoError(t, z.Close())
		require.NoError(t, f.Close())
	}
	return dir
}

// TestTableGoesOn: what was interrupted goes on where it was, at whatever byte, and ends in the same file.
func TestTableGoesOn(t *testing.T) {
	dir := publicFolder(t, "german")
	file := filepath.Join(t.TempDir(), "t.jsonl")
	args := []string{"table", "--data", dir, "--sets", "german", "--seeds", "2", "--no-skews", "--results", file, "--json"}
	code, first, errs := command(t, args...)
	require.Zero(t, code, errs)
	var out tableSummary
	require.NoError(t, json.Unmarshal([]byte(first), &out))
	require.Equal(t, []int{6, 6, 3, 0}, []int{out.Runs, out.Of, len(out.Sets), len(out.Skews)})
	for _, r := range out.Sets {
		require.Equal(t, 2, r.Seeds)
		require.Equal(t, 240, r.Rows)
		require.Greater(t, r.Federated, 0.5)
		require.InDelta(t, r.FedMean-r.Alone, r.Gain.Value, 1e-9)
		require.Less(t, r.Gain.Low, r.Gain.High)
		require.LessOrEqual(t, r.Lost, r.Compared)
		if r.Architecture.Kind == "trees" {
			require.Zero(t, r.Gap.Value, "trees are the pooled ones")
		}
	}
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	lines := strings.SplitAfter(string(whole), "\n")
	require.Len(t, lines, 7)
	for _, cut := range []int{len(whole) - len(lines[5]) - 1, len(whole) - 10, len(whole)} {
		require.NoError(t, os.WriteFile(file, whole[:cut], 0o600))
		code, again, errs := command(t, args...)
		require.Zero(t, code, errs)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, modelsIn(t, string(whole)), modelsIn(t, string(text)), "cut at byte %d", cut)
		if cut == len(whole) {
			require.Equal(t, first, again)
		}
	}
	require.NoError(t, os.WriteFile(file, []byte("{\n"), 0o600))
	code, _, errs = command(t, args...)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "line 1")

	require.NoError(t, os.WriteFile(file, whole, 0o600))
	code, text, errs := command(t, args[:len(args)-1]...)
	require.Zero(t, code, errs)
	for _, words := range []string{"6 of 6 runs", "| german, 240 rows, 3 nodes: iid |", "- trees: 100 of depth 6", "no gain"} {
		require.Contains(t, text, words)
	}
}

// modelsIn are the digests of the models in a results file, in order.
func modelsIn(t *testing.T, text string) (models []string) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		var r tableRun
		require.NoError(t, json.Unmarshal([]byte(line), &r))
		models = append(models, r.Model)
	}
	return models
}

// TestTablePlan: every set, architecture and seed is there once, and the skews of three sets with every algorithm.
func TestTablePlan(t *testing.T) {
	jobs, err := (&tableCommand{Seeds: 5, Skews: true}).tablePlan()
	require.NoError(t, err)
	main, skew, keys := 0, 0, map[string]bool{}
	for _, j := range jobs {
		require.NotZero(t, j.Architecture.Kind)
		require.NotZero(t, j.Algorithm.Rounds, "defaults are filled in")
		if keys[j.key()] = true; j.main {
			main++
		}
		if j.skew {
			skew++
		}
	}
	require.Equal(t, 5*10*3, main)
	require.Equal(t, 5*3*5*(9+8), skew)
	require.Len(t, keys, main+skew-5*2, "taiwan by LIMIT_BAL with the default algorithm is in both")
}

// TestOverSeeds: Student's interval of 1 … 5 is 3 ± 2.776·√(2.5/5).
func TestOverSeeds(t *testing.T) {
	e := overSeeds([]float64{1, 2, 3, 4, 5})
	require.InDelta(t, 3, e.Value, 1e-12)
	require.InDelta(t, 3-1.9632, e.Low, 1e-4)
	require.InDelta(t, 3+1.9632, e.High, 1e-4)
}

func TestTableRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		text string
	}{
		"set":     {[]string{"--sets", "titanic"}, 2, "titanic"},
		"seeds":   {[]string{"--seeds", "0"}, 2, "--seeds 0"},
		"no file": {[]string{"--sets", "ulb", "--seeds", "1"}, 1, "ulb_creditcard_fraud_sample.csv.gz"},
	} {
		args := append([]string{"table", "--data", t.TempDir(), "--results", filepath.Join(t.TempDir(), "r")}, c.args...)
		code, _, errs := command(t, args...)
		require.Equal(t, c.code, code, name)
		require.Contains(t, errs, c.text, name)
	}
}

// TestRunDirect: sums in the clear give the model of the real protocol, and nodes can be made by chance.
func TestRunDirect(t *testing.T) {
	data, schema := smallTable(t, 3, 900)
	read := func(more ...string) comparison {
		code, out, errs := command(t, append([]string{"run", "--data", data, "--schema", schema, "--json"}, more...)...)
		require.Zero(t, code, errs)
		var c comparison
		require.NoError(t, json.Unmarshal([]byte(out), &c))
		return c
	}
	for _, how := range [][]string{
		{"--node-column", "node", "--rounds", "4"},
		{"--partition", "label:1", "--nodes", "4", "--architecture", "trees", "--trees", "2"},
		{"--partition", "size:1", "--nodes", "3", "--architecture", "mlp", "--algorithm", "scaffold", "--rounds", "3"},
	} {
		real, direct := read(how...), read(append(how, "--direct")...)
		require.Equal(t, real.Model, direct.Model, how)
		require.Equal(t, real.Overall, direct.Overall, how)
		require.NotEmpty(t, real.Phases)
		require.Empty(t, direct.Phases)
	}
	for text, args := range map[string][]string{
		"needs --node-column":      {"--partition", "order"},
		"goes by no --node-column": {"--partition", "iid", "--node-column", "a"},
		"not known":                {"--partition", "zipf"},
		"as many as it has values": {"--node-column", "node", "--nodes", "4"},
		"--least-rows":             {"--partition", "iid", "--least-rows", "4"},
		"70 nodes, want 3 to 64":   {"--partition", "iid", "--nodes", "70"},
	} {
		code, _, errs := command(t, append([]string{"run", "--data", data, "--schema", schema, "--direct"}, args...)...)
		require.NotZero(t, code)
		require.Contains(t, errs, text)
	}
}
