package schedule

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

// started returns a configuration that starts from a trained machine.
func started(t testing.TB, from *Machine) Config {
	cfg := from.cfg
	cfg.Start = &Start{Artifact: [32]byte{7}, Architecture: cfg.Architecture, Encoder: from.encoder, Params: copied(from.params)}
	return cfg
}

// TestStart: training goes on from the parameters and under the encoder of a
// released model, without statistics, with a fresh optimiser; a stored state
// needs the model no more.
func TestStart(t *testing.T) {
	from := trained(t, config(t, arch.Logistic, aggregate.FedAdam))
	cfg := started(t, from)
	m, err := New(cfg)
	require.NoError(t, err)
	require.Equal(t, from.encoder.Digest(), m.Encoder().Digest())
	require.Equal(t, from.params, m.Params())
	require.Nil(t, m.Statistics())
	step, more := m.Next()
	require.True(t, more)
	require.Equal(t, []any{Train, uint32(1), 1}, []any{step.Kind, step.Ordinal, step.Round})
	before := copied(from.params)
	require.NoError(t, m.Apply(sumOf(t, m, step, tables(t)), 3))
	require.Equal(t, before, from.params, "the release is not touched")
	require.NotEqual(t, before, m.Params())

	stored, err := m.MarshalBinary()
	require.NoError(t, err)
	known := cfg
	known.Start = &Start{Artifact: cfg.Start.Artifact}
	again, err := UnmarshalMachine(known, stored)
	require.NoError(t, err)
	require.Equal(t, digest(t, m), digest(t, again))
	_, err = New(known)
	require.ErrorIs(t, err, ErrNoStart)
	cold := cfg
	cold.Start = nil
	require.NotEqual(t, cold.Digest(), known.Digest())
	fresh, err := New(cold)
	require.NoError(t, err)
	stored, err = fresh.MarshalBinary()
	require.NoError(t, err)
	_, err = UnmarshalMachine(known, stored)
	require.ErrorIs(t, err, errState, "a plan with a start has no statistics")
}

// TestStartRefuses names what does not fit.
func TestStartRefuses(t *testing.T) {
	from := trained(t, config(t, arch.Logistic, aggregate.FedAdam))
	for want, change := range map[string]func(*Config){
		"the release is mlp": func(c *Config) { c.Start.Architecture = arch.Spec{Kind: arch.MLP} },
		"parameters":         func(c *Config) { c.Start.Params = c.Start.Params[1:] },
		"another schema": func(c *Config) {
			other, err := feature.ParseSchema([]byte("name: other\nlabel: {column: y, positive: \"1\"}\ncolumns:\n  a: {type: number}\n"))
			require.NoError(t, err)
			c.Schema = other
		},
	} {
		cfg := started(t, from)
		change(&cfg)
		_, err := New(cfg)
		require.ErrorContains(t, err, want)
	}
	l2 := started(t, from)
	l2.Architecture.L2 = 5
	_, err := New(l2)
	require.NoError(t, err, "a penalty is no part of the model")
	forest := forestConfig(t)
	forest.Start = &Start{Artifact: [32]byte{7}}
	require.ErrorContains(t, forest.Validate(), "no warm start for trees")
}
