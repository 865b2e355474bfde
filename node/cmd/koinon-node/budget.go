package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/chain"
)

type budgetShowCommand struct {
	place
	output
}

// Help shows an example.
func (budgetShowCommand) Help() string {
	return `Lists for each plan the sums this node put its vector into, the different steps and evaluations among them, and for
plans with record-level privacy what they cost each training record: EPSILON is the bound that decides (Rényi
divergence), PLD a tighter one for information. All plans are counted together, since they read the same table.

Example:

  koinon-node budget show --dir /var/lib/koinon-node`
}

// shownBudget is what the command prints with --json.
type shownBudget struct {
	Accounts []budget.Account     `json:"accounts"`
	Privacy  budget.PrivacyReport `json:"privacy"`
	Chain    chain.Summary        `json:"chain"`
}

// Run implements the command.
func (c *budgetShowCommand) Run(_ context.Context, std cli.Streams) error {
	limit, err := privacyLimit(c.dir())
	if err != nil {
		return hinted(err)
	}
	var shown shownBudget
	shown.Accounts, shown.Privacy, shown.Chain, err = budget.Show(c.dir().BudgetPath(), limit)
	if errors.Is(err, fs.ErrNotExist) {
		if _, lost := c.dir().LoadFile(); errors.Is(lost, fs.ErrNotExist) {
			return noRecords(c.dir(), "ledger")
		}
		shown, err = shownBudget{Privacy: budget.PrivacyReport{
			Plans: []budget.PlanCost{}, Delta: limit.Delta, Limit: limit.Epsilon,
		}}, nil
	}
	if err != nil {
		return hinted(err)
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, shown)
	}
	return shown.print(std.Out)
}

// privacyLimit is the operator's limit. A folder without node.yaml has the default one.
func privacyLimit(d node.Dir) (budget.Privacy, error) {
	policy := federation.DefaultPolicy()
	file, err := d.LoadFile()
	if err == nil {
		policy, err = d.LoadPolicy(file)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return node.PrivacyLimit(policy), err
}

func (s shownBudget) print(w io.Writer) error {
	costs := map[chain.Digest]budget.PlanCost{}
	for _, c := range s.Privacy.Plans {
		costs[c.Plan] = c
	}
	t := cli.NewTable("PLAN", "SUMS", "STEPS", "EVALUATIONS", "EPSILON", "PLD", "LAST")
	for _, a := range s.Accounts {
		sums := 0
		for _, n := range a.Sums {
			sums += n
		}
		epsilon, pld := "-", "-"
		if c, ok := costs[a.Plan]; ok {
			epsilon, pld = fmt.Sprintf("%.4g", c.Epsilon), fmt.Sprintf("%.4g", c.PLD)
		}
		t.Row(a.Plan.String()[:12], sums, a.Steps, a.Evaluations, epsilon, pld, time.Unix(a.Last, 0).UTC().Format(time.RFC3339))
	}
	if err := t.Print(w); err != nil {
		return err
	}
	p, rest := s.Privacy, "no limit"
	if p.Limit > 0 {
		rest = fmt.Sprintf("%.4g left of %v", max(0, p.Limit-p.Epsilon), p.Limit)
	}
	_, err := cli.Printf(w, "\neach training record, all plans: epsilon %.4g spent at delta %v, %s (PLD %.4g)\n", p.Epsilon, p.Delta, rest, p.PLD)
	return err
}
