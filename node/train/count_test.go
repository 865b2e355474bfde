package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
)

const countSchemaYAML = `
name: counts
label: {column: cases, kind: count, max: 100000, exposure: travellers, baseline: before}
split: {column: part, test: test}
columns:
  x: {type: number}
  place: {type: category, values: [a, b, c]}
  mode: {type: category, role: group, values: [land, air]}
`

// countMember holds rows whose mean is travellers·e^(−1 + 0.5x + place), and a baseline that knows only the travellers.
func countMember(t testing.TB, seed uint64, rows int, level float64) *feature.Table {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 5))
	var b strings.Builder
	b.WriteString("x,place,mode,travellers,before,cases,part\n")
	for i := range rows {
		x, place, travellers := r.NormFloat64(), r.IntN(3), 50+400*r.Float64()
		mean := level * travellers * math.Exp(-1+0.5*x+[]float64{-.5, 0, .7}[place])
		y := max(0, math.Round(mean+math.Sqrt(mean+mean*mean/20)*r.NormFloat64()))
		part := "train"
		if i%4 == 0 {
			part = "test"
		}
		fmt.Fprintf(&b, "%.4f,%s,%s,%.2f,%.0f,%.0f,%s\n", x, []string{"a", "b", "c"}[place], []string{"land", "air"}[i%2], travellers, .45*travellers, y, part)
	}
	s, err := feature.ParseSchema([]byte(countSchemaYAML))
	require.NoError(t, err)
	table, err := feature.ReadCSV(strings.NewReader(b.String()), s, feature.Limits{})
	require.NoError(t, err)
	return table
}

// federate runs a plan of counts over members without masks.
func federate(t testing.TB, cfg schedule.Config, members []*Member) *schedule.Machine {
	t.Helper()
	m, err := schedule.New(cfg)
	require.NoError(t, err)
	for !m.Done() {
		step, _ := m.Next()
		var sum []uint64
		for i, member := range members {
			v, err := member.Local(m, step, seeded(uint64(i), uint64(step.Ordinal)))
			require.NoError(t, err)
			words, err := step.Encoding.Encode(v.X, v.Ints, v.Rows, seeded(uint64(i), 1000+uint64(step.Ordinal)))
			require.NoError(t, err)
			if sum == nil {
				sum = make([]uint64, len(words))
			}
			for j, w := range words {
				sum[j] += w
			}
		}
		state, err := m.MarshalBinary()
		require.NoError(t, err)
		m, err = schedule.UnmarshalMachine(cfg, state)
		require.NoError(t, err, "a restart takes the state up")
		require.NoError(t, m.Apply(sum, len(members)))
	}
	return m
}

func TestForecastsAreLearnt(t *testing.T) {
	for name, c := range map[string]struct {
		spec arch.Spec
		plan aggregate.Spec
	}{
		"linear negative-binomial": {arch.Spec{Kind: arch.Linear, Dispersion: 20}, aggregate.Spec{Rounds: 60}},
		"linear poisson":           {arch.Spec{Kind: arch.Linear, Loss: arch.Poisson}, aggregate.Spec{Rounds: 60}},
		"mlp":                      {arch.Spec{Kind: arch.MLP, Loss: arch.NegativeBinomial, Dispersion: 20, Hidden: []int{8}}, aggregate.Spec{Rounds: 40, LocalRate: 0.01, LocalEpochs: 3, Batch: 64}},
	} {
		t.Run(name, func(t *testing.T) {
			var members []*Member
			for i := range 3 {
				members = append(members, NewMember(countMember(t, uint64(i+1), 300, 1)))
				defer func() { require.NoError(t, members[i].Close()) }()
			}
			cfg := schedule.Config{Schema: members[0].table.Schema(), Architecture: c.spec, Algorithm: c.plan, Members: 3, Seed: 3}
			m := federate(t, cfg, members)
			tally := m.Counts()
			require.NotNil(t, tally)
			require.Equal(t, int64(225), tally.Rows())
			require.Greater(t, *tally.BaseGain(), 0.5, "gain over the baseline")
			require.Equal(t, [3]int64{3, 3, 3}, tally.Base.AtLeast)
			require.InDelta(t, 1, *tally.Ratio(), 0.06)
			if c.spec.Loss != arch.Poisson {
				require.InDelta(t, 0.8, tally.Coverage().Value, 0.1)
			}
			pooled, err := Pooled(m, members)
			require.NoError(t, err)
			for _, member := range members {
				rows, err := member.TestRows(m.Encoder())
				require.NoError(t, err)
				means, err := Scores(c.spec, pooled.Params, rows)
				require.NoError(t, err)
				f := *member.Figures().Forecasts
				own := deviance(f)
				f.Means = means
				require.Less(t, own, 1.3*deviance(f), "within reach of a model of all rows in one place")
				require.Len(t, f.Alone, len(means))
			}
		})
	}
}

