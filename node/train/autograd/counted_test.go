package autograd

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/arch"
)

// counted is what the rows give together.
func counted(t *testing.T, e *Engine, b arch.Batch, labels []int8, rows Rows, clip float64) []int64 {
	sum := make([]int64, len(e.Params()))
	require.NoError(t, e.CountClipped(b, labels, rows, clip, sum))
	return sum
}

// TestCountClipped: the sum is exactly that of each row alone, no row's integers
// are longer than Units, and what they say is the clipped derivative.
func TestCountClipped(t *testing.T) {
	const rows = 150
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, labels := sample(c.shape, rows, 17)
			e, err := NewEngine(c.spec, c.shape, 2, CountRows)
			require.NoError(t, err)
			defer func() { require.NoError(t, e.Close()) }()
			copy(e.Params(), point(t, c.spec, c.shape, 18))
			grad := make([]float32, len(e.Params()))
			for _, clip := range []float64{0.05, 1, 100} {
				want := make([]int64, len(e.Params()))
				longest := 0.0
				for i := range rows {
					alone := counted(t, e, b, labels, Rows{int32(i)}, clip)
					squares := 0.0
					for j, v := range alone {
						want[j] += v
						squares += float64(v) * float64(v)
					}
					longest = max(longest, math.Sqrt(squares))
				}
				require.LessOrEqual(t, longest, float64(Units))
				got := counted(t, e, b, labels, nil, clip)
				require.Equal(t, want, got, "clip %v", clip)
				require.Equal(t, got, counted(t, e, b, labels, backwards(rows), clip), "in another order")
				if clip == 0.05 {
					require.Greater(t, longest, 0.9*Units, "hardly more is lost than has to be")
				}
				_, err := e.SumClipped(b, labels, nil, clip, grad)
				require.NoError(t, err)
				for i, v := range got {
					require.InDelta(t, grad[i], float64(v)*clip/Units, 0.01*clip*math.Sqrt(rows)+0.05*math.Abs(float64(grad[i])))
				}
			}
		})
	}
}

func backwards(n int) Rows {
	rows := make(Rows, n)
	for i := range rows {
		rows[i] = int32(n - 1 - i)
	}
	return rows
}

// TestCountClippedLeavesOut a row that is not finite, however it is: an error
// would tell of it.
func TestCountClippedLeavesOut(t *testing.T) {
	for _, c := range cases {
		if c.shape.Numbers == 0 {
			continue
		}
		b, labels := sample(c.shape, 70, 21)
		e, err := NewEngine(c.spec, c.shape, 2, CountRows)
		require.NoError(t, err)
		copy(e.Params(), point(t, c.spec, c.shape, 22))
		rest := backwards(70)[:69] // all but row 0
		want := counted(t, e, b, labels, rest, 1)
		for _, bad := range []float64{math.NaN(), math.Inf(1), 1e38} {
			b.X[0] = float32(bad)
			got := counted(t, e, b, labels, Rows{0}, 1)
			for _, v := range got {
				require.LessOrEqual(t, math.Abs(float64(v)), float64(Units))
			}
			if bad == 1e38 {
				continue
			}
			require.Equal(t, make([]int64, len(got)), got, c.name)
			require.Equal(t, want, counted(t, e, b, labels, nil, 1), c.name)
		}
		require.NoError(t, e.Close())
	}
}

func TestCountClippedRefuses(t *testing.T) {
	c := cases[4]
	b, labels := sample(c.shape, 20, 21)
	e, err := NewEngine(c.spec, c.shape, 1, CountRows+1)
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	sum := make([]int64, len(e.Params()))
	require.ErrorIs(t, e.CountClipped(b, labels, nil, 1, sum), errCountBatch)
	require.ErrorContains(t, e.CountClipped(b, labels, nil, math.NaN(), sum), "clip")
	sum[0] = 7
	require.NoError(t, e.CountClipped(b, labels, Rows{}, 1, sum))
	require.Zero(t, sum[0], "no rows, no sum")
}
