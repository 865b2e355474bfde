package trees_test

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/trees"
	"github.com/koinon-eu/koinon/models/trees/treestest"
)

func additive(epochs int) trees.Params { return trees.Params{Growth: trees.Additive, Epochs: epochs} }

// TestAdditiveParams: defaults, what has no meaning, and that the other growth is
// the same plan whether it is named or not.
func TestAdditiveParams(t *testing.T) {
	p := trees.Params{Growth: trees.Additive}.WithDefaults()
	require.Equal(t, 30, p.Epochs)
	require.Equal(t, 32, p.Bins)
	require.Equal(t, 30, p.Sums())
	require.NoError(t, p.Validate())
	require.Equal(t, p, p.WithDefaults())
	require.Equal(t, 600, trees.Params{}.Sums())
	require.Equal(t, 60, trees.Params{Trees: 19, TreesPerStep: 2}.Sums())

	named, err := json.Marshal(trees.Params{Growth: "greedy"}.WithDefaults())
	require.NoError(t, err)
	plain, err := json.Marshal(trees.Params{}.WithDefaults())
	require.NoError(t, err)
	require.Equal(t, string(plain), string(named))
	require.NotContains(t, string(plain), "growth")

	for want, p := range map[string]trees.Params{
		"growth \"other\"":      {Growth: "other"},
		"epochs are for":        {Epochs: 3},
		"epochs -1":             {Growth: trees.Additive, Epochs: -1},
		"trees has no meaning":  {Growth: trees.Additive, Trees: 100},
		"depth has no meaning":  {Growth: trees.Additive, Depth: 6},
		"cell has no meaning":   {Growth: trees.Additive, Cell: number(20)},
		"patience has no":       {Growth: trees.Additive, Patience: 2},
		"rows has no meaning":   {Growth: trees.Additive, Rows: 0.5},
		"bins 256":              {Growth: trees.Additive, Bins: 256},
		"floor 3":               {Growth: trees.Additive, Floor: 3},
		"l2 -1":                 {Growth: trees.Additive, L2: number(-1)},
		"2 rates for 30 epochs": {Growth: trees.Additive, Rate: []float64{1, 1}},
		"class weight":          {Growth: trees.Additive, Weights: []float64{1, 1e9}},
	} {
		require.ErrorContains(t, p.Validate(), want)
	}
}

// TestSensitivity: no row, whatever its score, label and weight, moves the
// integers of one column by more than Δ/√F, and the bound is all but reached. // trees 59
func TestSensitivity(t *testing.T) {
	for _, weight := range []float64{1, 0.37, 3.3} {
		cfg := trees.Config{Params: trees.Params{Growth: trees.Additive, Weights: []float64{weight, weight / 2}}}
		one := cfg.Sensitivity(1)
		require.InEpsilon(t, one*math.Sqrt(14), cfg.Sensitivity(14), 1e-12)
		s, err := trees.Config{Params: cfg.Params, RowsMax: 1000}.Scale()
		require.NoError(t, err)
		require.True(t, s.Wide)
		longest := 0.0
		for z := -40.0; z <= 40; z += 0.001 {
			p := trees.Sigmoid(z)
			for y, w := range cfg.Params.Weights {
				g := math.RoundToEven(math.Ldexp(w, s.Bits) * (p - float64(y)))
				h := math.RoundToEven(math.Ldexp(w, s.HessianBits) * p * (1 - p))
				longest = max(longest, math.Hypot(g, h))
			}
		}
		require.LessOrEqual(t, longest, one)
		require.Greater(t, longest, 0.999*one)
	}
}

// TestNoiseShare: the figures of the specification, whose Δ² counts a quarter
// more. // trees 64
func TestNoiseShare(t *testing.T) {
	noise := math.Sqrt(30 / (2 * .93 * .02436)) // 30 epochs of 93 % of ρ at ε = 1
	adult := trees.Config{Params: additive(30), Rows: 32561, Positives: 7841, Noise: noise, Members: 10}
	require.InDelta(t, 0.06/math.Sqrt(1.25), adult.NoiseShare(14), 0.006)
	vehicle := trees.Config{Params: additive(30), Rows: 8000, Positives: 480, Noise: noise, Members: 16}
	require.InDelta(t, 1.4/math.Sqrt(1.25), vehicle.NoiseShare(30), 0.06)
	require.Zero(t, trees.Config{Rows: 5}.NoiseShare(3))
	require.True(t, math.IsInf(trees.Config{Params: additive(1), Noise: 1, Members: 3}.NoiseShare(3), 1))
}

