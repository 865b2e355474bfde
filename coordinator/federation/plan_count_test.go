package federation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/synth"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

func travelPlan(t *testing.T) *federation.Plan {
	t.Helper()
	pack := synth.TravelPack()
	p, err := federation.ParsePlan(pack.Plan, func(name string) ([]byte, error) {
		return map[string][]byte{"schema.yaml": pack.Schema, "declaration.yaml": pack.Declaration}[name], nil
	})
	require.NoError(t, err)
	return p
}

func TestCountPlans(t *testing.T) {
	p := travelPlan(t)
	require.True(t, p.Forecasts())
	b, err := p.Encode()
	require.NoError(t, err)
	again, err := federation.DecodePlan(b)
	require.NoError(t, err)
	require.Equal(t, p.Digest(), again.Digest())

	least := 0.5
	for want, edit := range map[string]func(*federation.Plan){
		"with profiling":         func(p *federation.Plan) { p.Declaration.Profiling = true },
		"fewer than 10 people":   func(p *federation.Plan) { p.Schema.Label.MinCell = 9 },
		"needs a label of kind":  func(p *federation.Plan) { p.Schema.Label = feature.Label{Column: "refusals", Positive: "1"} },
		"trees have no loss":     func(p *federation.Plan) { p.Architecture = arch.Spec{Kind: arch.Trees, Loss: arch.Poisson} },
		"or use linear":          func(p *federation.Plan) { p.Architecture = arch.Spec{Kind: arch.Logistic} },
		"mlp needs loss poisson": func(p *federation.Plan) { p.Architecture = arch.Spec{Kind: arch.MLP, L2: 1} },
		"auroc is a figure of": func(p *federation.Plan) {
			p.Gates[0] = fairness.Gate{Metric: fairness.AUROC, Bound: fairness.Point, AtLeast: &least}
		},
		"a row that counts is an aggregate": func(p *federation.Plan) {
			p.Privacy.DP, p.Privacy.Epsilon = federation.DPRecord, 3
			p.WithDefaults()
		},
		"may score": func(p *federation.Plan) { p.Declaration.Unit = "person" },
	} {
		p := travelPlan(t)
		edit(p)
		require.ErrorContains(t, p.Validate(), want)
	}
	pack := synth.Pack()
	binary, err := federation.ParsePlan(pack.Plan, func(name string) ([]byte, error) {
		return map[string][]byte{"schema.yaml": pack.Schema, "declaration.yaml": pack.Declaration}[name], nil
	})
	require.NoError(t, err)
	binary.Gates[0] = p.Gates[1]
	require.ErrorContains(t, binary.Validate(), "coverage80 is a figure of forecasts")
	p = travelPlan(t)
	p.Architecture = arch.Spec{Kind: arch.Trees}
	p.Algorithm.Name = ""
	require.Error(t, p.Validate(), "trees have no loss for counts")
}
