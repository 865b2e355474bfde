package dp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// stream is a reproducible reader.
func stream(seed uint64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

func sampler(t testing.TB, sigma float64, r io.Reader) *Gaussian {
	g, err := NewGaussian(sigma, r)
	require.NoError(t, err)
	return g
}

func draw(t testing.TB, g *Gaussian, n int) []int64 {
	x := make([]int64, n)
	require.NoError(t, g.Add(x))
	return x
}

// TestGaussianMoments: mean 0, and for σ ≥ 1 a variance within 10⁻⁶ of σ² and a
// kurtosis of 3, each within 4.5 standard errors.
func TestGaussianMoments(t *testing.T) {
	const n = 50_000
	for i, sigma := range []float64{1, 1.7, 4, 63.99, 4096, 12345.678, 1e9, MaxSigma} {
		var m1, m2, m4 float64
		for _, v := range draw(t, sampler(t, sigma, stream(uint64(i))), n) {
			x := float64(v) / sigma
			m1, m2, m4 = m1+x, m2+x*x, m4+x*x*x*x
		}
		require.InDelta(t, 0, m1/n, 4.5/math.Sqrt(n), "mean at σ = %v, seed %d", sigma, i)
		require.InDelta(t, 1, m2/n, 4.5*math.Sqrt(2./n), "variance at σ = %v, seed %d", sigma, i)
		require.InDelta(t, 3, m4/n, 4.5*math.Sqrt(96./n), "fourth moment at σ = %v, seed %d", sigma, i)
	}
}

// TestGaussianPMF compares counts with the exact probabilities by χ², at its
// 10⁻⁴ quantile.
func TestGaussianPMF(t *testing.T) {
	const n = 40_000
	for i, sigma := range []float64{.3, .5, 1, 1.5, 2.25, 3.14159} {
		half := int(6*sigma) + 2
		expected, total := make([]float64, 2*half+1), 0.
		for k := range expected {
			expected[k] = math.Exp(-float64((k-half)*(k-half)) / (2 * sigma * sigma))
			total += expected[k]
		}
		observed := make([]float64, len(expected))
		for _, v := range draw(t, sampler(t, sigma, stream(uint64(100+i))), n) {
			observed[int(v)+half]++
		}
		chi2, cells := 0., 0
		for k := range expected {
			if e := expected[k] / total * n; e >= 5 {
				chi2 += (observed[k] - e) * (observed[k] - e) / e
				cells++
			}
		}
		f := float64(cells - 1) // Wilson and Hilferty's cube root
		limit := f * math.Pow(1-2/(9*f)+3.72*math.Sqrt(2/(9*f)), 3)
		require.Less(t, chi2, limit, "σ = %v, seed %d, %d cells", sigma, 100+i, cells)
	}
}

// TestGaussianExact: the rational arithmetic alone gives the same values from
// the same bytes as the bounds in 64 bits.
func TestGaussianExact(t *testing.T) {
	for i, sigma := range []float64{1, 1.25, 2, 17.3, 1e4 / 3, 1e11} {
		fast, slow := sampler(t, sigma, stream(uint64(i))), sampler(t, sigma, stream(uint64(i)))
		slow.fast = false
		require.Equal(t, draw(t, fast, 1000), draw(t, slow, 1000), "σ = %v, seed %d", sigma, i)
		require.Equal(t, fast.left, slow.left, "words used")
	}
}

// TestGaussianGamma: the bounds hold the rational.
func TestGaussianGamma(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 4_000 {
		sigma := math.Exp(rnd.Float64() * 25)
		g := sampler(t, sigma, nil)
		u, v := rnd.Uint64N(g.t), rnd.Uint64N(10)
		a := u + v*g.t
		n, lo, top := g.gamma(u, v, a)
		exact := g.exactGamma(a)
		require.Equal(t, scaled(exact, 0), n)
		part := scaled(fraction(exact), 64)
		require.LessOrEqual(t, lo, part, "σ = %v, u = %d, v = %d", sigma, u, v)
		require.LessOrEqual(t, part, top, "σ = %v, u = %d, v = %d", sigma, u, v)
		require.Less(t, top-lo, uint64(1)<<26, "σ = %v: bounds are of no use", sigma)
	}
}

// TestResolve decides by the words after the first.
func TestResolve(t *testing.T) {
	third := ratio(1, 3) // 0x5555…
	first := uint64(0x5555555555555555)
	for _, c := range []struct {
		u, next uint64
		below   bool
	}{
		{first - 1, 0, true},
		{first + 1, 0, false},
		{first, first - 1, true},
		{first, first + 1, false},
	} {
		w := words{left: 1}
		w.block[0] = c.next
		require.Equal(t, c.below, w.resolve(c.u, third), "%x %x", c.u, c.next)
	}
	w := words{left: 1}
	require.False(t, w.resolve(1<<63, ratio(1, 2)), "½ is not below ½")
}

// TestGaussianKnown pins the values of given bytes: two builds that differ here
// would add different noise to the same sum.
func TestGaussianKnown(t *testing.T) {
	require.Equal(t, []int64{-4, -1, -3, -5, 2, 3, 1, -1}, draw(t, sampler(t, 3, stream(7)), 8))
}

func TestGaussianReader(t *testing.T) {
	broken := errors.New("entropy is out")
	for _, n := range []int64{0, 1, 4095, 4096, 8192} {
		g := sampler(t, 5, io.MultiReader(io.LimitReader(stream(1), n), iotest.ErrReader(broken)))
		err := g.Add(make([]int64, 5000))
		require.ErrorIs(t, err, broken, "%d bytes", n)
		_, again := g.Next()
		require.ErrorIs(t, again, broken, "an error stays")
	}
	g := sampler(t, 5, io.LimitReader(stream(1), 10))
	_, err := g.Next()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestGaussianRefuses(t *testing.T) {
	for _, sigma := range []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1), 1e-9, 2 * MaxSigma, math.MaxFloat64} {
		_, err := NewGaussian(sigma, stream(1))
		require.ErrorContains(t, err, "sigma", "%v", sigma)
	}
}

func TestGaussianOverflow(t *testing.T) {
	g := sampler(t, 1000, stream(3))
	var failed bool
	for range 64 {
		failed = failed || errors.Is(g.Add([]int64{math.MaxInt64}), ErrOverflow)
	}
	require.True(t, failed)
	require.NoError(t, g.Add([]int64{math.MaxInt64 - 1<<40, math.MinInt64 + 1<<40}))
}

func TestGaussianWipe(t *testing.T) {
	g := sampler(t, 5, stream(1))
	draw(t, g, 3)
	require.Positive(t, g.left)
	require.Equal(t, make([]uint64, len(g.block)-g.left), g.block[g.left:], "used words are gone")
	g.Wipe()
	require.Equal(t, [512]uint64{}, g.block)
	draw(t, g, 3)
}

func BenchmarkGaussian(b *testing.B) {
	for _, sigma := range []float64{4, 12345.678, 1e9} {
		b.Run(fmt.Sprint(sigma), func(b *testing.B) {
			g := sampler(b, sigma, stream(1))
			for b.Loop() {
				if _, err := g.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
