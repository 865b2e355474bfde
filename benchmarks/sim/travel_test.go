package sim

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/synth"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/node/train"
)

// travelPlan is the plan of the pack irregular-travel-trends.
func travelPlan(t testing.TB) *federation.Plan {
	t.Helper()
	pack := synth.TravelPack()
	p, err := federation.ParsePlan(pack.Plan, func(name string) ([]byte, error) {
		return map[string][]byte{"schema.yaml": pack.Schema, "declaration.yaml": pack.Declaration}[name], nil
	})
	require.NoError(t, err)
	return p
}

func travelMembers(t testing.TB, seed uint64) []Member {
	t.Helper()
	var members []Member
	for _, state := range synth.TravelStates() {
		var b bytes.Buffer
		require.NoError(t, synth.GenerateTravel(&b, state, seed))
		table, err := feature.ReadCSV(&b, synth.TravelSchema(), feature.Limits{})
		require.NoError(t, err)
		members = append(members, Member{Name: state, Table: table})
	}
	return members
}

// TestTravelTrends: the pack over the real protocol passes its own gates (less deviance than the same month of the year
// before in two thirds of the nodes, and intervals that hold what they say), and its model forecasts as the nodes did.
func TestTravelTrends(t *testing.T) {
	plan := travelPlan(t)
	s := setStage(t, plan, travelMembers(t, 1), nil)
	s.submit()
	s.playAll()
	r := s.evaluated()
	files, rep, err := s.simulation.coordinator.Candidate(r.ID)
	require.NoError(t, err)
	f := rep.Forecasts
	t.Logf("%d rows, deviance %.2f, baseline %.2f, gain %.3f, nodes %d of %d, coverage %.3f, observed/expected %.3f, k %.2f, over alone %d of %d mean %.4f",
		rep.Rows, *f.Deviance, *f.BaseDeviance, *f.BaseGain, f.OverBase.Five, f.OverBase.Members,
		f.Coverage.Value, *f.Ratio, *f.Estimated, f.OverAlone.Gained, f.OverAlone.Members, *f.OverAlone.Mean)
	for _, g := range rep.Gates {
		require.Equal(t, fairness.Pass, g.Outcome, "%s: %s", g.Gate.Metric, g.Reason)
	}
	require.NotEmpty(t, files[release.StatementFile], "every gate is passed")
	model, err := artifact.Parse(files[release.ArtifactFile])
	require.NoError(t, err)
	require.Equal(t, arch.NegativeBinomial, model.Header.Architecture.Loss)
	require.InDelta(t, 5.5, model.Header.Architecture.K(), 0)
	scorer, err := model.NewScorer()
	require.NoError(t, err)
	machine := s.machineOf(r, synth.TravelStates()...)
	require.Nil(t, machine.Tally())
	for _, m := range s.cfg.Members {
		figures, err := train.NewMember(m.Table).Evaluate(machine)
		require.NoError(t, err)
		store := s.actors[m.Name].store
		require.Eventually(t, func() bool { return len(store.Figures()) == 1 }, 10*time.Second, 10*time.Millisecond)
		own := store.Figures()[0].Forecasts
		require.NotNil(t, own, "each member keeps its own figures")
		require.Equal(t, figures.Forecasts.Figures(), *own)
		forecasts, err := scorer.Score(m.Table, 2)
		require.NoError(t, err)
		for i, row := range m.Table.Select(feature.SelectTest) {
			got := forecasts[row]
			require.Equal(t, figures.Forecasts.Means[i], got.Score, "the same bits")
			require.Equal(t, [2]int64{figures.Forecasts.Low[i], figures.Forecasts.High[i]}, got.Interval)
			require.Len(t, got.Factors, 2)
			require.False(t, got.Flagged)
		}
	}
}
