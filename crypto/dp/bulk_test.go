package dp

import (
	"errors"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func bulk(t testing.TB, sigma float64, r io.Reader) *Bulk {
	b, err := NewBulk(sigma, r)
	require.NoError(t, err)
	return b
}

// TestBulkMoments as TestGaussianMoments, and the same number of each sign.
func TestBulkMoments(t *testing.T) {
	const n = 200_000
	for i, sigma := range []float64{MinBulk, 1234.5, 314572.8, 1e9, MaxSigma} {
		x := make([]int64, n)
		require.NoError(t, bulk(t, sigma, stream(uint64(i))).Add(x))
		var m1, m2, m4, positive float64
		for _, v := range x {
			z := float64(v) / sigma
			m1, m2, m4 = m1+z, m2+z*z, m4+z*z*z*z
			if v > 0 {
				positive++
			}
		}
		require.InDelta(t, 0, m1/n, 4.5/math.Sqrt(n), "mean at σ = %v, seed %d", sigma, i)
		require.InDelta(t, 1, m2/n, 4.5*math.Sqrt(2./n), "variance at σ = %v, seed %d", sigma, i)
		require.InDelta(t, 3, m4/n, 4.5*math.Sqrt(96./n), "fourth moment at σ = %v, seed %d", sigma, i)
		require.InDelta(t, 0.5, positive/n, 4.5*0.5/math.Sqrt(n)+0.5/sigma)
	}
}

// TestBulkCells compares counts of cells of σ/20 with their probability by χ²,
// and the low bits with those of a uniform number.
func TestBulkCells(t *testing.T) {
	const n, cells, sigma = 400_000, 160, 2000.25
	width := sigma / 20
	observed, low := make([]float64, cells), make([]float64, 16)
	b := bulk(t, sigma, stream(11))
	for range n {
		v, err := b.Next()
		require.NoError(t, err)
		low[v&15]++
		if c := int(math.Floor(float64(v)/width)) + cells/2; c >= 0 && c < cells {
			observed[c]++
		}
	}
	chi2 := 0.0
	for c := range observed {
		from, to := math.Ceil(float64(c-cells/2)*width), math.Ceil(float64(c+1-cells/2)*width)
		p := 0.0
		for x := from; x < to; x++ {
			p += math.Exp(-x*x/(2*sigma*sigma)) / (sigma * math.Sqrt(2*math.Pi))
		}
		chi2 += (observed[c] - n*p) * (observed[c] - n*p) / (n * p)
	}
	require.Less(t, chi2, 240.0, "160 cells")
	chi2 = 0
	for _, o := range low {
		chi2 += (o - n/16) * (o - n/16) / (n / 16)
	}
	require.Less(t, chi2, 45.0, "16 cells")
}

// TestBulkExact: deciding everything that is not sure in as many digits as it
// takes gives the same values from the same bytes.
func TestBulkExact(t *testing.T) {
	for i, sigma := range []float64{MinBulk, 5000.125, 314572.8, 1e11} {
		fast, slow := bulk(t, sigma, stream(uint64(i))), bulk(t, sigma, stream(uint64(i)))
		clear(slow.sure)
		draws := func(b *Bulk) (x []int64) {
			for range 1500 {
				v, err := b.Next()
				require.NoError(t, err)
				x = append(x, v)
			}
			return x
		}
		want := draws(fast)
		require.Equal(t, want, draws(slow), "σ = %v: in float64", sigma)
		for v := range uint64(200) { // points at the very edge, where float64 does not decide
			x := v << fast.shift
			edge, _ := expBounds(new(big.Rat).Mul(big.NewRat(1, 2), square(x, sigma)), fast.scale)
			require.True(t, fast.resolve(edge.Uint64()-min(1, edge.Uint64()), x, 0))
			require.False(t, fast.resolve(edge.Uint64()+2, x, 0))
		}
	}
}

func square(x uint64, sigma float64) *big.Rat {
	r := new(big.Rat).SetFrac(new(big.Int).SetUint64(x), big.NewInt(1))
	r.Quo(r, new(big.Rat).SetFloat64(sigma))
	return r.Mul(r, r)
}

// TestBulkEnvelope: every strip is at least as high as f in it, and what is sure
// at most as high as f at its end.
func TestBulkEnvelope(t *testing.T) {
	for _, sigma := range []float64{MinBulk, 314572.8, MaxSigma} {
		b := bulk(t, sigma, nil)
		require.Less(t, b.ends[b.strips], uint64(1)<<drawBits)
		require.Greater(t, b.ends[b.strips], uint64(1)<<(drawBits-3))
		for i := range b.heights {
			lo, hi := expBounds(new(big.Rat).Mul(big.NewRat(1, 2), square(uint64(i)<<b.shift, sigma)), b.scale)
			require.GreaterOrEqual(t, b.heights[i], hi.Uint64(), "strip %d", i)
			if i > 0 {
				require.LessOrEqual(t, b.sure[i-1], lo.Uint64(), "strip %d", i)
			}
		}
		for j := range 20 { // the tail, in logarithms
			edge := math.Ldexp(float64(b.strips), int(b.shift))
			x := edge + math.Ldexp(float64(j), int(b.shift)+tailShift)
			require.LessOrEqual(t, -x*x/(2*sigma*sigma), -edge*edge/(2*sigma*sigma)-float64(j)*math.Ln2+1e-9)
		}
	}
}

// TestExpBounds holds the bounds to float64 and to each other.
func TestExpBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		g := math.Exp(6*r.Float64() - 2)
		lo, hi := expBounds(new(big.Rat).SetFloat64(g), 300)
		gap := new(big.Int).Sub(hi, lo)
		require.Positive(t, gap.Sign())
		require.Less(t, gap.BitLen(), 8)
		f, _ := new(big.Float).SetMantExp(new(big.Float).SetInt(lo), -300).Float64()
		require.InEpsilon(t, math.Exp(-g), f, 1e-13, "γ = %v", g)
	}
	lo, hi := expBounds(new(big.Rat), 10)
	require.LessOrEqual(t, lo.Int64(), int64(1024))
	require.GreaterOrEqual(t, hi.Int64(), int64(1024))
}

