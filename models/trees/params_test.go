package trees_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/trees"
)

// TestScale: the table of the specification, and where rounding changes. // trees 7, 8
func TestScale(t *testing.T) {
	for _, c := range []struct {
		rows       int64
		bits       int
		chance, wd bool
	}{
		{1000, 20, false, false},
		{100_000, 14, false, false},
		{1_000_000, 11, false, false},
		{10_000_000, 7, true, false},
		{100_000_000, 4, true, false},
		{500_000_000, 30, false, true},
	} {
		s, err := trees.NewScale(c.rows, 1)
		require.NoError(t, err)
		require.Equal(t, c.bits, s.Bits, c.rows)
		require.Equal(t, c.chance, s.Stochastic, c.rows)
		require.Equal(t, c.wd, s.Wide, c.rows)
		if !s.Wide {
			require.LessOrEqual(t, c.rows*(1<<s.Bits+1), int64(math.MaxInt32), c.rows)
			require.True(t, s.Bits == 20 || c.rows*(1<<(s.Bits+1)+1) > math.MaxInt32, "the largest that fits")
		}
		heavy, err := trees.NewScale(c.rows, 4)
		require.NoError(t, err)
		require.True(t, heavy.Wide || heavy.Bits <= s.Bits && heavy.Bits >= s.Bits-2)
	}
	for _, rows := range []int64{0, -1, 1<<31 + 1} {
		_, err := trees.NewScale(rows, 1)
		require.Error(t, err)
	}
	for _, w := range []float64{0, -1, 2000, math.NaN()} {
		_, err := trees.NewScale(10, w)
		require.Error(t, err)
	}
	_, err := trees.NewScale(1<<31, 1024)
	require.ErrorContains(t, err, "wide")
}

func TestParams(t *testing.T) {
	require.NoError(t, trees.Params{}.Validate())
	p := trees.Params{}.WithDefaults()
	require.Equal(t, p, p.WithDefaults())
	require.Equal(t, []float64{0.1}, p.Rate)
	require.Equal(t, 20.0, *p.Cell)
	require.Zero(t, p.Validation)
	require.Equal(t, 0.1, trees.Params{Patience: 5}.WithDefaults().Validation)
	zero := number(0)
	require.Zero(t, *trees.Params{Cell: zero}.WithDefaults().Cell, "nought is a value, not a default")
	for name, bad := range map[string]trees.Params{
		"trees": {Trees: -1}, "depth": {Depth: 13}, "rates": {Trees: 3, Rate: []float64{0.1, 0.1}},
		"rate": {Rate: []float64{2}}, "bins": {Bins: 256}, "floor": {Floor: 19}, "cell": {Cell: number(-1)},
		"min_hessian": {MinHessian: number(math.NaN())}, "l2": {L2: number(math.Inf(1))}, "l1": {L1: -1},
		"gain": {Gain: math.NaN()}, "columns": {Columns: 1.5}, "rows": {Rows: -0.5}, "both 0": {L2: zero, MinHessian: zero},
		"trees_per_step": {Trees: 5, TreesPerStep: 6}, "class weight": {Weights: []float64{1, 0}}, "class weights": {Weights: []float64{1}},
		"patience": {Patience: -1}, "validation": {Patience: 1, Validation: 0.6}, "category_l2": {CategoryL2: number(-2)},
	} {
		require.ErrorContains(t, bad.Validate(), name)
	}
}

func TestConfig(t *testing.T) {
	require.NoError(t, trees.Config{Rows: 100, Positives: 3}.Validate())
	for _, bad := range []trees.Config{
		{Rows: 0},
		{Rows: 10, Positives: 11},
		{Rows: 10, Positives: -1},
		{Rows: 10, RowsMax: 9},
		{Rows: 10, RowsMax: -1},
		{Rows: 1<<31 + 1},
		{Rows: 10, RowsMax: 1 << 31, Params: trees.Params{Weights: []float64{1, 1024}}},
	} {
		require.Error(t, bad.Validate(), "%+v", bad)
	}
}
