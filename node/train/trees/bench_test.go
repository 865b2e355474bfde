package trees_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
	local "github.com/koinon-eu/koinon/node/train/trees"
)

// BenchmarkGrow grows ten trees of depth 5 without a grid.
func BenchmarkGrow(b *testing.B) {
	table := wideTable(b, 50_000, 30)
	s, e := statistics(b, table)
	bins, err := trees.NewBins(s, e, 255, 20)
	require.NoError(b, err)
	none := 0.0
	p := trees.Params{Trees: 10, Depth: 5, Cell: &none}
	for _, threads := range []int{1, 2} {
		data, err := local.NewData(bins, e, table, table.Select(feature.SelectTrain), threads)
		require.NoError(b, err)
		b.Run(fmt.Sprint(threads, " threads"), func(b *testing.B) {
			for b.Loop() {
				m, err := trees.New(trees.Config{Params: p, Rows: e.Rows, Positives: e.Positives}, bins)
				require.NoError(b, err)
				_, err = local.Grow(m, data, local.Options{Threads: threads})
				require.NoError(b, err)
			}
			b.ReportMetric(float64(b.N)*50_000*10/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
