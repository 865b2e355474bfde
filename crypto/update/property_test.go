package update

import (
	"math"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/koinon-eu/koinon/crypto/ring"
)

// drawn is an encoding with vectors of a few members that pass its limits.
type drawn struct {
	e    Encoding
	x    [][]float32
	ints [][]int64
	rows []uint32
}

func draw(r *rapid.T) drawn {
	bits := rapid.SampledFrom([]int{24, 15, 10, 8}).Draw(r, "bits")
	members := rapid.IntRange(1, 64).Draw(r, "members")
	params := rapid.IntRange(0, 20).Draw(r, "params")
	ints := rapid.IntRange(0, 4).Draw(r, "ints")
	if params+ints == 0 {
		ints = 1
	}
	d := drawn{e: encoding(params, ints, bits, members)}
	d.e.ClipInf = rapid.Float64Range(1e-3, 1e3).Draw(r, "clip")
	d.e.ClipL2 = d.e.ClipInf * math.Sqrt(float64(params)+1) * 1.01 // no scaling: that is TestClips
	d.e.WeightBits = rapid.SampledFrom([]uint8{0, 1, 4, 32}).Draw(r, "weight bits")
	for range rapid.IntRange(1, members).Draw(r, "survivors") {
		var x []float32
		for range params {
			x = append(x, float32(rapid.Float64Range(-0.999, 0.999).Draw(r, "x")*d.e.ClipInf))
		}
		var v []int64
		for range ints {
			v = append(v, rapid.Int64Range(-1<<40, 1<<40).Draw(r, "int"))
		}
		d.x, d.ints = append(d.x, x), append(d.ints, v)
		d.rows = append(d.rows, rapid.Uint32Range(1, 3000).Draw(r, "rows"))
	}
	return d
}

// S45, S49, S50: for any members, widths and weights a decoded mean is within
// one unit of rounding per survivor of the exact weighted mean, and its weight
// and integers are exact (S44, S46).
func TestMeanWithinRounding(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		d := draw(r)
		n := len(d.x)
		sum := make([]uint64, d.e.Layout.Words())
		exact := make([]float64, d.e.Layout.Params)
		totals := make([]int64, d.e.Layout.Ints)
		weight := uint64(0)
		for i := range n {
			words, err := d.e.Encode(d.x[i], d.ints[i], d.rows[i], stream(byte(i)))
			require.NoError(r, err)
			ring.Add(sum, words)
			w := Weight(d.rows[i], d.e.WeightCap, d.e.WeightBits)
			weight += w
			for p, v := range d.x[i] {
				exact[p] += float64(w) * float64(v)
			}
			for k, v := range d.ints[i] {
				totals[k] += v
			}
		}
		mean, err := d.e.Decode(sum, n)
		require.NoError(r, err)
		require.Equal(r, weight, mean.Weight)
		require.Equal(r, totals, append([]int64{}, mean.Ints...))
		require.Zero(r, mean.Clipped)
		bound := float64(n) * d.e.unit(weight) // each member rounds by less than one unit
		for p, v := range mean.Values {
			want := exact[p] / float64(weight)
			require.InDelta(r, want, float64(v), bound+1e-6*d.e.ClipInf, "parameter %d", p)
		}
	})
}

// S47: the words of a sum are the sums of the lanes, counted apart in wide
// integers: nothing carries, whatever the members send within S45 and S46.
func TestSumsWithoutCarry(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		d := draw(r)
		l := d.e.Layout
		sum := make([]uint64, l.Words())
		lane := make([]uint64, l.Params)
		mask := uint64(1)<<l.LaneBits() - 1
		for i := range d.e.Members { // all of the cohort, vectors repeated
			k := i % len(d.x)
			words, err := d.e.Encode(d.x[k], d.ints[k], d.rows[k], stream(byte(i)))
			require.NoError(r, err)
			ring.Add(sum, words)
			for p := range lane {
				v := words[p/l.Lanes] >> (l.LaneBits() * (p % l.Lanes)) & mask
				require.True(r, v >= 1 && v < 1<<l.Bits)
				lane[p] += v
			}
		}
		for p, want := range lane {
			require.Equal(r, want, sum[p/l.Lanes]>>(l.LaneBits()*(p%l.Lanes))&mask)
		}
		if used := l.Lanes * l.LaneBits(); l.Params > 0 && used < 64 {
			for _, w := range sum[:l.ParamWords()] {
				require.LessOrEqual(r, bits.Len64(w), used)
			}
		}
	})
}

// S45: the lane of one parameter is one of the two integers about its scaled
// value, and scaling by a weight keeps the sign of the value.
func TestLaneBracketsValue(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		d := draw(r)
		words, err := d.e.Encode(d.x[0], d.ints[0], d.rows[0], stream(rapid.Byte().Draw(r, "randomness")))
		require.NoError(r, err)
		scale := float64(Weight(d.rows[0], d.e.WeightCap, d.e.WeightBits)) / float64(d.e.WeightCap) * float64(d.e.half()-1) / d.e.ClipInf
		for p, got := range d.e.laneValues(words) {
			want := float64(d.x[0][p]) * scale
			require.Less(r, math.Abs(float64(got)-want), 1+1e-6, "parameter %d", p)
		}
	})
}
