package schedule

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/update"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

const schemaText = `
name: toy
label: {column: y, positive: "1", empty: skip}
columns:
  a: {type: number}
  b: {type: number, range: [0, 10]}
  c: {type: category}
  d: {type: category, values: [p, q]}
  g: {type: category, role: group}
`

func schemaOf(t testing.TB) *feature.Schema {
	s, err := feature.ParseSchema([]byte(schemaText))
	require.NoError(t, err)
	return s
}

// tables makes three members' tables of 400 rows.
func tables(t testing.TB) []*feature.Table {
	schema := schemaOf(t)
	var out []*feature.Table
	for member := range 3 {
		r := rand.New(rand.NewPCG(uint64(member), 3))
		var b strings.Builder
		b.WriteString("y,a,b,c,d,g\n")
		for range 400 {
			// Integers only: the golden digests must not hang on printing floats.
			fmt.Fprintf(&b, "%d,%d,%d,c%d,%s,g%d\n", r.IntN(2), r.IntN(2000)-1000, r.IntN(11), r.IntN(4), []string{"p", "q"}[r.IntN(2)], r.IntN(2))
		}
		table, err := feature.ReadCSV(strings.NewReader(b.String()), schema, feature.Limits{})
		require.NoError(t, err)
		table, err = table.SplitFraction(0.3, 1)
		require.NoError(t, err)
		out = append(out, table)
	}
	return out
}

func config(t testing.TB, kind, algorithm string) Config {
	return Config{
		Schema: schemaOf(t), Architecture: arch.Spec{Kind: kind, Hidden: map[string][]int{arch.MLP: {4}}[kind]},
		Algorithm: aggregate.Spec{Name: algorithm, Rounds: 3}, Seed: 5, Members: 3,
	}
}

// vector makes a member's answer without training: random within the clips.
func vector(t testing.TB, m *Machine, step Step, table *feature.Table, member int) (x []float32, ints []int64, rows uint32) {
	r := rand.New(rand.NewPCG(uint64(step.Ordinal), uint64(member)))
	train, _ := table.Count(feature.SelectTrain)
	switch step.Kind {
	case Statistics:
		ints, err := m.Statistics().Count(table)
		require.NoError(t, err)
		return nil, ints, uint32(train)
	case Train:
		for range step.Encoding.Layout.Params {
			x = append(x, float32(r.IntN(2001)-1000)/4096)
		}
		if m.Config().Algorithm.Name == aggregate.Newton {
			d := len(m.Params())
			ints = make([]int64, aggregate.NewtonWords(d))
			for i, at := 0, d; i < d; i++ {
				ints[i] = int64(r.IntN(2001)-1000) << 8
				ints[at] = 100 << 20
				at += d - i
			}
		}
		if step.Judges {
			ints = append(ints, lossWords(step.Round)...)
		}
		return x, ints, uint32(train)
	}
	test, err := m.Encoder().Encode(table, feature.SelectTest)
	require.NoError(t, err)
	scores := make([]float64, test.Rows)
	for i := range scores {
		scores[i] = float64(r.IntN(1000)) / 1000
	}
	ints, err = m.TallySchema().Count(scores, test.Label, test.Groups)
	require.NoError(t, err)
	return nil, ints, uint32(test.Rows)
}

func sumOf(t testing.TB, m *Machine, step Step, members []*feature.Table) []uint64 {
	sum := make([]uint64, step.Encoding.Layout.Words())
	for i, table := range members {
		x, ints, rows := vector(t, m, step, table, i)
		words, err := step.Encoding.Encode(x, ints, rows, rand.NewChaCha8([32]byte{byte(i), byte(step.Ordinal)}))
		require.NoError(t, err)
		ring.Add(sum, words)
	}
	return sum
}

