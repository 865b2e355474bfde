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
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train"
)

// comparison is what `run` prints: the same architecture trained three ways.
type comparison struct {
	Data         string                       `json:"data"`
	Architecture string                       `json:"architecture"`
	Algorithm    string                       `json:"algorithm"`
	Rounds       int                          `json:"rounds"`
	Stopping     *stopFigures                 `json:"stopping,omitempty"` // with --patience
	Seed         uint64                       `json:"seed"`
	Rows         int                          `json:"rows"`
	Parameters   int                          `json:"parameters"`
	Model        string                       `json:"model"` // digest of encoder, parameters and optimiser
	Privacy      *privacyUsed                 `json:"privacy,omitempty"`
	Nodes        []nodeComparison             `json:"nodes"`
	Overall      overallComparison            `json:"overall"`
	Seconds      secondsUsed                  `json:"seconds"`
	Phases       map[string]coordinator.Phase `json:"phases,omitempty"` // of the federated run, summed over rounds and nodes
}

// nodeComparison is one node's held-out rows under its own and under the federated model. Alone is null when its
// training rows are of one class.
type nodeComparison struct {
	Name      string            `json:"name"`
	Rows      int               `json:"rows"`
	Train     int               `json:"train"`
	Test      int               `json:"test"`
	Positives int               `json:"positives"` // among test rows
	Alone     *fairness.Figures `json:"alone"`
	Federated *fairness.Figures `json:"federated"`
	Interval  *[2]float64       `json:"federated_auroc_interval"` // 95 %, DeLong

	FineTuned *tunedFigures `json:"fine_tuned,omitempty"` // with --fine-tune; none with too few rows
}

// overallComparison: federated and pooled over all held-out rows, alone as the mean over nodes.
type overallComparison struct {
	Alone     meanFigures      `json:"alone"`
	Federated fairness.Figures `json:"federated"`
	Pooled    fairness.Figures `json:"pooled"`
	// FederatedMean is the federated model's mean over the same nodes as Alone.
	FederatedMean meanFigures `json:"federated_mean"`
	Gained        int         `json:"nodes_gained"`
}

type meanFigures struct {
	Nodes int      `json:"nodes"`
	AUROC *float64 `json:"auroc"`
	AUPRC *float64 `json:"auprc"`
}

type secondsUsed struct {
	Federated float64 `json:"federated"`
	Compare   float64 `json:"alone_and_pooled"`
	Total     float64 `json:"total"`
}

// decision is the share of false alarms at which groups are compared.
const decisionFPR = 0.05

// compare puts each node alone, the model of a finished run and one of all rows side by side. The workers do the
// members' work; pooled is the outcome of the third where it is known already, nil otherwise.
func compare(data string, m *schedule.Machine, members []direct.Member, work []*train.Member, pooled *fairness.Figures) (*comparison, error) {
	begun := time.Now()
	digest, err := m.Digest()
	if err != nil {
		return nil, err
	}
	cfg := m.Config()
	out := &comparison{
		Data: data, Architecture: cfg.Architecture.Kind, Algorithm: cfg.Algorithm.Name, Rounds: cfg.Algorithm.Rounds,
		Seed: cfg.Seed, Parameters: parameters(m), Model: hex.EncodeToString(digest[:]),
	}
	threshold, err := operating(m)
	if err != nil {
		return nil, err
	}
	var all figuresOf
	for i, w := range work {
		node, err := all.add(m, w, threshold)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", members[i].Name, err)
		}
		node.Name, node.Rows = members[i].Name, members[i].Table.Rows()
		out.Rows += node.Rows
		out.Nodes = append(out.Nodes, node)
	}
	if err := out.overall(m, work, all, threshold, pooled); err != nil {
		return nil, err
	}
	out.Stopping = stopFiguresOf(m)
	out.Seconds.Compare = time.Since(begun).Seconds()
	return out, nil
}

