package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/direct"
	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

// countComparison is what `run` prints for a label that counts: the same
// forecasts trained three ways, beside the baseline of the schema.
type countComparison struct {
	Data         string                       `json:"data"`
	Architecture arch.Spec                    `json:"architecture"`
	Algorithm    string                       `json:"algorithm"`
	Rounds       int                          `json:"rounds"`
	Seed         uint64                       `json:"seed"`
	Rows         int                          `json:"rows"`
	Parameters   int                          `json:"parameters"`
	Model        string                       `json:"model"` // digest of encoder, parameters and optimiser
	Nodes        []countNode                  `json:"nodes"`
	Federated    metrics.ForecastFigures      `json:"federated"` // over all held-out rows, alone being each node's own model
	Pooled       metrics.ForecastFigures      `json:"pooled"`
	Estimated    *float64                     `json:"dispersion_estimated"` // from the masked tally
	GainedFive   int64                        `json:"nodes_gained_5"`       // over the baseline, at least 5 %
	WithBaseline int64                        `json:"nodes_with_baseline"`
	Seconds      secondsUsed                  `json:"seconds"`
	Phases       map[string]coordinator.Phase `json:"phases"` // of the federated run, summed over rounds and nodes
}

// countNode is one node's held-out rows under the federated model.
type countNode struct {
	Name  string `json:"name"`
	Rows  int    `json:"rows"`
	Train int    `json:"train"`
	Test  int    `json:"test"`
	metrics.ForecastFigures
}

// countArchitecture is what the flags mean for a label that counts.
func (c *runCommand) countArchitecture(schema *feature.Schema, spec arch.Spec) (arch.Spec, error) {
	if !schema.Label.IsCount() {
		if c.Loss != "" || c.Dispersion != 0 {
			return spec, cli.Usagef("--loss and --dispersion are for a label of kind %s", feature.KindCount)
		}
		return spec, nil
	}
	if spec.Kind == arch.Logistic {
		spec.Kind = arch.Linear
	}
	spec.Loss, spec.Dispersion = c.Loss, c.Dispersion
	if spec.Loss == "" {
		spec.Loss = arch.NegativeBinomial
	}
	return spec, nil
}

// countGate is the gate of a benchmark's plan.
func countGate(schema *feature.Schema) string {
	if schema.Label.IsCount() {
		return fairness.Coverage
	}
	return fairness.AUROC
}

func compareCounts(c *runCommand, plan *federation.Plan, members []direct.Member, result *direct.Result) (*countComparison, error) {
	begun := time.Now()
	m := result.Machine
	if m.Counts() == nil {
		return nil, fmt.Errorf("the run ended without a tally")
	}
	digest, err := m.Digest()
	if err != nil {
		return nil, err
	}
	out := &countComparison{
		Data: c.Data, Architecture: plan.Architecture, Algorithm: plan.Algorithm.Name, Rounds: plan.Algorithm.Rounds,
		Seed: c.Seed, Parameters: parameters(m), Model: hex.EncodeToString(digest[:]),
		Estimated: m.Counts().Dispersion(), GainedFive: m.Counts().Base.AtLeast[1], WithBaseline: m.Counts().Base.Defined,
	}
	work := result.Workers
	var all metrics.Forecasts
	for i, member := range members {
		scored, err := work[i].Evaluate(m)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", member.Name, err)
		}
		f := scored.Forecasts
		out.Rows += member.Table.Rows()
		out.Nodes = append(out.Nodes, countNode{member.Name, member.Table.Rows(), work[i].Rows(), len(f.Counts), f.Figures()})
		if i == 0 || all.Alone != nil { // only where every node has a model of its own
			all.Alone = append(all.Alone, f.Alone...)
		}
		if len(f.Alone) < len(f.Counts) {
			all.Alone = nil
		}
		all.Counts, all.Means, all.Baseline = append(all.Counts, f.Counts...), append(all.Means, f.Means...), append(all.Baseline, f.Baseline...)
		all.Low, all.High = append(all.Low, f.Low...), append(all.High, f.High...)
	}
	out.Federated = all.Figures()
	if all.Means, err = pooledScores(m, work); err != nil {
		return nil, err
	}
	for i, mean := range all.Means {
		all.Low[i], all.High[i] = arch.Interval(mean, plan.Architecture.K(), metrics.Share80)
	}
	out.Pooled = all.Figures()
	out.Seconds.Compare = time.Since(begun).Seconds()
	return out, nil
}

// print writes the tables that a person reads.
func (out *countComparison) print(w io.Writer) error {
	fmt.Fprintf(w, "%s: %d rows in %d nodes, %s with %d parameters, %s, %d rounds, seed %d\n\n", out.Data, out.Rows,
		len(out.Nodes), out.Architecture.Words(), out.Parameters, out.Algorithm, out.Rounds, out.Seed)
	table := cli.NewTable("node", "rows", "test", "cases", "deviance: baseline", "alone", "federated", "over baseline", "over alone", "inside 80 %")
	for _, n := range out.Nodes {
		table.Row(n.Name, n.Rows, n.Test, n.Observed, figure(n.Base), figure(n.Alone), figure(n.Deviance), share(n.OverBase), share(n.OverAlone), inside(n.Coverage))
	}
	if err := table.Print(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	table = cli.NewTable("all held-out rows", "deviance", "over baseline", "over alone", "inside 80 %", "observed ÷ expected")
	for _, row := range []struct {
		name string
		f    metrics.ForecastFigures
	}{{"federated", out.Federated}, {"pooled", out.Pooled}} {
		table.Row(row.name, figure(row.f.Deviance), share(row.f.OverBase), share(row.f.OverAlone), inside(row.f.Coverage), fmt.Sprintf("%.3f", float64(row.f.Observed)/row.f.Expected))
	}
	if err := table.Print(w); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nDeviance is Poisson's, a row. %d of %d nodes have at least 5 %% less than the baseline. ", out.GainedFive, out.WithBaseline)
	if out.Federated.OverBase != nil && *out.Federated.OverBase <= 0 {
		fmt.Fprint(w, "On this table the forecast does not beat the baseline. ")
	}
	if out.Estimated != nil {
		fmt.Fprintf(w, "Dispersion by moments %.2f. ", *out.Estimated)
	}
	fmt.Fprintf(w, "Federated run %.1f s, alone and pooled %.1f s. Model %s.\n", out.Seconds.Federated, out.Seconds.Compare, out.Model[:12])
	return nil
}

// share writes a share of the other's deviance, with its sign.
func share(v *float64) any {
	if v == nil {
		return nil
	}
	return fmt.Sprintf("%+.1f %%", 100**v)
}

func inside(e *metrics.Estimate) any {
	if e == nil {
		return nil
	}
	return fmt.Sprintf("%.1f %%", 100*e.Value)
}
