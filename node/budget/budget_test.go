package budget

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/node/chain"
)

var (
	plan  = chain.Digest{0xAA}
	other = chain.Digest{0xBB}
	run   = Run{1}
	quiet = slog.New(slog.DiscardHandler)
)

func open(t *testing.T, path string) *Ledger {
	t.Helper()
	l, err := Open(path, quiet)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func newLedger(t *testing.T) (*Ledger, string) {
	path := filepath.Join(t.TempDir(), "budget.jsonl")
	return open(t, path), path
}

func sum(round, step uint32, kind Kind, sigma byte) Sum {
	return Sum{Plan: plan, Run: run, Round: round, Step: step, Kind: kind, Sigma: chain.Digest{sigma}}
}

func set(members ...int) (s chain.Digest) {
	for _, m := range members {
		s[m/8] |= 1 << (m % 8)
	}
	return s
}

// TestEvaluationsAreLimited: S36, spent when `mask` leaves; default three.
func TestEvaluationsAreLimited(t *testing.T) {
	l, path := newLedger(t)
	for i := range uint32(3) {
		require.NoError(t, l.Reserve(100, sum(i+1, i, Evaluate, byte(i+1)), Limits{}))
	}
	require.ErrorIs(t, l.Reserve(100, sum(9, 9, Evaluate, 9), Limits{}), ErrSpent)
	require.NoError(t, l.Reserve(100, sum(10, 0, Evaluate, 1), Limits{}), "a repeat of a step costs nothing more")
	require.NoError(t, l.Reserve(100, sum(11, 5, Train, 11), Limits{}), "training is not an evaluation")
	require.NoError(t, l.Close())

	l = open(t, path)
	require.ErrorIs(t, l.Reserve(100, sum(12, 9, Evaluate, 9), Limits{}), ErrSpent, "also after a restart")
	require.NoError(t, l.Reserve(100, sum(12, 9, Evaluate, 9), Limits{Evaluations: 4}))
	fresh := sum(13, 0, Evaluate, 20)
	fresh.Plan = other
	require.NoError(t, l.Reserve(200, fresh, Limits{}), "another plan has a budget of its own")
	none := sum(14, 0, Evaluate, 21)
	none.Plan = chain.Digest{0xCC}
	require.ErrorIs(t, l.Reserve(200, none, Limits{Evaluations: -1}), ErrSpent, "negative is none")
	require.Error(t, l.Reserve(200, sum(15, 0, Kind(9), 1), Limits{}), "unknown kind")
}

// TestOneVectorPerRound: S27.
func TestOneVectorPerRound(t *testing.T) {
	l, path := newLedger(t)
	require.NoError(t, l.Reserve(100, sum(1, 0, Train, 1), Limits{}))
	require.ErrorIs(t, l.Reserve(100, sum(1, 0, Train, 1), Limits{}), ErrReused)
	require.NoError(t, l.Close())
	l = open(t, path)
	require.ErrorIs(t, l.Reserve(100, sum(1, 1, Train, 2), Limits{}), ErrReused)
	elsewhere := sum(1, 1, Train, 2)
	elsewhere.Run = Run{2}
	require.NoError(t, l.Reserve(100, elsewhere, Limits{}))
}

// TestLastRoundIsDurable: S64, S13.
func TestLastRoundIsDurable(t *testing.T) {
	l, path := newLedger(t)
	require.Zero(t, l.LastRound(run))
	require.NoError(t, l.Round(100, run, 1))
	require.NoError(t, l.Round(100, run, 5))
	require.ErrorIs(t, l.Round(100, run, 5), ErrStale)
	require.NoError(t, l.Round(100, Run{2}, 1))
	require.NoError(t, l.Close())
	l = open(t, path)
	require.Equal(t, uint32(5), l.LastRound(run))
	require.ErrorIs(t, l.Round(100, run, 4), ErrStale)
	require.ErrorIs(t, l.Round(100, Run{3}, 0), ErrStale, "rounds begin at 1")
}

// TestDrawsAreLimited: V12. They count per plan, over all runs, and are durable.
func TestDrawsAreLimited(t *testing.T) {
	l, path := newLedger(t)
	require.NoError(t, l.Draw(100, plan, run, 1))
	require.NoError(t, l.Draw(100, plan, Run{2}, 1))
	require.NoError(t, l.Draw(100, chain.Digest{9}, run, 2))
	require.NoError(t, l.Close())
	l = open(t, path)
	require.Equal(t, 2, l.Draws(plan))
	require.Equal(t, 1, l.Draws(chain.Digest{9}))
	require.Zero(t, l.Draws(chain.Digest{8}))
	l.draws[plan] = secagg.MaxDraws
	require.ErrorIs(t, l.Draw(100, plan, run, 3), ErrSpent)
	require.Equal(t, secagg.MaxDraws, l.Draws(plan))
}

// TestLockHoldsSurvivors: S33.
func TestLockHoldsSurvivors(t *testing.T) {
	l, path := newLedger(t)
	name := chain.Digest{7}
	lock := Lock{Name: name, Survivors: set(0, 1, 2, 4), H3: chain.Digest{1}, Run: run, Round: 3}
	_, ok := l.Locked(name)
	require.False(t, ok)
	require.NoError(t, l.Lock(100, lock))
	before := l.Summary()
	require.NoError(t, l.Lock(100, lock), "the same again")
	require.Equal(t, before, l.Summary(), "is not written twice")
	for _, survivors := range []chain.Digest{set(0, 1, 2, 3), set(0, 1, 2, 3, 4), set(5), set(0, 1, 2, 4, 200), set(0, 1, 4)} {
		bad := lock
		bad.Survivors, bad.Round, bad.Excused = survivors, 4, set(4)
		require.ErrorIs(t, l.Lock(100, bad), ErrReleased)
	}
	require.NoError(t, l.Close())

	l = open(t, path)
	got, ok := l.Locked(name)
	require.True(t, ok)
	require.Equal(t, lock, got)
	repeat := lock
	repeat.Round, repeat.H3 = 4, chain.Digest{2}
	require.NoError(t, l.Lock(100, repeat), "repeated with the same survivors")
	without := repeat
	without.Survivors, without.Excused = set(0, 1, 4), set(2, 3)
	require.NoError(t, l.Lock(100, without), "without one proven guilty")
	require.ErrorIs(t, l.Lock(100, repeat), ErrReleased, "who stays out")
}

func TestShowAndVerify(t *testing.T) {
	l, path := newLedger(t)
	require.NoError(t, l.Round(90, run, 1))
	require.NoError(t, l.Reserve(100, sum(1, 0, Statistics, 1), Limits{}))
	require.NoError(t, l.Reserve(110, sum(2, 1, Train, 2), Limits{}))
	require.NoError(t, l.Reserve(120, sum(3, 1, Train, 2), Limits{}))
	require.NoError(t, l.Reserve(130, sum(4, 2, Evaluate, 3), Limits{}))
	early := sum(5, 0, Train, 9)
	early.Plan = other
	require.NoError(t, l.Reserve(150, early, Limits{}))
	want := []Account{
		{Plan: plan, Sums: map[string]int{"statistics": 1, "train": 2, "evaluate": 1}, Steps: 3, Evaluations: 1, First: 100, Last: 130},
		{Plan: other, Sums: map[string]int{"train": 1}, Steps: 1, First: 150, Last: 150},
	}
	require.Equal(t, want, l.Show())
	require.ElementsMatch(t, []chain.Digest{{1}, {2}, {3}}, l.Steps(plan))
	shown, _, summary, err := Show(path, Privacy{})
	require.NoError(t, err)
	require.Equal(t, want, shown)
	require.Equal(t, l.Summary(), summary)
	verified, err := Verify(path)
	require.NoError(t, err)
	require.Equal(t, summary, verified)

	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(data), `"round":2`, `"round":9`, 1)), 0o600))
	_, err = Verify(path)
	var broken *chain.BrokenError
	require.ErrorAs(t, err, &broken)
	require.Equal(t, uint64(3), broken.Line)
}

