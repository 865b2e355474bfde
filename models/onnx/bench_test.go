package onnx_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
)

// wide makes a table of 20 numbers, every fourth with missing values, and 6
// categories of 12 values.
func wide(t testing.TB, rows int) *feature.Table {
	var schema strings.Builder
	schema.WriteString("name: wide\nlabel: {column: y, positive: \"1\"}\ncolumns:\n")
	names := []string{"y"}
	for i := range 26 {
		kind := "number"
		if i >= 20 {
			kind = "category"
		}
		names = append(names, fmt.Sprintf("c%02d", i))
		fmt.Fprintf(&schema, "  c%02d: {type: %s}\n", i, kind)
	}
	r := rand.New(rand.NewPCG(21, 22))
	cells := make([][]string, rows)
	for i := range cells {
		signal, row := r.IntN(400)-200, []string{"0"}
		for c := range 20 {
			v := r.IntN(1000)
			signal += (v - 500) * (c%5 - 2) / 20
			text := fmt.Sprintf("%d.%d", v, r.IntN(10))
			if c%4 == 0 && r.IntN(5) == 0 {
				text = ""
			}
			row = append(row, text)
		}
		for range 6 {
			v := r.IntN(12)
			signal += 10 * (v % 3)
			row = append(row, fmt.Sprintf("v%d", v))
		}
		if signal > 100 {
			row[0] = "1"
		}
		cells[i] = row
	}
	s, err := feature.ParseSchema([]byte(schema.String()))
	require.NoError(t, err)
	table, err := feature.FromRecords(names, cells, s, feature.Limits{})
	require.NoError(t, err)
	return table
}

// BenchmarkScore scores a table of 26 columns in batches of 4096 rows, as koinon
// score does, from values to probabilities; and the same in onnxruntime on one
// thread, if it is there. rows/s is of the shortest run of each.
func BenchmarkScore(b *testing.B) {
	const rows = 4096
	training := wide(b, 3000)
	table := wide(b, rows)
	for _, spec := range []arch.Spec{
		{Kind: arch.Logistic},
		{Kind: arch.MLP},
		{Kind: arch.Trees, Trees: &trees.Params{Trees: 100, Depth: 6}},
	} {
		m := modelOf(b, training, spec)
		for _, factors := range []int{0, 3} {
			b.Run(fmt.Sprintf("%s/koinon/factors=%d", spec.Kind, factors), func(b *testing.B) {
				scorer, err := m.NewScorer()
				require.NoError(b, err)
				b.ReportAllocs()
				best := time.Duration(math.MaxInt64)
				for b.Loop() {
					begun := time.Now()
					if _, err := scorer.Score(table, factors); err != nil {
						b.Fatal(err)
					}
					best = min(best, time.Since(begun))
				}
				b.ReportMetric(rows/best.Seconds(), "rows/s")
			})
		}
		b.Run(spec.Kind+"/onnxruntime", func(b *testing.B) {
			got := runtime(b)(b, m, inputsOf(m, table), 50)
			b.ReportMetric(rows/got.Seconds, "rows/s")
			b.ReportMetric(0, "ns/op") // of the start of node, which says nothing
		})
	}
}
