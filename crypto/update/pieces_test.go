package update

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// literal is S45 word for word, on one processor and one parameter at a time.
func literal(t *testing.T, e Encoding, x []float32, rows uint32, rnd io.Reader) []uint64 {
	words := make([]uint64, e.Layout.Words())
	squares := 0.0
	for start := 0; start < len(x); start += 4096 {
		sum := 0.0
		for _, v := range x[start:min(start+4096, len(x))] {
			sum += float64(float64(v) * float64(v))
		}
		squares += sum
	}
	f := 1.0
	if math.Sqrt(squares) > e.ClipL2 {
		f = e.ClipL2 / math.Sqrt(squares)
	}
	weight, b := Weight(rows, e.WeightCap, e.WeightBits), int64(1)<<(e.Layout.Bits-1)
	kappa := float64(float64(float64(weight)/float64(e.WeightCap))*float64(b-1)) / e.ClipInf
	footer := words[e.Layout.ParamWords()+e.Layout.Ints:]
	footer[0], footer[2] = weight, 1
	for p, xp := range x {
		v := float64(float64(xp) * f)
		if math.Abs(v) > e.ClipInf {
			v = math.Copysign(e.ClipInf, v)
			footer[1]++
		}
		units := int64(math.RoundToEven(float64(float64(v*kappa) * (1 << 24))))
		units = min(max(units, -(b-1)<<24), (b-1)<<24)
		var r [3]byte
		_, err := io.ReadFull(rnd, r[:])
		require.NoError(t, err)
		lane := (units + b<<24 + int64(r[0]) + int64(r[1])<<8 + int64(r[2])<<16) >> 24
		words[p/e.Layout.Lanes] |= uint64(lane) << (e.Layout.LaneBits() * (p % e.Layout.Lanes))
	}
	return words
}

// S45: pieces, batches and processors do not show in the words, wherever the
// vector ends. A negative zero, a denormal and clamped values are among it.
func TestEncodeIsLiteral(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, bits := range []int{24, 15, 10, 8} {
		for _, params := range []int{1, 2, 3, 4, 5, block, piece - 1, piece + 1, batch + piece + 2} {
			t.Run(fmt.Sprintf("bits=%d/params=%d", bits, params), func(t *testing.T) {
				e := encoding(params, 0, bits, 3)
				e.ClipL2 = math.Sqrt(float64(params))
				x := make([]float32, params)
				for i := range x {
					x[i] = float32(1.5 * r.NormFloat64())
				}
				x[0] = float32(math.Copysign(0, -1))
				if params > 4 {
					x[1], x[2], x[3] = math.SmallestNonzeroFloat32, 1e30, -1e30
				}
				got, err := e.Encode(x, nil, 700, stream(3))
				require.NoError(t, err)
				require.Equal(t, literal(t, e, x, 700, stream(3)), got)
			})
		}
	}
}

// The error names the first offender, whichever processor finds one first.
func TestFirstOffenderIsNamed(t *testing.T) {
	e := encoding(2*batch, 0, 24, 3)
	x := make([]float32, e.Layout.Params)
	x[batch+7], x[batch+9], x[2*batch-1] = float32(math.Inf(1)), float32(math.NaN()), float32(math.NaN())
	_, err := e.Encode(x, nil, 1, stream(1))
	require.ErrorIs(t, err, ErrNotFinite)
	require.ErrorContains(t, err, fmt.Sprintf("parameter %d:", batch+7))

	clear(x)
	words, err := e.Encode(x, nil, 1, stream(1))
	require.NoError(t, err)
	words[piece+3], words[batch-1], words[4*piece] = 0, 0, math.MaxUint64
	_, err = e.Decode(words, 1)
	require.ErrorIs(t, err, ErrSum)
	require.ErrorContains(t, err, fmt.Sprintf("parameter %d:", 2*(piece+3)))
}

func TestRoundToEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := float64(rapid.Int64Range(-1<<52+1, 1<<52-1).Draw(t, "halves")) / 2
		v += rapid.Float64Range(-0.5, 0.5).Draw(t, "off")
		v = max(min(v, 1<<51-1), -1<<51+1)
		require.Equal(t, int64(math.RoundToEven(v)), roundToEven(v))
	})
	for v, want := range map[float64]int64{0.5: 0, 1.5: 2, -0.5: 0, -1.5: -2, 2.5: 2, 1<<47 + 0.5: 1 << 47} {
		require.Equal(t, want, roundToEven(v))
	}
}
