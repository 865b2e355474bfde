// Package sqlite keeps the journal in one SQLite file: the default for a
// coordinator on one machine. Appends are one transaction each, on disk before
// they return; readers never block them.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/koinon-eu/koinon/coordinator/journal"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// Errors of this implementation that a caller acts on.
var (
	// ErrFull is journal.ErrFull.
	ErrFull = journal.ErrFull
	// ErrReadOnly is returned by Append on a journal from OpenReadOnly.
	ErrReadOnly = errors.New("journal is open for reading only")
	// ErrForeignWriter means that another process has appended to the file.
	ErrForeignWriter = errors.New("another process writes to this journal")
)

// applicationID marks the file as ours ("KOIN"); schemaVersion is the layout.
const (
	applicationID = 0x4b4f494e
	schemaVersion = 1
)

const schema = `
CREATE TABLE record (
	seq    INTEGER PRIMARY KEY,
	time   INTEGER NOT NULL,
	run    TEXT    NOT NULL,
	kind   TEXT    NOT NULL,
	body   BLOB    NOT NULL,
	prev   BLOB    NOT NULL CHECK (length(prev) = 32),
	digest BLOB    NOT NULL CHECK (length(digest) = 32)
) STRICT;
CREATE TRIGGER record_in_order BEFORE INSERT ON record
	WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM record)
	BEGIN SELECT RAISE(ABORT, 'the journal grows at its end only'); END;
CREATE TRIGGER record_no_update BEFORE UPDATE ON record BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER record_no_delete BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
`

// Option changes how a journal is opened.
type Option func(*Journal)

// Observe has the latency of every successful append reported to fn.
func Observe(fn func(records int, took time.Duration)) Option {
	return func(j *Journal) { j.observe = fn }
}

// Journal implements journal.Journal over one SQLite file.
type Journal struct {
	path    string
	observe func(records int, took time.Duration)

	mu      sync.Mutex // held for the whole of an append
	writer  *sql.DB    // one connection; nil when read-only
	conn    *sql.Conn
	insert  *sql.Stmt
	seq     uint64
	head    [32]byte
	stale   bool // seq and head must be read again: an append failed
	readers *sql.DB
	closed  bool
}

// Open opens the journal at path, and creates it (mode 0600) if it is missing.
// One process at a time may append; hold a lock on the state directory.
func Open(path string, opts ...Option) (*Journal, error) {
	if err := createPrivate(path); err != nil {
		return nil, err
	}
	j := &Journal{path: path, observe: func(int, time.Duration) {}}
	for _, opt := range opts {
		opt(j)
	}
	if err := j.openWriter(); err != nil {
		j.Close()
		return nil, fmt.Errorf("journal %s: %w", path, explain(err))
	}
	j.readers = connect(path, "rw", "query_only(1)")
	return j, nil
}

// OpenReadOnly opens an existing journal to read it, also while a coordinator
// appends to it.
func OpenReadOnly(path string) (*Journal, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &Journal{path: path, readers: connect(path, "rw", "query_only(1)")}
	if err := checkSchema(context.Background(), j.readers); err != nil {
		j.Close()
		return nil, fmt.Errorf("journal %s: %w", path, explain(err))
	}
	return j, nil
}

// createPrivate makes the file with owner-only rights before SQLite, which
// would follow the umask, does.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return f.Close()
}

// connect names a database; sql.Open dials nothing. Every connection gets the
// pragmas: a full fsync on each commit, and 10 s of patience with a checkpoint
// or backup that holds the file.
func connect(path, mode string, pragmas ...string) *sql.DB {
	q := url.Values{"mode": {mode}, "_txlock": {"immediate"}}
	for _, p := range append([]string{"busy_timeout(10000)", "synchronous(FULL)"}, pragmas...) {
		q.Add("_pragma", p)
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		panic(err) // only an unregistered driver name fails here
	}
	return db
}

func (j *Journal) openWriter() error {
	ctx := context.Background()
	j.writer = connect(j.path, "rw", "journal_mode(WAL)", "wal_autocheckpoint(1000)")
	j.writer.SetMaxOpenConns(1)
	conn, err := j.writer.Conn(ctx)
	if err != nil {
		return err
	}
	j.conn = conn
	if err := j.create(ctx); err != nil {
		return err
	}
	if j.insert, err = conn.PrepareContext(ctx,
		`INSERT INTO record (seq, time, run, kind, body, prev, digest) VALUES (?, ?, ?, ?, ?, ?, ?)`); err != nil {
		return err
	}
	return j.loadHead(ctx)
}

// create lays out an empty file and checks any other.
func (j *Journal) create(ctx context.Context) error {
	var tables int
	if err := j.conn.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return err
	}
	if tables > 0 {
		return checkSchema(ctx, j.conn)
	}
	tx, err := j.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	layout := schema + fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, schemaVersion)
	if _, err := tx.ExecContext(ctx, layout); err != nil {
		return err
	}
	return tx.Commit()
}

func checkSchema(ctx context.Context, q interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
},
) error {
	var id, version int
	if err := q.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id); err != nil {
		return err
	}
	if err := q.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	if id != applicationID {
		return errors.New("this file is a database, but not a journal")
	}
	if version != schemaVersion {
		return fmt.Errorf("layout version %d, this program knows %d", version, schemaVersion)
	}
	return nil
}

func (j *Journal) loadHead(ctx context.Context) error {
	var seq int64
	var digest []byte
	err := j.conn.QueryRowContext(ctx, `SELECT seq, digest FROM record ORDER BY seq DESC LIMIT 1`).Scan(&seq, &digest)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		j.seq, j.head = 0, [32]byte{}
	case err != nil:
		return err
	default:
		j.seq, j.head = uint64(seq), [32]byte(digest)
	}
	j.stale = false
	return nil
}

// explain replaces SQLite's code for a full disk by the sentinel.
func explain(err error) error {
	var e *driver.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case lib.SQLITE_FULL:
		return fmt.Errorf("%w: %w", ErrFull, err)
	case lib.SQLITE_CONSTRAINT:
		return fmt.Errorf("%w: %w", ErrForeignWriter, err)
	}
	return err
}
