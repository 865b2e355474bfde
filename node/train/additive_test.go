package train_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/models/trees"
	"github.com/koinon-eu/koinon/node/train"
)

// declaredToy is the schema of toyTable with what a plan with noise needs.
var declaredToy = strings.NewReplacer("a: {type: number}", "a: {type: number, range: [-5, 5]}",
	"b: {type: number}", "b: {type: number, range: [-5, 5]}", "c: {type: category}", "c: {type: category, values: [c0, c1, c2, c3, c4]}",
	"role: group}", "role: group, values: [g0, g1]}").Replace(toySchema)

// noisyForest is a federation whose plan has additive growth and noise.
func noisyForest(t testing.TB, noise, statistics float64) *federation {
	schema, err := feature.ParseSchema([]byte(declaredToy))
	require.NoError(t, err)
	var tables []*feature.Table
	for i, rows := range []int{6000, 4000, 5000} {
		tables = append(tables, toyTableOf(t, schema, rows, uint64(i), true))
	}
	f := newFederation(t, schedule.Config{
		Schema: schema, Architecture: arch.Spec{Kind: arch.Trees, Trees: &trees.Params{Growth: trees.Additive}}, Seed: 3,
		Privacy: &schedule.Privacy{Epsilon: 8, Delta: 1e-6, Noise: noise, StatisticsNoise: statistics},
	}, tables)
	for i, m := range f.members {
		m.SetRunKey([32]byte{1, byte(i)})
	}
	return f
}

// TestNoisyForest: one sum of statistics and one an epoch, each with its cost;
// rows count 1 in every one; and the model is worth something all the same.
// // trees 58–62
func TestNoisyForest(t *testing.T) {
	f := noisyForest(t, 4, 2)
	kinds := map[schedule.Kind]int{}
	for {
		step, more := f.machine.Next()
		if !more {
			break
		}
		kinds[step.Kind]++
		m, noisy := f.machine.Config().Mechanism(step.Kind)
		require.Equal(t, step.Kind != schedule.Evaluate, noisy)
		if noisy {
			require.Equal(t, uint32(1), step.Encoding.WeightCap, "a row count is a figure about rows")
			require.Equal(t, 1.0, m.Rate)
			require.Equal(t, uint64(1), m.Steps)
		}
		if step.Kind == schedule.Grow {
			require.Equal(t, dp.Mechanism{Rate: 1, Noise: 4, Steps: 1}, m)
		}
		f.step(t, step)
	}
	require.Equal(t, map[schedule.Kind]int{schedule.Statistics: 1, schedule.Grow: 30, schedule.Evaluate: 1}, kinds)
	require.Equal(t, []dp.Mechanism{{Rate: 1, Noise: 2, Steps: 1}, {Rate: 1, Noise: 4, Steps: 30}}, f.machine.Config().Mechanisms())
	require.Greater(t, f.machine.Tally().AUROC().Value, 0.8)
	require.Zero(t, f.machine.Tally().Gain.Defined, "models of members alone have no noise")
	pooled, err := train.PooledForest(f.machine, f.members)
	require.NoError(t, err)
	require.NotEqual(t, f.machine.Forest().Ensemble(), pooled)
	require.Len(t, pooled.Trees, len(f.machine.Forest().Ensemble().Trees))
}

// TestNoiseOfAStep: the noise is what the plan says, covers every number, is the
// same however often a step is asked, and another at another member and after
// other sums. // trees 61, S79
func TestNoiseOfAStep(t *testing.T) {
	f, late := noisyForest(t, 4, 2), noisyForest(t, 4, 2)
	step := f.until(t, schedule.Grow)
	first, err := f.members[0].Local(f.machine, step, nil)
	require.NoError(t, err)
	again, err := late.members[0].Local(f.machine, step, nil) // a node that was started anew
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Equal(t, uint32(1), first.Rows)

	late.members[0].SetRunKey([32]byte{9})
	other, err := late.members[0].Local(f.machine, step, nil)
	require.NoError(t, err)
	sum, n := 0.0, 0
	for i := range first.Ints {
		require.NotEqual(t, first.Ints[i], other.Ints[i])
		d := float64(first.Ints[i]-other.Ints[i]) / f.machine.Forest().Sigma()
		sum, n = sum+d*d, n+1
	}
	require.InDelta(t, 2, sum/float64(n), 1, "%d differences of two noises of σ 1", n)

	next := step
	next.Query[0] ^= 1
	moved, err := f.members[0].Local(f.machine, next, nil)
	require.NoError(t, err)
	require.NotEqual(t, first.Ints, moved.Ints)

	f.members[0].SetRunKey([32]byte{})
	_, err = f.members[0].Local(f.machine, step, nil)
	require.ErrorIs(t, err, train.ErrNoRunKey)
}

// TestNoiseOfOtherRows: a node whose rows are others, though run and question are
// the same, has other noise: a difference of two answers would be free of it.
func TestNoiseOfOtherRows(t *testing.T) {
	f := noisyForest(t, 4, 2)
	step := f.until(t, schedule.Grow)
	var answers [2]train.Vector
	for i, rows := range []int{6000, 5996} {
		m := train.NewMember(toyTableOf(t, f.machine.Config().Schema, rows, 0, true))
		m.SetRunKey([32]byte{1})
		var err error
		answers[i], err = m.Local(f.machine, step, nil)
		require.NoError(t, err)
	}
	sigma, far := f.machine.Forest().Sigma(), 0
	for i, v := range answers[0].Ints {
		if math.Abs(float64(v-answers[1].Ints[i])) > sigma/10 {
			far++
		}
	}
	require.Greater(t, far, len(answers[0].Ints)/2, "numbers whose noise is another")
}

// TestTooMuchNoise: where nothing would show, the statistics' sum is refused with
// the reason. // trees 64
func TestTooMuchNoise(t *testing.T) {
	f := noisyForest(t, 900, 2)
	step, _ := f.machine.Next()
	words := make([]uint64, step.Encoding.Layout.Words())
	for _, m := range f.members {
		v, err := m.Local(f.machine, step, stream(1, 2, 3))
		require.NoError(t, err)
		w, err := step.Encoding.Encode(nil, v.Ints, v.Rows, nil)
		require.NoError(t, err)
		for i := range w {
			words[i] += w[i]
		}
	}
	before, err := f.machine.Digest()
	require.NoError(t, err)
	require.ErrorIs(t, f.machine.Apply(words, 3), trees.ErrNoise)
	after, err := f.machine.Digest()
	require.NoError(t, err)
	require.Equal(t, before, after)
}
