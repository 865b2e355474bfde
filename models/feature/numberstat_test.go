package feature

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNumbersAgreeWithTheTable(t *testing.T) {
	s := wideSchema(t)
	tab := wideTable(t, s, 20000, 2)
	e, err := learn(t, s, tab).Encoder()
	require.NoError(t, err)
	for _, n := range e.Number {
		var v []float64
		for _, r := range tab.Select(SelectTrain) {
			if x := tab.Number(n.Column)[r]; !isMissing(x) {
				v = append(v, float64(x))
			}
		}
		slices.Sort(v)
		clipped := 0
		var mean, sd float64
		for _, x := range v {
			if x < float64(n.Low) || x > float64(n.High) {
				clipped++
			}
			mean += max(min(x, float64(n.High)), float64(n.Low)) / float64(len(v))
		}
		for _, x := range v {
			d := max(min(x, float64(n.High)), float64(n.Low)) - mean
			sd += d * d / float64(len(v))
		}
		sd = math.Sqrt(sd)
		require.InDelta(t, mean, n.Mean, .01*sd, n.Column)
		require.InEpsilon(t, sd, n.SD, .01, n.Column)
		require.LessOrEqual(t, clipped, len(v)/100, n.Column)
		from := 0
		for i, cut := range append(slices.Clone(n.Cuts), math.MaxFloat32) {
			to := from
			for to < len(v) && v[to] <= float64(cut) {
				to++
			}
			require.GreaterOrEqual(t, to-from, Floor, "%s, cell %d", n.Column, i)
			from = to
		}
	}
	require.Len(t, e.Number[2].Cuts, 11, "count has twelve values and gets a cell for each")
	require.GreaterOrEqual(t, len(e.Number[1].Cuts), 200)
}

func TestKeys(t *testing.T) {
	last := uint32(0)
	for i, v := range []float32{-math.MaxFloat32, -1, -math.SmallestNonzeroFloat32, 0, math.SmallestNonzeroFloat32, 1, 1.0000001, math.MaxFloat32} {
		require.True(t, i == 0 || key(v) > last)
		last = key(v)
		require.Equal(t, v, unkey(key(v)))
	}
	require.Equal(t, float32(math.MaxFloat32), unkey(math.MaxUint32))
	require.Equal(t, float32(-math.MaxFloat32), unkey(0))
	for _, span := range [][2]uint32{{0, 0}, {5, 68}, {5, 5000}, {0, math.MaxUint32}} {
		l := newLevel(span[0], span[1], 64)
		at := uint64(span[0])
		for i := range l.counts {
			lo, hi := l.bounds(i)
			require.Equal(t, at, uint64(lo))
			require.Equal(t, []int{i, i}, []int{l.cell(lo), l.cell(hi)})
			at = uint64(hi) + 1
		}
		require.Equal(t, uint64(span[1])+1, at)
	}
}