// TestNoiseRefusals: noise for trees that search their splits, in the words of
// the specification, and noise in which nothing would show. // trees 57, 64
func TestNoiseRefusals(t *testing.T) {
	r := newRun(t, additive(3), read(t, toySchema, toyText(1500, 1)))
	cfg := r.machine.Config()
	cfg.Noise, cfg.Members = 1, 3
	_, err := trees.New(cfg, r.machine.Bins())
	require.NoError(t, err)
	cfg.Noise = 500
	_, err = trees.New(cfg, r.machine.Bins())
	require.ErrorIs(t, err, trees.ErrNoise)
	require.ErrorContains(t, err, "raise epsilon")
	cfg.Noise = math.NaN()
	require.ErrorContains(t, cfg.Validate(), "noise NaN")
	cfg.Noise, cfg.Members = 1, 0
	require.ErrorContains(t, cfg.Validate(), "0 members")
	cfg.Noise, cfg.Members, cfg.Params = 1, 3, trees.Params{}
	require.ErrorContains(t, cfg.Validate(), "histogram trees publish every feature at every level; use `growth: additive`")
	cfg = r.machine.Config()
	cfg.Params.Epochs = 9000
	_, err = trees.New(cfg, r.machine.Bins())
	require.ErrorContains(t, err, "trees, at most")
}

// wide is a table whose columns have more than eight cells, one with missing.
func wide(t testing.TB, seed uint64) *run {
	return newRun(t, additive(12), read(t, strings.ReplaceAll(toySchema, "[p, q, r]", "[p, q]"), toyText(4000, seed)))
}

// TestRanges: at most eight a column, intervals of a number in order with missing
// alone, groups of a category of one size; other epochs have others, and no data
// a say. // trees 58
func TestRanges(t *testing.T) {
	r := wide(t, 3)
	var last *trees.Grid
	for epoch := 0; !r.machine.Done(); epoch++ {
		q, _ := r.machine.Query()
		require.Len(t, q.Parts, 1)
		grid := q.Parts[0].Grid
		require.NotEqual(t, last, grid)
		last = grid
		for _, g := range grid.Columns {
			c := &r.machine.Bins().Columns[g.Column]
			require.Equal(t, min(c.Cells, 8), g.Groups, c.Name)
			if g.Map == nil {
				require.LessOrEqual(t, c.Cells, 8)
				continue
			}
			sizes := make([]int, g.Groups)
			for cell, group := range g.Map {
				sizes[group]++
				if cell > 0 && (!c.IsCategory() || epoch%2 == 1) {
					require.Contains(t, []uint16{0, 1}, group-g.Map[cell-1], "intervals")
				}
			}
			require.NotContains(t, sizes, 0)
			if c.IsCategory() && epoch%2 == 0 {
				require.LessOrEqual(t, slices.Max(sizes)-slices.Min(sizes), 1)
			}
			if c.Cells == len(c.Cuts)+2 {
				require.Equal(t, 1, sizes[g.Groups-1], "missing is alone")
			}
		}
		other := wide(t, 3)
		for range epoch { // other rows' sums, the same ranges
			require.NoError(t, other.machine.Apply(treestest.Sum(other.machine, other.member, other.member)))
		}
		same, _ := other.machine.Query()
		require.Equal(t, grid, same.Parts[0].Grid)
		r.step(t)
	}
}

// TestAdditiveShape: each epoch adds one tree a column, that gives every cell the
// value of its range, and the trees learn. // trees 58, 63
func TestAdditiveShape(t *testing.T) {
	r := wide(t, 4)
	loss := func() (sum float64) {
		for row := range r.member.Cells {
			p := trees.Sigmoid(r.member.Score(r.machine, row))
			sum -= float64(r.member.Label[row])*math.Log(p) + float64(1-r.member.Label[row])*math.Log(1-p)
		}
		return sum
	}
	before := loss()
	for epochs := 1; !r.machine.Done(); epochs++ {
		q, _ := r.machine.Query()
		sum := treestest.Sum(r.machine, r.member)
		require.NoError(t, r.machine.Apply(sum))
		columns := q.Parts[0].Grid.Columns
		require.Len(t, r.machine.Trees(), epochs*len(columns))
		at := 0
		for i, g := range columns {
			tree := r.machine.Trees()[(epochs-1)*len(columns)+i]
			require.LessOrEqual(t, len(tree), 15)
			c := &r.machine.Bins().Columns[g.Column]
			row := make([]uint16, len(r.machine.Bins().Columns))
			for cell := range c.Cells {
				group := cell
				if g.Map != nil {
					group = int(g.Map[cell])
				}
				row[g.Column] = uint16(cell)
				leaf := tree[treestest.At(r.machine.Bins(), tree, row)]
				s := r.machine.Scale()
				gradient, hessian := s.G(int64(sum[at+2*group])), s.H(int64(sum[at+2*group+1]))
				require.Equal(t, float32(min(max(-0.1*gradient/(max(hessian, 1)+1), -0.5), 0.5)), leaf.Value, "%s, cell %d", c.Name, cell)
			}
			at += 2 * g.Groups
		}
	}
	require.NoError(t, r.machine.Ensemble().Validate())
	require.Less(t, loss(), 0.97*before)
	require.Positive(t, r.machine.Disclosure().Cells)
}

