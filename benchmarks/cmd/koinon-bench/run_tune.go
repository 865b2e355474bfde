package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/koinon-eu/koinon/benchmarks/direct"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train"
)

// stopFigures say where early stopping ended a run.
type stopFigures struct {
	Rounds int       `json:"rounds"` // run
	Chosen int       `json:"chosen"` // whose parameters are the model
	Losses []float64 `json:"validation_losses"`
	Tried  []tried   `json:"tried,omitempty"` // with --search
}

// tried is a candidate of a search.
type tried struct {
	Settings string  `json:"settings"` // empty for the plan's own
	Rounds   int     `json:"rounds"`
	Loss     float64 `json:"validation_loss"` // lowest; -1 where nobody judged
	Chosen   bool    `json:"chosen"`
}

func stopFiguresOf(m *schedule.Machine) *stopFigures {
	losses := m.Losses()
	if losses == nil {
		return nil
	}
	rounds, _ := m.Rounds()
	_, chosen := m.Chosen()
	for i, l := range losses {
		losses[i] = judged(l)
	}
	out := &stopFigures{Rounds: rounds, Chosen: chosen, Losses: losses}
	for _, t := range m.Candidates() {
		out.Tried = append(out.Tried, tried{t.Settings, t.Rounds, judged(t.Loss), t.Live})
	}
	return out
}

// judged is a loss as JSON can say it: -1 where nobody judged.
func judged(loss float64) float64 {
	if math.IsInf(loss, 0) {
		return -1
	}
	return loss
}

func (s *stopFigures) print(w io.Writer) error {
	if s == nil {
		return nil
	}
	fmt.Fprintf(w, "training ended after %d rounds; the model is that after %d, of the lowest validation loss\n\n", s.Rounds, s.Chosen)
	if len(s.Tried) == 0 {
		return nil
	}
	table := cli.NewTable("settings", "rounds", "validation loss", "")
	for _, t := range s.Tried {
		chosen := ""
		if t.Chosen {
			chosen = "chosen"
		}
		table.Row(cmp.Or(t.Settings, "as given"), t.Rounds, fmt.Sprintf("%.4f", t.Loss), chosen)
	}
	if err := table.Print(w); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// tunedFigures are a node's test rows under the federated model fitted to its own rows.
type tunedFigures struct {
	AUROC  *float64          `json:"auroc"`
	Gain   *metrics.Estimate `json:"gain_over_federated"` // AUROC, 95 % of the paired difference
	Epochs int               `json:"epochs"`              // 0: nothing better was found
}

// fineTune fits the federated model to each node's own rows, as `koinon-node fine-tune` does with its defaults.
func (out *comparison) fineTune(m *schedule.Machine, work []*train.Member, members []direct.Member) error {
	for i, w := range work {
		figures, err := tunedOf(m, w, members[i])
		if errors.Is(err, train.ErrFewRows) {
			continue
		}
		if err != nil {
			return fmt.Errorf("node %s: %w", members[i].Name, err)
		}
		out.Nodes[i].FineTuned = figures
	}
	return nil
}

func tunedOf(m *schedule.Machine, w *train.Member, member direct.Member) (*tunedFigures, error) {
	rows, err := w.TrainRows(m.Encoder())
	if err != nil {
		return nil, err
	}
	test, err := w.TestRows(m.Encoder())
	if err != nil {
		return nil, err
	}
	cfg := m.Config()
	start, _ := m.Chosen()
	tuned, err := train.FineTune(train.Tuning{Architecture: cfg.Architecture, Rows: m.Encoder().Rows, Seed: cfg.Seed}, start, rows, member.Table, cfg.Digest())
	if err != nil {
		return nil, err
	}
	after, err := train.Scores(cfg.Architecture, tuned.Params, test)
	if err != nil {
		return nil, err
	}
	before, err := train.Scores(cfg.Architecture, start, test)
	if err != nil {
		return nil, err
	}
	out := &tunedFigures{Epochs: tuned.Epochs}
	exact, err := metrics.Exact(after, test.Label, 0.5)
	if err != nil {
		return nil, err
	}
	out.AUROC = exact.AUROC
	gain, variance, err := metrics.PairedGain(after, before, test.Label)
	if err == nil && gain != nil {
		half := metrics.Z95 * math.Sqrt(*variance)
		out.Gain = &metrics.Estimate{Value: *gain, Low: *gain - half, High: *gain + half}
	}
	return out, err
}

// tuned reports whether any node was fine-tuned.
func (out *comparison) tuned() bool {
	for _, n := range out.Nodes {
		if n.FineTuned != nil {
			return true
		}
	}
	return false
}

func (out *comparison) tunedHead(head ...string) []string {
	if out.tuned() {
		head = append(head, "fine-tuned", "gain")
	}
	return head
}

func (out *comparison) tunedCells(n nodeComparison, cells ...any) []any {
	switch f := n.FineTuned; {
	case !out.tuned():
		return cells
	case f == nil:
		return append(cells, nil, nil)
	case f.Gain == nil:
		return append(cells, figure(f.AUROC), nil)
	default:
		return append(cells, figure(f.AUROC), fmt.Sprintf("%+.3f (%+.3f to %+.3f)", f.Gain.Value, f.Gain.Low, f.Gain.High))
	}
}

// printTuned says for how many nodes fine-tuning is worth it.
func (out *comparison) printTuned(w io.Writer) {
	helps, harms, all := 0, 0, 0
	for _, n := range out.Nodes {
		if n.FineTuned == nil || n.FineTuned.Gain == nil {
			continue
		}
		all++
		if n.FineTuned.Gain.Low > 0 {
			helps++
		}
		if n.FineTuned.Gain.High < 0 {
			harms++
		}
	}
	if all > 0 {
		fmt.Fprintf(w, "\nFine-tuning clearly helps %d of %d nodes and clearly harms %d.\n", helps, all, harms)
	}
}