// operating is the threshold at which the federated model's tally shows the wanted share of false alarms.
func operating(m *schedule.Machine) (float64, error) {
	if m.Tally() == nil {
		return 0, fmt.Errorf("the run ended without a tally")
	}
	threshold, ok := m.Tally().Threshold(decisionFPR)
	if !ok {
		return 0.5, nil // no negatives at all
	}
	return threshold, nil
}

// figuresOf collects the federated scores of all nodes' held-out rows.
type figuresOf struct {
	scores []float64
	labels []int8
	groups []fairness.Column
}

func (f *figuresOf) add(m *schedule.Machine, w *train.Member, threshold float64) (nodeComparison, error) {
	scored, err := w.Evaluate(m)
	if err != nil {
		return nodeComparison{}, err
	}
	columns := groupColumns(m, scored.Groups)
	node := nodeComparison{Train: w.Rows(), Test: len(scored.Labels)}
	for _, y := range scored.Labels {
		node.Positives += int(max(y, 0))
	}
	federated, err := fairness.Exact(scored.Federated, scored.Labels, columns, threshold, fairness.Strict)
	if err != nil {
		return node, err
	}
	node.Federated = &federated
	node.Interval = interval(scored.Federated, scored.Labels)
	if scored.Alone != nil {
		alone, err := fairness.Exact(scored.Alone, scored.Labels, columns, threshold, fairness.Strict)
		if err != nil {
			return node, err
		}
		node.Alone = &alone
	}
	f.scores, f.labels = append(f.scores, scored.Federated...), append(f.labels, scored.Labels...)
	if f.groups == nil {
		f.groups = columns
		return node, nil
	}
	for i := range columns {
		f.groups[i].Values = append(f.groups[i].Values, columns[i].Values...)
	}
	return node, nil
}

// interval is DeLong's for AUROC; nil when a class is missing.
func interval(scores []float64, labels []int8) *[2]float64 {
	e := metrics.Sample{Scores: scores, Labels: labels}.Curve().AUROCInterval()
	if e == nil {
		return nil
	}
	return &[2]float64{e.Low, e.High}
}

// groupColumns turns value indexes back into names.
func groupColumns(m *schedule.Machine, groups [][]int16) []fairness.Column {
	var columns []fairness.Column
	for g, column := range m.TallySchema().Groups {
		values := make([]string, len(groups[g]))
		for i, v := range groups[g] {
			if v >= 0 {
				values[i] = column.Values[v]
			}
		}
		columns = append(columns, fairness.Column{Name: column.Name, Values: values})
	}
	return columns
}

func (out *comparison) overall(m *schedule.Machine, work []*train.Member, all figuresOf, threshold float64, pooled *fairness.Figures) error {
	var err error
	if out.Overall.Federated, err = fairness.Exact(all.scores, all.labels, all.groups, threshold, fairness.Strict); err != nil {
		return err
	}
	if pooled == nil {
		scores, err := pooledScores(m, work)
		if err != nil {
			return err
		}
		figures, err := fairness.Exact(scores, all.labels, all.groups, threshold, fairness.Strict)
		if err != nil {
			return err
		}
		pooled = &figures
	}
	out.Overall.Pooled = *pooled
	var alone, federated []*fairness.Figures
	for _, n := range out.Nodes {
		if n.Alone == nil || n.Alone.AUROC == nil {
			continue
		}
		alone, federated = append(alone, n.Alone), append(federated, n.Federated)
		if *n.Federated.AUROC > *n.Alone.AUROC {
			out.Overall.Gained++
		}
	}
	out.Overall.Alone, out.Overall.FederatedMean = mean(alone), mean(federated)
	return nil
}

// pooledScores are those of all nodes' held-out rows under a model of all training rows in one place.
func pooledScores(m *schedule.Machine, work []*train.Member) ([]float64, error) {
	if m.Forest() != nil {
		return train.PooledForestScores(m, work)
	}
	fit, err := train.Pooled(m, work)
	if err != nil {
		return nil, err
	}
	var pooled []float64
	for _, w := range work {
		rows, err := w.TestRows(m.Encoder())
		if err != nil {
			return nil, err
		}
		scores, err := train.Scores(m.Config().Architecture, fit.Params, rows)
		if err != nil {
			return nil, err
		}
		pooled = append(pooled, scores...)
	}
	return pooled, nil
}

