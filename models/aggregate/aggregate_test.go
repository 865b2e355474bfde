package aggregate

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/koinon-eu/koinon/models/arch"
)

func problem(name, local string, params int) Problem {
	decayed := make([]bool, params)
	for i := range params - 1 {
		decayed[i] = true // the last one is a bias
	}
	spec := Spec{Name: name, Local: local, ServerRate: 0.5, Momentum: 0.25}.WithDefaults(arch.Spec{Kind: arch.Logistic})
	return Problem{Spec: spec, L2: 2, Decayed: decayed, Members: 4}
}

func optimizer(t *testing.T, p Problem) Optimizer {
	o, err := New(p)
	require.NoError(t, err)
	return o
}

// TestFedAvg: w ← w + rate·mean change; under full-batch, w ← w − rate·(g + l2·w/ΣW).
func TestFedAvg(t *testing.T) {
	w := []float32{1, 2}
	require.NoError(t, optimizer(t, problem(FedAvg, MiniBatch, 2)).Apply(w, Sum{Values: []float32{4, -2}, Weight: 9}))
	require.Equal(t, []float32{3, 1}, w)
	w = []float32{1, 2}
	require.NoError(t, optimizer(t, problem(FedAvg, FullBatch, 2)).Apply(w, Sum{Values: []float32{4, -2}, Weight: 4}))
	require.Equal(t, []float32{1 - 0.5*(4+2.0/4*1), 3}, w)
}

// TestFedAvgM: Hsu et al. 2019, v ← β·v + Δ; w ← w − rate·v.
func TestFedAvgM(t *testing.T) {
	o := optimizer(t, problem(FedAvgM, MiniBatch, 1))
	w := []float32{0}
	require.NoError(t, o.Apply(w, Sum{Values: []float32{8}, Weight: 1}))
	require.Equal(t, float32(4), w[0])
	require.NoError(t, o.Apply(w, Sum{Values: []float32{8}, Weight: 1}))
	require.Equal(t, float32(4+0.5*(0.25*8+8)), w[0])
}

// TestFedAdam: Reddi et al. 2021, Algorithm 2, with the bias correction of
// Kingma and Ba 2015, against the formulas written with powers.
func TestFedAdam(t *testing.T) {
	o := optimizer(t, problem(FedAdam, FullBatch, 2))
	w, want := []float32{0, 0}, []float64{0, 0}
	var m, v [2]float64
	for step, g := range [][]float32{{1, 0}, {-0.5, 0}, {0.25, 0}} {
		require.NoError(t, o.Apply(w, Sum{Values: g, Weight: 100}))
		for i := range want {
			d := float64(g[i])
			if i == 0 {
				d += 2.0 / 100 * want[i]
			}
			m[i] = 0.9*m[i] + 0.1*d
			v[i] = 0.999*v[i] + 0.001*d*d
			k := float64(step + 1)
			want[i] -= 0.5 * (m[i] / (1 - math.Pow(0.9, k))) / (math.Sqrt(v[i]/(1-math.Pow(0.999, k))) + 1e-8)
		}
		require.InDelta(t, want[0], w[0], 1e-6)
	}
	require.Zero(t, w[1], "a coordinate that nothing touches stays")
}

// TestAdaptive: Reddi et al. 2021, Algorithm 2, with the second moments of
// FedYogi and FedAdagrad, v_{-1} = τ², against the formulas.
func TestAdaptive(t *testing.T) {
	second := map[string]func(v, d float64) float64{
		FedYogi: func(v, d float64) float64 {
			if v == d*d {
				return v
			}
			return v - 0.001*d*d*math.Copysign(1, v-d*d)
		},
		FedAdagrad: func(v, d float64) float64 { return v + d*d },
	}
	for name, next := range second {
		o := optimizer(t, problem(name, MiniBatch, 1))
		w := []float32{0}
		want, m, v := 0.0, 0.0, 1e-6
		for _, change := range []float32{1, -0.5, 1e-4, 0.001, 0} {
			require.NoError(t, o.Apply(w, Sum{Values: []float32{change}, Weight: 100}))
			d := -float64(change)
			m = 0.9*m + 0.1*d
			v = next(v, d)
			want -= 0.5 * m / (math.Sqrt(v) + 1e-3)
			require.InDelta(t, want, w[0], 1e-5*math.Abs(want), name)
		}
		require.ErrorIs(t, o.SetState(appendFloats(nil, 0, -1)), errNegative)
	}
}

