// Package journaltest holds the tests that every journal.Journal passes, so
// that the driver may rely on the interface alone.
package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/journal"
)

// Run runs the suite. open returns a new, empty journal; Run closes it.
func Run(t *testing.T, open func(t *testing.T) journal.Journal) {
	tests := map[string]func(*testing.T, journal.Journal){
		"empty":       empty,
		"chain":       chain,
		"from":        from,
		"all or none": allOrNone,
		"limits":      limits,
		"bodies":      bodies,
		"callback":    callback,
		"cancelled":   cancelled,
		"together":    together,
		"closed":      closed,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			j := open(t)
			defer func() { require.NoError(t, j.Close()) }()
			test(t, j)
		})
	}
}

// Entry is a plain entry for tests.
func Entry(n int) journal.Entry {
	return journal.Entry{Time: int64(1000 + n), Run: "run-1", Kind: "test", Body: fmt.Appendf(nil, "body %d", n)}
}

// All reads every record from seq on.
func All(t *testing.T, j journal.Journal, from uint64) []journal.Record {
	t.Helper()
	var all []journal.Record
	require.NoError(t, j.Read(t.Context(), from, func(r journal.Record) error {
		all = append(all, r)
		return nil
	}))
	return all
}

func empty(t *testing.T, j journal.Journal) {
	require.Empty(t, All(t, j, 1))
	s, err := journal.Verify(t.Context(), j)
	require.NoError(t, err)
	require.Zero(t, s)
	records, err := j.Append(t.Context())
	require.NoError(t, err)
	require.Empty(t, records)
}

func chain(t *testing.T, j journal.Journal) {
	first, err := j.Append(t.Context(), Entry(1), Entry(2))
	require.NoError(t, err)
	second, err := j.Append(t.Context(), Entry(3))
	require.NoError(t, err)
	want := append(first, second...)
	require.Equal(t, want, All(t, j, 1))
	var prev [32]byte
	for i, r := range want {
		require.Equal(t, uint64(i+1), r.Seq)
		require.Equal(t, prev, r.Prev)
		require.Equal(t, r.Sum(), r.Digest)
		prev = r.Digest
	}
	s, err := journal.Verify(t.Context(), j)
	require.NoError(t, err)
	require.Equal(t, journal.Summary{Records: 3, Head: prev, Last: 1003}, s)
}

func from(t *testing.T, j journal.Journal) {
	for n := 1; n <= 5; n++ {
		_, err := j.Append(t.Context(), Entry(n))
		require.NoError(t, err)
	}
	for seq, want := range map[uint64]int{0: 5, 1: 5, 3: 3, 5: 1, 6: 0, 1 << 63: 0, 1<<64 - 1: 0} {
		require.Len(t, All(t, j, seq), want, "from %d", seq)
	}
}

func allOrNone(t *testing.T, j journal.Journal) {
	_, err := j.Append(t.Context(), Entry(1))
	require.NoError(t, err)
	_, err = j.Append(t.Context(), Entry(2), journal.Entry{Kind: ""}, Entry(3))
	require.ErrorContains(t, err, "kind")
	require.Len(t, All(t, j, 1), 1)
	_, err = j.Append(t.Context(), Entry(2))
	require.NoError(t, err)
	_, err = journal.Verify(t.Context(), j)
	require.NoError(t, err)
}

func limits(t *testing.T, j journal.Journal) {
	for name, e := range map[string]journal.Entry{
		"no kind":    {},
		"long kind":  {Kind: strings.Repeat("k", journal.MaxKind+1)},
		"long run":   {Kind: "k", Run: strings.Repeat("r", journal.MaxRun+1)},
		"kind utf-8": {Kind: "\xff"},
		"run utf-8":  {Kind: "k", Run: "\xff"},
		"time":       {Kind: "k", Time: -1},
	} {
		_, err := j.Append(t.Context(), e)
		require.Error(t, err, name)
	}
	_, err := j.Append(t.Context(), journal.Entry{
		Kind: strings.Repeat("k", journal.MaxKind), Run: strings.Repeat("r", journal.MaxRun), Time: 1<<63 - 1,
	})
	require.NoError(t, err)
	require.Len(t, All(t, j, 1), 1)
}

func bodies(t *testing.T, j journal.Journal) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	body := bytes.Clone(every)
	records, err := j.Append(t.Context(),
		journal.Entry{Kind: "a", Body: body},
		journal.Entry{Kind: "b", Run: "a\x00b'\"; é"},
		journal.Entry{Kind: "c", Body: bytes.Repeat([]byte("large"), 1<<18)})
	require.NoError(t, err)
	clear(body) // the caller may reuse its bytes
	require.Equal(t, every, records[0].Body)
	stored := All(t, j, 1)
	require.Equal(t, records, stored)
	clear(stored[0].Body) // and change what it read
	require.Equal(t, every, All(t, j, 1)[0].Body)
}

func callback(t *testing.T, j journal.Journal) {
	for n := range 3 {
		_, err := j.Append(t.Context(), Entry(n))
		require.NoError(t, err)
	}
	stop := errors.New("stop")
	seen := 0
	require.Equal(t, stop, j.Read(t.Context(), 1, func(journal.Record) error {
		seen++
		return stop
	}))
	require.Equal(t, 1, seen)

	seen = 0
	require.NoError(t, j.Read(t.Context(), 1, func(journal.Record) error {
		seen++
		_, err := j.Append(t.Context(), Entry(10+seen))
		return err
	}))
	require.Equal(t, 3, seen, "Read goes up to where it began")
	require.Len(t, All(t, j, 1), 6)
}

func cancelled(t *testing.T, j journal.Journal) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := j.Append(ctx, Entry(1))
	require.ErrorIs(t, err, context.Canceled)
	_, err = j.Append(t.Context(), Entry(1))
	require.NoError(t, err)
	err = j.Read(ctx, 1, func(journal.Record) error { return nil })
	require.ErrorIs(t, err, context.Canceled)
}

func together(t *testing.T, j journal.Journal) {
	const writers, each = 8, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				records, err := j.Append(t.Context(), Entry(w), Entry(n))
				if err != nil || len(records) != 2 || records[1].Prev != records[0].Digest {
					t.Errorf("writer %d: %v", w, err)
				}
				if err := j.Read(t.Context(), records[0].Seq, func(journal.Record) error { return nil }); err != nil {
					t.Errorf("writer %d reads: %v", w, err)
				}
			}
		})
	}
	wg.Wait()
	s, err := journal.Verify(t.Context(), j)
	require.NoError(t, err)
	require.Equal(t, uint64(2*writers*each), s.Records)
}

func closed(t *testing.T, j journal.Journal) {
	require.NoError(t, j.Close())
	_, err := j.Append(t.Context(), Entry(1))
	require.ErrorIs(t, err, journal.ErrClosed)
	require.ErrorIs(t, j.Read(t.Context(), 1, func(journal.Record) error { return nil }), journal.ErrClosed)
}