// TestLedgerThatBreaksTheRulesIsRefused: a chain can be whole and still tell
// of acts the ledger would never have allowed.
func TestLedgerThatBreaksTheRulesIsRefused(t *testing.T) {
	type entry struct {
		kind string
		body any
	}
	for name, entries := range map[string][]entry{
		"masked twice":      {{entrySum, sum(1, 0, Train, 1)}, {entrySum, sum(1, 0, Train, 1)}},
		"round back":        {{entryRound, roundFact{run, 2}}, {entryRound, roundFact{run, 1}}},
		"released twice":    {{entryLock, Lock{Survivors: set(1)}}, {entryLock, Lock{Survivors: set(2)}}},
		"released to fewer": {{entryLock, Lock{Survivors: set(1, 2)}}, {entryLock, Lock{Survivors: set(1)}}},
		"unknown kind":      {{"gift", roundFact{run, 1}}},
		"wrong body":        {{entryRound, map[string]int{"round": 1}}},
		"unknown step":      {{entrySum, map[string]any{"plan": plan, "run": run, "round": 1, "step": 1, "kind": "dance", "sigma": plan}}},
		"short run":         {{entryRound, map[string]any{"run": "00", "round": 1}}},
		"overflown round":   {{entryRound, json.RawMessage(`{"run":"01000000000000000000000000000000","round":4294967296}`)}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "budget.jsonl")
			file, err := chain.Open(path, "budget", nil, quiet)
			require.NoError(t, err)
			for _, e := range entries {
				_, err := file.Append(1, e.kind, e.body)
				require.NoError(t, err)
			}
			require.NoError(t, file.Close())
			_, err = Open(path, quiet)
			var broken *chain.BrokenError
			require.ErrorAs(t, err, &broken)
			require.Equal(t, uint64(len(entries)), broken.Line)
		})
	}
}

