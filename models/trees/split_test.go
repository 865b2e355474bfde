package trees_test

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/trees"
	"github.com/koinon-eu/koinon/models/trees/treestest"
)

// brute searches splits of a set of rows by trying every one of them on the
// rows themselves. It returns the best gain.
type brute struct {
	*run
	gradient []trees.Cell
	rows     []int
}

func (b *brute) sums(left func(cell uint16) bool, column int) (l, all [2]float64) {
	var lg, lh, g, h int64
	for _, r := range b.rows {
		c := b.gradient[r]
		g, h = g+c.G, h+c.H
		if left(b.member.Cells[r][column]) {
			lg, lh = lg+c.G, lh+c.H
		}
	}
	s := b.machine.Scale()
	return [2]float64{s.G(lg), s.H(lh)}, [2]float64{s.G(g), s.H(h)}
}

// gain is the gain of trees 24, of any way to divide the rows.
func (b *brute) gain(left func(cell uint16) bool, column int, extra float64) float64 {
	p := b.machine.Params()
	l, all := b.sums(left, column)
	r := [2]float64{all[0] - l[0], all[1] - l[1]}
	if l[1] < *p.MinHessian || r[1] < *p.MinHessian {
		return 0
	}
	score := func(v [2]float64, l2 float64) float64 {
		t := math.Copysign(math.Max(math.Abs(v[0])-p.L1, 0), v[0])
		return t * t / (v[1] + l2)
	}
	return score(l, *p.L2+extra) + score(r, *p.L2+extra) - score(all, *p.L2) - p.Gain
}

// best tries every candidate of trees 25 in every column.
func (b *brute) best() float64 {
	best := 0.0
	bins := b.machine.Bins()
	for column := range bins.Columns {
		c := &bins.Columns[column]
		if c.IsCategory() {
			best = max(best, b.bestSet(column))
			continue
		}
		own := int(c.Missing) == len(c.Cuts)+1
		for cut := range len(c.Cuts) + 1 {
			for _, missingLeft := range []bool{false, true} {
				best = max(best, b.gain(func(cell uint16) bool {
					if own && cell == c.Missing {
						return missingLeft
					}
					return int(cell) <= cut
				}, column, 0))
			}
		}
	}
	return best
}

func (b *brute) bestSet(column int) float64 {
	p, c := b.machine.Params(), b.machine.Bins().Columns[column]
	var order []int
	ratio := make([]float64, c.Cells)
	for cell := range c.Cells {
		l, _ := b.sums(func(x uint16) bool { return int(x) == cell }, column)
		if ratio[cell] = l[0] / (l[1] + *p.CategorySmooth); l[1] > 0 {
			order = append(order, cell)
		}
	}
	slices.SortFunc(order, func(x, y int) int { return cmp.Or(cmp.Compare(ratio[x], ratio[y]), cmp.Compare(x, y)) })
	extra, best := 0.0, 0.0
	if len(order) > 4 {
		extra = *p.CategoryL2
	}
	for n := 1; n < len(order); n++ {
		best = max(best, b.gain(func(x uint16) bool { return slices.Contains(order[:n], int(x)) }, column, extra))
	}
	return best
}

// TestSplitsAreTheBest: every split of a machine has the gain that trying all
// splits on the rows finds, every leaf that could be split further has none,
// and every value is that of its rows. // trees 21, 22, 24, 25, 26, 27
func TestSplitsAreTheBest(t *testing.T) {
	for name, p := range map[string]trees.Params{
		"plain":     {Trees: 3, Depth: 4, Bins: 16, Cell: number(0), MinHessian: number(2)},
		"penalties": {Trees: 2, Depth: 3, Bins: 24, Cell: number(0), L1: 3, Gain: 0.5, CategoryL2: number(0), Weights: []float64{1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t, p, read(t, toySchema, toyText(1500, 2)))
			splits, sets, missing := 0, 0, 0
			for !r.machine.Done() {
				b := &brute{run: r}
				for row := range r.member.Cells {
					b.gradient = append(b.gradient, r.member.Gradient(r.machine, row))
				}
				done := len(r.machine.Trees())
				for len(r.machine.Trees()) == done {
					r.step(t)
				}
				tree := r.machine.Trees()[done]
				for node := range tree {
					s, set, miss := b.check(t, tree, int32(node))
					splits, sets, missing = splits+s, sets+set, missing+miss
				}
			}
			require.Greater(t, splits, 10)
			require.Positive(t, sets, "a category was split")
			require.Positive(t, missing, "missing went left somewhere")
		})
	}
}

// check compares one node with brute force.
func (b *brute) check(t *testing.T, tree trees.Tree, node int32) (splits, sets, missing int) {
	depth := map[int32]int{0: 0}
	parent := map[int32]int32{}
	for i := range tree {
		if n := &tree[i]; !n.Leaf() {
			parent[n.Left], parent[n.Left+1] = int32(i), int32(i)
			depth[n.Left], depth[n.Left+1] = depth[int32(i)]+1, depth[int32(i)]+1
		}
	}
	b.rows = b.rows[:0]
	for row, cells := range b.member.Cells {
		at := treestest.At(b.machine.Bins(), tree, cells)
		for at != node && at != 0 {
			at = parent[at]
		}
		if at == node {
			b.rows = append(b.rows, row)
		}
	}
	p, n := b.machine.Params(), &tree[node]
	_, all := b.sums(func(uint16) bool { return true }, 0)
	soft := math.Copysign(math.Max(math.Abs(all[0])-p.L1, 0), all[0])
	require.InDelta(t, -p.Rate[0]*soft/(all[1]+*p.L2), n.Value, 1e-6, "value of node %d", node)
	require.InDelta(t, all[1], n.Cover, 1e-3, "cover of node %d", node)
	if depth[node] == p.Depth || all[1] < 2**p.MinHessian {
		require.True(t, n.Leaf())
		return 0, 0, 0
	}
	require.InDelta(t, b.best(), float64(n.Gain), 1e-3, "gain of node %d", node)
	if n.Leaf() {
		return 0, 0, 0
	}
	if n.Set != nil {
		sets++
	}
	if n.MissingLeft {
		missing++
	}
	return 1, sets, missing
}

// TestMissingFollowsTheHeavier where a node has none. // trees 26
func TestMissingFollowsTheHeavier(t *testing.T) {
	r := newRun(t, trees.Params{Trees: 6, Depth: 6, Cell: number(0), MinHessian: number(1)}, read(t, toySchema, toyText(3000, 4)))
	ensemble, found := r.finish(t), 0
	for _, tree := range ensemble.Trees {
		missing := map[int32]bool{}
		for _, cells := range r.member.Cells {
			at := int32(0)
			for !tree[at].Leaf() {
				n := &tree[at]
				c := &ensemble.Bins.Columns[n.Column]
				if cells[n.Column] == c.Missing {
					missing[at] = true
				}
				if at = n.Left; !n.GoesLeft(c, cells[n.Column]) {
					at++
				}
			}
		}
		for i := range tree {
			n := &tree[i]
			if !n.Leaf() && ensemble.Bins.Columns[n.Column].Name == "b" && !missing[int32(i)] {
				require.Equal(t, tree[n.Left].Cover >= tree[n.Left+1].Cover, n.MissingLeft)
				found++
			}
		}
	}
	require.Positive(t, found)
}
