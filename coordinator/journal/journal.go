// Package journal is the coordinator's memory: an append-only, hash-chained
// list of records from which every run is rebuilt after a restart. The driver
// appends before it acts, so nothing that left the coordinator is ever unknown
// to it. This package holds the record, the interface, its check and an
// implementation in memory; journaltest holds the tests that every
// implementation passes.
package journal

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Limits of an entry, in bytes. Masked vectors never come here: they are
// spooled to files, and the journal holds their digests.
const (
	MaxRun  = 128
	MaxKind = 64
	MaxBody = 64 << 20
)

// ErrClosed is returned by a journal after Close.
var ErrClosed = errors.New("journal is closed")

// ErrFull means that the disk (or a configured limit) has no room. The append did not happen; the journal is usable as
// soon as there is room.
var ErrFull = errors.New("no space left for the journal")

// Entry is what the driver writes.
type Entry struct {
	Time int64  // Unix seconds, stamped by the driver
	Run  string // the run it belongs to; "" for the federation itself
	Kind string // what happened, in the words of the glossary
	Body []byte // canonical bytes of the fact; may be empty
}

// Record is an entry in its place in the chain.
type Record struct {
	Seq    uint64 // 1, 2, 3, … without a gap
	Time   int64
	Run    string
	Kind   string
	Body   []byte
	Prev   [32]byte // Digest of the record before; zero for the first
	Digest [32]byte // covers every field above
}

// Journal stores records in order. Methods may be called from several
// goroutines; appends take turns.
type Journal interface {
	// Append adds the entries as consecutive records: all of them or, on any
	// error, none. When it returns nil they survive a crash and a power cut.
	// After an error that has passed (a full disk) the journal is usable again.
	Append(ctx context.Context, entries ...Entry) ([]Record, error)
	// Read calls fn with every record from seq on that was there when Read
	// began, in order, and stops at fn's first error, which it returns
	// unchanged. fn owns the record and may append. Read does not check the
	// chain: Replay does.
	Read(ctx context.Context, from uint64, fn func(Record) error) error
	// Close releases the journal; it may be called twice.
	Close() error
}

// domain separates these digests from every other SHA-256 in the system.
const domain = "koinon/journal/record/v1"

// Sum returns the digest r should have: SHA-256 over domain, sequence number,
// time, run, kind, body and the digest before, each string behind its length
// as 8 big-endian bytes.
func (r Record) Sum() [32]byte {
	h := sha256.New()
	var n [8]byte
	number := func(v uint64) {
		binary.BigEndian.PutUint64(n[:], v)
		h.Write(n[:])
	}
	text := func(b []byte) {
		number(uint64(len(b)))
		h.Write(b)
	}
	text([]byte(domain))
	number(r.Seq)
	number(uint64(r.Time))
	text([]byte(r.Run))
	text([]byte(r.Kind))
	text(r.Body)
	h.Write(r.Prev[:])
	return [32]byte(h.Sum(nil))
}

// Validate checks the limits of an entry.
func (e Entry) Validate() error {
	switch {
	case e.Kind == "" || len(e.Kind) > MaxKind || !utf8.ValidString(e.Kind):
		return fmt.Errorf("journal entry: kind %.70q is not UTF-8 of 1 to %d bytes", e.Kind, MaxKind)
	case len(e.Run) > MaxRun || !utf8.ValidString(e.Run):
		return fmt.Errorf("journal entry %s: run %.140q is not UTF-8 of at most %d bytes", e.Kind, e.Run, MaxRun)
	case len(e.Body) > MaxBody:
		return fmt.Errorf("journal entry %s: body of %d bytes is over the limit of %d", e.Kind, len(e.Body), MaxBody)
	case e.Time < 0:
		return fmt.Errorf("journal entry %s: time %d is before 1970", e.Kind, e.Time)
	}
	return nil
}

// Chain places entries after the record with sequence number seq and digest
// prev (0 and zero for an empty journal). Implementations call it; it checks
// every entry and copies every body.
func Chain(seq uint64, prev [32]byte, entries []Entry) ([]Record, error) {
	records := make([]Record, len(entries))
	for i, e := range entries {
		if err := e.Validate(); err != nil {
			return nil, err
		}
		seq++
		r := Record{Seq: seq, Time: e.Time, Run: e.Run, Kind: e.Kind, Body: append([]byte{}, e.Body...), Prev: prev}
		r.Digest = r.Sum()
		records[i], prev = r, r.Digest
	}
	return records, nil
}
