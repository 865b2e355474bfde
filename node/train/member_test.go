package train_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train"
)

const toySchema = `
name: toy
label: {column: y, positive: "1", empty: skip}
columns:
  a: {type: number}
  b: {type: number}
  c: {type: category}
  g: {type: category, role: group}
`

// toyTable draws rows whose label depends on a, b and c. Every tenth label is
// empty; positive false leaves only negative rows.
func toyTable(t testing.TB, rows int, seed uint64, positive bool) *feature.Table {
	schema, err := feature.ParseSchema([]byte(toySchema))
	require.NoError(t, err)
	return toyTableOf(t, schema, rows, seed, positive)
}

func toyTableOf(t testing.TB, schema *feature.Schema, rows int, seed uint64, positive bool) *feature.Table {
	r := rand.New(rand.NewPCG(seed, 11))
	var b strings.Builder
	b.WriteString("y,a,b,c,g\n")
	for i := range rows {
		x, z, c := r.NormFloat64(), r.NormFloat64(), r.IntN(5)
		label := "0"
		if positive && r.Float64() < arch.Sigmoid(1.2*x-z+0.8*float64(c-2)) {
			label = "1"
		}
		if i%10 == 9 {
			label = ""
		}
		fmt.Fprintf(&b, "%s,%.4f,%.4f,c%d,g%d\n", label, x, z, c, r.IntN(2))
	}
	table, err := feature.ReadCSV(strings.NewReader(b.String()), schema, feature.Limits{})
	require.NoError(t, err)
	table, err = table.SplitFraction(0.3, seed)
	require.NoError(t, err)
	return table
}

func toyFederation(t testing.TB, spec arch.Spec, algorithm aggregate.Spec) *federation {
	var tables []*feature.Table
	for i, rows := range []int{1500, 400, 90, 700} {
		tables = append(tables, toyTable(t, rows, uint64(i), true))
	}
	return newFederation(t, schedule.Config{
		Schema: tables[0].Schema(), Architecture: spec, Algorithm: algorithm, Seed: 3,
	}, tables)
}

// until runs steps before the first one of a kind and returns that one.
func (f *federation) until(t testing.TB, kind schedule.Kind) schedule.Step {
	for {
		step, more := f.machine.Next()
		require.True(t, more)
		if step.Kind == kind {
			return step
		}
		f.step(t, step)
	}
}

// TestCoarseWeightsGiveThePooledGradient: members divide by the coarse weight
// that the sum multiplies by, so ΣW·x is the pooled gradient.
func TestCoarseWeightsGiveThePooledGradient(t *testing.T) {
	f := toyFederation(t, arch.Spec{Kind: arch.Logistic}, aggregate.Spec{Rounds: 2})
	step := f.until(t, schedule.Train)
	sum := make([]uint64, step.Encoding.Layout.Words())
	var parts []*feature.Matrix
	rows := uint64(0)
	for i, m := range f.members {
		v, err := m.Local(f.machine, step, nil) // full-batch draws nothing
		require.NoError(t, err)
		words, err := step.Encoding.Encode(v.X, v.Ints, v.Rows, stream(1, uint64(i), 0))
		require.NoError(t, err)
		ring.Add(sum, words)
		data, err := m.TrainRows(f.machine.Encoder())
		require.NoError(t, err)
		require.NotContains(t, data.Label, feature.Unlabelled)
		require.Equal(t, int(v.Rows), m.Rows())
		parts = append(parts, data)
		rows += uint64(v.Rows)
	}
	mean, err := step.Encoding.Decode(sum, len(f.members))
	require.NoError(t, err)
	require.Less(t, mean.Weight, rows, "weights are coarse")
	pool, err := train.Pool(parts...)
	require.NoError(t, err)
	want := gradient(f.machine.Params(), pool)
	for i, v := range mean.Values {
		require.InDelta(t, want[i], float64(v)*float64(mean.Weight), 0.01*math.Sqrt(float64(rows))/50, "parameter %d", i)
	}
}

