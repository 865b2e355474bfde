package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/deploy/cli"
)

const smallSchema = `
name: small
label: {column: y, positive: "1"}
columns:
  a:   {type: number}
  b:   {type: category}
  sex: {type: category, role: group}
`

// smallTable writes rows of n nodes whose label follows a and b.
func smallTable(t *testing.T, nodes, rows int) (data, schema string) {
	t.Helper()
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString("node,a,b,sex,y\n")
	for i := range rows {
		a, kind, y := r.NormFloat64(), r.IntN(3), 0
		if a+float64(kind)+r.NormFloat64() > 2 {
			y = 1
		}
		fmt.Fprintf(&b, "N %d,%.3f,k%d,%s,%d\n", i%nodes, a, kind, []string{"f", "m"}[r.IntN(2)], y)
	}
	data, schema = filepath.Join(dir, "t.csv"), filepath.Join(dir, "s.yaml")
	require.NoError(t, os.WriteFile(data, []byte(b.String()), 0o600))
	require.NoError(t, os.WriteFile(schema, []byte(smallSchema), 0o600))
	return data, schema
}

// command runs koinon-bench in this process.
func command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = cli.Run(t.Context(), cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr}, args, "koinon-bench", "test", &grammar{})
	return code, stdout.String(), stderr.String()
}

// TestRunPrintsTheSameTwice: one seed, one model, on one machine, whatever the masks were.
func TestRunPrintsTheSameTwice(t *testing.T) {
	data, schema := smallTable(t, 3, 1500)
	read := func(seed string) comparison {
		code, out, errs := command(t, "run", "--data", data, "--schema", schema, "--node-column", "node", "--rounds", "40", "--seed", seed, "--json")
		require.Zero(t, code, errs)
		var c comparison
		require.NoError(t, json.Unmarshal([]byte(out), &c))
		return c
	}
	first, again, other := read("1"), read("1"), read("2")
	require.Equal(t, first.Model, again.Model)
	require.Equal(t, first.Overall, again.Overall)
	require.NotEqual(t, first.Model, other.Model)

	require.Len(t, first.Nodes, 3)
	require.Equal(t, 1500, first.Rows)
	for _, n := range first.Nodes {
		require.Contains(t, []string{"N-0", "N-1", "N-2"}, n.Name)
		require.Equal(t, n.Rows, n.Train+n.Test)
		require.NotNil(t, n.Alone)
		require.NotNil(t, n.Interval)
	}
	require.Greater(t, *first.Overall.Federated.AUROC, 0.75)
	require.InDelta(t, *first.Overall.Pooled.AUROC, *first.Overall.Federated.AUROC, 0.02)
	require.Contains(t, first.Overall.Federated.Groups["sex"], "f")
	require.Contains(t, first.Overall.Federated.Gaps, "sex")
	for _, phase := range []string{"advertise", "share", "mask", "agree", "unmask"} {
		require.Positive(t, first.Phases[phase].Up, phase)
	}
}

// TestRunNewton: five sums of gradient and Hessian end where pooled training ends.
func TestRunNewton(t *testing.T) {
	data, schema := smallTable(t, 4, 1200)
	code, out, errs := command(t, "run", "--data", data, "--schema", schema, "--node-column", "node", "--algorithm", "newton", "--json")
	require.Zero(t, code, errs)
	var c comparison
	require.NoError(t, json.Unmarshal([]byte(out), &c))
	require.InDelta(t, *c.Overall.Pooled.AUROC, *c.Overall.Federated.AUROC, 0.001)
}