// TestScaffold: Karimireddy et al. 2020, Algorithm 1: w ← w + rate·Δw,
// c ← c + (|S|/N)·Δc, with Δc behind Δw.
func TestScaffold(t *testing.T) {
	p := problem(Scaffold, MiniBatch, 2)
	o := optimizer(t, p)
	require.Equal(t, 4, p.Spec.Values(2))
	require.Equal(t, []float64{0, 0}, Control(o))
	w := []float32{1, 2}
	require.NoError(t, o.Apply(w, Sum{Values: []float32{4, -2, 8, 1}, Weight: 9, Survivors: 4}))
	require.Equal(t, []float32{3, 1}, w)
	require.Equal(t, []float64{8, 1}, Control(o))
	require.NoError(t, o.Apply(w, Sum{Values: []float32{0, 0, -4, 1}, Weight: 9, Survivors: 2}))
	require.Equal(t, []float32{3, 1}, w)
	require.Equal(t, []float64{6, 1.5}, Control(o))
	for _, survivors := range []int{0, 5} {
		require.Error(t, o.Apply(w, Sum{Values: make([]float32, 4), Weight: 9, Survivors: survivors}))
	}
	p.Members = 0
	_, err := New(p)
	require.Error(t, err)
	require.Nil(t, Control(optimizer(t, problem(FedAvg, MiniBatch, 2))))
}

// TestNewtonSolvesAQuadratic: with a constant Hessian one step at rate 1 is exact.
func TestNewtonSolvesAQuadratic(t *testing.T) {
	p := problem(Newton, FullBatch, 2)
	p.Spec.ServerRate, p.L2 = 1, 0
	h := [3]float64{4, 1, 3} // [4 1; 1 3]
	w := []float32{1, -1}
	target := []float64{0.5, 0.25}
	g := []float64{h[0]*(1-target[0]) + h[1]*(-1-target[1]), h[1]*(1-target[0]) + h[2]*(-1-target[1])}
	var ints []int64
	for _, v := range append(g, h[:]...) {
		ints = append(ints, int64(v*NewtonScale))
	}
	require.NoError(t, optimizer(t, p).Apply(w, Sum{Ints: ints, Weight: 1}))
	require.InDelta(t, target[0], w[0], 1e-5)
	require.InDelta(t, target[1], w[1], 1e-5)
}

// TestNewtonSurvivesCollinearColumns: one-hot slots and the bias add up, so
// without l2 the Hessian is singular; the ridge must make a finite step.
func TestNewtonSurvivesCollinearColumns(t *testing.T) {
	p := problem(Newton, FullBatch, 3)
	p.L2 = 0
	one := int64(NewtonScale)
	ints := []int64{one, -one, 0, one, 0, one, one, one, 2 * one}
	w := []float32{0, 0, 0}
	require.NoError(t, optimizer(t, p).Apply(w, Sum{Ints: ints, Weight: 1}))
	for _, v := range w {
		require.LessOrEqual(t, math.Abs(float64(v)), float64(newtonReach))
	}
	ints[3] = math.MinInt64 // no set of rows gives a negative diagonal
	before := append([]float32(nil), w...)
	require.Error(t, optimizer(t, p).Apply(w, Sum{Ints: ints, Weight: 1}))
	require.Equal(t, before, w)
}

func TestNewtonColumnLimit(t *testing.T) {
	_, err := New(problem(Newton, FullBatch, MaxNewtonColumns+1))
	require.ErrorContains(t, err, "columns")
	require.Equal(t, 2+3, NewtonWords(2))
}

func TestApplyRefuses(t *testing.T) {
	for _, name := range Names {
		if name == FedProx {
			continue
		}
		p := problem(name, FullBatch, 2)
		o := optimizer(t, p)
		w := []float32{1, 1}
		require.Error(t, o.Apply(w, Sum{Values: []float32{1}, Ints: []int64{1}, Weight: 1}), name)
		require.Error(t, o.Apply(w[:1], Sum{Values: []float32{1}, Weight: 1}), name)
		if name != Newton { // without weight, or without members
			require.Error(t, o.Apply(w, Sum{Values: make([]float32, p.Spec.Values(2))}), name)
		}
		require.Equal(t, []float32{1, 1}, w)
	}
	_, err := New(Problem{Spec: Spec{Name: "fedsgd"}})
	require.Error(t, err)
}

