package federation_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/dp"
)

const mlpLine = "{kind: mlp, hidden: [8]}"

// private parses the plan of these tests with a line `privacy`.
func private(architecture, algorithm, privacy, more string) (*federation.Plan, error) {
	return parse("{kind: logistic, l2: 1.0}", architecture, "{name: fedadam, rounds: 60}", algorithm,
		"gates:", more+"\nprivacy: {"+privacy+"}\ngates:")
}

// TestPrivatePlan: noise that is left out is calibrated and explicit in what is
// signed, and the promise is recomputed.
func TestPrivatePlan(t *testing.T) {
	p, err := private("{kind: logistic, l2: 1.0}", "{rounds: 60}", "dp: record, epsilon: 3", "")
	require.NoError(t, err)
	require.Equal(t, 1e-6, p.Privacy.Delta)
	require.Equal(t, 1.0, p.Privacy.Clip)
	require.Equal(t, 1.0, p.Privacy.Rate, "one gradient over all rows")
	m := p.Mechanisms()
	require.Equal(t, []dp.Mechanism{
		{Rate: 1, Noise: p.Privacy.StatisticsNoise, Steps: 1}, {Rate: 1, Noise: p.Privacy.Noise, Steps: 60},
	}, m)
	got, _, err := dp.Epsilon(1e-6, m...)
	require.NoError(t, err)
	require.LessOrEqual(t, got, 3.0)
	require.Greater(t, got, 2.99, "no more noise than it takes")
	cost := func(m dp.Mechanism) float64 { return float64(m.Steps) / (m.Noise * m.Noise) }
	require.InDelta(t, 0.07, cost(m[0])/(cost(m[0])+cost(m[1])), 0.002)

	body, err := p.Encode()
	require.NoError(t, err)
	require.Contains(t, string(body), fmt.Sprintf(`"noise":%v`, p.Privacy.Noise))
	again, err := federation.DecodePlan(body)
	require.NoError(t, err)
	require.Equal(t, p.Digest(), again.Digest())
	require.Equal(t, p.Privacy, again.Privacy)
	again.Privacy.Noise *= 0.99
	_, err = again.Encode()
	require.ErrorContains(t, err, "promised, but the noise gives only")

	local, err := private(mlpLine, "{name: fedavgm, rounds: 20, local_epochs: 2}", "secure_aggregation: required, dp: record, epsilon: 8, delta: 1e-5, clip: 0.5, rate: 0.03", "")
	require.NoError(t, err)
	m = local.Mechanisms()
	require.Equal(t, uint64(20*2*34), m[1].Steps, "⌈1/rate⌉ steps an epoch")
	require.Equal(t, 0.03, m[1].Rate)
	given, err := private(mlpLine, "{name: fedavgm, rounds: 20}", fmt.Sprintf("dp: record, epsilon: 8, noise: 2.5, statistics_noise: %v", local.Privacy.StatisticsNoise), "")
	require.NoError(t, err)
	require.Equal(t, 2.5, given.Privacy.Noise)
	require.Equal(t, 0.02, given.Privacy.Rate)

	// √(5 members)·noise·√(2 features, rows and positives), four times
	floor := 4 * math.Sqrt(5*4) * local.Privacy.StatisticsNoise
	require.Equal(t, int64(math.Ceil(floor)), local.StatisticsFloor())
	require.InDelta(t, 20*floor, local.RowsWanted(), 20)
	one, ok := local.NoiseShare(1000)
	require.True(t, ok)
	ten, _ := local.NoiseShare(10_000)
	require.InDelta(t, one, 10*ten, 1e-9)
}

func TestPrivatePlanRefusals(t *testing.T) {
	const logistic = "{kind: logistic, l2: 1.0}"
	for name, c := range map[string]struct{ architecture, algorithm, privacy, more, want string }{
		"no promise":       {logistic, "{}", "dp: record", "", "privacy.epsilon is missing"},
		"too much":         {logistic, "{}", "dp: record, epsilon: 1000", "", "beyond it nothing is promised"},
		"negative":         {logistic, "{}", "dp: record, epsilon: -1", "", "privacy.epsilon -1"},
		"not a number":     {logistic, "{}", "dp: record, epsilon: .nan", "", "privacy.epsilon NaN"},
		"delta":            {logistic, "{}", "dp: record, epsilon: 3, delta: 0.1", "", "privacy.delta 0.1"},
		"rate":             {mlpLine, "{}", "dp: record, epsilon: 3, rate: 2", "", "rate 2"},
		"tiny rate":        {mlpLine, "{name: fedavgm}", "dp: record, epsilon: 3, rate: 1e-9", "", "local steps a round"},
		"clip":             {mlpLine, "{}", "dp: record, epsilon: 3, clip: -1", "", "clip -1"},
		"unreachable":      {logistic, "{}", "dp: record, epsilon: 1, statistics_noise: 0.5", "", "statistics_noise 0.5 alone costs more than epsilon 1"},
		"too little":       {logistic, "{}", "dp: record, epsilon: 1, noise: 1, statistics_noise: 20", "", "noise gives only"},
		"newton":           {logistic, "{name: newton}", "dp: record, epsilon: 3", "", "second derivatives"},
		"scaffold":         {mlpLine, "{name: scaffold}", "dp: record, epsilon: 3", "", "by the noise of the steps before it"},
		"greedy trees":     {treesLine, "{name: trees}", "dp: record, epsilon: 3", "", "histogram trees publish every feature at every level; use `growth: additive`"},
		"min_rows":         {logistic, "{}", "dp: record, epsilon: 3", "min_rows: 50", "tells their number"},
		"without dp":       {logistic, "{}", "epsilon: 3", "", "for dp: record only"},
		"noise without dp": {logistic, "{}", "dp: none, noise: 3", "", "for dp: record only"},
		"other dp":         {logistic, "{}", "dp: silo, epsilon: 3", "", "want none or record"},
		"plain":            {logistic, "{}", "secure_aggregation: none, dp: record, epsilon: 3", "", "must be required"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := private(c.architecture, c.algorithm, c.privacy, c.more)
			require.ErrorContains(t, err, c.want)
		})
	}
	p, err := private(logistic, "{}", "dp: record, epsilon: 3", "")
	require.NoError(t, err)
	p.Privacy.Noise = 0
	_, err = p.Encode()
	require.ErrorContains(t, err, "must stand in a plan that is signed")
	p, err = private(logistic, "{}", "dp: record, epsilon: 3", "")
	require.NoError(t, err)
	p.Gates[0].Metric = fairness.Gain
	_, err = p.Encode()
	require.ErrorContains(t, err, "there is no auroc_gain_over_alone")
}

// TestPlanWithoutPrivacyKeepsItsDigest: the keys of dp: record leave no trace.
func TestPlanWithoutPrivacyKeepsItsDigest(t *testing.T) {
	plain, err := parse()
	require.NoError(t, err)
	spelled, err := parse("gates:", "privacy: {secure_aggregation: required, dp: none}\ngates:")
	require.NoError(t, err)
	require.Equal(t, plain.Digest(), spelled.Digest())
	body, err := plain.Encode()
	require.NoError(t, err)
	require.Contains(t, string(body), `"privacy":{"secure_aggregation":"required","dp":"none"}`)
	require.Nil(t, plain.Mechanisms())
	require.Zero(t, plain.RowsWanted())
}
