package autograd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/arch"
)

// sample draws rows of a shape with random labels.
func sample(shape arch.Shape, rows int, seed uint64) (arch.Batch, []int8) {
	r := rand.New(rand.NewPCG(seed, 1))
	b := arch.Batch{Rows: rows}
	labels := make([]int8, rows)
	for i := range rows {
		for range shape.Numbers {
			b.X = append(b.X, float32(r.NormFloat64()))
		}
		for _, card := range shape.Cards {
			b.C = append(b.C, int32(r.IntN(card)))
		}
		labels[i] = int8(r.IntN(2))
	}
	return b, labels
}

// point draws parameters away from zero, so that no block is silent.
func point(t *testing.T, spec arch.Spec, shape arch.Shape, seed uint64) []float32 {
	n, err := spec.Params(shape)
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(seed, 2))
	params := make([]float32, n)
	for i := range params {
		params[i] = float32(r.NormFloat64() * 0.4)
	}
	return params
}

// referenceLoss is the sum of losses by the plain-Go forward pass.
func referenceLoss(t *testing.T, spec arch.Spec, shape arch.Shape, params []float32, b arch.Batch, labels []int8) float64 {
	m, err := arch.NewModel(spec, shape, params)
	require.NoError(t, err)
	z := make([]float64, b.Rows)
	m.Logits(b, z)
	sum := 0.0
	for i, v := range z {
		sum += arch.Loss(v, labels[i])
	}
	return sum
}

var cases = []struct {
	name  string
	spec  arch.Spec
	shape arch.Shape
}{
	{"logistic", arch.Spec{Kind: arch.Logistic}, arch.Shape{Numbers: 3, Cards: []int{4, 2, 7}}},
	{"logistic with many values", arch.Spec{Kind: arch.Logistic}, arch.Shape{Numbers: 1, Cards: []int{1500, 3}}},
	{"logistic without numbers", arch.Spec{Kind: arch.Logistic}, arch.Shape{Cards: []int{4, 2}}},
	{"logistic without categories", arch.Spec{Kind: arch.Logistic}, arch.Shape{Numbers: 3}},
	{"mlp", arch.Spec{Kind: arch.MLP, Hidden: []int{7, 5}}, arch.Shape{Numbers: 3, Cards: []int{9, 2, 5}}},
	{"mlp with many values", arch.Spec{Kind: arch.MLP, Hidden: []int{5}, Embedding: "2"}, arch.Shape{Numbers: 2, Cards: []int{3, 700}}},
	{"mlp without numbers", arch.Spec{Kind: arch.MLP, Hidden: []int{6}, Embedding: "3"}, arch.Shape{Cards: []int{4, 6}}},
	{"mlp without categories", arch.Spec{Kind: arch.MLP, Hidden: []int{6, 4, 3}}, arch.Shape{Numbers: 5}},
}

// TestGradientAgainstFiniteDifferences compares every parameter of every block
// with the central difference of the plain-Go loss.
func TestGradientAgainstFiniteDifferences(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, labels := sample(c.shape, 37, 3)
			params := point(t, c.spec, c.shape, 4)
			e, err := NewEngine(c.spec, c.shape, 2, 8)
			require.NoError(t, err)
			defer func() { require.NoError(t, e.Close()) }()
			grad := make([]float64, len(params))
			for range 2 { // a second run must not see leftovers of the first
				loss, err := e.Gradient(params, b, labels, nil, grad)
				require.NoError(t, err)
				require.InEpsilon(t, referenceLoss(t, c.spec, c.shape, params, b, labels), loss, 1e-5)
			}
			for _, block := range c.spec.Blocks(c.shape) {
				for i := block.Offset; i < block.Offset+block.Len(); i++ {
					want := difference(t, c.spec, c.shape, params, b, labels, i)
					require.InDelta(t, want, grad[i], 1e-4*(1+math.Abs(want)), "%s, parameter %d", block.Name, i-block.Offset)
				}
			}
		})
	}
}

