package release_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/benchmarks/report"
	"github.com/koinon-eu/koinon/models/card"
	"github.com/koinon-eu/koinon/models/release"
)

func judged(t *testing.T, least float64) (*card.Record, *report.Report) {
	t.Helper()
	scores, labels := make([]float64, 1000), make([]int8, 1000)
	for i := range scores {
		scores[i] = float64(i%100) / 100
		if i%100 > 80 || i%13 == 0 {
			labels[i] = 1
		}
	}
	var s metrics.TallySchema
	words, err := s.Count(scores, labels, nil)
	require.NoError(t, err)
	tally, err := s.Parse(words)
	require.NoError(t, err)
	rep, err := report.Build(report.Input{
		Tally: tally, Plan: report.Plan{Name: "document-risk", Members: []string{"DE"}, FPR: 0.05},
		Rounds: []report.Round{{Number: 1, Kind: "evaluate", Survivors: []string{"DE"}}},
		Gates:  []fairness.Gate{{Metric: fairness.AUROC, Bound: fairness.Point, AtLeast: &least}},
	})
	require.NoError(t, err)
	record := &card.Record{Format: card.Format, Name: "document-risk-1"}
	record.AddReport(rep, nil)
	return record, rep
}

func TestDraft(t *testing.T) {
	base := *statement(content())
	record, rep := judged(t, 0.5)
	files, err := release.Draft(base, record, rep, []byte("model"), []byte("encoder"))
	require.NoError(t, err)
	s, err := release.ParseStatement(files[release.StatementFile])
	require.NoError(t, err)
	require.Equal(t, release.Describe(files), s.Files)
	require.Equal(t, release.Pass, s.Gates[0].Result)
	require.Equal(t, "at least 0.5", s.Gates[0].Wanted)
	p := newPeople(t)
	_, err = release.Seal(files, p.approve(t, release.StatementDigest(files[release.StatementFile])), p.approvers, p.release)
	require.NoError(t, err)

	again, err := release.Draft(base, record, rep, []byte("model"), []byte("encoder"))
	require.NoError(t, err)
	require.Equal(t, files, again, "the same facts give the same bytes")

	failed, failedReport := judged(t, 0.9999)
	_, err = release.Draft(base, failed, failedReport, []byte("model"), []byte("encoder"))
	require.ErrorContains(t, err, "only a candidate that passes")
	failed.Gates = nil
	_, err = release.Draft(base, failed, failedReport, []byte("model"), []byte("encoder"))
	require.ErrorContains(t, err, "0 gates, the report 1")
	better := *record.Figures[0].Value + 0.01
	record.Figures[0].Value = &better
	_, err = release.Draft(base, record, rep, []byte("model"), []byte("encoder"))
	require.ErrorContains(t, err, "AUROC")
}
