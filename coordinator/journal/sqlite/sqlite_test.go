package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/journal/journaltest"
)

func open(t *testing.T, path string, opts ...Option) *Journal {
	t.Helper()
	j, err := Open(path, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	return j
}

func TestSuite(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) journal.Journal {
		return open(t, filepath.Join(t.TempDir(), "a journal?#%.db"))
	})
}

func TestReopenGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	var want []journal.Record
	for n := range 3 {
		j, err := Open(path)
		require.NoError(t, err)
		records, err := j.Append(t.Context(), journaltest.Entry(n))
		require.NoError(t, err)
		want = append(want, records...)
		require.Equal(t, want, journaltest.All(t, j, 1))
		require.NoError(t, j.Close())
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestDatabaseIsAppendOnlyAndDurable(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"))
	_, err := j.Append(t.Context(), journaltest.Entry(1))
	require.NoError(t, err)
	for _, statement := range []string{
		`UPDATE record SET body = x'00'`, `DELETE FROM record`,
		`INSERT OR REPLACE INTO record SELECT * FROM record`,
	} {
		_, err := j.conn.ExecContext(t.Context(), statement)
		require.Error(t, err, statement)
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2"} {
		var got string
		require.NoError(t, j.conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
		require.Equal(t, want, got, pragma)
	}
	_, err = j.readers.ExecContext(t.Context(), `INSERT INTO record SELECT 2, 0, '', 'k', x'', prev, digest FROM record`)
	require.ErrorContains(t, err, "readonly", "readers cannot write")
	_, err = journal.Verify(t.Context(), j)
	require.NoError(t, err)
}

func TestFullDatabase(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"))
	var pages int
	require.NoError(t, j.conn.QueryRowContext(t.Context(), "PRAGMA max_page_count = 40").Scan(&pages))
	fillAndRecover(t, j, func() {
		require.NoError(t, j.conn.QueryRowContext(t.Context(), "PRAGMA max_page_count = 100000").Scan(&pages))
	})
}

// fillAndRecover appends until there is no room, checks that nothing was lost,
// makes room and goes on.
func fillAndRecover(t *testing.T, j *Journal, makeRoom func()) {
	t.Helper()
	big := journal.Entry{Kind: "big", Body: bytes.Repeat([]byte("x"), 8000)}
	acknowledged := 0
	for ; ; acknowledged++ {
		require.Less(t, acknowledged, 10_000, "never full")
		if _, err := j.Append(t.Context(), big); err != nil {
			require.ErrorIs(t, err, ErrFull)
			require.ErrorContains(t, err, "no space left for the journal")
			break
		}
	}
	require.Positive(t, acknowledged)
	for range 3 {
		_, err := j.Append(t.Context(), big)
		require.ErrorIs(t, err, ErrFull, "still full")
	}
	s, err := journal.Verify(t.Context(), j)
	require.NoError(t, err)
	require.Equal(t, uint64(acknowledged), s.Records)

	makeRoom()
	_, err = j.Append(t.Context(), big, big)
	require.NoError(t, err)
	s, err = journal.Verify(t.Context(), j)
	require.NoError(t, err)
	require.Equal(t, uint64(acknowledged+2), s.Records)
}

func TestBackup(t *testing.T) {
	dir := t.TempDir()
	j := open(t, filepath.Join(dir, "journal.db"))
	for n := range 20 {
		_, err := j.Append(t.Context(), journaltest.Entry(n))
		require.NoError(t, err)
	}
	target := filepath.Join(dir, "backup.db")
	s, err := j.Backup(t.Context(), target)
	require.NoError(t, err)
	require.Equal(t, uint64(20), s.Records)
	info, err := os.Stat(target)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	_, err = j.Backup(t.Context(), target)
	require.ErrorIs(t, err, os.ErrExist, "an older backup is not overwritten")
	_, err = j.Append(t.Context(), journaltest.Entry(20))
	require.NoError(t, err)

	restored := open(t, target)
	require.Equal(t, journaltest.All(t, j, 1)[:20], journaltest.All(t, restored, 1))
	_, err = restored.Append(t.Context(), journaltest.Entry(20))
	require.NoError(t, err)

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = j.Backup(cancelled, filepath.Join(dir, "other.db"))
	require.ErrorIs(t, err, context.Canceled)
	require.NoFileExists(t, filepath.Join(dir, "other.db"))
}

func TestReadOnlyBesideWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	_, err := OpenReadOnly(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	j := open(t, path)
	reader, err := OpenReadOnly(path)
	require.NoError(t, err)
	defer reader.Close()
	for n := range 3 {
		_, err := j.Append(t.Context(), journaltest.Entry(n))
		require.NoError(t, err)
		s, err := journal.Verify(t.Context(), reader)
		require.NoError(t, err)
		require.Equal(t, uint64(n+1), s.Records)
	}
	_, err = reader.Append(t.Context(), journaltest.Entry(9))
	require.ErrorIs(t, err, ErrReadOnly)
}

func TestSecondWriterIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	a, b := open(t, path), open(t, path)
	_, err := a.Append(t.Context(), journaltest.Entry(1))
	require.NoError(t, err)
	_, err = b.Append(t.Context(), journaltest.Entry(2))
	require.ErrorIs(t, err, ErrForeignWriter)
	_, err = b.Append(t.Context(), journaltest.Entry(2))
	require.NoError(t, err, "it has seen the other's record and goes on behind it")
	s, err := journal.Verify(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, uint64(2), s.Records)
}

func TestForeignFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(text, bytes.Repeat([]byte("not a database. "), 100), 0o600))
	other := filepath.Join(dir, "other.db")
	db, err := sql.Open("sqlite", other)
	require.NoError(t, err)
	_, err = db.Exec(`CREATE TABLE t (a)`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	newer := filepath.Join(dir, "newer.db")
	j := open(t, newer)
	_, err = j.conn.ExecContext(t.Context(), `PRAGMA user_version = 2`)
	require.NoError(t, err)
	for path, want := range map[string]string{text: "not a database", other: "not a journal", newer: "version 2"} {
		_, err := Open(path)
		require.ErrorContains(t, err, want)
		_, err = OpenReadOnly(path)
		require.ErrorContains(t, err, want)
	}
	_, err = Open(filepath.Join(dir, "missing", "journal.db"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestTamperedFileIsFound changes the file behind SQLite's back.
func TestTamperedFileIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := Open(path)
	require.NoError(t, err)
	for n := range 5 {
		_, err := j.Append(t.Context(), journaltest.Entry(n))
		require.NoError(t, err)
	}
	require.NoError(t, j.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(data, []byte("body 3")))
	require.NoError(t, os.WriteFile(path, bytes.Replace(data, []byte("body 3"), []byte("body 9"), 1), 0o600))
	_, err = journal.Verify(t.Context(), open(t, path))
	var broken *journal.BrokenError
	require.ErrorAs(t, err, &broken)
	require.Equal(t, uint64(4), broken.Seq)
}

func TestAppendLatencyIsReported(t *testing.T) {
	var took []time.Duration
	j := open(t, filepath.Join(t.TempDir(), "journal.db"), Observe(func(records int, d time.Duration) {
		require.Equal(t, 2, records)
		took = append(took, d)
	}))
	for n := range 200 {
		_, err := j.Append(t.Context(), journaltest.Entry(n), journaltest.Entry(n))
		require.NoError(t, err)
	}
	require.Len(t, took, 200)
	slices.Sort(took)
	t.Logf("append of two records: median %s, 99 %% under %s", took[100], took[198])
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{200, 20_000} {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			j, err := Open(filepath.Join(b.TempDir(), "journal.db"))
			require.NoError(b, err)
			defer j.Close()
			e := journal.Entry{Kind: "bench", Body: bytes.Repeat([]byte("x"), size)}
			for b.Loop() {
				_, err := j.Append(b.Context(), e)
				require.NoError(b, err)
			}
		})
	}
}
