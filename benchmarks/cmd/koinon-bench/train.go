package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/feature"
)

type trainCommand struct {
	Engine   string  `default:"trees" enum:"trees,mlp" help:"What trains: trees or mlp."`
	Rows     int     `default:"200000" placeholder:"N" help:"Training rows of the synthetic table; a quarter as many are held out."`
	Columns  int     `default:"30" placeholder:"N" help:"Number columns, all standard normal."`
	Threads  int     `default:"1" placeholder:"N" help:"Cores to use."`
	Repeat   int     `default:"3" placeholder:"N" help:"Runs; the one of least CPU time counts."`
	Seed     uint64  `default:"1" help:"Decides the table."`
	Write    string  `placeholder:"FILE.csv" help:"Also write the table, held-out rows last, for the same in other libraries."`
	Trees    int     `default:"100" placeholder:"N" help:"Trees to grow."`
	Depth    int     `default:"5" placeholder:"N" help:"Splits above a leaf."`
	Cell     float64 `default:"0" placeholder:"N" help:"Rows expected behind a cell below the root; 0 is no grid, as in other libraries."`
	mlpFlags `embed:""`
	JSON     bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (trainCommand) Help() string {
	return `Times local training on a synthetic table that every run makes the same: what a node
computes, without network and masks. CPU time is the process's own, user and system,
and counts everything from the read table to the model.

Example:
  koinon-bench train --engine trees --rows 200000 --columns 30 --trees 100 --depth 5
  koinon-bench train --engine mlp --rows 200000 --columns 64 --hidden 128,64 --batch 512`
}

// Limits of the synthetic table: what fits the memory of a small machine.
const (
	maxTrainRows    = 5_000_000
	maxTrainColumns = 1_000
)

// phase is a part of a training run.
type phase struct {
	Name string  `json:"name"`
	Wall float64 `json:"wall_s"`
	CPU  float64 `json:"cpu_s"`
}

// timing is one training run. Scores are of the held-out rows.
type timing struct {
	Phases []phase `json:"phases"`
	Wall   float64 `json:"wall_s"`
	CPU    float64 `json:"cpu_s"`
	scores []float64
}

// trainEngine trains once on the training rows of a table and scores its test
// rows. It calls t.phase as each part of the work ends; scoring is not timed.
type trainEngine interface {
	train(table *feature.Table, t *stopwatch) (scores []float64, err error)
}

// engine returns what the flags name.
func (c *trainCommand) engine() trainEngine {
	return &treesEngine{c} // mlp has returned before
}

// Run makes the table and prints the best of the runs.
func (c *trainCommand) Run(std cli.Streams) error {
	if c.Rows < 1000 || c.Rows > maxTrainRows || c.Columns < 3 || c.Columns > maxTrainColumns || c.Repeat < 1 || c.Threads < 1 {
		return cli.Usagef("want 1000 to %d rows, 3 to %d columns, and at least one run and thread", maxTrainRows, maxTrainColumns)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.Threads))
	if c.Engine == "mlp" {
		b := mlpBench{mlpFlags: c.mlpFlags, rows: c.Rows, columns: c.Columns, threads: c.Threads, repeat: c.Repeat, seed: c.Seed}
		return b.run(std, c.JSON)
	}
	text := synthetic(c.Rows, c.Columns, c.Seed)
	if c.Write != "" {
		if err := os.WriteFile(c.Write, text, 0o600); err != nil {
			return err
		}
	}
	table, err := readSynthetic(text, c.Columns)
	if err != nil {
		return err
	}
	var best *timing
	for range c.Repeat {
		t, err := c.once(table)
		if err != nil {
			return err
		}
		if best == nil || t.CPU < best.CPU {
			best = t
		}
	}
	return c.print(std, table, best)
}

func (c *trainCommand) once(table *feature.Table) (*timing, error) {
	s := newStopwatch()
	scores, err := c.engine().train(table, s)
	if err != nil {
		return nil, err
	}
	t := &timing{Phases: s.phases, scores: scores}
	for _, p := range s.phases {
		t.Wall += p.Wall
		t.CPU += p.CPU
	}
	return t, nil
}

// trainResult is what the command prints.
type trainResult struct {
	Engine   string  `json:"engine"`
	Rows     int     `json:"rows"`
	Columns  int     `json:"columns"`
	Threads  int     `json:"threads"`
	RowsWall float64 `json:"rows_per_s"`
	RowsCPU  float64 `json:"rows_per_cpu_s"`
	AUROC    float64 `json:"auroc"`
	timing
}

func (c *trainCommand) print(std cli.Streams, table *feature.Table, t *timing) error {
	labels := make([]int8, 0, len(t.scores))
	for _, r := range table.Select(feature.SelectTest) {
		labels = append(labels, table.Label()[r])
	}
	figures, err := metrics.Exact(t.scores, labels, 0.5)
	if err != nil {
		return err
	}
	if figures.AUROC == nil {
		return fmt.Errorf("held-out rows are of one class")
	}
	out := trainResult{
		c.Engine, c.Rows, c.Columns, c.Threads, float64(c.Rows) / t.Wall, float64(c.Rows) / t.CPU, *figures.AUROC, *t,
	}
	if c.JSON {
		return json.NewEncoder(std.Out).Encode(out)
	}
	text := cli.NewTable("PART", "CPU s", "WALL s")
	for _, p := range append(slices.Clone(t.Phases), phase{"all", t.Wall, t.CPU}) {
		text.Row(p.Name, fmt.Sprintf("%.2f", p.CPU), fmt.Sprintf("%.2f", p.Wall))
	}
	if err := text.Print(std.Out); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Out, "\n%s: %.0f rows per CPU second, %.0f rows per second on %d threads; AUROC of held-out rows %.5f\n",
		c.Engine, out.RowsCPU, out.RowsWall, c.Threads, out.AUROC)
	return err
}

// stopwatch divides a run into phases.
type stopwatch struct {
	wall   time.Time
	cpu    float64
	phases []phase
}

func newStopwatch() *stopwatch { return &stopwatch{wall: time.Now(), cpu: cpuSeconds()} }

// phase ends a part of the work.
func (s *stopwatch) phase(name string) {
	wall, cpu := time.Now(), cpuSeconds()
	s.phases = append(s.phases, phase{name, wall.Sub(s.wall).Seconds(), cpu - s.cpu})
	s.wall, s.cpu = wall, cpu
}