// gradient is Σ (p − y)·x of logistic regression in plain Go.
func gradient(params []float32, m *feature.Matrix) []float64 {
	grad := make([]float64, len(params))
	model, _ := arch.NewModel(arch.Spec{Kind: arch.Logistic}, train.Shape(m), params)
	z := make([]float64, m.Rows)
	model.Logits(arch.Batch{Rows: m.Rows, X: m.X, C: m.C}, z)
	for i := range m.Rows {
		d := arch.Sigmoid(z[i]) - float64(m.Label[i])
		for j, x := range m.X[i*m.Numbers : (i+1)*m.Numbers] {
			grad[j] += d * float64(x)
		}
		base := m.Numbers
		for j, slot := range m.C[i*len(m.Cards) : (i+1)*len(m.Cards)] {
			grad[base+int(slot)] += d
			base += m.Cards[j]
		}
		grad[len(grad)-1] += d
	}
	return grad
}

// TestPlainGradientEqualsGorgonia compares a member's vector with the sums in
// plain Go, away from zero parameters.
func TestPlainGradientEqualsGorgonia(t *testing.T) {
	f := toyFederation(t, arch.Spec{Kind: arch.Logistic}, aggregate.Spec{Rounds: 3})
	f.steps(t, 5)
	step, _ := f.machine.Next()
	m := f.members[0]
	v, err := m.Local(f.machine, step, nil)
	require.NoError(t, err)
	data, err := m.TrainRows(f.machine.Encoder())
	require.NoError(t, err)
	for i, g := range gradient(f.machine.Params(), data) {
		require.InDelta(t, g, float64(v.X[i])*896, 1e-2) // 945 rows or so, four leading bits
	}
}

// steps runs so many steps.
func (f *federation) steps(t testing.TB, n int) {
	for range n {
		step, more := f.machine.Next()
		require.True(t, more)
		f.step(t, step)
	}
}

// TestFederatedMatchesPooled: each algorithm comes near the pooled optimum.
func TestFederatedMatchesPooled(t *testing.T) {
	for _, c := range []struct {
		name      string
		spec      arch.Spec
		algorithm aggregate.Spec
	}{
		{"logistic fedadam", arch.Spec{Kind: arch.Logistic}, aggregate.Spec{}},
		{"logistic fedadam 15 bits", arch.Spec{Kind: arch.Logistic}, aggregate.Spec{Bits: 15}},
		{"logistic newton", arch.Spec{Kind: arch.Logistic}, aggregate.Spec{Name: aggregate.Newton}},
		{"logistic fedavg", arch.Spec{Kind: arch.Logistic}, aggregate.Spec{Name: aggregate.FedAvg, LocalRate: 0.01, Batch: 64, Rounds: 30}},
		{"mlp", arch.Spec{Kind: arch.MLP, Hidden: []int{16}}, aggregate.Spec{}},
		{"mlp fedavgm", arch.Spec{Kind: arch.MLP, Hidden: []int{16}}, aggregate.Spec{Name: aggregate.FedAvgM, Rounds: 40}},
		{"mlp fedavg", arch.Spec{Kind: arch.MLP, Hidden: []int{16}}, aggregate.Spec{Name: aggregate.FedAvg, Rounds: 30, LocalRate: 0.01}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := toyFederation(t, c.spec, c.algorithm)
			f.run(t, true)
			pooled, err := train.Pooled(f.machine, f.members)
			require.NoError(t, err)
			best, got := f.overall(t, pooled.Params), f.overall(t, f.machine.Params())
			t.Logf("pooled %.4f in %d steps, federated %.4f", best, pooled.Steps, got)
			require.Greater(t, best, 0.8)
			require.InDelta(t, best, got, 0.01)
			require.InDelta(t, got, f.machine.Tally().AUROC().Value, 0.01)
			require.Equal(t, int64(4), f.machine.Tally().Gain.Defined)
			if c.algorithm.Name == aggregate.Newton {
				require.InDeltaSlice(t, pooled.Params, f.machine.Params(), 0.02)
			}
			for _, m := range f.members {
				require.Len(t, m.Figures().Federated, len(m.Figures().Labels))
				require.NoError(t, m.Close())
			}
		})
	}
}

// TestOneClassMemberTakesPart: it trains with the others, and its figures
// alone are undefined instead of zero.
func TestOneClassMemberTakesPart(t *testing.T) {
	var tables []*feature.Table
	for i := range 3 {
		tables = append(tables, toyTable(t, 500, uint64(i), i > 0))
	}
	for _, kind := range []string{arch.Logistic, arch.MLP} {
		f := newFederation(t, schedule.Config{Schema: tables[0].Schema(), Architecture: arch.Spec{Kind: kind}, Algorithm: aggregate.Spec{Rounds: 5}}, tables)
		f.run(t, true)
		for i, m := range f.members {
			_, err := m.Alone(f.machine)
			if i > 0 {
				require.NoError(t, err)
				require.NotNil(t, m.Figures().Alone)
				continue
			}
			require.ErrorIs(t, err, train.ErrOneClass)
			require.Nil(t, m.Figures().Alone)
			require.Nil(t, auroc(t, m.Figures().Federated, m.Figures().Labels))
		}
		require.Equal(t, int64(2), f.machine.Tally().Gain.Defined)
	}
}

