package chain

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/koinon-eu/koinon/deploy/service"
)

// ErrClosed is returned by a Log after Close.
var ErrClosed = errors.New("records are closed")

// file is what Log needs of an *os.File opened for appending.
type file interface {
	io.WriteCloser
	Truncate(size int64) error
	Sync() error
}

// Log is the file, open to append. Its methods may be called from several
// goroutines. One process at a time may hold it: lock the state directory.
type Log struct {
	name string

	mu       sync.Mutex
	f        file
	summary  Summary // of all entries, staged ones included
	durable  int64   // bytes that are known to be on disk
	unsynced []byte  // lines behind them, kept until a Sync succeeds
	dirty    bool    // the file may hold other bytes behind durable than unsynced
	closed   bool
}

// Open checks the whole file at path, hands each entry to replay (which may be
// nil) and leaves it open to append. A missing file is made, with mode 0600. A
// partial last line is cut off with a warning; other damage is a *BrokenError.
// name (lower-case) says what the file records and is part of every digest, so
// that one file cannot stand in for another.
func Open(path, name string, replay func(Entry) error, log *slog.Logger) (*Log, error) {
	l, err := open(path, name, replay, log)
	if err != nil {
		return nil, fmt.Errorf("open %s records: %w", name, err)
	}
	return l, nil
}

func open(path, name string, replay func(Entry) error, log *slog.Logger) (*Log, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	summary, offset, err := scan(f, path, name, replay)
	if err == nil && summary.Torn > 0 {
		log.Warn("cut off a partial last line, left by a crash and never acknowledged",
			"file", path, "line", summary.Entries+1, "bytes", summary.Torn)
		err = f.Truncate(offset)
		summary.Torn = 0
	}
	// Lines an earlier process had not synced count from now on: make them so.
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = service.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Log{name: name, f: f, summary: summary, durable: offset}, nil
}

// Append adds an entry and returns when it, and all staged before it, are on
// disk. On an error the entry is not in the chain, and the next call works
// again as soon as the disk does. body is anything JSON can hold.
func (l *Log) Append(now int64, kind string, body any) (Entry, error) {
	return l.add(now, kind, body, true)
}

// Stage is Append without the wait for the disk: a crash of this process loses
// nothing, a power cut may lose what was staged since the last Sync.
func (l *Log) Stage(now int64, kind string, body any) (Entry, error) {
	return l.add(now, kind, body, false)
}

// Sync returns when all staged entries are on disk. They are kept in memory
// until then: after a failed Sync the next one writes them again.
func (l *Log) Sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	if err := l.sync(); err != nil {
		return fmt.Errorf("sync %s records: %w", l.name, err)
	}
	return nil
}

// Summary is the state after the last entry.
func (l *Log) Summary() Summary {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.summary
}

// Staged is the number of bytes that await Sync.
func (l *Log) Staged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.unsynced)
}

// Close syncs and closes the file. It may be called twice.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return errors.Join(l.sync(), l.f.Close())
}

func (l *Log) add(now int64, kind string, body any, durable bool) (Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return Entry{}, ErrClosed
	}
	e, err := l.summary.next(l.name, now, kind, body)
	if err == nil {
		err = l.write(e, durable)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("append to %s records: %w", l.name, err)
	}
	return e, l.summary.follow(e)
}

func (l *Log) write(e Entry, durable bool) error {
	line, err := e.line()
	if err != nil {
		return err
	}
	if err := l.repair(); err != nil {
		return err
	}
	before := len(l.unsynced)
	if _, err = l.f.Write(line); err == nil {
		l.unsynced = append(l.unsynced, line...)
		if !durable {
			return nil
		}
		err = l.sync()
	}
	if err != nil {
		// The entry is refused, so no trace of it may stay: what it left in the
		// file goes now or, if the disk will not even do that, before the next
		// write.
		l.unsynced = l.unsynced[:min(before, len(l.unsynced))]
		l.dirty = true
		_ = l.repair()
	}
	return err
}

func (l *Log) sync() error {
	if err := l.repair(); err != nil {
		return err
	}
	if len(l.unsynced) == 0 {
		return nil
	}
	if err := l.f.Sync(); err != nil {
		// The kernel may now call pages clean that never reached the disk:
		// write them again next time.
		l.dirty = true
		return err
	}
	l.durable += int64(len(l.unsynced))
	l.unsynced = l.unsynced[:0]
	return nil
}

// repair puts behind the durable bytes exactly the unsynced ones.
func (l *Log) repair() error {
	if !l.dirty {
		return nil
	}
	if err := l.f.Truncate(l.durable); err != nil {
		return err
	}
	if _, err := l.f.Write(l.unsynced); err != nil {
		return err
	}
	l.dirty = false
	return nil
}