// parameters counts those of the model, as its card does.
func parameters(m *schedule.Machine) int {
	params, _ := m.Chosen()
	model := artifact.Model{Params: params}
	if m.Forest() != nil {
		model.Ensemble = m.Forest().Ensemble()
	}
	return model.Parameters()
}

func mean(figures []*fairness.Figures) meanFigures {
	m := meanFigures{Nodes: len(figures)}
	if m.Nodes == 0 {
		return m
	}
	auroc, auprc := 0.0, 0.0
	for _, f := range figures {
		auroc, auprc = auroc+*f.AUROC, auprc+*f.AUPRC
	}
	auroc, auprc = auroc/float64(m.Nodes), auprc/float64(m.Nodes)
	m.AUROC, m.AUPRC = &auroc, &auprc
	return m
}

// print writes the tables that a person reads.
func (out *comparison) print(w io.Writer) error {
	fmt.Fprintf(w, "%s: %d rows in %d nodes, %s with %d parameters, %s, %d rounds, seed %d\n\n", out.Data, out.Rows,
		len(out.Nodes), out.Architecture, out.Parameters, out.Algorithm, out.Rounds, out.Seed)
	if err := out.Stopping.print(w); err != nil {
		return err
	}
	table := cli.NewTable(out.tunedHead("node", "rows", "test", "positives", "AUROC alone", "federated", "95 % interval")...)
	for _, n := range out.Nodes {
		alone := any(nil)
		if n.Alone != nil {
			alone = figure(n.Alone.AUROC)
		}
		table.Row(out.tunedCells(n, n.Name, n.Rows, n.Test, n.Positives, alone, figure(n.Federated.AUROC), bounds(n.Interval))...)
	}
	if err := table.Print(w); err != nil {
		return err
	}
	o := out.Overall
	fmt.Fprintln(w)
	table = cli.NewTable("overall", "AUROC", "AUPRC", "TPR at 5 % FPR", "Brier", "ECE")
	table.Row(fmt.Sprintf("alone, mean of %d nodes", o.Alone.Nodes), figure(o.Alone.AUROC), figure(o.Alone.AUPRC), nil, nil, nil)
	table.Row("federated, mean of the same", figure(o.FederatedMean.AUROC), figure(o.FederatedMean.AUPRC), nil, nil, nil)
	for _, row := range []struct {
		name string
		f    fairness.Figures
	}{{"federated, all rows", o.Federated}, {"pooled, all rows", o.Pooled}} {
		table.Row(row.name, figure(row.f.AUROC), figure(row.f.AUPRC), figure(row.f.TPRAtFPR.At5), figure(row.f.Brier), figure(row.f.ECE))
	}
	if err := table.Print(w); err != nil {
		return err
	}
	out.printTuned(w)
	fmt.Fprintf(w, "\n%d of %d nodes gained. ", o.Gained, o.Alone.Nodes)
	if o.Alone.AUROC != nil && *o.FederatedMean.AUROC <= *o.Alone.AUROC {
		fmt.Fprint(w, "On this table federated learning does not help the nodes' mean. ")
	}
	fmt.Fprintf(w, "Federated run %.1f s, alone and pooled %.1f s. Model %s.\n", out.Seconds.Federated, out.Seconds.Compare, out.Model[:12])
	if out.Privacy != nil {
		return out.Privacy.print(w)
	}
	return nil
}

func figure(v *float64) any {
	if v == nil {
		return nil
	}
	return fmt.Sprintf("%.4f", *v)
}

func bounds(v *[2]float64) any {
	if v == nil {
		return nil
	}
	return fmt.Sprintf("%.3f to %.3f", v[0], v[1])
}
