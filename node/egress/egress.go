// Package egress records every message that leaves a node: when, in which
// round, what, how long, its SHA-256 and why. The file is hash-chained, so an
// authority can show what it gave and that the list is complete; with the
// digests, a captured packet can be found in it.
package egress

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/koinon-eu/koinon/node/chain"
)

// name is what chain calls this file; entryMessage its only kind of entry.
const (
	name         = "egress"
	entryMessage = "message"
)

// syncEvery is how many bytes of lines may await the disk before Record waits
// for it: some two hundred messages.
const syncEvery = 64 << 10

// Limits of the words in a message, in bytes.
const (
	maxType = 64
	maxWhy  = 256
	maxRun  = 128
)

// Message describes one message that leaves.
type Message struct {
	Run    string       `json:"run"`   // "" outside a run
	Round  uint32       `json:"round"` // 0 outside a round
	Type   string       `json:"type"`  // of the frame or call: advert, mask, chunk, enroll, …
	Bytes  int64        `json:"bytes"`
	SHA256 chain.Digest `json:"sha256"`
	Why    string       `json:"why"` // for a reader: which plan or command asked for it
}

// Entry is a message in its place in the record.
type Entry struct {
	Seq    uint64       `json:"seq"`
	Time   int64        `json:"time"` // Unix seconds
	Digest chain.Digest `json:"digest"`
	Message
}

// Describe fills in size and digest of data.
func Describe(run string, round uint32, kind, why string, data []byte) Message {
	return Message{Run: run, Round: round, Type: kind, Bytes: int64(len(data)), SHA256: sha256.Sum256(data), Why: why}
}

func (m Message) check() error {
	for _, w := range []struct {
		what, text string
		limit      int
	}{{"run", m.Run, maxRun}, {"type", m.Type, maxType}, {"reason", m.Why, maxWhy}} {
		if len(w.text) > w.limit || !utf8.ValidString(w.text) || strings.ContainsFunc(w.text, unicode.IsControl) {
			return fmt.Errorf("message %s %.80q: want at most %d bytes of printable UTF-8", w.what, w.text, w.limit)
		}
	}
	if m.Type == "" || m.Bytes < 0 {
		return fmt.Errorf("message has no type or a negative size")
	}
	return nil
}

// Log is the record, open to append; safe for several goroutines.
type Log struct{ chain *chain.Log }

// Open checks the whole record at path and leaves it open. A missing file is
// an empty record.
func Open(path string, log *slog.Logger) (*Log, error) {
	file, err := chain.Open(path, name, func(e chain.Entry) error { _, err := parse(e); return err }, log)
	if err != nil {
		return nil, err
	}
	return &Log{file}, nil
}

// Record adds a message, before it leaves. A crash of the node loses nothing;
// to survive a power cut as well, call Sync, which Record does by itself every
// 64 KiB of lines. When Record fails the message must not be sent.
func (l *Log) Record(now int64, m Message) error {
	if err := m.check(); err != nil {
		return err
	}
	if _, err := l.chain.Stage(now, entryMessage, m); err != nil {
		return err
	}
	if l.chain.Staged() >= syncEvery {
		return l.chain.Sync()
	}
	return nil
}

// Sync returns when every message recorded is on disk: at the end of a phase.
func (l *Log) Sync() error { return l.chain.Sync() }

// Summary is the state of the chain, for an operator to note.
func (l *Log) Summary() chain.Summary { return l.chain.Summary() }

// Close syncs and closes the record.
func (l *Log) Close() error { return l.chain.Close() }

// List checks the record at path and calls fn with every message, oldest
// first. It needs no lock and may run beside the node.
func List(path string, fn func(Entry) error) (chain.Summary, error) {
	return chain.Read(path, name, func(e chain.Entry) error {
		m, err := parse(e)
		if err != nil {
			return err
		}
		return fn(Entry{Seq: e.Seq, Time: e.Time, Digest: e.Digest, Message: m})
	})
}

// Verify checks the record at path.
func Verify(path string) (chain.Summary, error) {
	return List(path, func(Entry) error { return nil })
}

func parse(e chain.Entry) (Message, error) {
	var m Message
	if e.Kind != entryMessage {
		return m, fmt.Errorf("has the unknown kind %q", e.Kind)
	}
	if err := e.Decode(&m); err != nil {
		return m, err
	}
	return m, m.check()
}
