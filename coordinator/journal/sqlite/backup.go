package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/koinon-eu/koinon/coordinator/journal"
)

// Backup writes a whole, compact copy of the journal to path, which must not
// exist, while appends go on. The copy is checked and on disk when Backup
// returns; on failure no file is left.
func (j *Journal) Backup(ctx context.Context, path string) (journal.Summary, error) {
	summary, err := j.backup(ctx, path)
	if err != nil {
		return journal.Summary{}, fmt.Errorf("back up journal to %s: %w", path, explain(err))
	}
	return summary, nil
}

func (j *Journal) backup(ctx context.Context, path string) (s journal.Summary, err error) {
	// SQLite fills an empty file that exists: made here, it is private, and a
	// file that was there before is refused.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return s, err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			os.Remove(path)
		}
	}()
	db := connect(j.path, "rw") // VACUUM INTO is a write to SQLite, which readers may not
	defer db.Close()
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, path); err != nil {
		return s, err
	}
	if err := f.Sync(); err != nil {
		return s, err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return s, err
	}
	return verifyCopy(ctx, path)
}

func verifyCopy(ctx context.Context, path string) (journal.Summary, error) {
	copied, err := OpenReadOnly(path)
	if err != nil {
		return journal.Summary{}, err
	}
	defer copied.Close()
	return journal.Verify(ctx, copied)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close implements journal.Journal.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	var errs []error
	if j.readers != nil {
		errs = append(errs, j.readers.Close())
	}
	if j.insert != nil {
		errs = append(errs, j.insert.Close())
	}
	if j.conn != nil {
		errs = append(errs, j.conn.Close())
	}
	if j.writer != nil {
		errs = append(errs, j.writer.Close())
	}
	return errors.Join(errs...)
}
