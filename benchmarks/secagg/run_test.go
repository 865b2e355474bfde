package secagg

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/deploy/cli"
)

// child makes the test's own program the coordinator's process.
const child = "KOINON_SECAGG_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) != "" {
		if err := ServeChild(context.Background(), os.Stdin, os.Stdout, nil); err != nil {
			cli.PrintError(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// Rounds close, every sum is right, and what is reported adds up: with a dropout, both encodings, one process and two.
func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		cfg      Config
		perParam float64
	}{
		"24 bits":       {Config{Nodes: 5, Params: 60_001, Dropouts: 1, Bits: 24, Rounds: 2}, 4},
		"15 bits":       {Config{Nodes: 4, Params: 100_000, Bits: 15, Rounds: 1, NoFsync: true}, 8.0 / 3},
		"two processes": {Config{Nodes: 4, Params: 60_000, Dropouts: 1, Bits: 24, Rounds: 1, Coordinator: []string{os.Args[0]}}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			if len(c.cfg.Coordinator) > 0 {
				t.Setenv(child, "yes")
			}
			c.cfg.Dir = t.TempDir()
			r, err := Run(t.Context(), c.cfg)
			require.NoError(t, err)
			require.Equal(t, len(c.cfg.Coordinator) > 0, r.Processes)
			total := 0.0
			for i, p := range r.Secure.Phases {
				require.Equal(t, phases[i], p.Name)
				require.Positive(t, p.Seconds)
				total += p.Seconds
			}
			require.Len(t, r.Secure.Phases, len(phases))
			require.InDelta(t, total, r.Secure.Seconds, 1e-9)
			require.InDelta(t, r.Secure.Seconds/r.Plain.Seconds, r.Ratio, 1e-9)
			require.InEpsilon(t, c.perParam, r.Plain.Up.PerParam, 0.01)
			require.InEpsilon(t, c.perParam, float64(r.Secure.Up.Messages-r.Secure.Setup.Up)/float64(c.cfg.Params), 0.02)
			require.Greater(t, r.Secure.Up.Wire, r.Secure.Up.Messages)
			require.InEpsilon(t, r.Secure.Vector, r.Secure.FetchDown, 0.01)
			require.Positive(t, r.Secure.SpotDown)
			left, err := os.ReadDir(c.cfg.Dir)
			require.NoError(t, err)
			require.Empty(t, left, "spool and journal are gone")
			text, err := json.Marshal(r)
			require.NoError(t, err)
			require.True(t, bytes.Contains(text, []byte(`"peak_coordinator"`)))
		})
	}
}

// A sum over another vector than the one that was to be summed is an error, in either kind of sum.
func TestWrongSum(t *testing.T) {
	_, err := Run(t.Context(), Config{
		Nodes: 3, Params: 1000, Bits: 24, Rounds: 1, Dir: t.TempDir(), NoFsync: true,
		tamper: func(member int, words []uint64) {
			if member == 1 {
				words[7] ^= 1
			}
		},
	})
	require.ErrorIs(t, err, ErrWrongSum)
}

func TestValidate(t *testing.T) {
	good := Config{Nodes: 10, Params: 1000, Dropouts: 3, Bits: 24, Rounds: 1}
	require.NoError(t, good.Validate())
	for name, change := range map[string]func(*Config){
		"12 dropouts": func(c *Config) { c.Dropouts = 4 }, "nodes": func(c *Config) { c.Nodes = 2 }, "many": func(c *Config) { c.Nodes = 256 }, "15 bits of many": func(c *Config) { c.Nodes, c.Bits = 65, 15 },
		"bits": func(c *Config) { c.Bits = 16 }, "params": func(c *Config) { c.Params = 0 }, "huge": func(c *Config) { c.Params = 1 << 40 },
		"rounds": func(c *Config) { c.Rounds = 0 }, "negative": func(c *Config) { c.Dropouts = -1 },
	} {
		c := good
		change(&c)
		err := c.Validate()
		require.Error(t, err, name)
		require.NotEmpty(t, cli.HintOf(err), name)
	}
}
