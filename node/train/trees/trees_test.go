package trees_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
	local "github.com/koinon-eu/koinon/node/train/trees"
)

const toySchema = `
name: toy
label: {column: y, positive: "1", empty: skip}
columns:
  a: {type: number}
  b: {type: number}
  c: {type: category}
  d: {type: boolean}
  e: {type: number}
`

// toyText draws rows: b is often missing, c has rare values, and the label
// depends on all but e.
func toyText(rows int, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 5))
	var b strings.Builder
	b.WriteString("y,a,b,c,d,e\n")
	for range rows {
		x, z, c, d := r.NormFloat64(), r.NormFloat64(), r.IntN(9)*r.IntN(9), r.IntN(2)
		q := 1.5*x*z - 0.8*z + math.Abs(float64(c-20))/10 - 1.5
		text := fmt.Sprintf("%.3f", z)
		if r.IntN(4) == 0 {
			text, q = "", q+1
		}
		y := 0
		if r.Float64() < trees.Sigmoid(q+0.5*float64(d)) {
			y = 1
		}
		fmt.Fprintf(&b, "%d,%.3f,%s,c%d,%d,%d\n", y, x, text, c, d, r.IntN(3))
	}
	return b.String()
}

func toyTable(t testing.TB, rows int, seed uint64) *feature.Table {
	schema, err := feature.ParseSchema([]byte(toySchema))
	require.NoError(t, err)
	table, err := feature.ReadCSV(strings.NewReader(toyText(rows, seed)), schema, feature.Limits{})
	require.NoError(t, err)
	return table
}

// statistics sums the statistics of the members.
func statistics(t testing.TB, members ...*feature.Table) (*feature.Statistics, *feature.Encoder) {
	s := feature.NewStatistics(members[0].Schema())
	for !s.Done() {
		sum := make([]int64, s.Words())
		for _, m := range members {
			v, err := s.Count(m)
			require.NoError(t, err)
			for i := range sum {
				sum[i] += v[i]
			}
		}
		require.NoError(t, s.Apply(sum))
	}
	e, err := s.Encoder()
	require.NoError(t, err)
	return s, e
}

// federation is a run in one process: vectors are summed modulo 2⁶⁴.
type federation struct {
	machine *trees.Machine
	encoder *feature.Encoder
	growers []*local.Grower
}

func newFederation(t testing.TB, p trees.Params, o local.Options, members ...*feature.Table) *federation {
	s, e := statistics(t, members...)
	q := p.WithDefaults()
	bins, err := trees.NewBins(s, e, q.Bins, q.Floor)
	require.NoError(t, err)
	m, err := trees.New(trees.Config{Params: p, Rows: e.Rows, Positives: e.Positives}, bins)
	require.NoError(t, err)
	f := &federation{machine: m, encoder: e}
	f.join(t, o, members...)
	return f
}

// join makes the members' growers anew.
func (f *federation) join(t testing.TB, o local.Options, members ...*feature.Table) {
	f.growers = nil
	for _, table := range members {
		data, err := local.NewData(f.machine.Bins(), f.encoder, table, table.Select(feature.SelectTrain), o.Threads)
		require.NoError(t, err)
		g, err := local.NewGrower(f.machine, data, o)
		require.NoError(t, err)
		f.growers = append(f.growers, g)
	}
}

// sum adds the members' vectors, each under masks that cancel.
func (f *federation) sum(t testing.TB) []uint64 {
	q, ok := f.machine.Query()
	require.True(t, ok)
	sum, masks := make([]uint64, q.Words), make([]uint64, q.Words)
	r := rand.New(rand.NewPCG(uint64(q.First), uint64(q.Level)))
	for i, g := range f.growers {
		v, err := g.Vector(f.machine)
		require.NoError(t, err)
		require.Len(t, v, q.Words)
		for j, w := range v {
			mask := r.Uint64()
			if i == len(f.growers)-1 {
				mask = -masks[j]
			}
			masks[j] += mask
			sum[j] += w + mask
		}
	}
	return sum
}

func (f *federation) run(t testing.TB) [32]byte {
	for !f.machine.Done() {
		require.NoError(t, f.machine.Apply(f.sum(t)))
	}
	d, err := f.machine.Ensemble().Digest()
	require.NoError(t, err)
	return d
}

// split divides a table into so many parts of unequal size.
func split(table *feature.Table, parts int) []*feature.Table {
	var out []*feature.Table
	from := 0
	for i := range parts {
		to := table.Rows() * (i + 1) * (i + 1) / (parts * parts)
		var rows []int32
		for r := from; r < to; r++ {
			rows = append(rows, int32(r))
		}
		out, from = append(out, table.Subset(rows)), to
	}
	return out
}

// TestSameEnsemble: pooled rows, shuffled rows, rows divided over members whose
// vectors are masked, and any number of threads give the same bits. // trees 2, 49, 72
func TestSameEnsemble(t *testing.T) {
	number := func(v float64) *float64 { return &v }
	for name, p := range map[string]trees.Params{
		"defaults":       {Trees: 8},
		"no grid":        {Trees: 5, Cell: number(0), MinHessian: number(1)},
		"trees per step": {Trees: 7, TreesPerStep: 3, Columns: 0.6, Rows: 0.7},
		"early stopping": {Trees: 30, Patience: 2, Rate: []float64{0.5}},
		"weights":        {Trees: 5, Weights: []float64{0.5, 3}, L1: 0.5, Gain: 0.1},
		"wide cells":     {Trees: 3, Weights: []float64{1024, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			table := toyTable(t, 6000, 1)
			order := rand.New(rand.NewPCG(3, 3)).Perm(table.Rows())
			shuffled := make([]int32, len(order))
			for i, r := range order {
				shuffled[i] = int32(r)
			}
			o := local.Options{Threads: 1, Key: [32]byte{7}}
			pooled := newFederation(t, p, o, table)
			want := pooled.run(t)
			require.NotEmpty(t, pooled.machine.Ensemble().Trees)
			require.Equal(t, want, newFederation(t, p, o, table.Subset(shuffled)).run(t), "shuffled")
			require.Equal(t, want, newFederation(t, p, o, split(table, 4)...).run(t), "divided and masked")
			o.Threads = 2
			two := newFederation(t, p, o, table)
			require.Equal(t, want, two.run(t), "two threads")
			require.Equal(t, pooled.machine.Digest(), two.machine.Digest())
		})
	}
}
