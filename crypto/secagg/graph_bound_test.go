package secagg

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// The bounds of docs/protocol-v2.md, computed. Probabilities are base-2
// logarithms; TestGraphBoundsExact compares the arithmetic with fractions.

var logFactorial = func() (t [600]float64) {
	for n := 2; n < len(t); n++ {
		t[n] = t[n-1] + math.Log2(float64(n))
	}
	return t
}()

func logChoose(n, k int) float64 {
	if k < 0 || k > n {
		return math.Inf(-1)
	}
	return logFactorial[n] - logFactorial[k] - logFactorial[n-k]
}

// degrees returns the distribution of a member's degree after that many cycles:
// each adds two of the n−1 others, some of them joined before.
func degrees(n, cycles int) []float64 {
	others := float64(n - 1)
	pairs := others * (others - 1) / 2
	p := make([]float64, n)
	p[0] = 1
	for range cycles {
		next := make([]float64, n)
		for i, v := range p {
			d := float64(i)
			for add, ways := range [3]float64{d * (d - 1) / 2, d * (others - d), (others - d) * (others - d - 1) / 2} {
				if v*ways > 0 {
					next[i+add] += v * ways / pairs
				}
			}
		}
		p = next
	}
	return p
}

// tail is the chance that at least x of d different members, taken out of n,
// are among the k corrupt ones.
func tail(n, k, d, x int) (p float64) {
	for i := max(x, 0); i <= min(k, d); i++ {
		p += math.Exp2(logChoose(k, i) + logChoose(n-k, d-i) - logChoose(n, d))
	}
	return p
}

// surrounded bounds the chance that some honest member has so many corrupt
// neighbours that its seeds are not secret, or that it stands alone among the
// survivors in a group of at most size honest ones (V18).
func surrounded(n, cycles, size int) (p float64) {
	t := Threshold(n)
	for d, v := range degrees(n, cycles) {
		if v > 0 {
			p += v * tail(n-1, n-t, d, Threshold(d+1)-size)
		}
	}
	return p * float64(t)
}

// apart is the logarithm of the chance that in one random cycle of n members
// none of a is next to one of b others. Between the z members left over, the
// gaps hold only members of a, or only of b, or nobody.
func apart(n, a, b int) float64 {
	z := n - a - b
	terms := make([]float64, 0, a)
	most := math.Inf(-1)
	for i := 1; i <= min(a, z-1); i++ {
		l := logChoose(z, i) + logChoose(a-1, i-1) + logChoose(z-i+b-1, b)
		terms, most = append(terms, l), max(most, l)
	}
	sum := 0.0
	for _, l := range terms {
		sum += math.Exp2(l - most)
	}
	return most + math.Log2(sum) - (logFactorial[n-1] - logFactorial[a] - logFactorial[b] - logFactorial[z-1])
}

// divided bounds the chance that honest survivors, any t−c or more of them
// whom the adversary leaves in, fall apart into two groups without an edge
// between, each of more than size members (V19).
func divided(n, cycles, size int) (p float64) {
	t := Threshold(n)
	for all := t - (n - t); all <= t; all++ {
		for a := size + 1; a <= all/2; a++ {
			p += math.Exp2(logChoose(t, all) + logChoose(all, a) + float64(cycles)*apart(n, a, all-a))
		}
	}
	return p
}

// failure is the logarithm of the bound for one graph.
func failure(n, cycles int) float64 {
	best := math.Inf(1)
	for size := 1; size <= 2; size++ {
		best = min(best, math.Log2(surrounded(n, cycles, size)+divided(n, cycles, size)))
	}
	return best
}

// V9, V20: with c corrupt members one graph fails with at most 2^-53 for every
// cohort, and the draws of a plan, fewer than twice MaxDraws, with at most 2^-40.
// Four cycles fewer would not do for the worst cohorts.
func TestGraphBounds(t *testing.T) {
	draws := math.Log2(2 * MaxDraws)
	worst, fewer := math.Inf(-1), math.Inf(-1)
	for n := MaxComplete + 1; n <= 255; n++ {
		f := failure(n, cyclesFor(n))
		require.LessOrEqualf(t, f+draws, -40.0, "cohort of %d", n)
		worst, fewer = max(worst, f), max(fewer, failure(n, cyclesFor(n)-4))
	}
	require.Greater(t, fewer+draws, -40.0)
	t.Logf("one graph fails with at most 2^%.1f", worst)
}