// TestSameBitsOnAnyNumberOfCores: shards are fixed by constants.
func TestSameBitsOnAnyNumberOfCores(t *testing.T) {
	for _, spec := range []arch.Spec{{Kind: arch.Logistic}, {Kind: arch.MLP}} {
		var digests [][32]byte
		var fits [][]float32
		for _, cores := range []int{1, 2, 5} {
			before := runtime.GOMAXPROCS(cores)
			f := toyFederation(t, spec, aggregate.Spec{Rounds: 3})
			f.run(t, false)
			d, err := f.machine.Digest()
			require.NoError(t, err)
			fit, err := f.members[2].Alone(f.machine)
			require.NoError(t, err)
			digests, fits = append(digests, d), append(fits, fit.Params)
			runtime.GOMAXPROCS(before)
		}
		require.Equal(t, digests[0], digests[1])
		require.Equal(t, digests[0], digests[2])
		require.Equal(t, fits[0], fits[1])
	}
}

// TestLocalEpochsFollowTheStream: the caller's stream decides the order of rows.
func TestLocalEpochsFollowTheStream(t *testing.T) {
	f := toyFederation(t, arch.Spec{Kind: arch.MLP}, aggregate.Spec{Name: aggregate.FedAvgM, Rounds: 2, Batch: 32})
	step := f.until(t, schedule.Train)
	local := func(seed uint64) []float32 {
		v, err := f.members[0].Local(f.machine, step, stream(seed, 0, 0))
		require.NoError(t, err)
		return v.X
	}
	require.Equal(t, local(1), local(1))
	require.NotEqual(t, local(1), local(2))
	_, err := f.members[0].Local(f.machine, step, iotest.ErrReader(iotest.ErrTimeout))
	require.ErrorIs(t, err, iotest.ErrTimeout)
}

func TestLocalRefuses(t *testing.T) {
	f := toyFederation(t, arch.Spec{Kind: arch.Logistic}, aggregate.Spec{})
	m := f.members[0]
	_, err := m.Local(f.machine, schedule.Step{Kind: schedule.Grow}, nil)
	require.ErrorContains(t, err, "grow")
	for _, kind := range []schedule.Kind{schedule.Train, schedule.Evaluate} {
		_, err = m.Local(f.machine, schedule.Step{Kind: kind}, nil)
		require.ErrorContains(t, err, "encoder is not built yet")
	}
	_, err = m.Alone(f.machine)
	require.Error(t, err)
	_, err = m.Evaluate(f.machine)
	require.Error(t, err)
	_, err = train.Pooled(f.machine, f.members)
	require.Error(t, err)
	require.Nil(t, m.Figures())
	step := f.until(t, schedule.Train)
	empty := train.NewMember(toyTable(t, 100, 1, true).Subset(nil))
	_, err = empty.Local(f.machine, step, nil)
	require.ErrorContains(t, err, "no training rows")
}

func TestPoolRefuses(t *testing.T) {
	_, err := train.Pool()
	require.Error(t, err)
	a := &feature.Matrix{Rows: 1, Numbers: 1, X: []float32{1}, Label: []int8{1}, Row: []int32{0}}
	_, err = train.Pool(a, &feature.Matrix{Numbers: 2})
	require.ErrorContains(t, err, "encoders")
	_, err = train.Pool(a, &feature.Matrix{Rows: 1, Numbers: 1, X: []float32{1}})
	require.ErrorContains(t, err, "labels")
	_, err = train.Converge(train.Settings{Architecture: arch.Spec{Kind: arch.Logistic}}, &feature.Matrix{Rows: 1})
	require.ErrorContains(t, err, "labels")
	_, err = train.Scores(arch.Spec{Kind: arch.Logistic}, []float32{0, 0}, &feature.Matrix{Rows: 2, Numbers: 1, X: []float32{1}})
	require.Error(t, err)
}