func TestRunRefusals(t *testing.T) {
	data, schema := smallTable(t, 2, 100)
	for name, c := range map[string]struct {
		args []string
		code int
		text string
	}{
		"two nodes":      {[]string{"--data", data, "--schema", schema, "--node-column", "node"}, 1, "makes 2 nodes"},
		"no such column": {[]string{"--data", data, "--schema", schema, "--node-column", "zone"}, 1, "zone"},
		"no such file":   {[]string{"--data", filepath.Join(filepath.Dir(data), "none.csv"), "--schema", schema, "--node-column", "node"}, 1, "no such file"},
		"bad schema":     {[]string{"--data", data, "--schema", data, "--node-column", "node"}, 1, "schema"},
		"both splits":    {[]string{"--data", data, "--schema", schema, "--node-column", "node", "--split-column", "s", "--test-fraction", "0.2"}, 2, "--split-column"},
		"architecture":   {[]string{"--data", data, "--schema", schema, "--node-column", "node", "--architecture", "svm"}, 2, "architecture"},
	} {
		code, out, errs := command(t, append([]string{"run"}, c.args...)...)
		require.Equal(t, c.code, code, name)
		require.Empty(t, out, name)
		require.Contains(t, errs, "error: ", name)
		require.Contains(t, errs, c.text, name)
	}
}

// TestRunLifecycle: a run that ends early says so, and each node shows what fine-tuning is worth there.
func TestRunLifecycle(t *testing.T) {
	data, schema := smallTable(t, 3, 1200)
	args := []string{"run", "--data", data, "--schema", schema, "--node-column", "node", "--rounds", "60", "--patience", "3", "--fine-tune"}
	code, out, errs := command(t, append(args, "--json")...)
	require.Zero(t, code, errs)
	var c comparison
	require.NoError(t, json.Unmarshal([]byte(out), &c))
	require.Less(t, c.Stopping.Rounds, 60)
	require.Len(t, c.Stopping.Losses, c.Stopping.Rounds)
	for _, n := range c.Nodes {
		require.NotNil(t, n.FineTuned, n.Name)
		require.InDelta(t, *n.FineTuned.AUROC-*n.Federated.AUROC, n.FineTuned.Gain.Value, 1e-9)
	}
	code, out, errs = command(t, args...)
	require.Zero(t, code, errs)
	require.Contains(t, out, "training ended after")
	require.Regexp(t, `fine-tuned +gain\n`, out)
	require.Contains(t, out, "Fine-tuning clearly helps")
	code, _, errs = command(t, "run", "--data", data, "--schema", schema, "--node-column", "node", "--architecture", "trees", "--fine-tune")
	require.NotZero(t, code)
	require.Contains(t, errs, "trees are not fine-tuned")
	for want, flags := range map[string][]string{
		"--search needs --patience": {"--search", "{grid: {l2: [1, 10]}}"},
	} {
		code, _, errs = command(t, append([]string{"run", "--data", data, "--schema", schema, "--node-column", "node"}, flags...)...)
		require.Equal(t, 2, code)
		require.Contains(t, errs, want)
	}
}

// TestRunWithPrivacy prints the accountant's inputs and still learns.
func TestRunWithPrivacy(t *testing.T) {
	data, schema := smallTable(t, 3, 3000)
	require.NoError(t, os.WriteFile(schema, []byte(strings.NewReplacer("{type: number}", "{type: number, range: [-6, 6]}",
		"b:   {type: category}", "b:   {type: category, values: [k0, k1, k2]}", "role: group}", "role: group, values: [f, m]}").Replace(smallSchema)), 0o600))
	args := []string{"run", "--data", data, "--schema", schema, "--node-column", "node", "--rounds", "20"}
	code, out, errs := command(t, append(args, "--dp-epsilon", "8", "--dp-clip", "2", "--json")...)
	require.Zero(t, code, errs)
	var c comparison
	require.NoError(t, json.Unmarshal([]byte(out), &c))
	require.LessOrEqual(t, c.Privacy.Epsilon, 8.0)
	require.Equal(t, uint64(20), c.Privacy.Training.Steps)
	require.Equal(t, 2.0, c.Privacy.Clip)
	require.Greater(t, *c.Overall.Federated.AUROC, 0.7)
	code, _, errs = command(t, append(args, "--dp-clip", "2")...)
	require.Equal(t, 2, code)
	require.Contains(t, errs, "are for --dp-epsilon")
}
