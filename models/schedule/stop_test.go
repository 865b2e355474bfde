package schedule

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/update"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
)

// losses are what every member's rows lose before each training round of these
// tests, in nats: best after two rounds, then worse.
var losses = []float64{0.7, 0.6, 0.5, 0.55, 0.52, 0.6, 0.4}

// lossWords are one member's validation words before a round.
func lossWords(round int) []int64 {
	return []int64{int64(64 * losses[round-1] * aggregate.LossUnit), 64}
}

func stopping(t testing.TB, kind, algorithm string, stop aggregate.Stop) Config {
	cfg := config(t, kind, algorithm)
	cfg.Algorithm.Rounds, cfg.Algorithm.Stop = len(losses), stop
	return cfg
}

// S80: training ends when the patience is exhausted, on both sides alike,
// also where one of them is stored and restored before every sum. What is
// evaluated is the best, and the state holds the final parameters as well.
func TestStop(t *testing.T) {
	for _, c := range []struct{ kind, algorithm string }{
		{arch.Logistic, aggregate.FedAdam}, {arch.Logistic, aggregate.Newton}, {arch.MLP, aggregate.FedAvgM}, {arch.MLP, aggregate.Scaffold},
	} {
		t.Run(c.kind+" "+c.algorithm, func(t *testing.T) {
			cfg, members := stopping(t, c.kind, c.algorithm, aggregate.Stop{Patience: 2}), tables(t)
			a, err := New(cfg)
			require.NoError(t, err)
			b, err := New(cfg)
			require.NoError(t, err)
			var before [][]float32 // the parameters before each training round
			for {
				step, more := a.Next()
				if !more {
					break
				}
				stored, err := b.MarshalBinary()
				require.NoError(t, err)
				b, err = UnmarshalMachine(cfg, stored)
				require.NoError(t, err)
				other, _ := b.Next()
				require.Equal(t, step, other)
				require.Equal(t, step.Kind == Train, step.Judges)
				if step.Kind == Train {
					before = append(before, copied(a.Params()))
				}
				sum := sumOf(t, a, step, members)
				require.NoError(t, a.Apply(sum, 3))
				require.NoError(t, b.Apply(sum, 3))
				require.Equal(t, digest(t, a), digest(t, b))
			}
			require.True(t, a.Stopped())
			applied, planned := a.Rounds()
			require.Equal(t, 5, applied, "judged best before round 3, twice not better after it")
			require.Equal(t, len(losses), planned)
			require.InDeltaSlice(t, losses[:5], a.Losses(), 1e-6)
			chosen, round := a.Chosen()
			require.Equal(t, 2, round)
			require.Equal(t, before[2], copied(chosen))
			require.NotEqual(t, before[2], copied(a.Params()))
			restored, round := b.Chosen()
			require.Equal(t, 2, round)
			require.Equal(t, before[2], copied(restored))
		})
	}
}

func copied(params []float32) []float32 { return append([]float32(nil), params...) }

func digest(t testing.TB, m *Machine) [32]byte {
	d, err := m.Digest()
	require.NoError(t, err)
	return d
}

// TestStopCoversBoth: the state names the best parameters and the final ones.
func TestStopCoversBoth(t *testing.T) {
	m := judgedMachine(t, 4)
	before := digest(t, m)
	m.judged.params[0]++
	require.NotEqual(t, before, digest(t, m))
	m.judged.params[0]--
	m.params[0]++
	require.NotEqual(t, before, digest(t, m))
}

// judgedMachine returns a machine after so many judged training rounds.
func judgedMachine(t testing.TB, rounds int) *Machine {
	m, err := New(stopping(t, arch.Logistic, aggregate.FedAdam, aggregate.Stop{Patience: 2}))
	require.NoError(t, err)
	members := tables(t)
	for m.round < rounds {
		step, _ := m.Next()
		require.NoError(t, m.Apply(sumOf(t, m, step, members), 3))
	}
	return m
}

// TestStopEvery: only every k-th sum judges, and without patience's end the
// rounds of the plan are run. The best judgement being the last one, the final
// parameters are chosen.
func TestStopEvery(t *testing.T) {
	cfg, members := stopping(t, arch.Logistic, aggregate.FedAdam, aggregate.Stop{Patience: 2, Every: 3}), tables(t)
	m, err := New(cfg)
	require.NoError(t, err)
	var judges []int
	for {
		step, more := m.Next()
		if !more {
			break
		}
		if step.Judges {
			judges = append(judges, step.Round)
		}
		require.NoError(t, m.Apply(sumOf(t, m, step, members), 3))
	}
	require.Equal(t, []int{1, 4, 7}, judges)
	require.False(t, m.Stopped())
	chosen, round := m.Chosen()
	require.Equal(t, len(losses), round)
	require.Equal(t, m.Params(), chosen)
	for rounds, want := range map[int]int{0: 0, 1: 1, 3: 1, 4: 2, 6: 2, 7: 3} {
		require.Equal(t, want, m.cfg.Algorithm.Stop.Judgements(rounds))
	}
}

// TestNobodyJudges: without a row that judges nothing is better or worse, and
// training goes on.
func TestNobodyJudges(t *testing.T) {
	var j judged
	stop := aggregate.Stop{Patience: 1, Tolerance: 1e-4}
	for i := range 4 {
		require.True(t, j.add(stop, []int64{0, 0}))
		require.Equal(t, i, j.best)
		require.True(t, math.IsInf(j.loss(i), 1))
	}
	require.True(t, j.add(stop, []int64{5 << 20, 10}))
	require.False(t, j.add(stop, []int64{5<<20 - 1, 10}), "within the tolerance")
	require.True(t, j.add(stop, []int64{4 << 20, 10}))
	require.Equal(t, 6, j.best)
}

