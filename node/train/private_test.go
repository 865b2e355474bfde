package train_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train"
	"github.com/koinon-eu/koinon/node/train/trees"
)

const privateSchema = `
name: toy
label: {column: y, positive: "1", empty: skip}
columns:
  a: {type: number, range: [-4, 4]}
  b: {type: number, range: [-4, 4]}
  c: {type: category, values: [c0, c1, c2, c3, c4]}
  g: {type: category, role: group, values: [g0, g1]}
`

// unlabelled is the seed of tables without a row to train on.
const unlabelled = 1000

// privateTable is toyTable under a schema that private statistics take.
func privateTable(t testing.TB, rows int, seed uint64) *feature.Table {
	schema, err := feature.ParseSchema([]byte(privateSchema))
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(seed, 11))
	var b strings.Builder
	b.WriteString("y,a,b,c,g\n")
	for range rows {
		x, z, c, label := r.NormFloat64(), r.NormFloat64(), r.IntN(5), "0"
		if r.Float64() < arch.Sigmoid(1.2*x-z+0.8*float64(c-2)) {
			label = "1"
		}
		if seed == unlabelled {
			label = ""
		}
		fmt.Fprintf(&b, "%s,%.4f,%.4f,c%d,g%d\n", label, max(-4, min(4, x)), max(-4, min(4, z)), c, r.IntN(2))
	}
	table, err := feature.ReadCSV(strings.NewReader(b.String()), schema, feature.Limits{})
	require.NoError(t, err)
	table, err = table.SplitFraction(0.3, seed)
	require.NoError(t, err)
	return table
}

func privateFederation(t testing.TB, spec arch.Spec, algorithm aggregate.Spec, p *schedule.Privacy) *federation {
	var tables []*feature.Table
	for i, rows := range []int{1500, 900, 600, 1000} {
		tables = append(tables, privateTable(t, rows, uint64(i)))
	}
	return newFederation(t, schedule.Config{
		Schema: tables[0].Schema(), Architecture: spec, Algorithm: algorithm, Seed: 3, Privacy: p,
	}, tables)
}

// TestHardlyAnyNoiseIsNoPrivacy: with noise far below anything learnt, a private
// run comes to what a plain one comes to, in both shapes of training.
func TestHardlyAnyNoiseIsNoPrivacy(t *testing.T) {
	for name, c := range map[string]struct {
		spec      arch.Spec
		algorithm aggregate.Spec
		rate      float64
	}{
		"one gradient a round":           {arch.Spec{Kind: arch.Logistic}, aggregate.Spec{Rounds: 60}, 1},
		"one gradient of sampled rows":   {arch.Spec{Kind: arch.Logistic}, aggregate.Spec{Rounds: 60}, 0.5},
		"local steps":                    {arch.Spec{Kind: arch.MLP, Hidden: []int{8}}, aggregate.Spec{Rounds: 30, Batch: 32}, 0.05},
		"local steps drawn to the start": {arch.Spec{Kind: arch.MLP, Hidden: []int{8}}, aggregate.Spec{Name: aggregate.FedProx, Rounds: 60, Batch: 32}, 0.05},
	} {
		t.Run(name, func(t *testing.T) {
			plain := privateFederation(t, c.spec, c.algorithm, nil)
			plain.run(t, true)
			private := privateFederation(t, c.spec, c.algorithm, &schedule.Privacy{Noise: 0.001, StatisticsNoise: 0.001, Clip: 100, Rate: c.rate})
			private.run(t, true)
			require.InDelta(t, plain.overall(t, plain.machine.Params()), private.overall(t, private.machine.Params()), 0.01)
			require.Positive(t, plain.machine.Tally().Gain.Defined)
			require.Zero(t, private.machine.Tally().Gain.Defined, "a gain follows from a model without noise")
		})
	}
}

// TestPrivateVectorsTellNothingElse: weights are fixed, a member without rows
// answers like the others, and noise is drawn anew.
func TestPrivateVectorsTellNothingElse(t *testing.T) {
	for _, local := range []string{aggregate.FullBatch, aggregate.MiniBatch} {
		f := privateFederation(t, arch.Spec{Kind: arch.Logistic}, aggregate.Spec{Local: local, Rounds: 2},
			&schedule.Privacy{Noise: 1, StatisticsNoise: 2, Clip: 1, Rate: 0.2})
		first, _ := f.machine.Next()
		require.Equal(t, uint32(1), first.Encoding.WeightCap)
		empty := train.NewMember(privateTable(t, 5, unlabelled))
		for {
			step, more := f.machine.Next()
			if !more || step.Kind == schedule.Evaluate {
				break
			}
			require.Equal(t, uint32(1), step.Encoding.WeightCap)
			a, err := f.members[0].Local(f.machine, step, stream(1, 1, 1))
			require.NoError(t, err)
			b, err := f.members[0].Local(f.machine, step, stream(2, 1, 1))
			require.NoError(t, err)
			none, err := empty.Local(f.machine, step, stream(1, 1, 1))
			require.NoError(t, err, "no rows are no reason to stay away")
			require.NotEqual(t, a, b)
			for _, v := range []train.Vector{a, b, none} {
				require.Equal(t, uint32(1), v.Rows)
				_, err := step.Encoding.Encode(v.X, v.Ints, v.Rows, stream(1, 2, 3))
				require.NoError(t, err)
			}
			_, err = f.members[0].Local(f.machine, step, iotest.ErrReader(iotest.ErrTimeout))
			require.ErrorIs(t, err, iotest.ErrTimeout, "without randomness there is no vector")
			f.step(t, step)
		}
		require.NoError(t, empty.Close())
	}
}

