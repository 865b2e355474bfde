package main

import (
	"context"
	"fmt"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/node"
)

type figuresCommands struct {
	Show figuresShowCommand `cmd:"" help:"Show them."`
}

type figuresShowCommand struct {
	place
	output
	Plan string `help:"Only runs of this plan, by name." placeholder:"PLAN" env:"-"`
}

// Help shows an example.
func (figuresShowCommand) Help() string {
	return `Compares, on this member's own test rows, the federated model with one trained on its own rows alone. These figures
never leave this machine.

Example:

  koinon-node figures show --dir /var/lib/koinon-node`
}

// Run implements the command.
func (c *figuresShowCommand) Run(_ context.Context, std cli.Streams) error {
	all, err := c.dir().Figures()
	if err != nil {
		return err
	}
	shown := []node.Figures{}
	for _, f := range all {
		if c.Plan == "" || f.Name == c.Plan {
			shown = append(shown, f)
		}
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, shown)
	}
	t := cli.NewTable("PLAN", "RUN", "TIME", "TEST ROWS", "POSITIVES", "AUROC ALONE", "AUROC FEDERATED", "GAIN")
	for _, f := range shown {
		alone := "-"
		if f.Alone != nil {
			alone = estimate(f.Alone.Interval)
		}
		t.Row(f.Name, f.Run[:8], f.Time.Format(time.RFC3339), f.TestRows, f.Positives, alone, estimate(f.Federated.Interval), estimate(f.Gain))
	}
	return t.Print(std.Out)
}

func estimate(e *metrics.Estimate) string {
	if e == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f (%.3f to %.3f)", e.Value, e.Low, e.High)
}
