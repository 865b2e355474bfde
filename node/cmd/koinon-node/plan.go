package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/node"
)

type planCommands struct {
	List    planListCommand    `cmd:"" help:"List the plans whose cohort names this member."`
	Show    planShowCommand    `cmd:"" help:"Show one plan: purpose, cohort, what its sums reveal."`
	Approve planApproveCommand `cmd:"" help:"Let a plan run on this node."`
	Reject  planRejectCommand  `cmd:"" help:"Refuse a plan, or withdraw an approval."`
}

type planListCommand struct {
	place
	output
	Offline bool `help:"Do not ask the coordinator." env:"-"`
}

// Help shows an example.
func (planListCommand) Help() string {
	return `Asks the coordinator for newer plans first, unless told not to.

Example:

  koinon-node plan list --dir /var/lib/koinon-node`
}

// planLine is one plan as list shows it.
type planLine struct {
	Name      string            `json:"name"`
	Digest    federation.Digest `json:"digest"`
	Purpose   string            `json:"purpose"`
	Cohort    int               `json:"cohort"`
	Decision  string            `json:"decision"`
	By        string            `json:"by,omitempty"`
	Approvals []string          `json:"approvals,omitempty"`
}

// Run implements the command.
func (c *planListCommand) Run(ctx context.Context, std cli.Streams) error {
	offers := node.Offers{}
	if !c.Offline {
		err := withOperator(c.dir(), func(o *node.Operator) (err error) {
			offers, err = o.Sync(ctx)
			return err
		})
		if err != nil {
			return asked(err)
		}
	}
	plans, err := c.dir().Plans()
	if err != nil {
		return err
	}
	lines := []planLine{}
	for _, p := range plans {
		d, err := c.dir().Decision(p.Digest())
		if err != nil {
			return err
		}
		line := planLine{
			Name: p.Name, Digest: p.Digest(), Purpose: p.Declaration.PurposeCode, Cohort: len(p.Cohort.Members),
			Decision: decisionWord(d), By: d.By,
		}
		for _, o := range offers.Plans {
			if o.Plan.Digest() == line.Digest {
				line.Approvals = o.Approvals
			}
		}
		lines = append(lines, line)
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, lines)
	}
	t := cli.NewTable("NAME", "DIGEST", "PURPOSE", "COHORT", "DECISION", "APPROVED BY")
	for _, l := range lines {
		t.Row(l.Name, l.Digest.Short(), l.Purpose, l.Cohort, l.Decision, fmt.Sprint(l.Approvals))
	}
	return t.Print(std.Out)
}

func decisionWord(d node.Decision) string {
	switch {
	case !d.Made():
		return "none"
	case d.Approve:
		return "approved"
	}
	return "rejected"
}

// withOperator runs a command that speaks to the coordinator.
func withOperator(d node.Dir, run func(*node.Operator) error) error {
	o, err := node.OpenOperator(d, version)
	if err != nil {
		return err
	}
	return errors.Join(run(o), o.Close())
}

type planApproveCommand struct {
	place
	output
	Plan string `arg:"" help:"Name or digest of the plan."`
}

// Help shows an example.
func (planApproveCommand) Help() string {
	return `Signs the plan's digest with this member's identity key. Read the plan first: koinon-node plan show. Approving a plan
again lets a run go on that this node has stopped.

Example:

  koinon-node plan approve --dir /var/lib/koinon-node 9f86d081884c`
}

// Run implements the command.
func (c *planApproveCommand) Run(ctx context.Context, std cli.Streams) error {
	return decide(ctx, std, c.dir(), c.Plan, true, "", c.JSON)
}

type planRejectCommand struct {
	place
	output
	Plan   string `arg:"" help:"Name or digest of the plan."`
	Reason string `help:"Why, for the plan's authors; holds no data." placeholder:"WORDS"`
}

// Help shows an example.
func (planRejectCommand) Help() string {
	return `Refuses a plan. If it was approved before, this node takes no further part in its runs.

Example:

  koinon-node plan reject --dir /var/lib/koinon-node document-risk --reason "legal basis is missing"`
}

// Run implements the command.
func (c *planRejectCommand) Run(ctx context.Context, std cli.Streams) error {
	return decide(ctx, std, c.dir(), c.Plan, false, c.Reason, c.JSON)
}

func decide(ctx context.Context, std cli.Streams, d node.Dir, word string, approve bool, reason string, asJSON bool) error {
	var plan *federation.Plan
	var decision node.Decision
	err := withOperator(d, func(o *node.Operator) error {
		if _, err := o.Sync(ctx); err != nil {
			return err
		}
		var err error
		if plan, err = findPlan(d, word); err != nil {
			return err
		}
		decision, err = o.Decide(ctx, plan, approve, reason, time.Now())
		return err
	})
	if err != nil {
		return hinted(err)
	}
	if asJSON {
		return cli.PrintJSON(std.Out, decision)
	}
	_, err = fmt.Fprintf(std.Out, "%s plan %s (%s)\n", decisionWord(decision), plan.Name, plan.Digest())
	return err
}
