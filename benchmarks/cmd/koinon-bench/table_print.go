package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// print writes Markdown.
func (t *tableSummary) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d runs, seeds 1 to %d, %.0f CPU seconds. AUROC on held-out rows (%.0f %%, drawn by the seed).\n\n",
		t.Runs, t.Of, t.Seeds, t.CPU, 100*heldOut)
	if len(t.Sets) > 0 {
		t.printSets(&b)
	}
	if len(t.Skews) > 0 {
		t.printSkews(&b)
	}
	t.printSettings(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *tableSummary) printSets(b *strings.Builder) {
	b.WriteString("| table | model | alone | federated | gain | over the best alone | nodes that lost, least gain | worst node (alone) | all rows | less pooled |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	last := ""
	for _, r := range t.Sets {
		head := "| "
		if r.Set != last {
			head = fmt.Sprintf("| %s, %d rows, %d nodes: %s ", r.Set, r.Rows, r.Nodes, r.Partition.Words())
			last = r.Set
		}
		lost := fmt.Sprintf("%.1f of %.0f", r.Lost, r.Compared)
		if r.Named != nil {
			lost += fmt.Sprintf(", %s %s", r.Named.Name, signed(r.Named.Gain.Value))
		}
		fmt.Fprintf(b, "%s| %s | %s | %s | %s | %s | %s | %s (%s) | %s | %s |\n", head, r.Architecture.Kind,
			auroc(r.Alone), auroc(r.FedMean), gain(r.Gain), gain(*r.Best), lost,
			auroc(r.Worst.Federated), auroc(r.Worst.Alone), auroc(r.Federated), withHalf(r.Gap))
	}
	b.WriteByte('\n')
	t.printVerdicts(b)
}

// printVerdicts says where the federation does not help.
func (t *tableSummary) printVerdicts(b *strings.Builder) {
	for _, r := range t.Sets {
		what := fmt.Sprintf("%s, %s: ", r.Set, r.Architecture.Kind)
		switch {
		case r.Gain.High < 0:
			fmt.Fprintf(b, "- %snodes lose on average.\n", what)
		case r.Gain.Low <= 0:
			fmt.Fprintf(b, "- %sno gain is shown.\n", what)
		case r.Best.High < 0:
			fmt.Fprintf(b, "- %snodes gain over the same model alone, but another model alone is better.\n", what)
		case r.Best.Low <= 0:
			fmt.Fprintf(b, "- %snodes gain over the same model alone; over the best model alone no gain is shown.\n", what)
		}
	}
	b.WriteByte('\n')
}

// printSkews has a line a division and a column an algorithm.
func (t *tableSummary) printSkews(b *strings.Builder) {
	for _, kind := range skewedKinds {
		var names []string
		for _, r := range t.Skews {
			if r.Architecture.Kind == kind && !slices.Contains(names, r.algorithmName()) {
				names = append(names, r.algorithmName())
			}
		}
		if len(names) == 0 {
			continue
		}
		fmt.Fprintf(b, "%s: federated − pooled over all held-out rows, in thousandths of AUROC (± 95 %%)\n\n", kind)
		fmt.Fprintf(b, "| table | nodes | alone, mean | pooled | %s |\n|---|---|---|---|%s\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
		for i := 0; i < len(t.Skews); {
			first, cells := t.Skews[i], map[string]metrics.Estimate{}
			for ; i < len(t.Skews) && t.Skews[i].Set == first.Set && t.Skews[i].Partition == first.Partition && t.Skews[i].Architecture.Kind == first.Architecture.Kind; i++ {
				cells[t.Skews[i].algorithmName()] = t.Skews[i].Gap
			}
			if first.Architecture.Kind == kind {
				printSkew(b, first, names, cells)
			}
		}
		b.WriteByte('\n')
	}
}

func printSkew(b *strings.Builder, first summaryRow, names []string, cells map[string]metrics.Estimate) {
	best := ""
	for _, name := range names {
		if e, ok := cells[name]; ok && (best == "" || e.Value > cells[best].Value) {
			best = name
		}
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s |", first.Set, first.Partition.Words(), auroc(first.Alone), auroc(first.Pooled))
	for _, name := range names {
		cell := "–"
		if e, ok := cells[name]; ok {
			if cell = fmt.Sprintf("%+.1f", 1000*e.Value); name == best {
				cell = "**" + cell + "**"
			}
			if e.High < 1 {
				cell += fmt.Sprintf(" ± %.1f", 1000*(e.High-e.Value))
			}
		}
		fmt.Fprintf(b, " %s |", strings.ReplaceAll(cell, "-", "−"))
	}
	b.WriteByte('\n')
}

// printSettings shows what every table was trained with.
func (t *tableSummary) printSettings(b *strings.Builder) {
	seen := map[string]bool{}
	for _, r := range slices.Concat(t.Sets, t.Skews) {
		a := r.Algorithm
		var text string
		if p := r.Architecture.Trees; p != nil {
			text = fmt.Sprintf("- trees: %d of depth %d, rate %v, %v rows expected in a cell, λ %v\n", p.Trees, p.Depth, p.Rate[0], *p.Cell, *p.L2)
		} else {
			text = fmt.Sprintf("- %s, %s: %d rounds, %s, server rate %v, l2 %v", r.Architecture.Kind, a.Name, a.Rounds, a.Local, a.ServerRate, r.Architecture.L2)
			if a.Local != "full-batch" {
				text += fmt.Sprintf(", %d local epochs of batches of %d at rate %v", a.LocalEpochs, a.Batch, a.LocalRate)
			}
			text += "\n"
		}
		if !seen[text] {
			seen[text] = true
			b.WriteString(text)
		}
	}
}

func auroc(v float64) string { return strings.TrimPrefix(fmt.Sprintf("%.4f", v), "0") }

// signed writes a difference, gain one with its interval, withHalf one with half of it.
func signed(v float64) string {
	return strings.ReplaceAll(strings.Replace(fmt.Sprintf("%+.4f", v), "0.", ".", 1), "-", "−")
}

func gain(e metrics.Estimate) string {
	text := signed(e.Value)
	if e.Low > 0 {
		text = "**" + text + "**"
	}
	if e.High >= 1 {
		return text
	}
	return fmt.Sprintf("%s (%s to %s)", text, signed(e.Low), signed(e.High))
}

func withHalf(e metrics.Estimate) string {
	if e.High >= 1 {
		return signed(e.Value)
	}
	return fmt.Sprintf("%s ± %s", signed(e.Value), auroc(e.High-e.Value))
}
