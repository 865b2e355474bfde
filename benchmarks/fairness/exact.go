package fairness

import (
	"fmt"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// Missing names the group of the rows that have no value.
const Missing = "(missing)"

// Column is one group attribute of a sample: a value for each row, "" if missing.
type Column struct {
	Name   string
	Values []string
}

// GroupFigures are the figures of one group; an undefined one is null.
type GroupFigures struct {
	N             int      `json:"n"`
	Positives     int      `json:"positives"`
	SelectionRate *float64 `json:"selection_rate"`
	TPR           *float64 `json:"tpr"`
	FPR           *float64 `json:"fpr"`
	FNR           *float64 `json:"fnr"`
	PPV           *float64 `json:"ppv"`
	AUROC         *float64 `json:"auroc"`
	ECE           *float64 `json:"ece"`
}

// Figures are the figures of a model on one set of rows, whole and by group,
// in the keys that both benchmark commands print.
type Figures struct {
	metrics.Figures
	// Groups is by column and value, Gaps by column.
	Groups map[string]map[string]GroupFigures `json:"groups"`
	Gaps   map[string]Gaps                    `json:"gaps"`
}

// Exact computes Figures from scores; rows with label −1 are left out. Nothing
// is suppressed: the caller owns the rows.
func Exact(scores []float64, labels []int8, columns []Column, threshold float64, c Convention) (Figures, error) {
	out := Figures{Groups: map[string]map[string]GroupFigures{}, Gaps: map[string]Gaps{}}
	var err error
	if out.Figures, err = metrics.Exact(scores, labels, threshold); err != nil {
		return Figures{}, err
	}
	for _, col := range columns {
		if len(col.Values) != len(scores) {
			return Figures{}, fmt.Errorf("group column %q has %d rows, want %d", col.Name, len(col.Values), len(scores))
		}
		if _, twice := out.Groups[col.Name]; twice {
			return Figures{}, fmt.Errorf("group column %q twice", col.Name)
		}
		figures := map[string]GroupFigures{}
		var confusions []metrics.Confusion
		for value, x := range split(scores, labels, col) {
			conf := x.Confusion(threshold)
			confusions = append(confusions, conf)
			figures[value] = groupFigures(x, conf)
		}
		out.Groups[col.Name] = figures
		out.Gaps[col.Name] = c.Gaps(confusions)
	}
	return out, nil
}

func split(scores []float64, labels []int8, col Column) map[string]metrics.Sample {
	groups := map[string]metrics.Sample{}
	for row, s := range scores {
		if labels[row] == -1 {
			continue
		}
		value := col.Values[row]
		if value == "" {
			value = Missing
		}
		x := groups[value]
		x.Scores, x.Labels = append(x.Scores, s), append(x.Labels, labels[row])
		groups[value] = x
	}
	return groups
}

func groupFigures(x metrics.Sample, c metrics.Confusion) GroupFigures {
	return GroupFigures{
		N: len(x.Scores), Positives: int(c.Positives()),
		SelectionRate: c.Selection(), TPR: c.TPR(), FPR: c.FPR(), FNR: c.FNR(), PPV: c.PPV(),
		AUROC: x.Curve().AUROC(), ECE: x.ECE(),
	}
}
