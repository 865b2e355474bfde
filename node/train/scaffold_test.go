package train_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/update"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train"
)

func floats(b []byte) []float64 {
	v := make([]float64, len(b)/8)
	for i := range v {
		v[i] = math.Float64frombits(binary.BigEndian.Uint64(b[8*i:]))
	}
	return v
}

// scaffoldFederation has members that see one another's rare rows: tables as
// unlike as they can be.
func scaffoldFederation(t *testing.T, name string, rate float64, epochs, rounds int) *federation {
	schema, err := feature.ParseSchema([]byte(toySchema))
	require.NoError(t, err)
	var tables []*feature.Table
	for member := range 4 {
		r := rand.New(rand.NewPCG(uint64(member), 77))
		var b strings.Builder
		b.WriteString("y,a,b,c,g\n")
		for range 600 {
			// Each member sees a corner of its own, and labels that its corner alone explains otherwise.
			x, z := r.NormFloat64()*0.5+float64(member%2)*2-1, r.NormFloat64()*0.5+float64(member/2)*2-1
			label := 0
			if r.Float64() < arch.Sigmoid(1.5*x-2*z+x*z) {
				label = 1
			}
			fmt.Fprintf(&b, "%d,%.4f,%.4f,c%d,g%d\n", label, x, z, r.IntN(3), r.IntN(2))
		}
		table, err := feature.ReadCSV(strings.NewReader(b.String()), schema, feature.Limits{})
		require.NoError(t, err)
		table, err = table.SplitFraction(0.3, uint64(member))
		require.NoError(t, err)
		tables = append(tables, table)
	}
	return newFederation(t, schedule.Config{
		Schema: schema, Architecture: arch.Spec{Kind: arch.Logistic}, Seed: 3,
		Algorithm: aggregate.Spec{
			Name: name, Local: aggregate.MiniBatch, Rounds: rounds, LocalEpochs: epochs, LocalRate: rate, Batch: 1 << 12, WeightBits: 32,
		},
	}, tables)
}

// excess is the objective of the model over all rows beside the least there is.
func (f *federation) excess(t *testing.T) float64 {
	fit, err := train.Pooled(f.machine, f.members)
	require.NoError(t, err)
	var parts []*feature.Matrix
	for _, m := range f.members {
		rows, err := m.TrainRows(f.machine.Encoder())
		require.NoError(t, err)
		parts = append(parts, rows)
	}
	pool, err := train.Pool(parts...)
	require.NoError(t, err)
	objective := func(params []float32) float64 {
		m, err := arch.NewModel(arch.Spec{Kind: arch.Logistic}, train.Shape(pool), params)
		require.NoError(t, err)
		z, sum := make([]float64, pool.Rows), 0.0
		m.Logits(arch.Batch{Rows: pool.Rows, X: pool.X, C: pool.C}, z)
		for i, v := range z {
			sum += arch.Loss(v, pool.Label[i])
		}
		for _, w := range params[:len(params)-1] {
			sum += float64(w) * float64(w) / 2
		}
		return sum / float64(pool.Rows)
	}
	return objective(f.machine.Params()) - objective(fit.Params)
}

// TestScaffoldCorrectsDrift: with many local steps on unlike tables FedAvg ends
// beside the optimum, SCAFFOLD at it (Karimireddy et al. 2020, Theorems II and
// III). Under fedavg Adam takes the local steps, under scaffold plain ones.
func TestScaffoldCorrectsDrift(t *testing.T) {
	plain := scaffoldFederation(t, aggregate.FedAvg, 0.02, 30, 60)
	plain.run(t, false)
	corrected := scaffoldFederation(t, aggregate.Scaffold, 0.3, 30, 60)
	corrected.run(t, false)
	drift, left := plain.excess(t), corrected.excess(t)
	t.Logf("objective above the optimum: fedavg %.2g, scaffold %.2g", drift, left)
	require.Greater(t, drift, 1e-3)
	require.Less(t, left, 1e-5)
}

// TestScaffoldStep compares a member's vector with the algorithm written out,
// one full batch a step, and the server's variate with the mean of the members'.
func TestScaffoldStep(t *testing.T) {
	f := scaffoldFederation(t, aggregate.Scaffold, 0.1, 3, 5)
	step := f.until(t, schedule.Train)
	for range 2 {
		f.step(t, step)
		step, _ = f.machine.Next()
	}
	c, start := f.machine.Control(), f.machine.Params()
	d := len(start)
	own := floats(f.members[1].Control())
	require.Len(t, own, d)
	rows, err := f.members[1].TrainRows(f.machine.Encoder())
	require.NoError(t, err)
	y := append([]float32(nil), start...)
	for range 3 {
		g := gradient(y, rows)
		for i := range y {
			g[i] /= float64(rows.Rows)
			if i < d-1 {
				g[i] += float64(y[i]) / float64(f.machine.Encoder().Rows)
			}
		}
		for i := range y {
			y[i] -= float32(0.1 * (g[i] - own[i] + c[i]))
		}
	}
	v, err := f.members[1].Local(f.machine, step, stream(1, 1, 1))
	require.NoError(t, err)
	require.Len(t, v.X, 2*d)
	require.Equal(t, 2*d, step.Encoding.Layout.Params)
	for i := range y {
		require.InDelta(t, y[i]-start[i], v.X[i], 1e-5)
		require.InDelta(t, float64(start[i]-y[i])/0.3-c[i], v.X[d+i], 1e-4)
	}
	mean, total := make([]float64, d), 0.0
	for _, m := range f.members {
		weight := float64(update.Weight(uint32(m.Rows()), step.Encoding.WeightCap, step.Encoding.WeightBits))
		total += weight
		for i, x := range floats(m.Control()) {
			mean[i] += weight * x
		}
	}
	for i := range mean {
		require.InDelta(t, mean[i]/total, c[i], 1e-5)
	}
}

// TestScaffoldSettles: a variate changes when the member was in the closed sum
// and only then, survives a restart, and no further step is answered before.
func TestScaffoldSettles(t *testing.T) {
	f := scaffoldFederation(t, aggregate.Scaffold, 0.1, 1, 4)
	step := f.until(t, schedule.Train)
	m := f.members[0]
	first, err := m.Local(f.machine, step, stream(1, 0, 0))
	require.NoError(t, err)
	again, err := m.Local(f.machine, step, stream(1, 0, 0)) // the same step after an abort
	require.NoError(t, err)
	require.Equal(t, first, again)
	later := step
	later.Ordinal++
	_, err = m.Local(f.machine, later, stream(1, 0, 0))
	require.ErrorIs(t, err, train.ErrUnsettled)
	m.Settle(later, true) // of another step: says nothing of this one
	_, err = m.Local(f.machine, later, stream(1, 0, 0))
	require.ErrorIs(t, err, train.ErrUnsettled)
	before := m.Control()
	m.Settle(step, false)
	require.Equal(t, before, m.Control())
	_, err = m.Local(f.machine, step, stream(1, 0, 0))
	require.NoError(t, err)
	m.Settle(step, true)
	after := floats(m.Control())
	d := len(after)
	for i, x := range first.X[d:] {
		require.InDelta(t, x, after[i], 1e-7)
	}
	other := train.NewMember(toyTable(t, 100, 1, true))
	require.NoError(t, other.SetControl(m.Control()))
	require.Equal(t, m.Control(), other.Control())
	require.Error(t, other.SetControl([]byte{1}))
	require.Error(t, other.SetControl(binary.BigEndian.AppendUint64(nil, math.Float64bits(math.NaN()))))
	require.Nil(t, f.members[1].Control())
}
