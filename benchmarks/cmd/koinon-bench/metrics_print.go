package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/deploy/cli"
)

func printFigures(std cli.Streams, t *scored, f fairness.Figures) error {
	x := metrics.Sample{Scores: t.scores, Labels: t.labels}
	x = x.Only(func(row int) bool { return t.labels[row] >= 0 })
	c := f.Confusion
	fmt.Fprintf(std.Out, "%d rows, %.0f found", len(x.Scores), c.Positives())
	if skipped := len(t.scores) - len(x.Scores); skipped > 0 {
		fmt.Fprintf(std.Out, "; %d rows without a label left out", skipped)
	}
	fmt.Fprintln(std.Out)
	if !x.Probabilities() {
		fmt.Fprintln(std.Out, "scores are not all in [0, 1]: Brier, ECE and log loss are not defined")
	}
	fmt.Fprintln(std.Out)
	auroc := show(f.AUROC)
	if e := x.Curve().AUROCInterval(); e != nil {
		auroc = fmt.Sprintf("%.4f  [%.4f, %.4f]", e.Value, e.Low, e.High)
	}
	whole := cli.NewTable()
	whole.Row("AUROC", auroc)
	for _, row := range []struct {
		name  string
		value *float64
	}{
		{"AUPRC", f.AUPRC},
		{"TPR at 1 % FPR", f.TPRAtFPR.At1},
		{"TPR at 5 % FPR", f.TPRAtFPR.At5},
		{"TPR at 10 % FPR", f.TPRAtFPR.At10},
		{"Brier", f.Brier},
		{"ECE", f.ECE},
		{"log loss", f.LogLoss},
	} {
		whole.Row(row.name, show(row.value))
	}
	whole.Row("threshold", strconv.FormatFloat(f.Threshold, 'g', -1, 64))
	whole.Row("confusion", fmt.Sprintf("tp %.0f  fp %.0f  fn %.0f  tn %.0f", c.TP, c.FP, c.FN, c.TN))
	if err := whole.Print(std.Out); err != nil {
		return err
	}
	for _, column := range slices.Sorted(maps.Keys(f.Groups)) {
		if err := printGroups(std, column, f); err != nil {
			return err
		}
	}
	return nil
}

func printGroups(std cli.Streams, column string, f fairness.Figures) error {
	fmt.Fprintln(std.Out)
	table := cli.NewTable(column, "rows", "found", "flagged", "TPR", "FPR", "FNR", "PPV", "AUROC", "ECE")
	for _, value := range slices.Sorted(maps.Keys(f.Groups[column])) {
		g := f.Groups[column][value]
		table.Row(value, g.N, g.Positives, show(g.SelectionRate), show(g.TPR), show(g.FPR), show(g.FNR), show(g.PPV), show(g.AUROC), show(g.ECE))
	}
	if err := table.Print(std.Out); err != nil {
		return err
	}
	fmt.Fprintln(std.Out)
	g := f.Gaps[column]
	gaps := cli.NewTable("gap", "difference", "ratio")
	for _, row := range []struct {
		name string
		gap  fairness.Gap
	}{{"flagged", g.SelectionRate}, {"TPR", g.TPR}, {"FPR", g.FPR}, {"FNR", g.FNR}, {"equalized odds", g.EqualizedOdds}} {
		gaps.Row(row.name, show(row.gap.Difference), show(row.gap.Ratio))
	}
	return gaps.Print(std.Out)
}

func show(x *float64) string {
	if x == nil {
		return "–"
	}
	return fmt.Sprintf("%.4f", *x)
}
