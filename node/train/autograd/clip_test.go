package autograd

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/arch"
)

func norm(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

// TestSumClipped: the derivative of each row alone, scaled down to the clip, and
// then added up.
func TestSumClipped(t *testing.T) {
	const rows = 41
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, labels := sample(c.shape, rows, 17)
			params := point(t, c.spec, c.shape, 18)
			e, err := NewEngine(c.spec, c.shape, 2, 8)
			require.NoError(t, err)
			defer func() { require.NoError(t, e.Close()) }()
			copy(e.Params(), params)
			single := make([][]float32, rows)
			var norms []float64
			for i := range single {
				single[i] = make([]float32, len(params))
				_, err := e.Sum(b, labels, Rows{int32(i)}, single[i])
				require.NoError(t, err)
				norms = append(norms, norm(single[i]))
			}
			slices.Sort(norms)
			got := make([]float32, len(params))
			for _, clip := range []float64{norms[rows/2], norms[0] / 3, 2 * norms[rows-1]} {
				want := make([]float64, len(params))
				for _, g := range single {
					scale := min(1, clip/norm(g))
					for i, v := range g {
						want[i] += scale * float64(v)
					}
				}
				loss, err := e.SumClipped(b, labels, nil, clip, got)
				require.NoError(t, err)
				plain, err := e.Loss(b, labels, nil)
				require.NoError(t, err)
				require.Equal(t, plain, loss)
				for i, v := range got {
					require.InDelta(t, want[i], v, 2e-5*clip, "clip %v, parameter %d", clip, i)
				}
			}
		})
	}
}

// TestSumClippedBoundsEachRow: no row alone exceeds the clip.
func TestSumClippedBoundsEachRow(t *testing.T) {
	c := cases[4]
	b, labels := sample(c.shape, 50, 19)
	e, err := NewEngine(c.spec, c.shape, 1, 8)
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	copy(e.Params(), point(t, c.spec, c.shape, 20))
	grad := make([]float32, len(e.Params()))
	for i := range 50 {
		_, err := e.SumClipped(b, labels, Rows{int32(i)}, 0.01, grad)
		require.NoError(t, err)
		require.LessOrEqual(t, norm(grad), 0.01*(1+1e-5))
	}
}

// TestSumClippedRefuses a row whose derivative is not finite, and forgets what
// the other rows have added.
func TestSumClippedRefuses(t *testing.T) {
	c := cases[4]
	b, labels := sample(c.shape, 20, 21)
	e, err := NewEngine(c.spec, c.shape, 2, 4)
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	copy(e.Params(), point(t, c.spec, c.shape, 22))
	want, got := make([]float32, len(e.Params())), make([]float32, len(e.Params()))
	_, err = e.Sum(b, labels, nil, want)
	require.NoError(t, err)
	good := b.X[len(b.X)-1]
	b.X[len(b.X)-1] = float32(math.NaN())
	_, err = e.SumClipped(b, labels, nil, 1, got)
	require.ErrorIs(t, err, ErrNotFinite)
	b.X[len(b.X)-1] = good
	_, err = e.Sum(b, labels, nil, got)
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = e.nets[0].addClipped(b, labels, nil, 0, 5, 1)
	require.Error(t, err)
}

// BenchmarkSum shows what clipping costs beside a plain mini-batch.
func BenchmarkSum(b *testing.B) {
	spec, shape := arch.Spec{Kind: arch.MLP, Hidden: []int{128, 64}}, arch.Shape{Numbers: 64}
	data, labels := sample(shape, 512, 23)
	e, err := NewEngine(spec, shape, 1, 256)
	require.NoError(b, err)
	defer func() { require.NoError(b, e.Close()) }()
	params, err := spec.InitialParameters(shape, 1)
	require.NoError(b, err)
	copy(e.Params(), params)
	grad := make([]float32, len(params))
	for name, sum := range map[string]func() (float64, error){
		"plain":   func() (float64, error) { return e.Sum(data, labels, nil, grad) },
		"clipped": func() (float64, error) { return e.SumClipped(data, labels, nil, 0.1, grad) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, err := sum()
				require.NoError(b, err)
			}
			b.ReportMetric(512*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
