package schedule

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBaseLogit(t *testing.T) {
	require.Zero(t, baseLogit(10, 5))
	require.InDelta(t, math.Log(10.5/990.5), baseLogit(1000, 10), 1e-6)
	require.False(t, math.IsInf(float64(baseLogit(1000, 0)), 0))
	require.False(t, math.IsInf(float64(baseLogit(1000, 1000)), 0))
}
