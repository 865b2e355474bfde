package train_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/update"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train"
	"github.com/koinon-eu/koinon/node/train/trees"
)

// TestJudges: the validation words are the coarse number of the drawn rows and
// their mean loss; those rows are in no gradient.
func TestJudges(t *testing.T) {
	f := toyFederation(t, arch.Spec{Kind: arch.Logistic}, aggregate.Spec{Rounds: 3, Stop: aggregate.Stop{Patience: 2, Every: 2, Validation: 0.3}})
	step := f.until(t, schedule.Train)
	require.True(t, step.Judges)
	m := f.members[0]
	v, err := m.Local(f.machine, step, nil)
	require.NoError(t, err)
	rows, err := m.TrainRows(f.machine.Encoder())
	require.NoError(t, err)
	scores, err := train.Scores(f.machine.Config().Architecture, f.machine.Params(), rows)
	require.NoError(t, err)
	held := trees.Held(f.machine.Config().Digest(), 0.3, toyTable(t, 1500, 0, true), rows.Row)
	n, loss := 0, 0.0
	for i, p := range scores {
		if held[i] {
			n++
			loss -= math.Log(math.Abs(1 - float64(rows.Label[i]) - p))
		}
	}
	require.InDelta(t, 0.3, float64(n)/float64(rows.Rows), 0.05)
	require.Equal(t, uint32(rows.Rows-n), v.Rows)
	weight := update.Weight(uint32(n), step.Encoding.WeightCap, step.Encoding.WeightBits)
	require.NotEqual(t, uint64(n), weight, "coarse")
	require.Equal(t, int64(weight), v.Ints[1])
	require.InDelta(t, loss/float64(n), float64(v.Ints[0])/float64(weight)/aggregate.LossUnit, 1e-5)

	f.step(t, step)
	step, _ = f.machine.Next()
	require.False(t, step.Judges)
	v, err = m.Local(f.machine, step, nil)
	require.NoError(t, err)
	require.Empty(t, v.Ints)
}

// TestStopsEarly: each algorithm trains with validation words in its sums, a
// network that would learn rows by heart ends before its rounds, and what the
// members evaluate is the chosen model.
func TestStopsEarly(t *testing.T) {
	for _, c := range []struct {
		kind      string
		algorithm aggregate.Spec
		early     bool
	}{
		{arch.Logistic, aggregate.Spec{Rounds: 10}, false},
		{arch.Logistic, aggregate.Spec{Name: aggregate.Newton, Rounds: 12}, true},
		{arch.MLP, aggregate.Spec{Rounds: 40, LocalEpochs: 4, Batch: 32, LocalRate: 0.01}, true},
		{arch.MLP, aggregate.Spec{Name: aggregate.Scaffold, Rounds: 4}, false},
	} {
		t.Run(c.kind+" "+c.algorithm.Name, func(t *testing.T) {
			c.algorithm.Stop = aggregate.Stop{Patience: 3}
			f := toyFederation(t, arch.Spec{Kind: c.kind}, c.algorithm)
			f.run(t, true)
			applied, planned := f.machine.Rounds()
			chosen, round := f.machine.Chosen()
			t.Logf("%d of %d rounds, chosen after %d, losses %.4f", applied, planned, round, f.machine.Losses())
			require.Equal(t, c.early, f.machine.Stopped())
			require.Equal(t, c.early, applied < planned)
			require.Greater(t, f.overall(t, chosen), 0.7)
			figures, err := f.members[0].Evaluate(f.machine)
			require.NoError(t, err)
			test, err := f.members[0].TestRows(f.machine.Encoder())
			require.NoError(t, err)
			want, err := train.Scores(f.machine.Config().Architecture, chosen, test)
			require.NoError(t, err)
			require.Equal(t, want, figures.Federated)
		})
	}
}

// TestLastRowStillTrains: a member whose only training row was drawn to judge
// lets it train, and has no word in the judgement.
func TestLastRowStillTrains(t *testing.T) {
	schema, err := feature.ParseSchema([]byte(strings.Replace(toySchema, "columns:", "split: {column: part, test: test}\ncolumns:", 1)))
	require.NoError(t, err)
	stop := aggregate.Stop{Patience: 1, Validation: 0.5}
	alone := 0
	for seed := range uint64(8) {
		var tables []*feature.Table
		for member := range 3 {
			var b strings.Builder
			b.WriteString("y,a,b,c,g,part\n")
			rows := 60
			if member == 2 {
				rows = 1
			}
			for i := range rows {
				fmt.Fprintf(&b, "%d,%d,%d,c%d,g,train\n", i%2, i, (i*7)%11, i%2)
			}
			table, err := feature.ReadCSV(strings.NewReader(b.String()), schema, feature.Limits{})
			require.NoError(t, err)
			tables = append(tables, table)
		}
		f := newFederation(t, schedule.Config{Schema: schema, Architecture: arch.Spec{Kind: arch.Logistic}, Algorithm: aggregate.Spec{Rounds: 2, Stop: stop}, Seed: seed}, tables)
		step := f.until(t, schedule.Train)
		v, err := f.members[2].Local(f.machine, step, nil)
		require.NoError(t, err)
		require.Equal(t, uint32(1), v.Rows)
		require.Equal(t, []int64{0, 0}, v.Ints)
		if trees.Held(f.machine.Config().Digest(), 0.5, tables[2], []int32{0})[0] {
			alone++
		}
	}
	require.Positive(t, alone, "no draw took the only row: this tests nothing")
}
