package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/chain"
	"github.com/koinon-eu/koinon/node/egress"
)

type budgetCommands struct {
	Show   budgetShowCommand   `cmd:"" help:"What each plan has cost, and what is left for records."`
	Verify budgetVerifyCommand `cmd:"" help:"Check the ledger from its first to its last entry."`
}

type budgetVerifyCommand struct {
	place
	output
}

// Help shows an example.
func (budgetVerifyCommand) Help() string {
	return "Recomputes the hash chain of the ledger, checks every entry against the rules, and counts epsilon again from the entries.\n\nExample:\n\n  koinon-node budget verify --dir /var/lib/koinon-node"
}

// Run implements the command.
func (c *budgetVerifyCommand) Run(_ context.Context, std cli.Streams) error {
	summary, err := budget.Verify(c.dir().BudgetPath())
	if errors.Is(err, fs.ErrNotExist) {
		return noRecords(c.dir(), "ledger")
	}
	return verified(std, c.JSON, map[string]result{"budget": {"budget", summary, err}})
}

type egressCommands struct {
	List   egressListCommand   `cmd:"" help:"List every message that left."`
	Verify egressVerifyCommand `cmd:"" help:"Check the records from their first to their last entry."`
}

type egressListCommand struct {
	place
	output
	RunID string `help:"Only this run (beginning of its name)." name:"run" placeholder:"RUN" env:"-"`
	Round uint32 `help:"Only this round." placeholder:"N" env:"-"`
}

// Help shows an example.
func (egressListCommand) Help() string {
	return `Messages of the serving node, then those of the operator's commands: when, in which round, what, how many bytes, their
SHA-256, and why.

Example:

  koinon-node egress list --dir /var/lib/koinon-node --round 12`
}

// egressLine is one message as list prints it.
type egressLine struct {
	By string `json:"by"` // node, operator
	egress.Entry
}

// Run implements the command.
func (c *egressListCommand) Run(_ context.Context, std cli.Streams) error {
	t := cli.NewTable("TIME", "BY", "RUN", "ROUND", "TYPE", "BYTES", "SHA-256", "WHY")
	lines := []egressLine{}
	err := c.each(func(l egressLine) {
		if c.JSON {
			lines = append(lines, l)
			return
		}
		t.Row(time.Unix(l.Time, 0).UTC().Format(time.RFC3339), l.By, l.Run[:min(8, len(l.Run))], l.Round, l.Type, l.Bytes, l.SHA256.String()[:12], l.Why)
	})
	if err != nil {
		return hinted(err)
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, lines)
	}
	return t.Print(std.Out)
}

func (c *egressListCommand) each(f func(egressLine)) error {
	nodePath, operatorPath := c.dir().EgressPaths()
	for _, r := range []struct{ by, path string }{{"node", nodePath}, {"operator", operatorPath}} {
		_, err := egress.List(r.path, func(e egress.Entry) error {
			if len(e.Run) >= len(c.RunID) && e.Run[:len(c.RunID)] == c.RunID && (c.Round == 0 || c.Round == e.Round) {
				f(egressLine{r.by, e})
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

type egressVerifyCommand struct {
	place
	output
}

// Help shows an example.
func (egressVerifyCommand) Help() string {
	return "Recomputes the hash chains of both records.\n\nExample:\n\n  koinon-node egress verify --dir /var/lib/koinon-node"
}

// Run implements the command.
func (c *egressVerifyCommand) Run(_ context.Context, std cli.Streams) error {
	nodePath, operatorPath := c.dir().EgressPaths()
	results := map[string]result{}
	for by, path := range map[string]string{"node": nodePath, "operator": operatorPath} {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		summary, err := egress.Verify(path)
		results["egress_"+by] = result{"egress of the " + by, summary, err}
	}
	if len(results) == 0 {
		return noRecords(c.dir(), "egress record")
	}
	return verified(std, c.JSON, results)
}

// noRecords says that there is nothing to verify, which a wrong --dir must not pass for.
func noRecords(d node.Dir, what string) error {
	return cli.Hint(fmt.Errorf("there is no %s in %s", what, d.Path()),
		"the node makes it when it serves for the first time; else name the state directory with --dir")
}

// result is what a check of one file found. Its name is for people; the key in JSON is that of the map.
type result struct {
	name    string
	summary chain.Summary
	err     error
}

// verified prints what a check of chains found; the first that is broken is the command's error.
func verified(std cli.Streams, asJSON bool, results map[string]result) error {
	var first error
	shown := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(results)) {
		r := results[key]
		if r.err != nil {
			first = errors.Join(first, fmt.Errorf("%s: %w", r.name, r.err))
			continue
		}
		shown[key] = r.summary
		if !asJSON {
			fmt.Fprintf(std.Out, "%s: %d entries, whole; last digest %s\n", r.name, r.summary.Entries, r.summary.Head)
		}
	}
	if asJSON && first == nil {
		return cli.PrintJSON(std.Out, shown)
	}
	return hinted(first)
}