// TestStopRefuses: words that no honest members can have made, which leave the
// state as it was (S48, S80), and stored judgements that do not follow from the rounds.
func TestStopRefuses(t *testing.T) {
	m := judgedMachine(t, 2)
	step, _ := m.Next()
	good := sumOf(t, m, step, tables(t))
	at := step.Encoding.Layout.ParamWords()
	before := digest(t, m)
	for name, change := range map[string]func(sum []uint64){
		"negative loss":       func(sum []uint64) { sum[at] = math.MaxUint64 },
		"negative weight":     func(sum []uint64) { sum[at+1] = math.MaxUint64 },
		"loss without weight": func(sum []uint64) { sum[at+1] = 0 },
		"loss beyond 64 nats": func(sum []uint64) { sum[at] = 3*64*64<<20 + 1 },
	} {
		bad := append([]uint64(nil), good...)
		change(bad)
		require.ErrorIs(t, m.Apply(bad, 3), update.ErrSum, name)
		require.Equal(t, before, digest(t, m), name)
	}
	require.NoError(t, m.Apply(good, 3))

	m = judgedMachine(t, 5)
	stored, err := m.MarshalBinary()
	require.NoError(t, err)
	words := binary.BigEndian.AppendUint32(nil, 5)
	words = binary.BigEndian.AppendUint64(words, uint64(m.judged.words[0]))
	from := bytes.Index(stored, words)
	require.Positive(t, from)
	for name, change := range map[string]func(b []byte){
		"count":        func(b []byte) { b[from+3]-- },
		"already over": func(b []byte) { copy(b[from+4:from+20], b[from+4+32:]) }, // the first is as good as the best
		"NaN":          func(b []byte) { copy(b[from+4+80:], []byte{0x7f, 0xc0, 0, 1}) },
		"loss":         func(b []byte) { b[from+4] = 0xff },
	} {
		bad := bytes.Clone(stored)
		change(bad)
		_, err := UnmarshalMachine(m.cfg, bad)
		require.ErrorIs(t, err, errState, name)
	}
	_, err = UnmarshalMachine(m.cfg, stored)
	require.NoError(t, err)
}

// TestStopConfig: defaults, limits, and that a plan without a stop keeps its name.
func TestStopConfig(t *testing.T) {
	cfg := stopping(t, arch.Logistic, aggregate.FedAdam, aggregate.Stop{Patience: 3})
	require.Equal(t, aggregate.Stop{Patience: 3, Every: 1, Tolerance: 1e-4, Validation: 0.1}, cfg.WithDefaults().Algorithm.Stop)
	off := cfg
	off.Algorithm.Stop = aggregate.Stop{}
	require.NotEqual(t, off.Digest(), cfg.Digest())
	require.Equal(t, aggregate.Stop{}, off.WithDefaults().Algorithm.Stop)
	for name, stop := range map[string]aggregate.Stop{
		"stop.patience": {Every: 2}, "stop.every": {Patience: 1, Every: -1}, "stop.tolerance": {Patience: 1, Tolerance: math.NaN()},
		"stop.validation": {Patience: 1, Validation: 0.6},
	} {
		bad := cfg
		bad.Algorithm.Stop = stop
		require.ErrorContains(t, bad.Validate(), name)
	}
	forest := forestConfig(t)
	forest.Algorithm.Stop = aggregate.Stop{Patience: 2}
	require.ErrorContains(t, forest.Validate(), "architecture.trees.patience")
	e := update.Encoding{Layout: ring.Layout{Ints: aggregate.StopWords}, Members: 255, WeightCap: maxWeightCap, IntMax: lossMax(maxWeightCap)}
	require.NoError(t, e.Validate(), "N·int_max < 2^63 (S46)")
}

// FuzzUnmarshalJudged is FuzzUnmarshal for states with judgements.
func FuzzUnmarshalJudged(f *testing.F) {
	m := judgedMachine(f, 4)
	b, err := m.MarshalBinary()
	require.NoError(f, err)
	f.Add(b)
	fuzzUnmarshal(f, m.cfg)
}

// TestGoldenStop pins the state after a run that ended early, as golden does for
// those that do not (S61).
func TestGoldenStop(t *testing.T) {
	for kind, want := range map[string]string{arch.Logistic: "5d97146bd85d19c5286e784ff0d574c4cce38634a94523f57fff1d988c4a543f", arch.MLP: "7d628a4ca02cda0e6a28ae63ba1d86e2e2ca6859416f82720e261bd985613ba7"} {
		cfg := stopping(t, kind, map[string]string{arch.MLP: aggregate.FedAvgM}[kind], aggregate.Stop{Patience: 2})
		cfg.Architecture.L2 = 1
		m, err := New(cfg)
		require.NoError(t, err)
		members := tables(t)
		for {
			step, more := m.Next()
			if !more || step.Kind == Evaluate {
				break
			}
			require.NoError(t, m.Apply(sumOf(t, m, step, members), 3))
		}
		require.True(t, m.Stopped())
		require.Equal(t, want, fmt.Sprintf("%x", digest(t, m)), kind)
	}
}
