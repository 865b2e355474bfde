package artifact

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

const countSchemaText = `
name: toy
label: {column: y, kind: count, max: 1000, exposure: e}
columns:
  a: {type: number}
  c: {type: category, values: [p, q]}
`

// countModel is a log-linear model with parameters drawn, and a table of its schema.
func countModel(t testing.TB, spec arch.Spec) (*Model, *feature.Table) {
	t.Helper()
	schema, err := feature.ParseSchema([]byte(countSchemaText))
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString("y,a,c,e\n")
	for i := range 100 {
		fmt.Fprintf(&b, "%d,%d,%s,%d\n", r.IntN(50), r.IntN(50), []string{"p", "q"}[i%2], 1+i%2*999)
	}
	table, err := feature.ReadCSV(strings.NewReader(b.String()), schema, feature.Limits{})
	require.NoError(t, err)
	st := feature.NewStatistics(schema)
	for !st.Done() {
		sum, err := st.Count(table)
		require.NoError(t, err)
		require.NoError(t, st.Apply(sum))
	}
	e, err := st.Encoder()
	require.NoError(t, err)
	m := &Model{
		Header:  Header{Name: "toy", Plan: strings.Repeat("ab", 32), Architecture: spec, Threshold: NoThreshold, Bands: ForecastBands()},
		Encoder: e,
	}
	n, err := spec.Params(m.Shape())
	require.NoError(t, err)
	for range n {
		m.Params = append(m.Params, float32(r.NormFloat64()/3))
	}
	return m, table
}

func TestForecastsAreScored(t *testing.T) {
	for _, spec := range []arch.Spec{{Kind: arch.Linear, Dispersion: 3}, {Kind: arch.Linear, Loss: arch.Poisson}, {Kind: arch.MLP, Loss: arch.Poisson, Hidden: []int{3}}} {
		m, table := countModel(t, spec)
		b, err := m.Marshal()
		require.NoError(t, err)
		again, err := Parse(b)
		require.NoError(t, err)
		require.Equal(t, spec.WithDefaults(), again.Header.Architecture, "loss and dispersion travel with the model")
		require.True(t, again.Forecasts())
		scorer, err := again.NewScorer()
		require.NoError(t, err)
		out, err := scorer.Score(table, 2)
		require.NoError(t, err)
		rows, err := m.Encoder.Encode(table, feature.SelectAll)
		require.NoError(t, err)
		logs := make([]float64, rows.Rows)
		require.NoError(t, scorer.Logits(rows, logs))
		for i, a := range out {
			require.Equal(t, arch.Mean(logs[i]), a.Score)
			low, high := arch.Interval(a.Score, spec.K(), 0.8)
			require.Equal(t, [2]int64{low, high}, a.Interval)
			require.Equal(t, Forecast, a.Band)
			require.False(t, a.Flagged)
		}
		// Without its exposure of 1000 the same row would have a thousandth.
		rows.Exposure = nil
		bare := make([]float64, rows.Rows)
		require.NoError(t, scorer.Logits(rows, bare))
		require.InDelta(t, math.Log(1000), logs[1]-bare[1], 1e-5)
	}
}

func TestForecastsFitTheirSchema(t *testing.T) {
	m, _ := countModel(t, arch.Spec{Kind: arch.Linear})
	m.Header.Architecture = arch.Spec{Kind: arch.Logistic}
	require.ErrorContains(t, m.Validate(), "does not fit the schema's label")
	binary := model(t, arch.Logistic)
	binary.Header.Architecture = arch.Spec{Kind: arch.Linear}
	require.ErrorContains(t, binary.Validate(), "does not fit")
}
