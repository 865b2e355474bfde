package trees_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/trees"
	"github.com/koinon-eu/koinon/models/trees/treestest"
)

// TestRestart stores and restores a machine before every sum. // trees 53, 72
func TestRestart(t *testing.T) {
	p := trees.Params{Trees: 5, Depth: 3, TreesPerStep: 2, Patience: 2}
	table := read(t, toySchema, toyText(1200, 7))
	r, again := newRun(t, p, table), newRun(t, p, table)
	r.member.Held = make([]bool, len(r.member.Cells))
	for i := range r.member.Held {
		r.member.Held[i] = i%4 == 0
	}
	for {
		stored, err := again.machine.MarshalBinary()
		require.NoError(t, err)
		again.machine, err = trees.Unmarshal(again.machine.Config(), again.machine.Bins(), stored)
		require.NoError(t, err)
		a, more := r.machine.Query()
		b, same := again.machine.Query()
		require.Equal(t, more, same)
		require.Equal(t, a, b)
		require.Equal(t, r.machine.Digest(), again.machine.Digest())
		require.Equal(t, r.machine.Disclosure(), again.machine.Disclosure())
		if !more {
			break
		}
		sum := treestest.Sum(r.machine, r.member)
		require.NoError(t, r.machine.Apply(sum))
		require.NoError(t, again.machine.Apply(sum))
	}
	require.Equal(t, r.machine.Ensemble(), again.machine.Ensemble())
}

// TestUnmarshalRefuses: stored bytes are outside bytes.
func TestUnmarshalRefuses(t *testing.T) {
	r := newRun(t, trees.Params{Trees: 3, Depth: 2, Bins: 4}, read(t, toySchema, toyText(300, 7)))
	for range 3 {
		r.step(t)
	}
	cfg, bins := r.machine.Config(), r.machine.Bins()
	good, err := r.machine.MarshalBinary()
	require.NoError(t, err)
	for i := 0; i < len(good); i += 3 {
		_, err := trees.Unmarshal(cfg, bins, good[:i])
		require.ErrorIs(t, err, trees.ErrForm)
	}
	_, err = trees.Unmarshal(cfg, bins, append(bytes.Clone(good), 0))
	require.ErrorIs(t, err, trees.ErrForm)
	cfg.Plan[3] = 9
	_, err = trees.Unmarshal(cfg, bins, good)
	require.ErrorContains(t, err, "another configuration")
}

// FuzzUnmarshal: no bytes panic, and what is accepted is canonical.
func FuzzUnmarshal(f *testing.F) {
	fuzzUnmarshal(f, trees.Params{Trees: 3, Depth: 2, Bins: 4, Patience: 2})
}

// FuzzUnmarshalAdditive is the same for additive growth.
func FuzzUnmarshalAdditive(f *testing.F) { fuzzUnmarshal(f, additive(5)) }

func fuzzUnmarshal(f *testing.F, p trees.Params) {
	r := newRun(f, p, read(f, toySchema, toyText(300, 7)))
	cfg, bins := r.machine.Config(), r.machine.Bins()
	for range 4 {
		b, err := r.machine.MarshalBinary()
		require.NoError(f, err)
		f.Add(b)
		r.step(f)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := trees.Unmarshal(cfg, bins, b)
		if err != nil {
			return
		}
		again, err := m.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, b, again)
		m.Query()
		m.Ensemble()
	})
}