// TestAdditiveExplains: what the columns move a row by is all that it differs by
// from the reference row. // trees 63
func TestAdditiveExplains(t *testing.T) {
	r := wide(t, 8)
	e := r.finish(t)
	s, err := e.NewScorer()
	require.NoError(t, err)
	width := len(e.Bins.Columns)
	reference := make([]uint16, width)
	for i, c := range e.Bins.Columns {
		reference[i] = c.Reference
	}
	for _, row := range r.member.Cells[:50] {
		var logits [2]float64
		require.NoError(t, s.Logits(slices.Concat(row, reference), logits[:]))
		effects, sum := make([]float64, width), 0.0
		require.NoError(t, s.Effects(row, effects))
		for _, v := range effects {
			sum += v
		}
		require.InDelta(t, logits[0]-logits[1], sum, 1e-9)
	}
}

// TestAdditiveSums: without noise a sum is held to all of trees 10; with noise to
// what rows and noise can give, and the model takes whatever sign it has.
func TestAdditiveSums(t *testing.T) {
	r := wide(t, 5)
	sum := treestest.Sum(r.machine, r.member)
	bad := slices.Clone(sum)
	bad[0]++
	require.ErrorIs(t, r.machine.Apply(bad), trees.ErrSum)
	require.ErrorIs(t, r.machine.Apply(sum[1:]), trees.ErrSum)

	cfg := r.machine.Config()
	cfg.Noise, cfg.Members = 4, 3
	m, err := trees.New(cfg, r.machine.Bins())
	require.NoError(t, err)
	require.NotEqual(t, r.machine.Digest(), m.Digest())
	require.InEpsilon(t, 4*cfg.Sensitivity(4), m.Sigma(), 1e-12)
	rnd := rand.New(rand.NewPCG(1, 2))
	for !m.Done() {
		sum := treestest.Sum(m, r.member)
		far := slices.Clone(sum)
		far[1] += 1 << 60
		require.ErrorIs(t, m.Apply(far), trees.ErrSum)
		for i := range sum {
			sum[i] += uint64(int64(m.Sigma() * math.Sqrt(3) * rnd.NormFloat64()))
		}
		sum[1] = uint64(-int64(m.Sigma())) // a range of which noise left less than nothing
		require.NoError(t, m.Apply(sum))
	}
	require.NoError(t, m.Ensemble().Validate())
	require.Zero(t, m.Disclosure(), "what noise shows is no cell of a histogram")
}

// TestAdditiveRestart stores and restores a machine before every sum, and ends
// one early. // trees 53
func TestAdditiveRestart(t *testing.T) {
	r := wide(t, 6)
	for !r.machine.Done() {
		stored, err := r.machine.MarshalBinary()
		require.NoError(t, err)
		again, err := trees.Unmarshal(r.machine.Config(), r.machine.Bins(), stored)
		require.NoError(t, err)
		require.Equal(t, r.machine.Digest(), again.Digest())
		require.NoError(t, again.Cut())
		require.Equal(t, r.machine.Digest(), again.Digest(), "there is nothing to cut")
		r.step(t)
		require.NoError(t, again.Apply(treestest.Sum(again, r.member)))
		require.Equal(t, r.machine.Digest(), again.Digest())
	}
	s := wide(t, 6)
	s.step(t)
	trees := len(s.machine.Trees())
	require.NoError(t, s.machine.Stop())
	require.True(t, s.machine.Done())
	require.Len(t, s.machine.Ensemble().Trees, trees)
}

// goldenAdditive is golden for additive growth.
const goldenAdditive = "76b8966f06060ec3d7b1724da8552f5cefd120e128d6e09290d7ca3d6a12b93b"

func TestGoldenAdditive(t *testing.T) {
	r := wide(t, 7)
	grown(t, r)
	d := r.machine.Digest()
	require.Equal(t, goldenAdditive, hex.EncodeToString(d[:]))
}
