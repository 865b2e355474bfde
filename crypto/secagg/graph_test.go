package secagg

import (
	"crypto/sha256"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func cohortOf(n int) (s Set) {
	for i := range n {
		s = s.With(uint8(i + 1))
	}
	return s
}

func graphSeed(i int) [32]byte { return sha256.Sum256(fmt.Appendf(nil, "graph %d", i)) }

// V8: seed, cohort and number of cycles fix the graph. The digests are over the
// 255 sets of neighbours, in the order of the indexes.
func TestGraphGolden(t *testing.T) {
	for n, want := range map[int]string{
		65:  "dadf4b7b34966e7161c04465f5202b43f8ae2ed1553b47716d5e38d4a8781d7d",
		128: "6fad3e2c2699179634795608cdd67cb27c5a9d9358cdd5b037095aedf04a5e95",
		255: "96aa105e20f287774f60e27f1652da403a9a377ac583121817b77b34517ec506",
	} {
		g := drawGraph(graphSeed(n), cohortOf(n), cyclesFor(n))
		h := sha256.New()
		for i := 1; i < 256; i++ {
			h.Write(g.near[i][:])
		}
		require.Equalf(t, want, fmt.Sprintf("%x", h.Sum(nil)), "cohort of %d", n)
	}
	// One cycle of a cohort with gaps in its indexes.
	g := drawGraph(graphSeed(1), SetOf(2, 3, 7, 9, 200), 1)
	require.Equal(t, "{3 7} {2 9} {2 200} {3 200} {7 9}", fmt.Sprint(g.near[2], g.near[3], g.near[7], g.near[9], g.near[200]))
}

// V8: neighbours are symmetric, in the cohort and never oneself; every seed
// gives another graph.
func TestGraphShape(t *testing.T) {
	seen := map[graph]bool{}
	for seed := range 20 {
		n := 65 + 10*seed
		cohort := cohortOf(255).Minus(cohortOf(255 - n)) // n highest indexes
		g := drawGraph(graphSeed(seed), cohort, cyclesFor(n))
		require.False(t, seen[*g])
		seen[*g] = true
		for i := range 256 {
			near := g.near[i]
			if !cohort.Has(uint8(i)) {
				require.Zero(t, near)
				continue
			}
			require.True(t, near.SubsetOf(cohort.Without(uint8(i))))
			require.GreaterOrEqual(t, near.Len(), 2)
			for _, j := range near.Members() {
				require.True(t, g.near[j].Has(uint8(i)))
			}
		}
	}
}

// V10: the complete graph has the holders and the threshold of version 1.
func TestGraphComplete(t *testing.T) {
	for _, n := range []int{3, 4, 10, 64} {
		cohort := cohortOf(n)
		g, u1 := completeGraph(cohort), cohort.Without(2)
		for _, i := range u1.Members() {
			require.Equal(t, u1, g.holders(i, u1))
			require.Equal(t, Threshold(n), g.threshold(i))
		}
	}
}

// V8: the permutations are uniform. Over all orders of five, 𝜒² with 119
// degrees of freedom stays under 200 (chance of more: 5·10⁻⁶).
func TestShuffleUniform(t *testing.T) {
	s := newShuffler(graphSeed(0))
	counts := map[[5]uint8]int{}
	const draws = 120 * 200
	for range draws {
		m := [5]uint8{1, 2, 3, 4, 5}
		s.shuffle(m[:])
		counts[m]++
	}
	require.Len(t, counts, 120)
	x := 0.0
	for _, c := range counts {
		x += (float64(c) - 200) * (float64(c) - 200) / 200
	}
	require.Less(t, x, 200.0)
	require.Greater(t, x, 60.0) // nor are they too even to be random
	for range 1000 {
		require.Less(t, s.below(3), 3)
	}
}

// The bounds of TestGraphBounds rest on these distributions: degrees, and the
// corrupt among the neighbours of one member.
func TestGraphStatistics(t *testing.T) {
	const n, graphs = 65, 300
	r, bad := cyclesFor(n), n-Threshold(n)
	corrupt := cohortOf(bad)
	var degree, square, share float64
	for seed := range graphs {
		g := drawGraph(graphSeed(seed), cohortOf(n), r)
		near := g.near[n] // honest
		d := float64(near.Len())
		degree, square = degree+d/graphs, square+d*d/graphs
		share += float64(near.Intersect(corrupt).Len()) / d / graphs
	}
	mean, variance := 0.0, 0.0
	for d, p := range degrees(n, r) {
		mean += float64(d) * p
	}
	for d, p := range degrees(n, r) {
		variance += (float64(d) - mean) * (float64(d) - mean) * p
	}
	require.InDelta(t, mean, degree, 4*math.Sqrt(variance/graphs))
	require.InDelta(t, variance, square-degree*degree, variance/2)
	require.InDelta(t, float64(bad)/(n-1), share, 4*0.035/math.Sqrt(graphs))
}

// V15, V16: a member whose neighbourhood is gone is seen, and is left out with
// all who starve by that.
func TestGraphStarved(t *testing.T) {
	const n = 100
	cohort := cohortOf(n)
	g := drawGraph(graphSeed(3), cohort, cyclesFor(n))
	require.NoError(t, g.checkFed(cohort, cohort))
	require.Equal(t, cohort, g.fed(cohort))
	victim := uint8(17)
	most := g.near[victim].Len() + 1 - g.threshold(victim)
	left := cohort
	for _, j := range g.near[victim].Members()[:most] {
		left = left.Without(j)
	}
	require.NoError(t, g.checkFed(SetOf(victim), left))
	left = left.Without(g.holders(victim, left).Without(victim).Members()[0])
	require.ErrorIs(t, g.checkFed(SetOf(victim), left), ErrTooFew)
	require.False(t, g.fed(left).Has(victim))
	require.NoError(t, g.checkFed(g.fed(left), g.fed(left)))
	for _, j := range left.Minus(g.fed(left)).Members() {
		require.ErrorIs(t, g.checkFed(SetOf(j), g.fed(left)), ErrTooFew)
	}
	require.Zero(t, g.fed(SetOf(1, 2, 3)))
}

// V19 by trial: an adversary that takes out the honest members nearest to a
// victim first never gets it alone, nor a group of honest survivors apart.
func TestGraphStaysConnected(t *testing.T) {
	const n = 80
	cohort := cohortOf(n)
	th := Threshold(n)
	corrupt := cohortOf(n - th)
	honest := cohort.Minus(corrupt)
	for seed := range 20 {
		g := drawGraph(graphSeed(seed), cohort, cyclesFor(n))
		for _, victim := range honest.Members()[:10] {
			left := cohort
			for _, j := range append(g.near[victim].Minus(corrupt).Members(), honest.Members()...) {
				if next := left.Without(j); j != victim && next.Len() >= th && g.checkFed(next, next) == nil {
					left = next
				}
			}
			group := SetOf(victim)
			for grown := true; grown; {
				grown = false
				for _, j := range group.Members() {
					more := group.Union(g.near[j].Intersect(left).Minus(corrupt))
					grown, group = grown || more != group, more
				}
			}
			require.Equal(t, left.Minus(corrupt), group, "seed %d, victim %d", seed, victim)
		}
	}
}
