package autograd

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/arch"
)

// length is the Euclidean length of what one row adds.
func length(sum []int64) float64 {
	squares := 0.0
	for _, v := range sum {
		squares += float64(v) * float64(v)
	}
	return math.Sqrt(squares)
}

// TestCountClippedTiny: the square of a tiny derivative is no float32, but what
// it is multiplied by may be so large that the row is longer than the clip.
func TestCountClippedTiny(t *testing.T) {
	shape := arch.Shape{Numbers: 2}
	e, err := NewEngine(arch.Spec{Kind: arch.Logistic}, shape, 1, CountRows)
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	for _, bias := range []float32{-48, -50, -51.5, -52, -53, -60, -90} { // σ(bias) is the derivative
		e.Params()[2] = bias
		for _, x := range []float32{1e15, 1e17, 1e18, 1e19} {
			b := arch.Batch{Rows: 1, X: []float32{x, -x}}
			for _, clip := range []float64{1e-6, 1e-3} {
				require.LessOrEqual(t, length(counted(t, e, b, []int8{0}, nil, clip)), float64(Units), "x %v, bias %v, clip %v", x, bias, clip)
			}
		}
	}
}

// TestCountClippedWide: the limit of a row leaves room for what a float32 sum of
// many squares is short by, which with thousands of inputs is more than its last
// digits.
func TestCountClippedWide(t *testing.T) {
	const inputs = 4096
	e, err := NewEngine(arch.Spec{Kind: arch.Logistic}, arch.Shape{Numbers: inputs}, 1, CountRows)
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	b, n := arch.Batch{Rows: 1, X: make([]float32, inputs)}, e.nets[0]
	counted(t, e, b, []int8{0}, nil, 1) // makes the counter
	room := aim * n.counter.shares[0] / (n.counter.limit + 1./(2*factorUnits))
	for try := range 200 {
		exact := 1.0 // of the bias
		for i := range b.X {
			b.X[i] = 0.1 + float32(try)/1000
			exact += float64(b.X[i]) * float64(b.X[i])
		}
		n.load(b, []int8{0}, nil, 0, 1)
		n.plan[:n.forward].run()
		n.runOnly(false)
		d := float64(n.factors[0].d[0])
		short := math.Sqrt(exact*d*d) / math.Sqrt(float64(n.squares(nil)[0]))
		require.LessOrEqual(t, short, room, "each number %v", b.X[0])
	}
}