// judgingTables are four members' with identifiers.
func judgingTables(t testing.TB) []*feature.Table {
	var tables []*feature.Table
	for i, rows := range []int{1500, 900, 600, 1000} {
		schema, err := feature.ParseSchema([]byte(strings.Replace(privateSchema, "name: toy\n", "name: toy\nid: file\n", 1)))
		require.NoError(t, err)
		r := rand.New(rand.NewPCG(uint64(i), 12))
		var b strings.Builder
		b.WriteString("file,y,a,b,c,g\n")
		for row := range rows {
			x, z, c, label := r.NormFloat64(), r.NormFloat64(), r.IntN(5), "0"
			if r.Float64() < arch.Sigmoid(1.2*x-z+0.8*float64(c-2)) {
				label = "1"
			}
			fmt.Fprintf(&b, "%d-%d,%s,%.4f,%.4f,c%d,g%d\n", i, row, label, max(-4, min(4, x)), max(-4, min(4, z)), c, r.IntN(2))
		}
		table, err := feature.ReadCSV(strings.NewReader(b.String()), schema, feature.Limits{})
		require.NoError(t, err)
		table, err = table.SplitFraction(0.3, uint64(i))
		require.NoError(t, err)
		tables = append(tables, table)
	}
	return tables
}

// judging is a private federation whose training may stop early.
func judging(t testing.TB, tables []*feature.Table, p *schedule.Privacy, search *schedule.Search) *federation {
	return newFederation(t, schedule.Config{
		Schema: tables[0].Schema(), Architecture: arch.Spec{Kind: arch.MLP, Hidden: []int{8}}, Seed: 3, Privacy: p, Search: search,
		Algorithm: aggregate.Spec{Name: aggregate.FedAvgM, Rounds: 12, Stop: aggregate.Stop{Patience: 4, Validation: 0.3}},
	}, tables)
}

// TestPrivateJudgement: with hardly any noise the word of a judgement is the capped losses of the rows that judge;
// with noise it scatters by judge_noise; the number of rows it stands for is no member's own.
func TestPrivateJudgement(t *testing.T) {
	tables := judgingTables(t)
	f := judging(t, tables, &schedule.Privacy{Noise: 0.01, StatisticsNoise: 0.01, Clip: 100, Rate: 0.1, JudgeNoise: 2}, nil)
	step := f.until(t, schedule.Train)
	require.True(t, step.Judges)
	var words []float64
	for seed := range uint64(60) {
		v, err := f.members[1].Local(f.machine, step, stream(seed, 5, 5))
		require.NoError(t, err)
		require.Len(t, v.Ints, 2)
		require.Equal(t, f.machine.Judges(), v.Ints[1])
		words = append(words, float64(v.Ints[0])/schedule.JudgeUnit)
	}
	require.InDelta(t, 0.3*4000*0.7/4, f.machine.Judges(), 40, "of a mean member, whatever this one has")
	mean, spread := 0.0, 0.0
	for _, w := range words {
		mean += w / float64(len(words))
	}
	for _, w := range words {
		spread += (w - mean) * (w - mean) / float64(len(words)-1)
	}
	require.InDelta(t, 4, spread, 2.5, "the variance of noise 2, in what one row can move")
	rows, err := f.members[1].TrainRows(f.machine.Encoder())
	require.NoError(t, err)
	scores, err := train.Scores(f.machine.Config().Architecture, f.machine.Params(), rows)
	require.NoError(t, err)
	judges := trees.Held(f.machine.Lot(), 0.3, tables[1], rows.Row)
	want := 0.0
	for i, p := range scores {
		if judges[i] {
			want += min(4, -math.Log(math.Abs(1-float64(rows.Label[i])-p))) / 4
		}
	}
	require.InDelta(t, want, mean, 1)
}

// TestPrivateSearch: settings are compared by noisy judgements, and the run goes on with one of them.
func TestPrivateSearch(t *testing.T) {
	f := judging(t, judgingTables(t), &schedule.Privacy{Noise: 0.01, StatisticsNoise: 0.01, Clip: 10, Rate: 0.1, JudgeNoise: 1},
		&schedule.Search{Candidates: 3, Grid: schedule.Grid{LocalRate: []float64{0.00001, 0.01, 0.02}}})
	f.run(t, true)
	all := f.machine.Candidates()
	require.Len(t, all, 3)
	for _, c := range all {
		require.Equal(t, c.Live, c.Rounds > 4, "%+v", all)
		require.False(t, c.Live && c.Settings == "local_rate 1e-05")
	}
	require.Greater(t, f.overall(t, f.machine.Params()), 0.7)
}