// TestRefusedSpendingLeavesNoTrace: when the disk refuses, nothing is spent in
// memory either.
func TestRefusedSpendingLeavesNoTrace(t *testing.T) {
	l, _ := newLedger(t)
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Round(1, run, 1), chain.ErrClosed)
	require.Zero(t, l.LastRound(run))
	require.ErrorIs(t, l.Lock(1, Lock{Name: plan}), chain.ErrClosed)
	_, ok := l.Locked(plan)
	require.False(t, ok)
	require.True(t, errors.Is(l.Reserve(1, sum(1, 1, Evaluate, 1), Limits{}), chain.ErrClosed))
	require.Empty(t, l.Show())
}

func TestKinds(t *testing.T) {
	for k := range kindNames {
		text, err := k.MarshalText()
		require.NoError(t, err)
		require.Equal(t, k.String(), string(text))
		var again Kind
		require.NoError(t, again.UnmarshalText(text))
		require.Equal(t, k, again)
	}
	_, err := Kind(0).MarshalText()
	require.Error(t, err)
	require.Equal(t, "kind 0", Kind(0).String())
	var k Kind
	require.Error(t, k.UnmarshalText([]byte("Train")))
}

func FuzzReplay(f *testing.F) {
	for _, body := range []any{sum(1, 1, Train, 1), Lock{}, roundFact{run, 1}} {
		b, err := json.Marshal(body)
		require.NoError(f, err)
		for _, kind := range []string{entryRound, entrySum, entryLock, "x"} {
			f.Add(kind, b)
		}
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		s := newState()
		if s.replay(chain.Entry{Seq: 1, Time: 1, Kind: kind, Body: body}) == nil {
			require.LessOrEqual(t, len(s.show()), 1)
		}
	})
}
