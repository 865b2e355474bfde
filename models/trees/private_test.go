package trees_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
)

// TestBinsOfNoisedCounts: private statistics, whatever noise made of them, give
// cells that are valid and into which every row falls, or an error.
func TestBinsOfNoisedCounts(t *testing.T) {
	table := read(t, `
name: toy
label: {column: y, positive: "1"}
columns:
  a: {type: number, range: [-200, 200]}
  b: {type: number, range: [0, 100000]}
  d: {type: category, values: [p, q, r]}
`, toyText(3000, 3))
	made := 0
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		st := feature.NewPrivateStatistics(table.Schema(), feature.Noise{Sigma: float64(1 + seed*seed/4)})
		sum, err := st.Count(table)
		require.NoError(t, err)
		for i := range sum {
			sum[i] += int64(st.Sigma() * r.NormFloat64())
		}
		if st.Apply(sum) != nil {
			continue
		}
		e, err := st.Encoder()
		if err != nil {
			continue
		}
		bins, err := trees.NewBins(st, e, 255, 20)
		if err != nil {
			require.ErrorContains(t, err, "one cell only", "seed %d", seed)
			continue
		}
		made++
		require.NoError(t, bins.Validate(), "seed %d", seed)
		require.NoError(t, bins.Match(e), "seed %d", seed)
		_, err = bins.Cells(e, table, table.Select(feature.SelectTrain))
		require.NoError(t, err, "seed %d", seed)
	}
	require.Greater(t, made, 15)
}