// TestSchedule goes through a whole plan on two machines, one of them stored
// and restored before every step, and checks kinds, ordinals and queries.
func TestSchedule(t *testing.T) {
	for _, c := range []struct{ kind, algorithm string }{
		{arch.Logistic, aggregate.FedAdam}, {arch.Logistic, aggregate.Newton}, {arch.MLP, aggregate.FedAvgM}, {arch.MLP, aggregate.FedAvg}, {arch.MLP, aggregate.Scaffold},
	} {
		t.Run(c.kind+" "+c.algorithm, func(t *testing.T) {
			cfg, members := config(t, c.kind, c.algorithm), tables(t)
			a, err := New(cfg)
			require.NoError(t, err)
			b, err := New(cfg)
			require.NoError(t, err)
			var kinds []Kind
			queries := map[[32]byte]bool{}
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
				require.NoError(t, step.Encoding.Validate())
				kinds = append(kinds, step.Kind)
				require.Equal(t, uint32(len(kinds)), step.Ordinal)
				require.False(t, queries[step.Query], "every step asks something else")
				queries[step.Query] = true
				before, err := a.Digest()
				require.NoError(t, err)
				sum := sumOf(t, a, step, members)
				require.NoError(t, a.Apply(sum, 3))
				require.NoError(t, b.Apply(sum, 3))
				after, err := a.Digest()
				require.NoError(t, err)
				require.NotEqual(t, before, after)
				same, err := b.Digest()
				require.NoError(t, err)
				require.Equal(t, after, same)
			}
			require.Equal(t, []Kind{Train, Train, Train, Evaluate}, kinds[len(kinds)-4:])
			for _, k := range kinds[:len(kinds)-4] {
				require.Equal(t, Statistics, k)
			}
			require.True(t, a.Done())
			require.NotNil(t, a.Tally().AUROC())
			require.Equal(t, []string{"g0", "g1"}, sorted(a.TallySchema().Groups[0].Values))
			require.ErrorIs(t, a.Apply(nil, 3), ErrComplete)
			stored, err := a.MarshalBinary()
			require.NoError(t, err)
			_, err = UnmarshalMachine(cfg, stored)
			require.NoError(t, err)
		})
	}
}

func sorted(v []string) []string {
	out := append([]string(nil), v...)
	for i := range out {
		for j := i + 1; j < len(out); j++ {
			if out[j] < out[i] {
				out[i], out[j] = out[j], out[i]
			}
		}
	}
	return out
}

// trained returns a machine after its statistics and one training round.
func trained(t testing.TB, cfg Config) *Machine {
	m, err := New(cfg)
	require.NoError(t, err)
	members := tables(t)
	for m.round == 0 {
		step, _ := m.Next()
		require.NoError(t, m.Apply(sumOf(t, m, step, members), 3))
	}
	return m
}

// TestFailedApplyChangesNothing: a sum that fails S48 or the tally's own checks.
func TestFailedApplyChangesNothing(t *testing.T) {
	cfg := config(t, arch.Logistic, aggregate.FedAdam)
	m, err := New(cfg)
	require.NoError(t, err)
	members := tables(t)
	for {
		step, more := m.Next()
		if !more {
			break
		}
		before, err := m.Digest()
		require.NoError(t, err)
		sum := sumOf(t, m, step, members)
		require.ErrorIs(t, m.Apply(sum, 2), update.ErrSum)
		require.ErrorIs(t, m.Apply(sum[1:], 3), update.ErrLength)
		if step.Ordinal == 1 || step.Kind == Evaluate {
			broken := append([]uint64(nil), sum...)
			broken[0] += 12345 // the first count no longer agrees with the others
			require.Error(t, m.Apply(broken, 3))
		}
		after, err := m.Digest()
		require.NoError(t, err)
		require.Equal(t, before, after)
		require.NoError(t, m.Apply(sum, 3))
	}
}

// TestWeightCap: the next power of two at or above the pooled training rows.
func TestWeightCap(t *testing.T) {
	for rows, want := range map[int64]uint32{0: 1, 1: 1, 2: 2, 3: 4, 1024: 1024, 1025: 2048, 1 << 40: 1 << 31} {
		require.Equal(t, want, weightCap(rows))
	}
	m := trained(t, config(t, arch.Logistic, aggregate.FedAdam))
	step, _ := m.Next()
	require.Equal(t, uint32(1024), step.Encoding.WeightCap) // about 840 rows
	require.Equal(t, 2, step.Round)
}

// TestQueryBindsSettings: another setting is another query, hence another σ.
func TestQueryBindsSettings(t *testing.T) {
	base := config(t, arch.Logistic, aggregate.FedAdam)
	seen := map[[32]byte]string{}
	for name, change := range map[string]func(*Config){
		"base": func(*Config) {}, "rate": func(c *Config) { c.Algorithm.ServerRate = 0.2 }, "l2": func(c *Config) { c.Architecture.L2 = 3 },
		"bits": func(c *Config) { c.Algorithm.Bits = 15 }, "clip": func(c *Config) { c.Algorithm.Clip.Inf = 3 },
	} {
		cfg := base
		change(&cfg)
		step, _ := trained(t, cfg).Next()
		require.Empty(t, seen[step.Query], name)
		seen[step.Query] = name
	}
}

