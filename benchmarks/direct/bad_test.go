package direct

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/models/trees"
	"github.com/koinon-eu/koinon/node/train"
)

var kinds = []string{arch.Logistic, arch.MLP, arch.Trees}

// learning is a short plan.
func learning(kind string, table *feature.Table, members int) schedule.Config {
	cfg := schedule.Config{Schema: table.Schema(), Architecture: arch.Spec{Kind: kind}, Seed: 2, Members: members}
	switch kind {
	case arch.Trees:
		cfg.Architecture.Trees = &trees.Params{Trees: 3, Depth: 3}
	case arch.MLP:
		cfg.Architecture.Hidden = []int{8}
		fallthrough
	default:
		cfg.Algorithm = aggregate.Spec{Rounds: 8}
	}
	return cfg
}

// runOn trains on a table divided by place and wants finite scores of every test row.
func runOn(t *testing.T, kind string, rows []string) *Result {
	t.Helper()
	table := tableOf(t, rows)
	members, err := Partition{Kind: Column, Column: "place"}.Divide(table, 1)
	require.NoError(t, err)
	r, err := Run(t.Context(), Config{Learning: learning(kind, table, len(members)), Members: members, Seed: 1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	for _, w := range r.Workers {
		figures, err := w.Evaluate(r.Machine)
		require.NoError(t, err)
		for _, score := range figures.Federated {
			require.False(t, math.IsNaN(score) || score < 0 || score > 1, "score %v", score)
		}
	}
	require.NotNil(t, r.Machine.Tally())
	return r
}

// TestBadInput: tables that come wrong from a registry still train, and the columns that say nothing say nothing.
func TestBadInput(t *testing.T) {
	for name, edit := range map[string]func(i int, row []string){
		"a constant number":           func(_ int, row []string) { row[0] = "3.5" },
		"a constant category":         func(_ int, row []string) { row[1] = "same" },
		"constant in one node":        func(i int, row []string) { setIn(i, row, 0, "1") },
		"a category of one row":       func(i int, row []string) { setRow(i, 7, row, 1, "rare") },
		"a group of one row":          func(i int, row []string) { setRow(i, 7, row, 2, "rare") },
		"one class in one node":       func(i int, row []string) { setIn(i, row, 3, "0") },
		"ten rows in one node":        func(i int, row []string) { few(i, row, 10) },
		"one row in one node":         func(i int, row []string) { few(i, row, 1) },
		"a column missing everywhere": func(_ int, row []string) { row[0] = "" },
		"a column missing in one":     func(i int, row []string) { setIn(i, row, 0, "") },
		"categories missing":          func(_ int, row []string) { row[1], row[2] = "", "" },
	} {
		for _, kind := range kinds {
			t.Run(name+", "+kind, func(t *testing.T) { runOn(t, kind, drawn(600, 4, edit)) })
		}
	}
}

// TestNothingToLearnFrom: where no feature varies, the last statistics sum ends in an error that says what to do.
func TestNothingToLearnFrom(t *testing.T) {
	for name, edit := range map[string]func(i int, row []string){
		"constant": func(_ int, row []string) { row[0], row[1] = "3.5", "same" },
		"missing":  func(_ int, row []string) { row[0], row[1] = "", "" },
	} {
		table := tableOf(t, drawn(300, 4, edit))
		members, err := Partition{Kind: IID, Nodes: 3}.Divide(table, 1)
		require.NoError(t, err)
		for _, kind := range kinds {
			_, err = Run(t.Context(), Config{Learning: learning(kind, table, 3), Members: members, Seed: 1})
			require.ErrorContains(t, err, "statistics: every feature column is constant or empty over all members: the schema needs one that varies", name)
		}
	}
}

// setIn sets a field of the rows of the first node, setRow that of one row.
func setIn(i int, row []string, column int, value string) {
	if i%5 == 0 {
		row[column] = value
	}
}

func setRow(i, at int, row []string, column int, value string) {
	if i == at {
		row[column] = value
	}
}

// few leaves n rows to the first node.
func few(i int, row []string, n int) {
	if i%5 == 0 && i >= 5*n {
		row[4] = "p1"
	}
}

// TestOneClassHasNoModelAlone: there is nothing to separate, so that node's own figures are undefined and the federated
// ones are not.
func TestOneClassHasNoModelAlone(t *testing.T) {
	for _, kind := range kinds {
		r := runOn(t, kind, drawn(600, 4, func(i int, row []string) { setIn(i, row, 3, "1") }))
		figures, err := r.Workers[0].Evaluate(r.Machine)
		require.NoError(t, err)
		require.Nil(t, figures.Alone, kind)
		if kind != arch.Trees {
			_, err = r.Workers[0].Alone(r.Machine)
			require.ErrorIs(t, err, train.ErrOneClass)
		}
		figures, err = r.Workers[1].Evaluate(r.Machine)
		require.NoError(t, err)
		require.NotNil(t, figures.Alone, kind)
	}
}

// TestManyCategories: of 10⁵ values of a category, those that rows enough have are learnt, up to the limit, and the rest
// are unknown.
func TestManyCategories(t *testing.T) {
	rows := drawn(100_000, 5, func(i int, row []string) { row[1] = fmt.Sprintf("value %d", i); setIn(i, row, 1, "often") })
	for _, kind := range kinds {
		r := runOn(t, kind, rows)
		slots := r.Machine.Encoder().Categories()[0]
		require.Less(t, slots, feature.MaxValues+3, kind)
	}
}

// TestTooFewRows: who has fewer rows than the plan wants is left out, and a sum of too few members is an error that says
// what to do.
func TestTooFewRows(t *testing.T) {
	table := tableOf(t, drawn(600, 6, func(i int, row []string) { few(i, row, 10) }))
	members, err := Partition{Kind: Column, Column: "place"}.Divide(table, 1)
	require.NoError(t, err)
	cfg := Config{Learning: learning(arch.Logistic, table, len(members)), Members: members, Seed: 1, Minimum: 4}
	cfg.Learning.MinRows = 50
	trained := map[string]bool{}
	cfg.Summed = func(v Vector) bool {
		if v.Step.Kind == schedule.Train {
			trained[v.Member] = true
		}
		return true
	}
	r, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Len(t, trained, 4)
	require.False(t, trained["p0"])

	cfg.Minimum = 5
	_, err = Run(t.Context(), cfg)
	require.ErrorContains(t, err, "step 1, statistics: 4 of 5 members have rows enough")
	require.ErrorContains(t, err, "make fewer nodes")

	cfg.Minimum, cfg.Members = 0, members[1:]
	_, err = Run(t.Context(), cfg)
	require.ErrorContains(t, err, "plan has 5 members, there are 4 tables")
}

// TestGoesOnFromAMachine: a run that was left ends at the same state as one in one go.
func TestGoesOnFromAMachine(t *testing.T) {
	table := tableOf(t, drawn(600, 8, nil))
	members, err := Partition{Kind: IID, Nodes: 3}.Divide(table, 1)
	require.NoError(t, err)
	cfg := Config{Learning: learning(arch.Logistic, table, 3), Members: members, Seed: 1}
	whole, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	cfg.Machine, err = schedule.New(cfg.Learning)
	require.NoError(t, err)
	cfg.Progress = func(step int) {
		if step == 6 {
			stop()
		}
	}
	_, err = Run(ctx, cfg)
	require.ErrorIs(t, err, context.Canceled)
	rest, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, whole.Machine.Params(), rest.Machine.Params())
	require.NoError(t, whole.Close())
	require.NoError(t, rest.Close())
}

// TestWorkersBeginAfresh: workers of an earlier run, of another algorithm and of other figures, make the same model as
// fresh ones.
func TestWorkersBeginAfresh(t *testing.T) {
	table := tableOf(t, drawn(600, 7, nil))
	members, err := Partition{Kind: IID, Nodes: 4}.Divide(table, 1)
	require.NoError(t, err)
	run := func(algorithm string, workers []*train.Member) ([]float32, []*train.Member) {
		cfg := learning(arch.MLP, table, 4)
		cfg.Algorithm.Name = algorithm
		r, err := Run(t.Context(), Config{Learning: cfg, Members: members, Seed: 1, Workers: workers})
		require.NoError(t, err)
		return r.Machine.Params(), r.Workers
	}
	var workers []*train.Member
	for _, algorithm := range []string{aggregate.Scaffold, aggregate.FedAdam, aggregate.FedProx, aggregate.Scaffold} {
		fresh, own := run(algorithm, nil)
		var used []float32
		used, workers = run(algorithm, workers)
		require.Equal(t, fresh, used, algorithm)
		for _, w := range own {
			require.NoError(t, w.Close())
		}
	}
	require.NoError(t, (&Result{Workers: workers}).Close())
}