func TestBulkTail(t *testing.T) {
	b := bulk(t, MinBulk, stream(5))
	for range 2000 {
		x, ok := b.tail()
		require.NoError(t, b.err)
		if ok {
			require.GreaterOrEqual(t, x, uint64(b.strips)<<b.shift)
		}
	}
}

func TestBulkReader(t *testing.T) {
	broken := errors.New("entropy is out")
	for _, n := range []int64{0, 1, 4096, 8192} {
		b := bulk(t, 5000, io.MultiReader(io.LimitReader(stream(1), n), iotest.ErrReader(broken)))
		require.ErrorIs(t, b.Add(make([]int64, 5000)), broken, "%d bytes", n)
	}
	for _, sigma := range []float64{0, MinBulk - 1, MaxSigma + 1, math.NaN(), math.Inf(1)} {
		_, err := NewBulk(sigma, nil)
		require.Error(t, err, "σ = %v", sigma)
	}
	b := bulk(t, 5000, stream(1))
	x := []int64{math.MaxInt64, math.MinInt64}
	for b.Add(x) == nil {
		x[0], x[1] = math.MaxInt64, math.MinInt64
	}
	b.Wipe()
	require.Zero(t, b.raw)
	one, err := b.From(stream(3)).Next()
	require.NoError(t, err)
	two, err := bulk(t, 5000, stream(3)).Next()
	require.NoError(t, err)
	require.Equal(t, two, one)
}

func BenchmarkBulk(b *testing.B) {
	g, err := NewBulk(314572.8, stream(1))
	require.NoError(b, err)
	for b.Loop() {
		if _, err := g.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
