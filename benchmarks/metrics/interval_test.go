package metrics

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuantileFor(t *testing.T) {
	for k, want := range map[int]float64{1: Z95, 2: 2.241402727604945, 5: 2.5758293035489, 6: 2.638257273476751, 50: 3.290526731491926} {
		require.InDelta(t, want, QuantileFor(k), 1e-8, "%d figures", k)
		require.InDelta(t, .025/float64(k), math.Erfc(QuantileFor(k)/math.Sqrt2)/2, 1e-10)
	}
}

// TestObservedOverExpected: Byar's limits for 30 cases are within .1 of the
// exact Poisson limits 20.24 and 42.83.
func TestObservedOverExpected(t *testing.T) {
	e := ObservedOverExpected(30, 30, Z95)
	require.InDelta(t, 20.24/30, e.Low, .1/30)
	require.InDelta(t, 42.83/30, e.High, .1/30)
	require.Nil(t, ObservedOverExpected(0, 0, Z95))
	none := ObservedOverExpected(0, 3, Z95)
	require.Zero(t, none.Low)
	require.InDelta(t, 3.69/3, none.High, .05)
}

func TestAUROCInterval(t *testing.T) {
	perfect := Curve{{Score: 1, Positive: 30}, {Score: 0, Negative: 100}}.AUROCInterval()
	require.InDelta(t, 1, perfect.Value, 0)
	require.InDelta(t, 1, perfect.High, 1e-12)
	require.Greater(t, perfect.Low, .9)
	require.Less(t, perfect.Low, .999, "no certainty from thirty rows")
	one := Curve{{Score: 1, Positive: 1}, {Score: 0, Negative: 1}}.AUROCInterval()
	require.Less(t, one.Low, .5)
	require.Nil(t, Curve{{Score: 1, Positive: 3}}.AUROCInterval())
	require.InDelta(t, .5, *Curve{{Negative: 2, Positive: 3}}.AUROC(), 0)
}

func TestWilson(t *testing.T) {
	require.Nil(t, Wilson(0, 0))
	e := Wilson(0, 10)
	require.Zero(t, e.Low)
	require.InDelta(t, .2775, e.High, 1e-4)
	require.True(t, e.Excludes(.3))
}
