package journal_test

import (
	"context"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/journal/journaltest"
)

func TestMemory(t *testing.T) {
	journaltest.Run(t, func(*testing.T) journal.Journal { return journal.NewMemory() })
}

// forged is a journal whose records anyone can rewrite.
type forged []journal.Record

func (f forged) Append(context.Context, ...journal.Entry) ([]journal.Record, error) {
	return nil, journal.ErrClosed
}
func (f forged) Close() error { return nil }
func (f forged) Read(_ context.Context, _ uint64, fn func(journal.Record) error) error {
	for _, r := range f {
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

func TestVerifyNamesTheFirstBrokenRecord(t *testing.T) {
	entries := []journal.Entry{journaltest.Entry(1), journaltest.Entry(2), journaltest.Entry(3), journaltest.Entry(4)}
	changes := map[string]struct {
		change func(f forged) forged
		seq    uint64
		reason string
	}{
		"body":       {func(f forged) forged { f[1].Body[0]++; return f }, 2, "content"},
		"time":       {func(f forged) forged { f[2].Time++; return f }, 3, "content"},
		"kind":       {func(f forged) forged { f[3].Kind = "other"; return f }, 4, "content"},
		"run":        {func(f forged) forged { f[0].Run = ""; return f }, 1, "content"},
		"moved text": {func(f forged) forged { f[0].Run, f[0].Kind = "run-1t", "est"; return f }, 1, "content"},
		"missing":    {func(f forged) forged { return append(f[:1], f[2:]...) }, 2, "sequence number 3"},
		"swapped":    {func(f forged) forged { f[1], f[2] = f[2], f[1]; return f }, 2, "sequence number 3"},
		"first gone": {func(f forged) forged { return f[1:] }, 1, "sequence number 2"},
		"doubled":    {func(f forged) forged { return append(f[:2], f[1:]...) }, 3, "sequence number 2"},
		"rechained": {func(f forged) forged {
			f[1].Body = []byte("lie")
			f[1].Digest = f[1].Sum()
			return f
		}, 3, "does not follow"},
	}
	for name, c := range changes {
		t.Run(name, func(t *testing.T) {
			records, err := journal.Chain(0, [32]byte{}, entries)
			require.NoError(t, err)
			s, err := journal.Verify(t.Context(), c.change(forged(records)))
			var broken *journal.BrokenError
			require.ErrorAs(t, err, &broken)
			require.Equal(t, c.seq, broken.Seq)
			require.Contains(t, broken.Reason, c.reason)
			require.Equal(t, c.seq-1, s.Records, "records before it are good")
		})
	}
}

// golden was computed outside Go, from the words of Record.Sum.
const golden = "398031d7a5266a350ac36d597479eb735000df9211585508dbe788b1d98fda12"

// TestDigestIsFixed keeps journals readable for good: the digest of a record
// never changes meaning.
func TestDigestIsFixed(t *testing.T) {
	r := journal.Record{Seq: 7, Time: 1_700_000_000, Run: "run", Kind: "kind", Body: []byte("body"), Prev: [32]byte{1, 2, 3}}
	sum := r.Sum()
	require.Equal(t, golden, hex.EncodeToString(sum[:]))
}

func TestReplayStopsWithTheCallersError(t *testing.T) {
	j := journal.NewMemory()
	_, err := j.Append(t.Context(), journaltest.Entry(1), journaltest.Entry(2))
	require.NoError(t, err)
	s, err := journal.Replay(t.Context(), j, func(r journal.Record) error {
		if r.Seq == 2 {
			return context.DeadlineExceeded
		}
		return nil
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, uint64(2), s.Records)
}
