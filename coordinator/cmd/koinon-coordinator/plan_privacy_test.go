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
		"test rows are not covered", "is lost in the noise of the statistics", "training rows or more; see --rows", "signed as   privacy: {secure_aggregation: required, dp: record, epsilon: 3",
	} {
		require.Contains(t, out, want)
	}
	_, out, _ = command(t, "plan", "check", file, "--rows", "100")
	require.Contains(t, out, "warning     100 rows")
	_, out, _ = command(t, "plan", "check", file, "--rows", "1000000")
	require.Contains(t, out, "1000000 are enough")

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
