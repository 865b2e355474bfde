package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlanCheckOfPrivacy prints what the accountant is given and what it finds,
// the noise that it filled in, and warns of noise that is large against the rows.
func TestPlanCheckOfPrivacy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plan.yaml")
	text := strings.NewReplacer("%NAME%", "trial", "age: {type: number}", "age: {type: number, range: [0, 100]}",
		"kind: logistic}", "kind: logistic}\nprivacy: {dp: record, epsilon: 3}").Replace(plan)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	code, out, errs := command(t, "plan", "check", file)
	require.Zero(t, code, errs)
	for _, want := range []string{
		"epsilon 3 at delta 1e-06 promised", "training: rate 1, noise ", "60 steps (60 rounds), clip 1", "by privacy-loss distributions",
		"test rows are not covered", "is lost in the noise of the statistics", "training rows or more; see plan check --rows", "signed as   privacy: {secure_aggregation: required, dp: record, epsilon: 3",
	} {
		require.Contains(t, out, want)
	}
	_, out, _ = command(t, "plan", "check", file, "--rows", "100")
	require.Contains(t, out, "warning     100 rows")
	_, out, _ = command(t, "plan", "check", file, "--rows", "1000000")
	require.Contains(t, out, "1000000 are enough")

	code, _, errs = command(t, "plan", "check", file, "--rows=-1")
	require.Equal(t, 2, code)
	require.Contains(t, errs, "--rows is the number of training rows")

	_, out, _ = command(t, "plan", "check", file, "--json")
	var facts planFacts
	require.NoError(t, json.Unmarshal([]byte(out), &facts))
	require.LessOrEqual(t, facts.Privacy.Epsilon, 3.0)
	require.Less(t, *facts.Privacy.PLD, facts.Privacy.Epsilon)

	// What is printed as signed is the same plan.
	_, out, _ = command(t, "plan", "check", file)
	_, line, _ := strings.Cut(out, "signed as   ")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(text, "privacy: {dp: record, epsilon: 3}", strings.TrimSpace(line), 1)), 0o600))
	_, again, _ := command(t, "plan", "check", file)
	require.Equal(t, out, again)

	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(text, "{kind: logistic}", "{kind: trees}", 1)), 0o600))
	code, _, errs = command(t, "plan", "check", file)
	require.NotZero(t, code)
	require.Contains(t, errs, "histogram trees publish every feature at every level; use `growth: additive`")
}

// TestPlanCheckOfLearning says how the model comes about, and refuses what would
// mean nothing.
func TestPlanCheckOfLearning(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plan.yaml")
	check := func(replacement string, args ...string) (int, string, string) {
		text := strings.NewReplacer("%NAME%", "trial", "architecture: {kind: logistic}", replacement).Replace(plan)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return command(t, append([]string{"plan", "check", file}, args...)...)
	}
	for replacement, wants := range map[string][]string{
		"architecture: {kind: trees, trees: {growth: additive}}": {"training    trees that grow additively, 30 rounds\n"},
		"architecture: {kind: trees, trees: {trees: 3}}":         {"training    trees, 18 rounds\n"},
		"algorithm: {stop: {patience: 5, every: 2}}\narchitecture: {kind: logistic}\nsearch: {rounds: 3, grid: {l2: [1, 10]}}": {
			"training    logistic with fedadam, 63 rounds\n", "one every 2 rounds", "search      2 settings are tried; up to 3 of the rounds",
		},
	} {
		code, out, errs := check(replacement)
		require.Zero(t, code, errs)
		for _, want := range wants {
			require.Contains(t, out, want)
		}
	}
	code, _, errs := check("architecture: {kind: logistic}", "--rows", "1000")
	require.Equal(t, 2, code)
	require.Contains(t, errs, "for a plan with privacy.dp: record")
	for replacement, want := range map[string]string{
		"architecture: {kind: linear}":                                                                                           "architecture linear is for a label of kind count: use logistic",
		"architecture: {kind: logistic, dispersion: 4}":                                                                          "dispersion belongs to loss negative-binomial",
		"algorithm: {stop: {patience: 5}}\narchitecture: {kind: trees, trees: {growth: additive}}":                               "name fewer epochs",
		"algorithm: {rounds: 5, stop: {patience: 5, every: 5}}\narchitecture: {kind: logistic}":                                  "nothing but the start would be judged",
		"algorithm: {stop: {patience: 5}}\narchitecture: {kind: logistic}\nsearch: {grid: {batch: [8, 16]}}":                     "are for local: mini-batch",
		"algorithm: {stop: {patience: 5}}\narchitecture: {kind: logistic}\nsearch: {grid: {momentum: [0.1]}}":                    "momentum is for fedavgm",
		"privacy: {dp: record, epsilon: 3}\narchitecture: {kind: logistic}\nsearch: {grid: {l2: [1, 10]}}":                       "set algorithm.stop",
		"privacy: {dp: record, epsilon: 3}\narchitecture: {kind: logistic}\nalgorithm: {stop: {patience: 5}}":                    "",
		"search: {grid: {l2: [1, 10]}}\narchitecture: {kind: logistic}\nwarm_start: {release: " + strings.Repeat("0f", 32) + "}": "not with a warm start",
	} {
		code, _, errs := check(replacement)
		require.Equal(t, 1, code, replacement)
		require.Contains(t, errs, want)
	}
}
