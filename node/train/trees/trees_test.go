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
	"github.com/koinon-eu/koinon/models/trees/treestest"
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
	return configured(t, trees.Config{Params: p}, o, members...)
}

// configured is newFederation with a plan or a limit of rows.
func configured(t testing.TB, cfg trees.Config, o local.Options, members ...*feature.Table) *federation {
	p := cfg.Params
	s, e := statistics(t, members...)
	q := p.WithDefaults()
	bins, err := trees.NewBins(s, e, q.Bins, q.Floor)
	require.NoError(t, err)
	cfg.Rows, cfg.Positives = e.Rows, e.Positives
	m, err := trees.New(cfg, bins)
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
// vectors are masked, and any number of threads give the same bits. // trees 2, 8, 49, 72
func TestSameEnsemble(t *testing.T) {
	for name, cfg := range map[string]trees.Config{
		"defaults":       {Params: trees.Params{Trees: 8}},
		"no grid":        {Params: trees.Params{Trees: 5, Cell: number(0), MinHessian: number(1)}},
		"trees per step": {Params: trees.Params{Trees: 7, TreesPerStep: 3, Columns: 0.6, Rows: 0.7}},
		"early stopping": {Params: trees.Params{Trees: 30, Patience: 2, Rate: []float64{0.5}}},
		"weights":        {Params: trees.Params{Trees: 5, Weights: []float64{0.5, 3}, L1: 0.5, Gain: 0.1}},
		"by chance":      {Params: trees.Params{Trees: 3}, RowsMax: 10_000_000},
		"wide cells":     {Params: trees.Params{Trees: 3, Rows: 0.8}, RowsMax: 1 << 30},
		"additive":       {Params: trees.Params{Growth: trees.Additive, Epochs: 6, Weights: []float64{1, 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			table := toyTable(t, 6000, 1)
			order := rand.New(rand.NewPCG(3, 3)).Perm(table.Rows())
			shuffled := make([]int32, len(order))
			for i, r := range order {
				shuffled[i] = int32(r)
			}
			o := local.Options{Threads: 1, Key: [32]byte{7}}
			pooled := configured(t, cfg, o, table)
			want := pooled.run(t)
			require.NotEmpty(t, pooled.machine.Ensemble().Trees)
			require.Equal(t, want, configured(t, cfg, o, table.Subset(shuffled)).run(t), "shuffled")
			require.Equal(t, want, configured(t, cfg, o, split(table, 4)...).run(t), "divided and masked")
			o.Threads = 2
			two := configured(t, cfg, o, table)
			require.Equal(t, want, two.run(t), "two threads")
			require.Equal(t, pooled.machine.Digest(), two.machine.Digest())
		})
	}
}

func number(v float64) *float64 { return &v }

// TestAgainstTheSlowMember: every vector is that of the member which works row
// by row, for several trees a step, missing values, categories of more than 256
// cells and rows that judge. // trees 5, 6, 21, 33
func TestAgainstTheSlowMember(t *testing.T) {
	table := manyCodes(t, 9000, 300)
	p := trees.Params{Trees: 4, TreesPerStep: 2, Depth: 4, Columns: 0.9, MinHessian: number(2), Weights: []float64{1, 2}}
	additive := trees.Params{Growth: trees.Additive, Epochs: 4, Weights: []float64{1, 2}}
	for _, cfg := range []trees.Config{{Params: p}, {Params: p, RowsMax: 1 << 29}, {Params: additive}} {
		f := configured(t, cfg, local.Options{Threads: 2}, table)
		wide := 0
		for _, c := range f.machine.Bins().Columns {
			wide = max(wide, c.Cells)
		}
		require.Greater(t, wide, 256)
		slow, err := treestest.New(f.machine.Bins(), f.encoder, table)
		require.NoError(t, err)
		for !f.machine.Done() {
			fast, err := f.growers[0].Vector(f.machine)
			require.NoError(t, err)
			require.Equal(t, slow.Vector(f.machine), fast)
			require.NoError(t, f.machine.Apply(fast))
		}
	}
}

// manyCodes has a category of so many codes, each frequent enough for a cell.
func manyCodes(t testing.TB, rows, codes int) *feature.Table {
	r := rand.New(rand.NewPCG(2, 2))
	var b strings.Builder
	b.WriteString("y,a,b,c,d,e\n")
	for i := range rows {
		c, a := i%codes, r.IntN(100)
		y, gap := 0, fmt.Sprint(r.IntN(30))
		if r.IntN(5) == 0 {
			gap = ""
		}
		if (c*37%codes)+a+r.IntN(200) > codes/2+150 {
			y = 1
		}
		fmt.Fprintf(&b, "%d,%d,%s,code %d,%d,%d\n", y, a, gap, c, c%2, r.IntN(7))
	}
	schema, err := feature.ParseSchema([]byte(toySchema))
	require.NoError(t, err)
	table, err := feature.ReadCSV(strings.NewReader(b.String()), schema, feature.Limits{})
	require.NoError(t, err)
	return table
}

// TestRestart: a node that is started again at any level gives the same vector,
// and so does one that joins a machine late. // trees 54, 72
func TestRestart(t *testing.T) {
	table := toyTable(t, 3000, 4)
	p := trees.Params{Trees: 5, TreesPerStep: 2, Depth: 4, Rows: 0.8, Patience: 4}
	o := local.Options{Threads: 1, Key: [32]byte{1}}
	f := configured(t, trees.Config{Params: p}, o, table)
	for !f.machine.Done() {
		v, err := f.growers[0].Vector(f.machine)
		require.NoError(t, err)
		again, err := f.growers[0].Vector(f.machine)
		require.NoError(t, err)
		require.Equal(t, v, again, "asked twice")
		late := *f
		late.join(t, o, table)
		other, err := late.growers[0].Vector(f.machine)
		require.NoError(t, err)
		require.Equal(t, v, other, "started again")
		require.NoError(t, f.machine.Apply(v))
	}
	_, err := f.growers[0].Vector(f.machine)
	require.ErrorIs(t, err, trees.ErrComplete)
}

// TestBound: with R at its limit every row at |g| = w_max fits the lanes; one row
// more than a member signed for is refused. // trees 7, 9, 10, 74
func TestBound(t *testing.T) {
	const rows = 4000
	table := toyTable(t, rows, 4)
	for _, w := range []float64{1, 7} {
		s, err := trees.NewScale(rows, w)
		require.NoError(t, err)
		require.False(t, s.Wide)
		g := int64(math.Round(w * math.Ldexp(1, s.Bits)))
		for _, sign := range []int64{1, -1} {
			var sum uint64
			for range rows {
				sum += uint64(sign*g)<<32 + uint64(g) // ĥ at its most has the same size
			}
			require.Equal(t, sign*g*rows, int64(int32(sum>>32)))
			require.Equal(t, g*rows, int64(uint32(sum)))
		}
		require.True(t, s.Bits == 20 || float64(rows+1)*(w*math.Ldexp(1, s.Bits+1)+1) > math.MaxInt32)
	}
	// All labels turn out wrong at a score far out: the sum passes its checks.
	f := configured(t, trees.Config{Params: trees.Params{Trees: 1, Weights: []float64{7, 7}}, RowsMax: rows}, local.Options{RowsMax: rows}, table)
	require.NoError(t, f.machine.Apply(f.sum(t)))

	data, err := local.NewData(f.machine.Bins(), f.encoder, table, table.Select(feature.SelectTrain), 1)
	require.NoError(t, err)
	_, err = local.NewGrower(f.machine, data, local.Options{RowsMax: rows - 1})
	require.ErrorIs(t, err, local.ErrTooManyRows)
}

// wideTable has number columns of 1000 values each and a label that follows
// some of them.
func wideTable(t testing.TB, rows, columns int) *feature.Table {
	r := rand.New(rand.NewPCG(9, uint64(columns)))
	var schema, b strings.Builder
	schema.WriteString("name: wide\nlabel: {column: y, positive: \"1\"}\ncolumns:\n")
	b.WriteString("y")
	for i := range columns {
		fmt.Fprintf(&schema, "  x%d: {type: number}\n", i)
		fmt.Fprintf(&b, ",x%d", i)
	}
	b.WriteByte('\n')
	for range rows {
		var line strings.Builder
		z := 0
		for i := range columns {
			v := r.IntN(1000)
			fmt.Fprintf(&line, ",%d", v)
			if i < 5 {
				z += v * (i%2*2 - 1)
			}
		}
		y := 0
		if z+r.IntN(1000) > 0 {
			y = 1
		}
		fmt.Fprintf(&b, "%d%s\n", y, line.String())
	}
	s, err := feature.ParseSchema([]byte(schema.String()))
	require.NoError(t, err)
	table, err := feature.ReadCSV(strings.NewReader(b.String()), s, feature.Limits{})
	require.NoError(t, err)
	return table
}