// difference is the central difference with two step lengths. Where they
// disagree a ReLU switches within the step, and the shorter one decides.
func difference(t *testing.T, spec arch.Spec, shape arch.Shape, params []float32, b arch.Batch, labels []int8, i int) float64 {
	at := func(h float32) float64 {
		old := params[i]
		defer func() { params[i] = old }()
		params[i] = old + h
		high, x := referenceLoss(t, spec, shape, params, b, labels), float64(params[i])
		params[i] = old - h
		return (high - referenceLoss(t, spec, shape, params, b, labels)) / (x - float64(params[i]))
	}
	wide, narrow := at(1.0/512), at(1.0/4096)
	if math.Abs(wide-narrow) < 1e-3 {
		return (64*narrow - wide) / 63 // Richardson
	}
	return at(1.0 / 65536)
}

// TestShardsDoNotChangeTheResult checks the sum against other shard and batch
// sizes, and bit for bit against itself.
func TestShardsDoNotChangeTheResult(t *testing.T) {
	c := cases[4]
	b, labels := sample(c.shape, 101, 5)
	params := point(t, c.spec, c.shape, 6)
	var first []float64
	for _, cut := range [][2]int{{1, 200}, {4, 16}, {3, 7}, {4, 16}} {
		e, err := NewEngine(c.spec, c.shape, cut[0], cut[1])
		require.NoError(t, err)
		grad := make([]float64, len(params))
		_, err = e.Gradient(params, b, labels, nil, grad)
		require.NoError(t, err)
		require.NoError(t, e.Close())
		if first == nil {
			first = grad
		}
		require.InDeltaSlice(t, first, grad, 1e-4, fmt.Sprint(cut))
	}
}

// TestRowsSelectAndRepeat checks that an index list means those rows.
func TestRowsSelectAndRepeat(t *testing.T) {
	c := cases[0]
	b, labels := sample(c.shape, 6, 7)
	params := point(t, c.spec, c.shape, 8)
	e, err := NewEngine(c.spec, c.shape, 2, 4)
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	all, twice := make([]float64, len(params)), make([]float64, len(params))
	_, err = e.Gradient(params, b, labels, nil, all)
	require.NoError(t, err)
	_, err = e.Gradient(params, b, labels, Rows{5, 4, 3, 2, 1, 0, 0, 1, 2, 3, 4, 5}, twice)
	require.NoError(t, err)
	for i := range all {
		require.InDelta(t, 2*all[i], twice[i], 1e-5)
	}
}

func TestNetRefuses(t *testing.T) {
	for _, c := range []struct {
		spec  arch.Spec
		shape arch.Shape
		batch int
		want  int
	}{
		{arch.Spec{Kind: "tree"}, arch.Shape{Numbers: 1}, 1, 2},
		{cases[0].spec, arch.Shape{}, 1, 0},
		{cases[0].spec, cases[0].shape, 0, 17},
		{cases[0].spec, cases[0].shape, 1, 1},
	} {
		_, err := NewNet(c.spec, c.shape, c.batch, make([]float32, c.want))
		require.Error(t, err)
	}
	n, err := NewNet(cases[0].spec, cases[0].shape, 2, make([]float32, 17))
	require.NoError(t, err)
	_, err = n.Add(arch.Batch{}, nil, nil, 0, 3)
	require.Error(t, err)
	_, err = n.Loss(arch.Batch{}, nil, nil, 0, 3)
	require.Error(t, err)
	require.NoError(t, n.Close())
}

// TestSumIsTheGradient: sums in float32 for a mini-batch are those in float64
// within rounding, whatever was computed before.
func TestSumIsTheGradient(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, labels := sample(c.shape, 61, 9)
			params := point(t, c.spec, c.shape, 10)
			e, err := NewEngine(c.spec, c.shape, 3, 8)
			require.NoError(t, err)
			defer func() { require.NoError(t, e.Close()) }()
			wide, sum := make([]float64, len(params)), make([]float32, len(params))
			for _, rows := range []Rows{nil, {5, 60, 5, 7, 3, 1, 0}, {2}, nil} {
				want, err := e.Gradient(params, b, labels, rows, wide)
				require.NoError(t, err)
				loss, err := e.Sum(b, labels, rows, sum)
				require.NoError(t, err)
				require.Equal(t, want, loss)
				loss, err = e.Loss(b, labels, rows)
				require.NoError(t, err)
				require.Equal(t, want, loss)
				for i, v := range sum {
					require.InDelta(t, wide[i], v, 1e-5*(1+math.Abs(wide[i])))
				}
			}
		})
	}
}