// V3: among other things, 15 bits a parameter end at 64 members.
func TestConfigDigestAndDefaults(t *testing.T) {
	cfg := config(t, arch.MLP, "")
	require.Equal(t, cfg.Digest(), cfg.WithDefaults().Digest())
	other := cfg
	other.Seed++
	require.NotEqual(t, cfg.Digest(), other.Digest())
	require.Equal(t, "statistics train grow evaluate kind 9", fmt.Sprint(Statistics, " ", Train, " ", Grow, " ", Evaluate, " ", Kind(9)))
	for name, change := range map[string]func(*Config){
		"no schema": func(c *Config) { c.Schema = nil }, "members": func(c *Config) { c.Members = 2 }, "256 members": func(c *Config) { c.Members = 256 },
		"15 with 65 members": func(c *Config) { c.Members, c.Algorithm.Bits = 65, 15 },
		"kind":               func(c *Config) { c.Architecture.Kind = "x" }, "name": func(c *Config) { c.Algorithm.Name = "x" }, "bins": func(c *Config) { c.Bins = 33 },
	} {
		bad := cfg
		change(&bad)
		require.ErrorContains(t, bad.Validate(), name)
		_, err := New(bad)
		require.Error(t, err)
	}
}

// golden pins the state after a whole plan: it must be equal on amd64 v1 and v3 and on
// arm64 (S61). Change a digest only with a reason in the commit message. What
// once was a default is spelt out, as it is in every plan that was signed.
var golden = []struct{ kind, algorithm, digest string }{
	{arch.Logistic, aggregate.FedAdam, "206727337064cb015a406610e6a9e26726ddb50526b3430d2352dd8b2bfc10b6"},
	{arch.Logistic, aggregate.Newton, "252af19211053df112f2d3e06ecb14002ffcbaafa341fa01e7b3b894a3558e14"},
	{arch.MLP, aggregate.FedAvgM, "ee6b7c3861b65f981f66f6481a721855588f1cc72a8f2606e5a89e446fbb154f"},
	{arch.MLP, aggregate.Scaffold, "a2828a4fbdc0ec0c9de1632a1ea89c9ac36e5c71ede7b3f63afb15d3e7acd341"},
}

func TestGolden(t *testing.T) {
	for _, g := range golden {
		cfg := config(t, g.kind, g.algorithm)
		cfg.Architecture.L2 = 1
		if g.algorithm == aggregate.Scaffold {
			cfg.Algorithm.LocalRate, cfg.Algorithm.Batch = 0.05, 256
		}
		m, err := New(cfg)
		require.NoError(t, err)
		members := tables(t)
		for {
			step, more := m.Next()
			if !more || step.Kind == Evaluate { // tallies hold logarithms of scores
				break
			}
			require.NoError(t, m.Apply(sumOf(t, m, step, members), 3))
		}
		d, err := m.Digest()
		require.NoError(t, err)
		require.Equal(t, g.digest, hex.EncodeToString(d[:]), "%s %s", g.kind, g.algorithm)
	}
}

// TestUnmarshalRefuses: stored bytes are outside bytes.
func TestUnmarshalRefuses(t *testing.T) {
	cfg := config(t, arch.Logistic, aggregate.FedAdam)
	m := trained(t, cfg)
	good, err := m.MarshalBinary()
	require.NoError(t, err)
	for i := range good {
		_, err := UnmarshalMachine(cfg, good[:i])
		require.Error(t, err)
	}
	_, err = UnmarshalMachine(cfg, append(bytes.Clone(good), 0))
	require.Error(t, err)
	for name, change := range map[string]func(b []byte){
		"magic":       func(b []byte) { b[0]++ },
		"round ahead": func(b []byte) { b[len(magic)+7] = 9 },
		"NaN":         func(b []byte) { copy(b[len(b)-4-16*len(m.params)-16-4:], []byte{0x7f, 0xc0, 0, 1}) },
	} {
		bad := bytes.Clone(good)
		change(bad)
		_, err := UnmarshalMachine(cfg, bad)
		require.Error(t, err, name)
	}
	other := cfg
	other.Architecture = arch.Spec{Kind: arch.MLP}
	_, err = UnmarshalMachine(other, good)
	require.Error(t, err)
}

// FuzzUnmarshal: no bytes panic, and what is accepted is canonical.
func FuzzUnmarshal(f *testing.F) { fuzzUnmarshal(f, config(f, arch.Logistic, aggregate.FedAdam)) }

func fuzzUnmarshal(f *testing.F, cfg Config) {
	fresh, err := New(cfg)
	require.NoError(f, err)
	for _, m := range []*Machine{fresh, trained(f, cfg)} {
		b, err := m.MarshalBinary()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := UnmarshalMachine(cfg, b)
		if err != nil {
			return
		}
		again, err := m.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, b, again)
		m.Next()
	})
}
