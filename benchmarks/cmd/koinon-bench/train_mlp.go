package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/kernel"
)

// mlpFlags are what `train --engine mlp` knows beside the flags of every engine.
type mlpFlags struct {
	Hidden []int `default:"128,64" placeholder:"N,…" help:"Units of the hidden layers (mlp)."`
	Batch  int   `default:"512" placeholder:"N" help:"Rows of a mini-batch (mlp)."`
}

// mlpBench times an epoch of Adam on mini-batches: our operations run as a
// plan and by Gorgonia's tape machine, Gorgonia's own operations, and the plan's
// under record-level privacy without and with its noise.
type mlpBench struct {
	mlpFlags
	rows, columns, threads, repeat int
	seed                           uint64
}

// mlpTiming is the fastest of the runs of one way to train.
type mlpTiming struct {
	Name     string  `json:"name"`
	Rows     int     `json:"rows"` // in a run
	RowsCPU  float64 `json:"rows_per_cpu_s"`
	RowsWall float64 `json:"rows_per_s"`
	Loss     float64 `json:"loss"` // mean over the first run, under privacy after it
}

// mlpResult is what the command prints.
type mlpResult struct {
	Engine  string      `json:"engine"`
	Kernel  string      `json:"kernel"` // avx512, avx2 or portable
	Threads int         `json:"threads"`
	Columns int         `json:"columns"`
	Hidden  []int       `json:"hidden"`
	Batch   int         `json:"batch"`
	Flops   float64     `json:"flop_per_row"`
	Product float64     `json:"product_gflop_per_cpu_s"` // of one product of matrices, on one core
	Timings []mlpTiming `json:"timings"`
}

// flops is what a row costs in multiplications and additions: every weight
// once forward and twice backward, but for the first layer, whose inputs have
// no derivative.
func (b *mlpBench) flops() float64 {
	sum, in := 0.0, b.columns
	for i, units := range append(b.Hidden[:len(b.Hidden):len(b.Hidden)], 1) {
		passes := 3.0
		if i == 0 {
			passes = 2
		}
		sum += 2 * passes * float64(in*units)
		in = units
	}
	return sum
}

func (b *mlpBench) spec() arch.Spec { return arch.Spec{Kind: arch.MLP, Hidden: b.Hidden} }

// table draws standard normal numbers and labels of a net of one hidden layer.
func (b *mlpBench) table() *feature.Matrix {
	r := rand.New(rand.NewPCG(b.seed, 0x6d6c70))
	m := &feature.Matrix{Rows: b.rows, Numbers: b.columns, X: make([]float32, b.rows*b.columns), Label: make([]int8, b.rows)}
	weights := make([]float64, b.columns)
	for j := range weights {
		weights[j] = r.NormFloat64() / 4
	}
	for i := range b.rows {
		z := -1.0
		x := m.X[i*b.columns : (i+1)*b.columns]
		for j := range x {
			x[j] = float32(r.NormFloat64())
			z += weights[j] * float64(x[j])
		}
		z += float64(x[0]*x[1]) + 0.7*math.Abs(float64(x[2]))
		if r.Float64() < arch.Sigmoid(z) {
			m.Label[i] = 1
		}
	}
	return m
}

// run times every way to train in turn, so that what else the machine does
// hits all of them, and keeps each one's fastest run.
func (b *mlpBench) run(std cli.Streams, json bool) error {
	if err := b.spec().Validate(); err != nil {
		return cli.Usage(err)
	}
	if b.Batch < 1 || b.Batch > b.rows {
		return cli.Usagef("batch of %d rows: want 1 to --rows", b.Batch)
	}
	ways, err := b.ways(b.table())
	if err != nil {
		return err
	}
	result := mlpResult{
		Engine: "mlp", Kernel: kernel.Name(), Threads: b.threads, Columns: b.columns, Hidden: b.Hidden,
		Batch: b.Batch, Flops: b.flops(), Timings: make([]mlpTiming, len(ways)),
	}
	for run := range b.repeat {
		result.Product = max(result.Product, productSpeed())
		for i, w := range ways {
			t := &result.Timings[i]
			wall, cpu := time.Now(), cpuSeconds()
			rows, loss, err := w.epoch()
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			t.RowsCPU = max(t.RowsCPU, float64(rows)/(cpuSeconds()-cpu))
			t.RowsWall = max(t.RowsWall, float64(rows)/time.Since(wall).Seconds())
			if run == 0 && w.after != nil {
				if loss, err = w.after(); err != nil {
					return fmt.Errorf("%s: %w", w.name, err)
				}
			}
			if run == 0 {
				t.Name, t.Rows, t.Loss = w.name, rows, loss
			}
		}
	}
	for _, w := range ways {
		if err := w.close(); err != nil {
			return err
		}
	}
	if json {
		return cli.PrintJSON(std.Out, result)
	}
	return result.print(std)
}

// productSpeed is a fixed piece of work in this run, to compare with.
func productSpeed() float64 {
	const rows, in, out, times = 256, 64, 128, 400
	x, w, b, y := make([]float32, rows*in), make([]float32, in*out), make([]float32, out), make([]float32, rows*out)
	start := cpuSeconds()
	for range times {
		kernel.Linear(y, x, w, b, rows, in, out, true)
	}
	return 2 * rows * in * out * times / (cpuSeconds() - start) / 1e9
}

func (r mlpResult) print(std cli.Streams) error {
	table := cli.NewTable("", "ROWS PER CPU s", "ROWS PER s", "GFLOP PER CPU s", "LOSS")
	for _, t := range r.Timings {
		table.Row(t.Name, fmt.Sprintf("%.0f", t.RowsCPU), fmt.Sprintf("%.0f", t.RowsWall),
			fmt.Sprintf("%.1f", t.RowsCPU*r.Flops/1e9), fmt.Sprintf("%.4f", t.Loss))
	}
	if err := table.Print(std.Out); err != nil {
		return err
	}
	_, err := cli.Printf(std.Out, "\nmlp %d-%s-1, batch %d, Adam, %d threads, kernel %s; one product of matrices: %.1f GFLOP per CPU s\n",
		r.Columns, strings.Trim(strings.ReplaceAll(fmt.Sprint(r.Hidden), " ", "-"), "[]"), r.Batch, r.Threads, r.Kernel, r.Product)
	return err
}
