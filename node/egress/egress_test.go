package egress

import (
	"crypto/sha256"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/node/chain"
)

func open(t *testing.T, path string) *Log {
	t.Helper()
	l, err := Open(path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func TestRecordAndList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "egress.jsonl")
	l := open(t, path)
	packet := []byte("masked words")
	want := []Message{
		Describe("run-1", 3, "chunk", "plan aa, step 7 <train>", packet),
		Describe("", 0, "enroll", "koinon-node enroll", nil),
	}
	require.Equal(t, int64(12), want[0].Bytes)
	require.Equal(t, chain.Digest(sha256.Sum256(packet)), want[0].SHA256)
	for i, m := range want {
		require.NoError(t, l.Record(int64(100+i), m))
	}
	list := func() (got []Message) {
		s, err := List(path, func(e Entry) error {
			require.Equal(t, int64(99+e.Seq), e.Time)
			got = append(got, e.Message)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, uint64(len(got)), s.Entries)
		return got
	}
	require.Equal(t, want, list(), "seen before it is synced")
	require.NoError(t, l.Sync())
	require.NoError(t, l.Close())
	l = open(t, path)
	require.NoError(t, l.Record(102, want[0]))
	require.Equal(t, append(want, want[0]), list())
	s, err := Verify(path)
	require.NoError(t, err)
	require.Equal(t, l.Summary(), s)
}

func TestSyncHappensByItself(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "egress.jsonl"))
	for i := range 1000 {
		require.NoError(t, l.Record(int64(i), Describe("run-1", 1, "chunk", "test", []byte{byte(i)})))
		require.Less(t, l.chain.Staged(), syncEvery)
	}
}

func TestBadMessagesAreRefused(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "egress.jsonl"))
	for name, m := range map[string]Message{
		"no type": {}, "negative": {Type: "x", Bytes: -1}, "long type": {Type: strings.Repeat("x", maxType+1)},
		"long why": {Type: "x", Why: strings.Repeat("x", maxWhy+1)}, "long run": {Type: "x", Run: strings.Repeat("x", maxRun+1)},
		"control": {Type: "x", Why: "a\x1b[2J"}, "not utf-8": {Type: "x", Run: "\xff"},
	} {
		require.Error(t, l.Record(1, m), name)
	}
	require.Zero(t, l.Summary().Entries)
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Record(1, Message{Type: "x"}), chain.ErrClosed)
}

func TestTamperedRecordIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "egress.jsonl")
	l := open(t, path)
	for i := range 3 {
		require.NoError(t, l.Record(int64(i), Describe("run-1", uint32(i), "chunk", "test", nil)))
	}
	require.NoError(t, l.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(data), `"round":1`, `"round":7`, 1)), 0o600))
	var broken *chain.BrokenError
	_, err = Verify(path)
	require.ErrorAs(t, err, &broken)
	require.Equal(t, uint64(2), broken.Line)
	_, err = Open(path, slog.New(slog.DiscardHandler))
	require.ErrorAs(t, err, &broken)

	file, err := chain.Open(filepath.Join(t.TempDir(), "x"), "egress", nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer file.Close()
	for _, kind := range []string{"message", "other"} {
		e, err := file.Append(1, kind, map[string]int{"bytes": 1})
		require.NoError(t, err)
		_, err = parse(e)
		require.Error(t, err)
	}
}