func deviance(f metrics.Forecasts) (sum float64) {
	for i, y := range f.Counts {
		sum += metrics.Deviance(float64(y), f.Means[i])
	}
	return sum
}

// TestForecastStartsAtTheMean: before any training the output is the mean count for the exposure.
func TestForecastStartsAtTheMean(t *testing.T) {
	table := countMember(t, 1, 200, 1)
	cfg := schedule.Config{
		Schema: table.Schema(), Architecture: arch.Spec{Kind: arch.Linear}, Algorithm: aggregate.Spec{Rounds: 1, ServerRate: 1e-9}, Members: 3,
	}
	m := federate(t, cfg, []*Member{NewMember(table), NewMember(table), NewMember(table)})
	counts, exposures := 0.0, 0.0
	for _, r := range table.Select(feature.SelectTrain) {
		counts += float64(table.Counts()[r])
	}
	e := m.Encoder()
	exposures = e.ExposureMean() * float64(e.Rows) / 3
	require.InDelta(t, math.Log(counts/exposures), float64(m.Params()[len(m.Params())-1]), 1e-4)
}

// TestCountsWithoutCases: a table without a case has no model of its own, and the federation goes on.
func TestCountsWithoutCases(t *testing.T) {
	empty := NewMember(countMember(t, 1, 120, 0))
	members := []*Member{empty, NewMember(countMember(t, 2, 200, 1)), NewMember(countMember(t, 3, 200, 1))}
	cfg := schedule.Config{
		Schema: empty.table.Schema(), Architecture: arch.Spec{Kind: arch.Linear}, Algorithm: aggregate.Spec{Rounds: 3}, Members: 3,
	}
	m := federate(t, cfg, members)
	_, err := empty.Alone(m)
	require.ErrorIs(t, err, ErrOneClass)
	require.Nil(t, empty.Figures().Alone)
	require.Equal(t, int64(2), m.Counts().Alone.Defined)
	require.Equal(t, int64(3), m.Counts().Base.Defined)
}

// TestCountPlansFit: label and loss belong together.
func TestCountPlansFit(t *testing.T) {
	s := countMember(t, 1, 30, 1).Schema()
	for want, spec := range map[string]arch.Spec{
		"trees have no loss": {Kind: arch.Trees},
		"use linear":         {Kind: arch.Logistic},
		"needs loss":         {Kind: arch.MLP},
	} {
		_, err := schedule.New(schedule.Config{Schema: s, Architecture: spec, Members: 3})
		require.ErrorContains(t, err, want)
	}
	binary := *s
	binary.Label = feature.Label{Column: "cases", Positive: "1"}
	_, err := schedule.New(schedule.Config{Schema: &binary, Architecture: arch.Spec{Kind: arch.Linear}, Members: 3})
	require.ErrorContains(t, err, "for a label of kind count")
	_, err = schedule.New(schedule.Config{Schema: s, Architecture: arch.Spec{Kind: arch.Linear}, Algorithm: aggregate.Spec{Name: aggregate.Newton}, Members: 3})
	require.ErrorContains(t, err, "newton needs architecture logistic")
}

// TestCountsStopEarly: the rows that judge a forecast lose half their deviance, as the rows that train do, and a
// network that would learn its rows by heart ends before its rounds.
func TestCountsStopEarly(t *testing.T) {
	members := []*Member{NewMember(countMember(t, 1, 240, 1)), NewMember(countMember(t, 2, 200, 2)), NewMember(countMember(t, 3, 200, .5))}
	cfg := schedule.Config{
		Schema: members[0].table.Schema(), Architecture: arch.Spec{Kind: arch.MLP, Hidden: []int{16}, Loss: arch.NegativeBinomial}, Members: 3,
		Algorithm: aggregate.Spec{Rounds: 60, LocalEpochs: 4, Batch: 16, LocalRate: 0.02, Stop: aggregate.Stop{Patience: 4, Validation: 0.25}},
	}
	m := federate(t, cfg, members)
	losses := m.Losses()
	require.True(t, m.Stopped(), "losses %.4f", losses)
	_, chosen := m.Chosen()
	require.Positive(t, chosen)
	require.Less(t, losses[chosen], losses[0]/2)
	_, err := FineTune(Tuning{Architecture: m.Config().Architecture}, m.Params(), members[0].train, members[0].table, [32]byte{})
	require.ErrorIs(t, err, ErrTuneCounts)
}
