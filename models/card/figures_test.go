package card_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/benchmarks/report"
	"github.com/koinon-eu/koinon/models/card"
)

// sample is a report on two groups, with a gate that passes, one that fails
// and one that wants an answer.
func sample(t *testing.T) *report.Report {
	t.Helper()
	const rows = 2000
	scores, labels, group := make([]float64, rows), make([]int8, rows), make([]int16, rows)
	for i := range rows {
		scores[i] = float64(i%97+1) / 100
		if i%97 > 70 && i%3 > 0 || i%89 == 0 {
			labels[i] = 1
		}
		group[i] = int16(i % 2)
	}
	s := metrics.TallySchema{Groups: []metrics.GroupColumn{{Name: "sex", Values: []string{"F", "M"}}}}
	words, err := s.Count(scores, labels, [][]int16{group})
	require.NoError(t, err)
	tally, err := s.Parse(words)
	require.NoError(t, err)
	low, high, one := 0.1, 0.9999, 1.0
	rep, err := report.Build(report.Input{
		Tally: tally, Plan: report.Plan{Name: "p", Members: []string{"DE"}, FPR: 0.05},
		Rounds: []report.Round{{Number: 1, Kind: "evaluate", Survivors: []string{"DE"}}},
		Gates: []fairness.Gate{
			{Metric: fairness.AUROC, Bound: fairness.Lower, AtLeast: &low},
			{Metric: fairness.AUROC, Bound: fairness.Point, AtLeast: &high},
			{Metric: fairness.OverExpected, Group: "sex", IntervalContains: &one, Else: fairness.Answer},
		},
		Limits: []string{"a limit of its own"},
	})
	require.NoError(t, err)
	return rep
}

// TestFiguresAreThoseOfTheReport: each figure of a card made from a report is
// found there to the last bit, and no other report will do.
func TestFiguresAreThoseOfTheReport(t *testing.T) {
	rep := sample(t)
	rep.Histograms = &report.Histograms{Cells: 3000, Small: 7, Share: 7.0 / 3000}
	require.Equal(t, fairness.AnswerRequired, rep.Gates[2].Outcome, "the sample must have a finding")
	r := card.Record{Format: card.Format, Name: "x"}
	r.AddReport(rep, map[int]string{1: "this does not help", 2: "blind re-examination ordered"})
	data, err := rep.JSON()
	require.NoError(t, err)
	require.NoError(t, r.CheckReport(data))
	require.Contains(t, string(r.Markdown()), "Share of opened histogram cells with fewer than 5 rows")

	groups := 0
	for _, f := range r.Figures {
		if f.Group != "" {
			groups++
		}
	}
	require.Greater(t, len(r.Figures)-groups, 8)
	require.Greater(t, groups, 8)
	require.Equal(t, int64(2000), *r.Data.Evaluated)
	require.Contains(t, r.Limits, "a limit of its own")
	require.Equal(t, []string{"pass", "fail", card.Answered}, []string{r.Gates[0].Result, r.Gates[1].Result, r.Gates[2].Result})
	require.Equal(t, "at least 0.1 (lower end of the 95 % interval)", r.Gates[0].Wanted)
	require.Equal(t, "interval contains 1", r.Gates[2].Wanted)
	require.Equal(t, "blind re-examination ordered", r.Gates[2].Answer)

	for i := range r.Figures {
		if r.Figures[i].Value == nil {
			continue
		}
		better := *r.Figures[i].Value + 1e-9
		was := r.Figures[i].Value
		r.Figures[i].Value = &better
		require.ErrorContains(t, r.CheckReport(data), r.Figures[i].Name)
		r.Figures[i].Value = was
	}
	b, err := r.Marshal()
	require.NoError(t, err)
	back, err := card.Parse(b)
	require.NoError(t, err)
	require.NoError(t, back.CheckReport(data))
}
