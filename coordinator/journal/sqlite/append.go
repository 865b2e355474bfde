package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/koinon-eu/koinon/coordinator/journal"
)

// Append implements journal.Journal. The context is asked only before the
// transaction begins: once begun it ends either way, so that the caller never
// has to guess.
func (j *Journal) Append(ctx context.Context, entries ...journal.Entry) ([]journal.Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return nil, journal.ErrClosed
	case j.writer == nil:
		return nil, ErrReadOnly
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(entries) == 0:
		return nil, nil
	}
	begun := time.Now()
	records, err := j.append(context.WithoutCancel(ctx), entries)
	if err != nil {
		return nil, fmt.Errorf("append to journal: %w", explain(err))
	}
	j.observe(len(records), time.Since(begun))
	return records, nil
}

func (j *Journal) append(ctx context.Context, entries []journal.Entry) ([]journal.Record, error) {
	if j.stale {
		// Whatever an earlier failure left behind, the file decides.
		if err := j.loadHead(ctx); err != nil {
			return nil, err
		}
	}
	records, err := journal.Chain(j.seq, j.head, entries)
	if err != nil {
		return nil, err
	}
	if err := j.store(ctx, records); err != nil {
		j.stale = true
		return nil, err
	}
	last := records[len(records)-1]
	j.seq, j.head = last.Seq, last.Digest
	return records, nil
}

// store writes the records in one transaction. When another process has put a
// record in the same place, the database refuses.
func (j *Journal) store(ctx context.Context, records []journal.Record) error {
	tx, err := j.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	insert := tx.StmtContext(ctx, j.insert)
	defer insert.Close()
	for i := range records {
		r := &records[i]
		if _, err := insert.ExecContext(ctx, int64(r.Seq), r.Time, r.Run, r.Kind, r.Body, r.Prev[:], r.Digest[:]); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Read implements journal.Journal. It sees one state of the file however long
// fn takes, and blocks no append.
func (j *Journal) Read(ctx context.Context, from uint64, fn func(journal.Record) error) error {
	j.mu.Lock()
	closed := j.closed
	j.mu.Unlock()
	if closed {
		return journal.ErrClosed
	}
	rows, err := j.readers.QueryContext(ctx,
		`SELECT seq, time, run, kind, body, prev, digest FROM record WHERE seq >= ? ORDER BY seq`, int64(min(from, 1<<63-1)))
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r journal.Record
		var seq int64
		var prev, digest []byte
		if err := rows.Scan(&seq, &r.Time, &r.Run, &r.Kind, &r.Body, &prev, &digest); err != nil {
			return fmt.Errorf("read journal: %w", err)
		}
		r.Seq = uint64(seq)
		if r.Body == nil {
			r.Body = []byte{}
		}
		copy(r.Prev[:], prev)
		copy(r.Digest[:], digest)
		if err := fn(r); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	return nil
}
