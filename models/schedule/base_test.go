package schedule

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBaseLogit(t *testing.T) {
	for _, x := range []float64{0.5, 1, 1.5, 2, 3, 1e-9, 7.25, 123456.5, 9e15} {
		require.InDelta(t, math.Log(x), ln(x), 1e-14*math.Max(1, math.Abs(math.Log(x))), "ln %v", x)
	}
	require.Zero(t, baseLogit(10, 5))
	require.InDelta(t, math.Log(10.5/990.5), baseLogit(1000, 10), 1e-6)
	require.False(t, math.IsInf(float64(baseLogit(1000, 0)), 0))
	require.False(t, math.IsInf(float64(baseLogit(1000, 1000)), 0))
}
