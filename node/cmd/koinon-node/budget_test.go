package main

import (
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/chain"
)

// TestBudgetShow prints what plans have cost a record, and what is left.
func TestBudgetShow(t *testing.T) {
	d := enrolled(t)
	dir := "--dir=" + string(d)
	code, out, problems := run(t, "", "budget", "show", dir)
	require.Zero(t, code, problems)
	require.Contains(t, out, "epsilon 0 spent at delta 1e-06, 10 left of 10")

	ledger, err := budget.Open(d.BudgetPath(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	plan := chain.Digest{0xAB}
	require.NoError(t, ledger.Spend(1, budget.Spend{
		Plan: plan, Run: budget.Run{1}, Round: 1, Step: 1, Draw: chain.Digest{1}, Mechanism: dp.Mechanism{Rate: 1, Noise: 4.530877117, Steps: 1},
	}, budget.Privacy{}))
	require.NoError(t, ledger.Reserve(1, budget.Sum{Plan: plan, Run: budget.Run{1}, Round: 1, Step: 1, Kind: budget.Train}, budget.Limits{}))
	require.NoError(t, ledger.Close())

	code, out, problems = run(t, "", "budget", "show", dir)
	require.Zero(t, code, problems)
	require.Regexp(t, `ab0000000000 +1 +1 +0 +1 +0\.9`, out)
	require.Contains(t, out, "epsilon 1 spent at delta 1e-06, 9 left of 10 (PLD 0.9")
	code, out, problems = run(t, "", "budget", "show", dir, "--json")
	require.Zero(t, code, problems)
	var shown shownBudget
	require.NoError(t, json.Unmarshal([]byte(out), &shown))
	require.InDelta(t, 1, shown.Privacy.Epsilon, 1e-3)
	require.Equal(t, uint64(1), shown.Privacy.Plans[0].Mechanisms[0].Steps)
	require.InDelta(t, 9, *shown.Privacy.Remaining, 1e-3)
	code, out, problems = run(t, "", "budget", "verify", dir)
	require.Zero(t, code, problems)
	require.Contains(t, out, "2 entries, whole")
}

// TestBudgetShowElsewhere: a wrong --dir does not pass for a node that has given
// nothing away.
func TestBudgetShowElsewhere(t *testing.T) {
	code, out, problems := run(t, "", "budget", "show", "--dir", t.TempDir())
	require.Equal(t, 1, code)
	require.Empty(t, out)
	require.Contains(t, problems, "there is no ledger in")
}
