package train

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train/autograd"
)

func chacha(seed uint64) *rand.ChaCha8 {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// TestDraw: every row is in with the rate, independently of its neighbours.
func TestDraw(t *testing.T) {
	const n, times = 200, 3000
	for _, rate := range []float64{0.004, 0.02, 0.3, 0.75, 1} {
		rnd := chacha(7)
		counts, pairs := make([]int, n), 0
		for range times {
			rows, err := draw(nil, allRows(n), rate, rnd)
			require.NoError(t, err)
			for i, r := range rows {
				counts[r]++
				if i > 0 && rows[i-1] == r-1 {
					pairs++
				}
				require.True(t, i == 0 || rows[i-1] < r)
			}
		}
		slack := 5 * math.Sqrt(times*rate*(1-rate))
		for r, c := range counts {
			require.InDelta(t, times*rate, float64(c), slack+1e-9, "row %d at rate %v", r, rate)
		}
		both := float64(times * (n - 1))
		require.InDelta(t, both*rate*rate, float64(pairs), 5*math.Sqrt(both)*rate+1e-9)
	}
	rows, err := draw(nil, allRows(n), 1e-300, chacha(1))
	require.NoError(t, err)
	require.Empty(t, rows)
	_, err = draw(nil, allRows(n), 0.5, iotest.ErrReader(iotest.ErrTimeout))
	require.ErrorIs(t, err, iotest.ErrTimeout)
}

// TestAddNoise: mean 0 and the variance asked for, also across the parts that
// get streams of their own, and the same from the same bytes.
func TestAddNoise(t *testing.T) {
	const n, sigma = 3*noisePart + 17, 1000.5
	x, y := make([]int64, n), make([]int64, n)
	require.NoError(t, addNoise(x, sigma, chacha(3)))
	require.NoError(t, addNoise(y, sigma, chacha(3)))
	require.Equal(t, x, y)
	sum, squares, across := 0.0, 0.0, 0.0
	for i, v := range x {
		sum += float64(v)
		squares += float64(v) * float64(v)
		across += float64(v) * float64(x[(i+noisePart)%n])
	}
	require.InDelta(t, 0, sum/n/sigma, 5/math.Sqrt(n))
	require.InDelta(t, 1, squares/n/sigma/sigma, 5*math.Sqrt(2.0/n))
	require.InDelta(t, 0, across/n/sigma/sigma, 5/math.Sqrt(n), "streams are not the same")
	require.NoError(t, addNoise(nil, sigma, iotest.ErrReader(iotest.ErrTimeout)))
	require.ErrorIs(t, addNoise(x, sigma, iotest.ErrReader(iotest.ErrTimeout)), iotest.ErrTimeout)
}

// TestOneRecordMovesTheIntegers by at most Units, whoever else is in the table,
// at whatever parameters and clip: the sensitivity that the noise is relative to.
func TestOneRecordMovesTheIntegers(t *testing.T) {
	const rows = 130
	m := trainerMatrix(rows, 9)
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 5))
		spec := arch.Spec{Kind: arch.MLP, Hidden: []int{1 + r.IntN(9)}}
		o, err := newObjective(spec, m, 1+r.IntN(2), autograd.CountRows)
		require.NoError(t, err)
		for i := range o.engine.Params() {
			o.engine.Params()[i] = float32(r.NormFloat64() * 2)
		}
		clip := math.Exp(4 * r.NormFloat64())
		with, without := make([]int64, len(o.params)), make([]int64, len(o.params))
		all, out := autograd.Rows(allRows(rows)), r.IntN(rows)
		less := append(append(autograd.Rows{}, all[:out]...), all[out+1:]...)
		require.NoError(t, o.engine.CountClipped(o.data, o.labels, all, clip, with))
		require.NoError(t, o.engine.CountClipped(o.data, o.labels, less, clip, without))
		squares := 0.0
		for i := range with {
			d := float64(with[i] - without[i])
			squares += d * d
		}
		require.LessOrEqual(t, math.Sqrt(squares), float64(autograd.Units), "seed %d, clip %v, record %d", seed, clip, out)
		require.NoError(t, o.close())
	}
}

func trainerMatrix(rows int, seed uint64) *feature.Matrix {
	r := rand.New(rand.NewPCG(seed, 1))
	m := &feature.Matrix{Rows: rows, Numbers: 4, X: make([]float32, 4*rows), Cards: []int{5}, C: make([]int32, rows), Label: make([]int8, rows)}
	for i := range m.X {
		m.X[i] = float32(r.NormFloat64())
	}
	for i := range rows {
		m.C[i], m.Label[i] = int32(r.IntN(5)), int8(r.IntN(2))
	}
	return m
}

// TestNoisySumHasItsNoise: around the sum without noise, with the plan's variance.
func TestNoisySumHasItsNoise(t *testing.T) {
	m := trainerMatrix(300, 3)
	o, err := newObjective(arch.Spec{Kind: arch.Logistic}, m, 1, autograd.CountRows)
	require.NoError(t, err)
	defer func() { require.NoError(t, o.close()) }()
	want := make([]int64, len(o.params))
	require.NoError(t, o.engine.CountClipped(o.data, o.labels, nil, 0.7, want))
	const times, noise = 600, 1.3
	g, err := newGaussian(noise * autograd.Units)
	require.NoError(t, err)
	s := &privateSteps{
		objective: o, privacy: schedule.Privacy{Noise: noise, Clip: 0.7, Rate: 1}, all: allRows(m.Rows),
		sum: make([]int64, len(o.params)), rnd: chacha(5), noise: g,
	}
	squares, sum := 0.0, 0.0
	for range times {
		require.NoError(t, s.noisySum())
		for i, v := range s.sum {
			d := float64(v-want[i]) / (noise * autograd.Units)
			squares, sum = squares+d*d, sum+d
		}
	}
	n := float64(times * len(want))
	require.InDelta(t, 0, sum/n, 5/math.Sqrt(n))
	require.InDelta(t, 1, squares/n, 5*math.Sqrt(2/n))
}