// TestStateRoundTrip: a restart goes on with the same bits.
func TestStateRoundTrip(t *testing.T) {
	for _, name := range Names {
		p := problem(name, FullBatch, 3)
		a, w := optimizer(t, p), []float32{0, 0, 0}
		apply := func(o Optimizer, w []float32, k int) {
			sum := Sum{Values: []float32{1, float32(k), -0.3, 2, float32(-k), 0.1}[:max(p.Spec.Values(3), 3)], Ints: make([]int64, NewtonWords(3)), Weight: 7, Survivors: 2}
			sum.Ints[0], sum.Ints[3] = int64(k)<<20, 5<<20
			require.NoError(t, o.Apply(w, sum))
		}
		apply(a, w, 1)
		apply(a, w, 2)
		b, v := optimizer(t, p), append([]float32(nil), w...)
		state := a.AppendState(nil)
		require.NoError(t, b.SetState(state))
		require.Equal(t, Digest(w, a), Digest(v, b))
		apply(a, w, 3)
		apply(b, v, 3)
		require.Equal(t, Digest(w, a), Digest(v, b))
		require.Error(t, b.SetState(append(state, 0)), name)
		if len(state) > 0 {
			require.Error(t, b.SetState(state[1:]))
			require.Error(t, b.SetState(appendFloats(nil, make([]float64, len(state)/8-1)...)))
			require.Error(t, b.SetState(appendFloats(appendFloats(nil, make([]float64, len(state)/8-1)...), math.NaN())))
		}
	}
}

// golden pins parameters and memory after 30 steps. The digests must be equal on
// amd64 v1 and v3 and on arm64 (S61): run the test with GOAMD64=v3 and, under
// qemu, with GOARCH=arm64. Change one only with a reason in the commit message.
var golden = []struct{ name, local, digest string }{
	{FedAdam, FullBatch, "cfd55c19facfedc34adcdadae52d65b42414b1bd82efb6b264954d3f12181caa"},
	{FedAdam, MiniBatch, "fe394d849e996feeb5437aed8a6730acbe9b4d34f6368f9f7595e95ddc15dd39"},
	{FedAvg, MiniBatch, "67fef704e56970154d11ce7d76b84d012c07bbf4dc93ea1c488c26468ef89f37"},
	{FedAdagrad, FullBatch, "f02c39bda34d54f58e5cb3730b7050daacf167890cc4c0759b178132f09595db"},
	{FedYogi, FullBatch, "baf0dcd7b5b53264eb0175a436c90fd9d7b96a5b0914f16c7b3c78ea572098f9"},
	{FedAvgM, MiniBatch, "e489299296dc4f3fc0e294a6e25bb3bcfcaac107ca3c71ee164781f846f4e690"},
	{Scaffold, MiniBatch, "f2180cfb41e2c4d063aca6405319e82c4d0e0030a47bcc198f6427c48603990e"},
	{Newton, FullBatch, "1b9e31ae66bb552c4973625ccdd8596763acbd27eebc72d2fafc6b9324630006"},
}

func TestGolden(t *testing.T) {
	const n = 61
	for _, g := range golden {
		o := optimizer(t, problem(g.name, g.local, n))
		r := rand.New(rand.NewPCG(5, 6))
		uniform := func() float64 { return float64(r.Int64N(1<<40)-1<<39) / (1 << 39) }
		w := make([]float32, n)
		for range 30 {
			values := n
			if g.name == Scaffold {
				values = 2 * n
			}
			sum := Sum{Values: make([]float32, values), Ints: make([]int64, NewtonWords(n)), Weight: 9_000 + r.Uint64N(1000), Survivors: 3}
			for i := range sum.Values {
				sum.Values[i] = float32(uniform() * uniform())
			}
			for i := range sum.Ints {
				sum.Ints[i] = int64(uniform() * NewtonScale)
			}
			for i, at := 0, n; i < n; i++ { // a dominant diagonal
				sum.Ints[at] = 200 * NewtonScale
				at += n - i
			}
			require.NoError(t, o.Apply(w, sum))
		}
		d := Digest(w, o)
		require.Equal(t, g.digest, hex.EncodeToString(d[:]), "%s %s", g.name, g.local)
	}
}

