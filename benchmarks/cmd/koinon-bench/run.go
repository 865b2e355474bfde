package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/direct"
	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/sim"
	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/deploy/strictyaml"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/models/trees"
	"github.com/koinon-eu/koinon/node/dataset"
	"github.com/koinon-eu/koinon/node/train"
)

type runCommand struct {
	Data         string `required:"" placeholder:"FILE.csv" help:"CSV or CSV.gz with a header row, or Parquet."`
	Schema       string `required:"" placeholder:"FILE.yaml" help:"Columns, their types and roles."`
	divideFlags  `embed:""`
	SplitColumn  string  `xor:"split" placeholder:"COLUMN" help:"Rows whose value is test are held out; the others train."`
	TestFraction float64 `xor:"split" placeholder:"F" help:"Share of rows to hold out, drawn by the seed. Without either, 0.3 or the schema's own split."`
	Architecture string  `default:"logistic" enum:"logistic,mlp,trees" help:"logistic (for a label that counts: linear), mlp or trees."`
	Loss         string  `placeholder:"NAME" help:"For a label that counts: negative-binomial (default) or poisson."`
	Dispersion   float64 `placeholder:"K" help:"Of negative-binomial; 8 by default."`
	Algorithm    string  `placeholder:"NAME" help:"fedadagrad, fedadam, fedavg, fedavgm, fedprox, fedyogi, newton or scaffold; by default what suits the architecture."`
	Rounds       int     `placeholder:"N" help:"Training rounds; 60 by default, 6 for newton. Trees take one for each level of a step."`
	Trees        int     `placeholder:"N" help:"Trees to grow; 100 by default."`
	Depth        int     `placeholder:"N" help:"Splits above a leaf; 6 by default."`
	TreesPerStep int     `placeholder:"N" help:"Trees grown on the same gradients in the same sums; 1 by default."`
	Growth       string  `default:"greedy" enum:"greedy,additive" help:"How trees grow: greedy, or additive, which noise can cover."`
	Epochs       int     `placeholder:"N" help:"Sums of additive growth, each with a tree for every column; 30 by default."`
	Patience     int     `placeholder:"N" help:"End training after so many judgements (trees) without a better validation loss; none by default."`
	Search       string  `placeholder:"YAML" help:"Try settings and go on with the best: a plan's search block, as '{grid: {local_rate: [0.001, 0.01]}}'. Needs --patience."`
	FineTune     bool    `help:"Fit the federated model to each node's own rows as well."`
	Batch        int     `placeholder:"N" help:"Sums for which keys are agreed on at once; 16 by default."`
	Seed         uint64  `default:"1" help:"Decides held-out rows, nodes made by chance, initial parameters and rounding."`
	Direct       bool    `help:"Add in the clear, without protocol, masks and network: the same model, sooner."`
	Bits         int     `default:"24" enum:"15,24" help:"Bits of an encoded parameter."`
	privacyFlags `embed:""`
	JSON         bool `name:"json" help:"Print JSON."`
	Verbose      bool `help:"Log what coordinator and nodes do, to standard error."`
}

// Help shows an example.
func (runCommand) Help() string {
	return `Runs a whole federation in this process, with the real protocol over mutual TLS on
loopback, and trains the same model two more ways: each node alone, and on all rows
pooled, both to convergence; trees are grown with the same settings and cells three
times. AUROC is exact, from the scores of held-out rows. Where the schema's label
counts, the figures are Poisson deviance, beside that of its baseline, and coverage.

Nodes are the values of a column, or made by chance: alike (iid), of unlike size, or
with unlike shares of the labels.

Example:
  koinon-bench run --data visas.csv.gz --schema visas.yaml --node-column region --rounds 60
  koinon-bench run --data visas.csv.gz --schema visas.yaml --partition label:0.5 --nodes 8 --direct

The schema names columns by role: feature (default), group, label, id, ignore.`
}

// Run reads the table, runs the federation and prints what it was worth.
func (c *runCommand) Run(ctx context.Context, std cli.Streams) error {
	begun := time.Now()
	schema, members, err := c.members()
	if err != nil {
		return err
	}
	plan, err := c.plan(schema, members)
	if err != nil {
		return err
	}
	result, phases, err := c.federate(ctx, std, plan, members)
	if err != nil {
		return err
	}
	defer func() { _ = result.Close() }()
	federated := time.Since(begun).Seconds()
	if plan.Forecasts() {
		out, err := compareCounts(c, plan, members, result)
		if err != nil {
			return err
		}
		out.Phases = phases
		out.Seconds.Federated, out.Seconds.Total = federated, time.Since(begun).Seconds()
		if c.JSON {
			return cli.PrintJSON(std.Out, out)
		}
		return out.print(std.Out)
	}
	out, err := compare(c.Data, result.Machine, members, result.Workers, nil)
	if err != nil {
		return err
	}
	if c.FineTune {
		if err := out.fineTune(result.Machine, result.Workers, members); err != nil {
			return err
		}
	}
	if out.Privacy, err = privacyOf(plan); err != nil {
		return err
	}
	out.Phases = phases
	out.Seconds.Federated, out.Seconds.Total = federated, time.Since(begun).Seconds()
	if c.JSON {
		return cli.PrintJSON(std.Out, out)
	}
	return out.print(std.Out)
}

