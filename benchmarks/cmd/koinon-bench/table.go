package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/koinon-eu/koinon/benchmarks/direct"
	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/dataset"
	"github.com/koinon-eu/koinon/node/train"
)

type tableCommand struct {
	Data    string   `required:"" placeholder:"DIR" help:"Folder with the public tables, NAME.csv.gz."`
	Results string   `default:"table.jsonl" placeholder:"FILE" help:"Finished runs, one a line; runs that are in it are not repeated."`
	Seeds   int      `default:"5" placeholder:"N" help:"Seeds 1 to N. Each decides held-out rows, nodes made by chance, initial parameters and rounding."`
	Sets    []string `placeholder:"NAME" help:"Only these tables."`
	Skews   bool     `negatable:"" default:"true" help:"Also every algorithm on every skew, on three tables."`
	JSON    bool     `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (tableCommand) Help() string {
	return `Trains logistic regression, an MLP and boosted trees on ten public tables, each node
alone, federated and pooled, and prints what the federation was worth, over several
seeds. Settings are the defaults of the product for all tables alike. Sums are in the
clear: the models are those of the real protocol (see run --direct).

It takes an hour or so. It can be stopped at any time and goes on where it was; a file
of results belongs to one version of the program.

Example:
  koinon-bench table --data public/ --seeds 5 --results table.jsonl > table.md
  koinon-bench table --data public/ --sets german,ulb --seeds 1 --no-skews`
}

// heldOut is the share of rows that is held out, on every table.
const heldOut = 0.3

func (c *tableCommand) wants(set string) bool {
	return len(c.Sets) == 0 || slices.Contains(c.Sets, set)
}

// Run does what is left to do and prints all there is.
func (c *tableCommand) Run(ctx context.Context, std cli.Streams) error {
	for _, name := range c.Sets {
		if _, err := setNamed(name); err != nil {
			return cli.Usage(err)
		}
	}
	if c.Seeds < 1 || c.Seeds > len(studentT) {
		return cli.Usagef("--seeds %d is not between 1 and %d", c.Seeds, len(studentT))
	}
	jobs, err := c.tablePlan()
	if err != nil {
		return err
	}
	done, err := openResults(c.Results)
	if err != nil {
		return err
	}
	defer done.file.Close()
	if err := c.work(ctx, std, jobs, done); err != nil {
		return err
	}
	out := summarise(jobs, done.runs)
	if c.JSON {
		return cli.PrintJSON(std.Out, out)
	}
	return out.print(std.Out)
}

func (c *tableCommand) work(ctx context.Context, std cli.Streams, jobs []tableJob, done *results) error {
	progress := cli.NewProgress(std.Err, "table", "runs", int64(len(jobs)))
	defer progress.Done()
	bench := tableBench{dir: c.Data}
	defer func() { bench.release() }()
	for i, job := range jobs {
		if _, ok := done.runs[job.key()]; !ok {
			run, err := bench.run(ctx, job)
			if err != nil {
				return fmt.Errorf("%s, %s, %s, %s, seed %d: %w", job.Set, job.Partition, job.Architecture.Kind, job.Algorithm.Name, job.Seed, err)
			}
			if err := done.add(*run); err != nil {
				return err
			}
		}
		progress.Set(int64(i + 1))
	}
	return nil
}

// tableBench keeps what the next run may have in common with the last one: the table, its nodes, what each of them and
// all together learnt alone.
type tableBench struct {
	dir string

	table   *feature.Table // of set and seed
	set     string
	seed    uint64
	members []direct.Member // of the partition too
	nodes   direct.Partition
	workers []*train.Member              // of the architecture too
	kind    string                       // empty: no workers
	pooled  map[string]*fairness.Figures // of the set, the seed and an architecture
}

// prepare reads and divides the table, unless it has done so already.
func (b *tableBench) prepare(job tableJob) error {
	if b.table == nil || b.set != job.Set || b.seed != job.Seed {
		b.release()
		set, err := setNamed(job.Set)
		if err != nil {
			return err
		}
		schema, err := set.readSchema()
		if err != nil {
			return err
		}
		keep := set.nodes.Keep(schema)
		table, err := dataset.Open(filepath.Join(b.dir, set.file+".csv.gz"), schema, keep...)
		if err != nil {
			return err
		}
		if b.table, err = table.SplitFraction(heldOut, job.Seed); err != nil {
			return err
		}
		b.set, b.seed, b.pooled = job.Set, job.Seed, map[string]*fairness.Figures{}
	}
	if b.members == nil || b.nodes != job.Partition {
		b.dismiss()
		members, err := divide(job.Partition, b.table, job.Seed)
		if err != nil {
			return err
		}
		b.members, b.nodes = members, job.Partition
	}
	if b.kind != job.Architecture.Kind {
		b.dismiss()
	}
	return nil
}

// dismiss forgets the workers.
func (b *tableBench) dismiss() {
	_ = (&direct.Result{Workers: b.workers}).Close()
	b.workers, b.kind = nil, ""
}

// release forgets everything.
func (b *tableBench) release() {
	b.dismiss()
	b.table, b.members = nil, nil
}

func (b *tableBench) run(ctx context.Context, job tableJob) (*tableRun, error) {
	if err := b.prepare(job); err != nil {
		return nil, err
	}
	begun := cpuSeconds()
	if b.workers == nil {
		if err := b.yardsticks(ctx, job); err != nil {
			return nil, err
		}
	}
	r, err := b.federate(ctx, job, job.Algorithm)
	if err != nil {
		b.dismiss()
		return nil, err
	}
	out, err := compare(b.set, r.Machine, b.members, r.Workers, b.pooled[b.kind])
	if err != nil {
		return nil, err
	}
	run := &tableRun{
		tableJob: job, Rows: out.Rows, Parameters: out.Parameters, Model: out.Model,
		Federated: out.Overall.Federated.AUROC, Pooled: out.Overall.Pooled.AUROC, Seconds: cpuSeconds() - begun,
	}
	for _, n := range out.Nodes {
		node := tableNode{Name: n.Name, Train: n.Train, Test: n.Test, Positives: n.Positives, Federated: n.Federated.AUROC}
		if n.Alone != nil {
			node.Alone = n.Alone.AUROC
		}
		run.Nodes = append(run.Nodes, node)
	}
	return run, nil
}

// federate runs one plan over the members of the bench.
func (b *tableBench) federate(ctx context.Context, job tableJob, algorithm aggregate.Spec) (*direct.Result, error) {
	return direct.Run(ctx, direct.Config{
		Learning: schedule.Config{
			Schema: b.table.Schema(), Architecture: job.Architecture, Algorithm: algorithm, Seed: job.Seed, Members: len(b.members),
		},
		Members: b.members, Seed: job.Seed, Workers: b.workers,
	})
}

// yardsticks trains each node alone and all rows pooled with the settings of the default algorithm, so that every
// algorithm is held against the same. Pooled trees need the sums of a whole run: compare grows them.
func (b *tableBench) yardsticks(ctx context.Context, job tableJob) error {
	if job.Architecture.Kind == arch.Trees {
		b.kind = arch.Trees
		for _, m := range b.members {
			b.workers = append(b.workers, train.NewMember(m.Table))
		}
		return nil
	}
	one := aggregate.Spec{Rounds: 1}.WithDefaults(job.Architecture)
	r, err := b.federate(ctx, job, one)
	if err != nil {
		return err
	}
	b.workers, b.kind = r.Workers, job.Architecture.Kind
	if b.pooled[b.kind] == nil { // the same rows and sums, however they are divided
		out, err := compare(b.set, r.Machine, b.members, r.Workers, nil)
		if err != nil {
			return err
		}
		b.pooled[b.kind] = &out.Overall.Pooled
	}
	return nil
}