func TestSpecDefaultsAndYAML(t *testing.T) {
	logistic, mlp := arch.Spec{Kind: arch.Logistic}, arch.Spec{Kind: arch.MLP}
	require.Equal(t, Spec{
		Name: FedAdam, Local: FullBatch, ServerRate: 0.1, Rounds: 60, LocalEpochs: 1, LocalRate: 0.003, Batch: 256,
		Momentum: 0.5, Clip: Clip{L2: 64, Inf: 4}, Bits: 24, WeightBits: 4,
	}, Spec{}.WithDefaults(logistic))
	for name, want := range map[string]Spec{
		"": {Name: FedAdam, Local: FullBatch, ServerRate: 0.02, LocalRate: 0.003, Batch: 256}, FedAdagrad: {Local: FullBatch, ServerRate: 0.05, LocalRate: 0.003, Batch: 256},
		FedAvgM: {Local: MiniBatch, ServerRate: 1, LocalRate: 0.003, Batch: 256}, Scaffold: {Local: MiniBatch, ServerRate: 1, LocalRate: 0.2, Batch: 64},
	} {
		got := Spec{Name: name}.WithDefaults(mlp)
		require.Equal(t, []any{want.Local, want.ServerRate, want.LocalRate, want.Batch}, []any{got.Local, got.ServerRate, got.LocalRate, got.Batch}, name)
	}
	require.Equal(t, FedAdam, Spec{}.WithDefaults(mlp).Name)
	require.Equal(t, 0.01, Spec{Name: FedYogi, Local: MiniBatch}.WithDefaults(mlp).ServerRate)
	require.Equal(t, 6, Spec{Name: Newton}.WithDefaults(logistic).Rounds)

	var s Spec
	dec := yaml.NewDecoder(strings.NewReader("{name: fedavg, local: mini-batch, server_rate: 0.5, rounds: 9, local_epochs: 2, local_rate: 0.01, batch: 32, momentum: 0.8, clip: {l2: 3, inf: 0.5}, bits: 15, weight_bits: 6}"))
	dec.KnownFields(true)
	require.NoError(t, dec.Decode(&s))
	want := Spec{Name: FedAvg, Local: MiniBatch, ServerRate: 0.5, Rounds: 9, LocalEpochs: 2, LocalRate: 0.01, Batch: 32, Momentum: 0.8, Clip: Clip{L2: 3, Inf: 0.5}, Bits: 15, WeightBits: 6}
	require.Equal(t, want, s)
	require.NoError(t, s.Validate(logistic))
	text, err := json.Marshal(s)
	require.NoError(t, err)
	var again Spec
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, want, again)
}

func TestSpecRefuses(t *testing.T) {
	for name, s := range map[string]Spec{
		"name": {Name: "fedsgd"}, "local": {Local: "online"}, "bits": {Bits: 16}, "weight_bits": {WeightBits: 33},
		"rounds": {Rounds: -1}, "server_rate": {ServerRate: math.NaN()}, "batch": {Batch: 1 << 20}, "momentum": {Momentum: 1},
		"clip.l2": {Clip: Clip{L2: math.Inf(1)}}, "clip.inf": {Clip: Clip{Inf: -1}}, "local_rate": {LocalRate: -1}, "local_epochs": {LocalEpochs: 1000},
	} {
		require.ErrorContains(t, s.Validate(arch.Spec{Kind: arch.Logistic}), name)
	}
	require.ErrorContains(t, Spec{Name: FedProx, Local: FullBatch}.Validate(arch.Spec{Kind: arch.Logistic}), "mini-batch")
	require.ErrorContains(t, Spec{Name: Scaffold, Local: FullBatch}.Validate(arch.Spec{Kind: arch.Logistic}), "mini-batch")
	require.ErrorContains(t, Spec{Proximal: 0.1}.Validate(arch.Spec{Kind: arch.Logistic}), "proximal")
	require.ErrorContains(t, Spec{Name: Newton}.Validate(arch.Spec{Kind: arch.MLP}), "logistic")
	require.ErrorContains(t, Spec{Name: Newton, Local: MiniBatch}.Validate(arch.Spec{Kind: arch.Logistic}), "full-batch")
}
