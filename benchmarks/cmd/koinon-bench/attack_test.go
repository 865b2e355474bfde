package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAttack: trees that overfit a small table give their members away, more than
// a logistic model of four parameters; a plan trains what its flags would.
func TestAttack(t *testing.T) {
	data, schema := smallTable(t, 3, 600)
	read := func(args ...string) (r attackResult) {
		code, out, errs := command(t, append([]string{"attack", "--data", data, "--models", "8", "--json"}, args...)...)
		require.Zero(t, code, errs)
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		require.Equal(t, 600, r.Records)
		return r
	}
	logistic := read("--schema", schema, "--rows", "0")
	require.Equal(t, "logistic", logistic.Architecture)
	require.InDelta(t, .5, logistic.LiRAOffline.AUC.Value, .05)
	require.InDelta(t, logistic.MembersLoss, logistic.OthersLoss, .015)
	grown := read("--schema", schema, "--architecture", "trees", "--trees", "60", "--depth", "4")
	require.Greater(t, grown.LiRAOffline.AUC.Low, .515)
	require.Less(t, grown.MembersLoss, grown.OthersLoss-.025)
	require.Equal(t, logistic, read("--schema", schema), "the same seed, the same figures")

	dir := filepath.Dir(schema)
	declaration, err := os.ReadFile("../../../docs/samples/declaration.yaml")
	require.NoError(t, err)
	ours := strings.NewReplacer("sex, age_band, nationality_group, prior_overstay", "sex", "sex, age_band, nationality_group", "sex",
		"template_family, bank_consistency", "")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "declaration.yaml"), []byte(ours.Replace(string(declaration))), 0o600))
	plan := filepath.Join(dir, "plan.yaml")
	require.NoError(t, os.WriteFile(plan, []byte(`name: attacked
declaration: declaration.yaml
schema: s.yaml
architecture: {kind: logistic}
cohort: {members: [DE, FR, IT]}
gates: [{metric: auroc, bound: point, at_least: 0.5}]
`), 0o600))
	require.Equal(t, logistic, read("--plan", plan))

	code, out, errs := command(t, "attack", "--data", data, "--plan", plan, "--models", "6", "--rows", "100")
	require.Zero(t, code, errs)
	require.Contains(t, out, "LiRA, online")
	counting := filepath.Join(dir, "counting.yaml")
	require.NoError(t, os.WriteFile(counting, []byte("name: c\nlabel: {column: y, kind: count, max: 100}\ncolumns:\n  a: {type: number}\n  sex: {type: category, role: group, values: [f, m]}\n"), 0o600))
	warm := filepath.Join(dir, "warm.yaml")
	body, err := os.ReadFile(plan)
	require.NoError(t, err)
	counts := filepath.Join(dir, "counts.yaml")
	require.NoError(t, os.WriteFile(counts, []byte(strings.NewReplacer("s.yaml", "counting.yaml", "logistic", "linear", "auroc", "coverage80").Replace(string(body))), 0o600))
	require.NoError(t, os.WriteFile(warm, append(body, "warm_start: {release: "+strings.Repeat("0f", 32)+"}\n"...), 0o600))
	for want, args := range map[string][]string{
		"not, label y counts":         {"--plan", counts},
		"leave warm_start out":        {"--plan", warm},
		"--plan says what is trained": {"--plan", plan, "--depth", "3"},
		"missing flags":               {},
		"can't be used together":      {"--plan", plan, "--schema", schema},
		"--models 7: want":            {"--plan", plan, "--models", "7"},
		"10 records":                  {"--plan", plan, "--rows", "10"},
		"negative":                    {"--plan", plan, "--rows=-1"},
		"no such file":                {"--schema", schema + "x"},
		"must be one of":              {"--plan", plan, "--architecture", "oracle"},
	} {
		code, _, errs := command(t, append([]string{"attack", "--data", data}, args...)...)
		require.NotZero(t, code, want)
		require.Contains(t, errs, want)
	}
}
