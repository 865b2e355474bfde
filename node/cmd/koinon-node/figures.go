package main

import (
	"context"
	"fmt"
	"io"
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
	forecasts, shown := divide(shown)
	if len(forecasts) > 0 {
		if err := printForecasts(std.Out, forecasts); err != nil || len(shown) == 0 {
			return err
		}
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

// divide tells the figures of plans of counts from others.
func divide(all []node.Figures) (forecasts, others []node.Figures) {
	for _, f := range all {
		if f.Forecasts != nil {
			forecasts = append(forecasts, f)
		} else {
			others = append(others, f)
		}
	}
	return forecasts, others
}

func printForecasts(w io.Writer, all []node.Figures) error {
	number := func(v *float64, format string, scale float64) string {
		if v == nil {
			return "-"
		}
		return fmt.Sprintf(format, scale**v)
	}
	t := cli.NewTable("PLAN", "RUN", "TIME", "TEST ROWS", "CASES", "DEVIANCE BASELINE", "ALONE", "FEDERATED", "OVER BASELINE", "OVER ALONE", "INSIDE 80 %")
	for _, f := range all {
		c := f.Forecasts
		t.Row(f.Name, f.Run[:8], f.Time.Format(time.RFC3339), f.TestRows, c.Observed, number(c.Base, "%.2f", 1), number(c.Alone, "%.2f", 1),
			number(c.Deviance, "%.2f", 1), number(c.OverBase, "%+.1f %%", 100), number(c.OverAlone, "%+.1f %%", 100), estimate(c.Coverage))
	}
	return t.Print(w)
}

func estimate(e *metrics.Estimate) string {
	if e == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f (%.3f to %.3f)", e.Value, e.Low, e.High)
}
