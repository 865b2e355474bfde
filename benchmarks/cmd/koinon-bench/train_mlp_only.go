package main

import "github.com/koinon-eu/koinon/deploy/cli"

type trainCommand struct {
	Engine   string `default:"mlp" enum:"mlp" help:"What trains: mlp."`
	Rows     int    `default:"200000" placeholder:"N" help:"Training rows of the synthetic table."`
	Columns  int    `default:"64" placeholder:"N" help:"Number columns, all standard normal."`
	Threads  int    `default:"1" placeholder:"N" help:"Cores to use."`
	Repeat   int    `default:"3" placeholder:"N" help:"Runs; the one of least CPU time counts."`
	Seed     uint64 `default:"1" help:"Decides the table."`
	mlpFlags `embed:""`
	JSON     bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (trainCommand) Help() string {
	return `Times local training on a synthetic table that every run makes the same: what a node
computes, without network and masks. CPU time is the process's own, user and system.

Example:
  koinon-bench train --engine mlp --rows 200000 --columns 64 --hidden 128,64 --batch 512`
}

// Run times the engine.
func (c *trainCommand) Run(std cli.Streams) error {
	if c.Rows < 1000 || c.Rows > 5_000_000 || c.Columns < 3 || c.Columns > 1000 || c.Repeat < 1 || c.Threads < 1 {
		return cli.Usagef("want 1000 to 5000000 rows, 3 to 1000 columns, and at least one run and thread")
	}
	b := mlpBench{mlpFlags: c.mlpFlags, rows: c.Rows, columns: c.Columns, threads: c.Threads, repeat: c.Repeat, seed: c.Seed}
	return b.run(std, c.JSON)
}