// TestTapeGivesTheSameBits: the plan and Gorgonia's tape machine run the same
// operations.
func TestTapeGivesTheSameBits(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, labels := sample(c.shape, 61, 11)
			params := point(t, c.spec, c.shape, 12)
			plan, err := NewEngine(c.spec, c.shape, 2, 16)
			require.NoError(t, err)
			tape, err := NewEngine(c.spec, c.shape, 2, 16)
			require.NoError(t, err)
			tape.UseTape()
			copy(plan.Params(), params)
			copy(tape.Params(), params)
			want, got := make([]float32, len(params)), make([]float32, len(params))
			for range 3 {
				planned, err := plan.Sum(b, labels, nil, want)
				require.NoError(t, err)
				taped, err := tape.Sum(b, labels, nil, got)
				require.NoError(t, err)
				require.Equal(t, planned, taped)
				require.Equal(t, want, got)
			}
			require.NoError(t, plan.Close())
			require.NoError(t, tape.Close())
		})
	}
}

// TestSameBitsOnAnyNumberOfCores: shards are fixed and added in order.
func TestSameBitsOnAnyNumberOfCores(t *testing.T) {
	c := cases[4]
	b, labels := sample(c.shape, 501, 13)
	params := point(t, c.spec, c.shape, 14)
	var sums [][]float32
	var wides [][]float64
	for _, cores := range []int{1, 2, 5} {
		before := runtime.GOMAXPROCS(cores)
		e, err := NewEngine(c.spec, c.shape, 4, 32)
		require.NoError(t, err)
		sum, wide := make([]float32, len(params)), make([]float64, len(params))
		_, err = e.Gradient(params, b, labels, nil, wide)
		require.NoError(t, err)
		_, err = e.Sum(b, labels, nil, sum)
		require.NoError(t, err)
		require.NoError(t, e.Close())
		sums, wides = append(sums, sum), append(wides, wide)
		runtime.GOMAXPROCS(before)
	}
	require.Equal(t, sums[0], sums[1])
	require.Equal(t, sums[0], sums[2])
	require.Equal(t, wides[0], wides[1])
	require.Equal(t, wides[0], wides[2])
}

// TestAllocations: a mini-batch allocates for its goroutines only, whatever its
// size.
func TestAllocations(t *testing.T) {
	c := cases[4]
	b, labels := sample(c.shape, 501, 15)
	e, err := NewEngine(c.spec, c.shape, 1, 64)
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	grad := make([]float32, len(e.Params()))
	require.LessOrEqual(t, testing.AllocsPerRun(10, func() {
		if _, err := e.Sum(b, labels, nil, grad); err != nil {
			panic(err)
		}
	}), 8.0)
}

func BenchmarkGradient(b *testing.B) {
	shape := arch.Shape{Numbers: 3, Cards: []int{9, 24, 7, 530, 220, 18}}
	data, labels := sample(shape, 8192, 9)
	for _, c := range []struct {
		name          string
		spec          arch.Spec
		shards, batch int
	}{
		{"logistic", arch.Spec{Kind: arch.Logistic}, 4, 1024},
		{"mlp", arch.Spec{Kind: arch.MLP}, 2, 128},
	} {
		b.Run(c.name, func(b *testing.B) {
			e, err := NewEngine(c.spec, shape, c.shards, c.batch)
			if err != nil {
				b.Fatal(err)
			}
			params := make([]float32, len(e.Params()))
			grad := make([]float64, len(params))
			for b.Loop() {
				if _, err := e.Gradient(params, data, labels, nil, grad); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*float64(data.Rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
