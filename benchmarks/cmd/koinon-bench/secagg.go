package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/secagg"
	"github.com/koinon-eu/koinon/deploy/cli"
)

type secaggCommand struct {
	Nodes     int    `default:"10" help:"Nodes of the cohort, 3 to 255; above 64 protocol version 2 runs."`
	Params    int    `default:"1000000" help:"Parameters of each vector."`
	Dropouts  int    `default:"0" help:"Nodes that leave in Mask with one chunk of their upload missing."`
	Bits      int    `default:"24" enum:"15,24" help:"Bits of an encoded parameter: 24 (two in a word) or 15 (three)."`
	Rounds    int    `default:"3" help:"Rounds of each kind; the fastest is shown."`
	Processes bool   `help:"Give the coordinator a process of its own, to measure it apart from the nodes."`
	NoFsync   bool   `help:"Force nothing to the disk: what a round costs apart from this machine's disk."`
	Dir       string `type:"existingdir" placeholder:"DIR" help:"For spool and journal; the system's folder for temporary files by default."`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Help shows examples and says what is measured.
func (secaggCommand) Help() string {
	return `Runs whole rounds of secure aggregation over mutual TLS on loopback, with the
coordinator that production runs and the client path of a node. Nodes sum random
vectors in place of a model. After each round the same vectors are summed in plain
over the same connections and spool, without masks, keys, hashes and agreement:
"ratio" is the price of the masks. Every sum is compared with one computed apart from
the round; a wrong one is an error.

Nodes that leave do so where it costs most: in Mask, after their seeds are shared and
all but one chunk is sent, so that their pair masks have to be opened. They say that
they leave; one that vanishes without a word costs the coordinator's grace on top.

A round is measured from spec to result. Fetching the sum and spot checks follow, all
survivors at once. "fsync" is the time, inside the round, in which the coordinator
waited for its disk. Nodes keep their few facts in memory, for here they would share
that disk. Peak memory is the most that a process held (VmHWM); CPU time and memory
are measured on Linux only. With --processes one process has the coordinator and
another all nodes.

Examples:
  koinon-bench secagg --nodes 10 --params 1000000 --no-fsync
  koinon-bench secagg --nodes 30 --params 10000000 --dropouts 3 --processes --rounds 1

The second needs 7 GB of memory and 3 GB of disk.`
}

// Run measures and prints.
func (c *secaggCommand) Run(ctx context.Context, std cli.Streams) error {
	begun := time.Now()
	cfg := secagg.Config{
		Nodes: c.Nodes, Params: c.Params, Dropouts: c.Dropouts, Bits: c.Bits, Rounds: c.Rounds, NoFsync: c.NoFsync, Dir: c.Dir,
		Progress: func(done string) { fmt.Fprintf(std.Err, "%5.1f s  %s\n", time.Since(begun).Seconds(), done) },
	}
	if c.Processes {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		cfg.Coordinator = []string{self, "secagg-coordinator"}
	}
	r, err := secagg.Run(ctx, cfg)
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, r)
	}
	return printSecagg(std.Out, r)
}

// secaggCoordinatorCommand is the process that --processes starts.
type secaggCoordinatorCommand struct{}

// Help shows how it is called.
func (secaggCoordinatorCommand) Help() string {
	return `Has the coordinator's side of a measurement: calls come on standard input, answers go
to standard output. Only secagg --processes starts it.

Example:
  koinon-bench secagg --processes`
}

// Run serves until its input ends.
func (secaggCoordinatorCommand) Run(ctx context.Context, std cli.Streams) error {
	return secagg.ServeChild(ctx, std.In, std.Out, nil)
}