// federate runs the plan over the real protocol, or in the clear.
func (c *runCommand) federate(ctx context.Context, std cli.Streams, plan *federation.Plan, members []direct.Member) (*direct.Result, map[string]coordinator.Phase, error) {
	progress := cli.NewProgress(std.Err, "federated", "rounds", int64(plan.TrainRounds()+4))
	defer progress.Done()
	if c.Direct {
		r, err := direct.Run(ctx, direct.Config{
			Learning: plan.Learning(), Members: members, Minimum: plan.Cohort.Minimum, Seed: c.Seed,
			Progress: func(step int) { progress.Set(int64(step)) },
		})
		return r, nil, err
	}
	var log *slog.Logger
	if c.Verbose {
		log = slog.New(slog.NewTextHandler(std.Err, nil))
	}
	r, err := sim.Run(ctx, sim.Config{
		Plan: plan, Members: members, Seed: c.Seed, Log: log,
		Progress: func(step, _ int) { progress.Set(int64(step)) },
	})
	if err != nil {
		return nil, nil, err
	}
	out := &direct.Result{Machine: r.Machine}
	for _, m := range members {
		out.Workers = append(out.Workers, train.NewMember(m.Table))
	}
	return out, r.Phases, nil
}

// members reads the table and divides it into nodes.
func (c *runCommand) members() (*feature.Schema, []direct.Member, error) {
	partition, err := c.partition()
	if err != nil {
		return nil, nil, err
	}
	text, err := os.ReadFile(c.Schema)
	if err != nil {
		return nil, nil, err
	}
	schema, err := feature.ParseSchema(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", c.Schema, err)
	}
	keep := partition.Keep(schema)
	if c.SplitColumn != "" {
		keep = append(keep, c.SplitColumn)
	}
	table, err := dataset.Open(c.Data, schema, keep...)
	if err != nil {
		return nil, nil, err
	}
	if table, err = c.split(table, schema); err != nil {
		return nil, nil, err
	}
	members, err := divide(partition, table, c.Seed)
	return schema, members, err
}

func (c *runCommand) split(table *feature.Table, schema *feature.Schema) (*feature.Table, error) {
	switch {
	case c.SplitColumn != "":
		return table.SplitBy(c.SplitColumn, "test")
	case c.TestFraction != 0:
		return table.SplitFraction(c.TestFraction, c.Seed)
	case schema.Split != nil:
		return table, nil
	}
	return table.SplitFraction(0.3, c.Seed)
}

// architecture is what the flags name.
func (c *runCommand) architecture() arch.Spec {
	spec := arch.Spec{Kind: c.Architecture}
	if spec.Kind == arch.Trees {
		spec.Trees = &trees.Params{Trees: c.Trees, Depth: c.Depth, TreesPerStep: c.TreesPerStep, Growth: c.Growth, Epochs: c.Epochs, Patience: c.Patience}
	}
	return spec
}

// algorithm is what the flags name; that of trees has no settings.
func (c *runCommand) algorithm() (aggregate.Spec, error) {
	if c.Architecture == arch.Trees {
		if c.FineTune {
			return aggregate.Spec{}, cli.Usagef("trees are not fine-tuned: leave --fine-tune out")
		}
		if c.Algorithm != "" || c.Rounds != 0 {
			return aggregate.Spec{}, cli.Usagef("trees have neither --algorithm nor --rounds: say --trees, --depth and --trees-per-step")
		}
		return aggregate.Spec{}, nil
	}
	if c.Trees != 0 || c.Depth != 0 || c.TreesPerStep != 0 || c.Epochs != 0 || c.Growth == trees.Additive {
		return aggregate.Spec{}, cli.Usagef("--trees, --depth, --trees-per-step, --growth and --epochs are for --architecture trees")
	}
	return aggregate.Spec{Name: c.Algorithm, Rounds: c.Rounds, Bits: c.Bits, Stop: aggregate.Stop{Patience: c.Patience}}, nil
}

// plan is the plan of a benchmark: nothing is released, so its gate only says that there is one.
func (c *runCommand) plan(schema *feature.Schema, members []direct.Member) (*federation.Plan, error) {
	never := 0.0
	if c.Search != "" && c.Patience == 0 {
		return nil, cli.Usagef("--search needs --patience: the rows that judge when training ends compare the settings")
	}
	algorithm, err := c.algorithm()
	if err != nil {
		return nil, err
	}
	architecture, err := c.countArchitecture(schema, c.architecture())
	if err != nil {
		return nil, err
	}
	privacy, err := c.privacyFlags.plan()
	if err != nil {
		return nil, err
	}
	p := &federation.Plan{
		Name: "bench",
		Declaration: federation.Declaration{
			PurposeCode: "document-risk", Unit: "document", Target: "the label of a benchmark table", Use: "benchmark; no case is scored",
			Art63: "none", Regime: "GDPR", LegalBasis: "none: public or synthetic rows", DecisionRole: "advisory",
			Art5: map[string]string{
				"5(1)(c)": "no score is used", "5(1)(d)": "no person is assessed", "5(1)(g)": "no biometric input",
			},
			Roles: federation.Roles{Provider: "benchmark"}, Oversight: federation.Oversight{Verifiers: 1},
			ValidUntil: "9999-12-31", Lawpack: federation.Lawpack,
		},
		Schema:       schema,
		Architecture: architecture,
		Batch:        c.Batch,
		Algorithm:    algorithm,
		Seed:         c.Seed,
		Privacy:      privacy,
		Gates:        []fairness.Gate{{Metric: countGate(schema), Bound: fairness.Point, AtLeast: &never}},
	}
	if c.Search != "" {
		p.Search = &schedule.Search{}
		if err := strictyaml.Decode([]byte(c.Search), p.Search); err != nil {
			return nil, cli.Usagef("--search: %v", err)
		}
	}
	for _, m := range members {
		p.Cohort.Members = append(p.Cohort.Members, m.Name)
	}
	p.Cohort.Minimum = secagg.Threshold(len(members))
	p.WithDefaults()
	if err = p.Calibrate(); err == nil {
		err = p.Validate()
	}
	if err != nil {
		return nil, errors.Join(errors.New("these settings do not make a plan"), err)
	}
	return p, nil
}