// The arithmetic in logarithms is that of fractions, and the count behind apart
// is that of all cycles.
func TestGraphBoundsExact(t *testing.T) {
	c := func(n, k int) *big.Rat {
		if k < 0 || k > n {
			return new(big.Rat)
		}
		return new(big.Rat).SetInt(new(big.Int).Binomial(int64(n), int64(k)))
	}
	mul := func(f ...*big.Rat) *big.Rat {
		p := big.NewRat(1, 1)
		for _, x := range f {
			p.Mul(p, x)
		}
		return p
	}
	log := func(r *big.Rat) float64 {
		num, den := new(big.Float).SetInt(r.Num()), new(big.Float).SetInt(r.Denom())
		m, n := new(big.Float), new(big.Float)
		e, f := num.MantExp(m), den.MantExp(n)
		x, _ := m.Float64()
		y, _ := n.Float64()
		return float64(e-f) + math.Log2(x/y)
	}
	for _, v := range [][4]int{{64, 21, 50, 33}, {127, 42, 75, 49}, {254, 84, 108, 71}} {
		n, k, d, x := v[0], v[1], v[2], v[3]
		sum := new(big.Rat)
		for i := x; i <= min(k, d); i++ {
			sum.Add(sum, mul(c(k, i), c(n-k, d-i), new(big.Rat).Inv(c(n, d))))
		}
		if sum.Sign() == 0 {
			require.Zero(t, tail(n, k, d, x))
			continue
		}
		require.InDelta(t, log(sum), math.Log2(tail(n, k, d, x)), 1e-6)
	}
	for _, v := range [][3]int{{65, 2, 21}, {100, 3, 31}, {255, 3, 84}, {255, 40, 46}} {
		n, a, b := v[0], v[1], v[2]
		z := n - a - b
		sum := new(big.Rat)
		for i := 1; i <= min(a, z-1); i++ {
			sum.Add(sum, mul(c(z, i), c(a-1, i-1), c(z-i+b-1, b)))
		}
		sum.Quo(sum, mul(c(n-1, a), c(n-1-a, b)))
		require.InDelta(t, log(sum), apart(n, a, b), 1e-6)
	}
	for _, v := range [][3]int{{7, 2, 2}, {7, 1, 3}, {8, 3, 3}, {8, 2, 4}} {
		require.InDelta(t, math.Log2(countApart(v[0], v[1], v[2])), apart(v[0], v[1], v[2]), 1e-9, v)
	}
	for n, p := range degrees(10, 1) {
		require.Equal(t, n == 2, p > 0)
	}
}

// countApart goes through all orders of n members on a circle.
func countApart(n, a, b int) float64 {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	kind := func(i int) int { // 1, 2 or neither
		switch {
		case order[i] < a:
			return 1
		case order[i] < a+b:
			return 2
		}
		return 0
	}
	good, all := 0, 0
	var walk func(at int)
	walk = func(at int) {
		if at == n {
			all++
			for i := range n {
				if kind(i)+kind((i+1)%n) == 3 {
					return
				}
			}
			good++
			return
		}
		for i := at; i < n; i++ {
			order[at], order[i] = order[i], order[at]
			walk(at + 1)
			order[at], order[i] = order[i], order[at]
		}
	}
	walk(0)
	return float64(good) / float64(all)
}

// binomial is the chance of at least from losses among n.
func binomial(n, from int, loss float64) (p float64) {
	for i := max(from, 0); i <= n; i++ {
		p += math.Exp2(logChoose(n, i) + float64(i)*math.Log2(loss) + float64(n-i)*math.Log2(1-loss))
	}
	return p
}

// starved bounds the chance that, every member being lost by itself with chance
// loss, too few of some member's neighbourhood are left; the member itself may
// be among the lost, its seeds are needed all the same.
func starved(n, cycles int, loss float64) (p float64) {
	for d, v := range degrees(n, cycles) {
		if v > 1e-30 {
			most := d + 1 - Threshold(d+1)
			p += v * float64(n) * ((1-loss)*binomial(d, most+1, loss) + loss*binomial(d, most, loss))
		}
	}
	return p
}

// tolerated returns the largest loss in whole percent that ends less than one
// sum in 1 024: in the graph, and where only t of n counts.
func tolerated(n, cycles int) (sparse, complete int) {
	within := func(percent int, graph bool) bool {
		loss := float64(percent) / 100
		p := binomial(n, n-Threshold(n)+1, loss)
		if graph {
			p += starved(n, cycles, loss)
		}
		return p <= math.Exp2(-10)
	}
	for within(complete+1, false) {
		complete++
	}
	for within(sparse+1, true) {
		sparse++
	}
	return sparse, complete
}

// The table of V21: cycles, mean degree, threshold of a member of that degree,
// bound for one graph, random loss tolerated, and by a complete graph.
func TestGraphTable(t *testing.T) {
	for n, want := range map[int]string{
		65:  "50 cycles, degree 50.9, 35 of 52, 2^-67, loss 11 %, complete 17 %",
		80:  "51 cycles, degree 57.6, 40 of 59, 2^-59, loss 11 %, complete 18 %",
		100: "54 cycles, degree 66.1, 45 of 67, 2^-54, loss 12 %, complete 20 %",
		128: "57 cycles, degree 75.6, 52 of 77, 2^-54, loss 13 %, complete 21 %",
		160: "61 cycles, degree 85.5, 59 of 87, 2^-53, loss 14 %, complete 22 %",
		200: "66 cycles, degree 96.8, 66 of 98, 2^-56, loss 15 %, complete 23 %",
		255: "73 cycles, degree 111.4, 75 of 112, 2^-60, loss 16 %, complete 24 %",
	} {
		r := cyclesFor(n)
		mean := 0.0
		for d, p := range degrees(n, r) {
			mean += float64(d) * p
		}
		near := int(math.Round(mean)) + 1
		sparse, complete := tolerated(n, r)
		require.Equalf(t, want, fmt.Sprintf("%d cycles, degree %.1f, %d of %d, 2^%.0f, loss %d %%, complete %d %%",
			r, mean, Threshold(near), near, math.Ceil(failure(n, r)), sparse, complete), "cohort of %d", n)
	}
}
