package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Dense64 has the bits of one multiplication and one addition after the other,
// for every width, any number of rows and columns, and what is no number.
func TestDense64(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	eachWidth(t, func(t *testing.T, w width) {
		for _, s := range [][3]int{{1, 1, 1}, {4, 1, 1}, {7, 30, 1}, {5, 13, 3}, {3, 9, 64}, {9, 64, 128}, {6, 40, 39}, {11, 3, 33}, {2, 0, 2}, {0, 2, 2}} {
			rows, in, out := s[0], s[1], s[2]
			weights, bias, x := random(r, in*out), random(r, out), make([]float64, rows*in)
			for i := range x {
				x[i] = r.NormFloat64()
			}
			if rows > 4 && in > 2 {
				x[1], x[in], x[in*2+1] = math.NaN(), math.Inf(1), 0
			}
			bias[0] = float32(math.Copysign(0, -1))
			for _, relu := range []bool{false, true} {
				all := make([]float64, rows*out+2)
				all[0], all[len(all)-1] = 5, 6
				y, floor := all[1:1+rows*out], math.Inf(-1)
				if relu {
					floor = 0
				}
				w.dense64(y, x, weights, bias, rows, in, out, floor)
				require.Equal(t, []float64{5, 6}, []float64{all[0], all[len(all)-1]})
				for i := range rows {
					for j := range out {
						z := float64(bias[j])
						for l := range in {
							z += float64(x[i*in+l] * float64(weights[l*out+j]))
						}
						if z < floor {
							z = floor
						}
						if math.IsNaN(z) {
							require.True(t, math.IsNaN(y[i*out+j]))
							continue
						}
						require.Equal(t, math.Float64bits(z), math.Float64bits(y[i*out+j]), "%v: %d, %d", s, i, j)
					}
				}
			}
		}
	})
	require.Panics(t, func() { Dense64(nil, nil, nil, nil, 1, 1, 1, false) })
	require.Panics(t, func() { Dense64(nil, nil, nil, nil, -1, 1, 1, false) })
}
