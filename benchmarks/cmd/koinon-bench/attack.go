package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/koinon-eu/koinon/benchmarks/attack"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/dataset"
)

type attackCommand struct {
	Data         string `required:"" placeholder:"FILE.csv" help:"CSV or CSV.gz with a header row."`
	Schema       string `required:"" xor:"what" placeholder:"FILE.yaml" help:"Columns, their types and roles."`
	Plan         string `required:"" xor:"what" placeholder:"FILE.yaml" help:"A plan in place of schema and flags; its privacy is part of the training."`
	Architecture string `enum:",logistic,mlp,trees" default:"" placeholder:"KIND" help:"logistic (default), mlp or trees."`
	Algorithm    string `placeholder:"NAME" help:"As for run."`
	Rounds       int    `placeholder:"N" help:"As for run."`
	Trees        int    `placeholder:"N" help:"As for run."`
	Depth        int    `placeholder:"N" help:"As for run."`
	Nodes        int    `placeholder:"N" help:"Nodes that the training rows are dealt to; 3 by default. A plan has its own."`
	Rows         int    `default:"4000" help:"Rows to attack, drawn by the seed from the training rows; each model trains on half of them. 0 takes all."`
	Models       int    `default:"16" help:"Models to train, an even number of at least 6: each is attacked, with those outside its pair as shadows."`
	Seed         uint64 `default:"1" help:"Decides rows, halves, initial parameters, rounding and resamples."`
	JSON         bool   `name:"json" help:"Print JSON."`
}

// Help shows examples and says what is measured.
func (attackCommand) Help() string {
	return `Asks what a released model tells about who was in its training rows, with the
strongest attacker there is: one who knows a row whole, its label included, and can
train models on other rows of the same table.

Many models are trained as a federation would train them, each on a random half of the
rows and its twin on the other half. For each the attacks guess which rows are members:
  loss       the less a row's loss, the likelier it is a member (Yeom et al. 2018)
  offline    how much surer the model is of the row than models without it (LiRA,
             Carlini et al. 2022)
  online     and how near to models with it
A model that tells nothing has AUC 0.5, advantage 0, and true-positive rates equal to
the false-positive rates. Intervals are of 95 %, by resampling rows.

Examples:
  koinon-bench attack --data visas.csv.gz --schema visas.yaml --architecture mlp
  koinon-bench attack --data visas.csv.gz --plan plan.yaml --models 32 --json`
}

// attackResult is what the command prints.
type attackResult struct {
	Architecture string `json:"architecture"`
	Nodes        int    `json:"nodes"`
	Seed         uint64 `json:"seed"`
	*attack.Report
}

// Run trains the models and prints what the attacks found.
func (c *attackCommand) Run(ctx context.Context, std cli.Streams) error {
	if c.Rows < 0 {
		return cli.Usagef("--rows %d is negative", c.Rows)
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	switch {
	case c.Models < 6 || c.Models%2 != 0:
		return cli.Usagef("--models %d: want an even number of at least 6", c.Models)
	case cfg.Schema.Label.IsCount():
		return cli.Usagef("the attacks are on models of a label that is positive or not, label %s counts", cfg.Schema.Label.Column)
	case cfg.Start != nil:
		return cli.Usagef("the plan starts from a release, which is not here: leave warm_start out")
	}
	table, err := c.candidates(cfg.Schema)
	if err != nil {
		return err
	}
	progress := cli.NewProgress(std.Err, "attack", "models", int64(c.Models))
	target := &attackTarget{cfg: cfg, table: table}
	report, err := attack.Run(ctx, target.train, table.Rows(), attack.Config{
		Models: c.Models, Seed: c.Seed, Trained: func(n int) { progress.Set(int64(n)) },
	})
	progress.Done()
	if err != nil {
		return err
	}
	out := attackResult{cfg.Architecture.Kind, cfg.Members, c.Seed, report}
	if c.JSON {
		return cli.PrintJSON(std.Out, out)
	}
	return out.print(std.Out)
}

// config is what each model is trained by.
func (c *attackCommand) config() (schedule.Config, error) {
	if c.Plan != "" {
		if c.Architecture != "" || c.Algorithm != "" || c.Rounds != 0 || c.Trees != 0 || c.Depth != 0 || c.Nodes != 0 {
			return schedule.Config{}, cli.Usagef("--plan says what is trained: leave out --architecture, --algorithm, --rounds, --trees, --depth and --nodes")
		}
		text, err := os.ReadFile(c.Plan)
		if err != nil {
			return schedule.Config{}, err
		}
		folder, err := os.OpenRoot(filepath.Dir(c.Plan))
		if err != nil {
			return schedule.Config{}, err
		}
		defer func() { _ = folder.Close() }()
		plan, err := federation.ParsePlan(text, folder.ReadFile)
		if err != nil {
			return schedule.Config{}, fmt.Errorf("%s: %w", c.Plan, err)
		}
		return plan.Learning(), nil
	}
	text, err := os.ReadFile(c.Schema)
	if err != nil {
		return schedule.Config{}, err
	}
	schema, err := feature.ParseSchema(text)
	if err != nil {
		return schedule.Config{}, fmt.Errorf("%s: %w", c.Schema, err)
	}
	settings := runCommand{
		Architecture: cmp.Or(c.Architecture, arch.Logistic), Algorithm: c.Algorithm, Rounds: c.Rounds, Trees: c.Trees, Depth: c.Depth, Bits: 24,
	}
	algorithm, err := settings.algorithm()
	if err != nil {
		return schedule.Config{}, err
	}
	cfg := schedule.Config{Schema: schema, Architecture: settings.architecture(), Algorithm: algorithm, Members: cmp.Or(c.Nodes, minNodes)}
	return cfg.WithDefaults(), cfg.Validate()
}

// candidates are the rows to attack.
func (c *attackCommand) candidates(schema *feature.Schema) (*feature.Table, error) {
	table, err := dataset.Open(c.Data, schema)
	if err != nil {
		return nil, err
	}
	rows := table.Select(feature.SelectTrain)
	rand.New(rand.NewPCG(c.Seed, 2)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	if c.Rows > 0 && c.Rows < len(rows) {
		rows = rows[:c.Rows]
	}
	return table.Subset(rows), nil
}

// print shows the report for reading.
func (r attackResult) print(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d rows, half of them over %d nodes train each of %d models\n", r.Architecture, r.Records, r.Nodes, r.Models)
	fmt.Fprintf(w, "mean log loss of members %.4f, of the others %.4f\n\n", r.MembersLoss, r.OthersLoss)
	t := cli.NewTable("attack", "AUC", "advantage", "TPR at 0.1 % FPR", "TPR at 1 % FPR")
	for _, row := range []struct {
		name string
		attack.Figures
	}{{"loss", r.Loss}, {"LiRA, offline", r.LiRAOffline}, {"LiRA, online", r.LiRAOnline}} {
		t.Row(row.name, showEstimate(row.AUC), showEstimate(row.Advantage), showEstimate(row.TPRAt01), showEstimate(row.TPRAt1))
	}
	if err := t.Print(w); err != nil {
		return err
	}
	_, err := fmt.Fprint(w, strings.Join([]string{
		"", "A model that tells nothing has AUC 0.5, advantage 0, and TPR equal to FPR.", "",
	}, "\n"))
	return err
}

func showEstimate(e attack.Estimate) string {
	return fmt.Sprintf("%.4f [%.4f, %.4f]", e.Value, e.Low, e.High)
}
