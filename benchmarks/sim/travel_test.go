package sim

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/synth"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/models/feature"
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

// TestTravelTrends: the pack over the real protocol passes its own gates: less deviance than the same month of the year
// before in two thirds of the nodes, and intervals that hold what they say.
func TestTravelTrends(t *testing.T) {
	r, err := Run(t.Context(), Config{Plan: travelPlan(t), Members: travelMembers(t, 1), Seed: 1, Log: testLog()})
	require.NoError(t, err)
	tally := r.Machine.Counts()
	require.NotNil(t, tally)
	require.Nil(t, r.Machine.Tally())
	t.Logf("%d rows, deviance %.2f, baseline %.2f, gain %.3f, nodes %v of %d, coverage %.3f, observed/expected %.3f, k %.2f, over alone %v of %d mean %.4f",
		tally.Rows(), *tally.Deviance(), *tally.BaseDeviance(), *tally.BaseGain(), tally.Base.AtLeast, tally.Base.Defined,
		tally.Coverage().Value, *tally.Ratio(), *tally.Dispersion(), tally.Alone.AtLeast, tally.Alone.Defined, *tally.Alone.Mean())
	for _, g := range fairness.JudgeForecasts(tally, travelPlan(t).Gates) {
		require.Equal(t, fairness.Pass, g.Outcome, "%s: %s", g.Gate.Metric, g.Reason)
	}
}
