package schedule

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
)

// searching tries four rates beside the plan's own: rungs of 4 with 2 rounds, of
// 2 with 4, and then one to the end.
func searching(t testing.TB) Config {
	cfg := config(t, arch.MLP, aggregate.FedAvgM)
	cfg.Algorithm.Rounds, cfg.Algorithm.Stop = 6, aggregate.Stop{Patience: 3}
	cfg.Search = &Search{Candidates: 4, Grid: Grid{LocalRate: []float64{0.001, 0.003, 0.01, 0.03}, Hidden: [][]int{{4}, {3, 2}}}}
	return cfg
}

// trial answers the next step with random changes, and with the loss that lost
// gives the candidate whose turn it is.
func trial(t testing.TB, m *Machine, lost func(candidate, round int) float64) {
	step, _ := m.Next()
	if step.Kind != Train {
		require.NoError(t, m.Apply(sumOf(t, m, step, tables(t)), 3))
		return
	}
	candidate, _ := m.search.turn()
	loss := int64(64 * lost(candidate, m.search.candidates[candidate].round) * aggregate.LossUnit)
	sum := make([]uint64, step.Encoding.Layout.Words())
	for i := range 3 {
		r := rand.New(rand.NewPCG(uint64(step.Ordinal), uint64(i)))
		x := make([]float32, step.Encoding.Layout.Params)
		for j := range x {
			x[j] = float32(r.IntN(2001)-1000) / 4096
		}
		words, err := step.Encoding.Encode(x, []int64{loss, 64}, 100, rand.NewChaCha8([32]byte{byte(i), byte(step.Ordinal)}))
		require.NoError(t, err)
		ring.Add(sum, words)
	}
	require.NoError(t, m.Apply(sum, 3))
}

// TestSearch: candidates are given up rung by rung for what they lost, the last
// one trains on with its own settings, and a machine that is stored and restored
// before every step comes to the same.
func TestSearch(t *testing.T) {
	cfg := searching(t)
	a, err := New(cfg)
	require.NoError(t, err)
	b, err := New(cfg)
	require.NoError(t, err)
	lost := func(candidate, round int) float64 {
		return []float64{0.5, 0.4, 0.3, 0.6}[candidate] - float64(round)/100
	}
	var turns []int
	numbers := map[uint32]bool{}
	for !a.Done() {
		step, _ := a.Next()
		if step.Kind == Train {
			next, _ := a.search.turn()
			turns = append(turns, next)
			require.False(t, numbers[step.Number()], "a place of its own in the plan (S33)")
			numbers[step.Number()] = true
			n, err := a.Config().Architecture.Params(a.Shape())
			require.NoError(t, err)
			require.Equal(t, n, step.Encoding.Layout.Params)
			require.Len(t, a.Params(), n)
		}
		stored, err := b.MarshalBinary()
		require.NoError(t, err)
		b, err = UnmarshalMachine(cfg, stored)
		require.NoError(t, err)
		trial(t, a, lost)
		trial(t, b, lost)
		require.Equal(t, digest(t, a), digest(t, b))
	}
	require.Equal(t, []int{0, 0, 1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 2, 2}, turns)
	applied, planned := a.Rounds()
	require.Equal(t, []int{14, 14}, []int{applied, planned}, "2 by 3 that were given up first, 4 by 1, and the plan's 6")
	all := a.Candidates()
	require.Len(t, all, 4)
	require.Empty(t, all[0].Settings)
	require.Equal(t, []bool{false, false, true, false}, []bool{all[0].Live, all[1].Live, all[2].Live, all[3].Live})
	require.Equal(t, 6, all[2].Rounds)
	require.InDelta(t, 0.25, all[2].Loss, 1e-3)
	require.Equal(t, a.search.candidates[2].cfg.Algorithm.LocalRate, a.Config().Algorithm.LocalRate)
	params, round := a.Chosen()
	require.Equal(t, applied, round)
	require.Equal(t, a.search.candidates[2].params, params)
}

// TestSearchOfStopped: a candidate whose patience is at an end has no more turns,
// and if it is the one left training ends.
func TestSearchOfStopped(t *testing.T) {
	cfg := searching(t)
	cfg.Algorithm.Stop.Patience = 1
	m, err := New(cfg)
	require.NoError(t, err)
	for !m.Done() {
		trial(t, m, func(candidate, round int) float64 {
			if candidate == 0 {
				return 0.1 + float64(round) // best at once, then worse
			}
			return 0.5 - float64(round)/100
		})
	}
	require.True(t, m.Stopped())
	applied, _ := m.Rounds()
	require.Equal(t, 2+3*2+2, applied, "its two rounds, those of the others, and two more of the runner-up")
	params, round := m.Chosen()
	require.Equal(t, applied-2, round)
	require.Len(t, params, len(m.Params()))
	loss, ok := m.ChosenLoss()
	require.True(t, ok)
	require.InDelta(t, 0.1, loss, 1e-6)
}

// TestSearchDraw: candidates follow from the seed, are different, and begin with
// the plan's own settings; a small grid is taken whole.
func TestSearchDraw(t *testing.T) {
	cfg := searching(t).WithDefaults()
	names := func(c Config) (out []string) {
		for _, s := range c.settings() {
			out = append(out, s.name())
		}
		return out
	}
	first := names(cfg)
	require.Equal(t, first, names(cfg))
	require.Equal(t, setting{architecture: cfg.Architecture, algorithm: cfg.Algorithm}.name(), first[0])
	cfg.Seed++
	require.NotEqual(t, first, names(cfg))
	cfg.Search.Candidates = 64
	all := names(cfg)
	slices.Sort(all)
	require.Len(t, slices.Compact(all), 8, "two by four, of which the plan's own is one")
}

func TestSearchRefuses(t *testing.T) {
	for want, change := range map[string]func(c *Config){
		"set algorithm.stop":         func(c *Config) { c.Algorithm.Stop = aggregate.Stop{} },
		"control variate":            func(c *Config) { c.Algorithm.Name = aggregate.Scaffold },
		"not for trees":              func(c *Config) { c.Architecture, c.Algorithm = arch.Spec{Kind: arch.Trees}, aggregate.Spec{} },
		"nothing but the plan's own": func(c *Config) { c.Search.Grid = Grid{Hidden: [][]int{{4}}} },
		"candidate 1":                func(c *Config) { c.Search.Grid = Grid{Hidden: [][]int{{-1}}} },
		"65 candidates":              func(c *Config) { c.Search.Candidates = 65 },
		"factor 1":                   func(c *Config) { c.Search.Factor = 1 },
		"more than algorithm.stop":   func(c *Config) { c.Search.Rounds = 1 },
		"8 rounds each":              func(c *Config) { c.Search.Rounds = 4 },
		"combinations": func(c *Config) {
			c.Search.Grid = Grid{LocalRate: make([]float64, 300), ServerRate: make([]float64, 300)}
		},
	} {
		cfg := searching(t)
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), want)
	}
	require.NoError(t, searching(t).Validate())
}

// FuzzUnmarshalSearch is FuzzUnmarshal for states of a search.
func FuzzUnmarshalSearch(f *testing.F) {
	m, err := New(searching(f))
	require.NoError(f, err)
	for m.round < 9 {
		trial(f, m, func(candidate, _ int) float64 { return float64(candidate + 1) })
	}
	b, err := m.MarshalBinary()
	require.NoError(f, err)
	f.Add(b)
	fuzzUnmarshal(f, m.cfg)
}
