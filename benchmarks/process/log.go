package process

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"time"
)

// Entry is one line of a program's log.
type Entry struct {
	Time    time.Time
	Message string
	Fields  map[string]any // as in the JSON line, the above included
	Text    string         // the line itself
}

// Field returns a field as text, "" when there is none.
func (e Entry) Field(key string) string {
	s, _ := e.Fields[key].(string)
	return s
}

// Number returns a whole number, 0 when there is none.
func (e Entry) Number(key string) int {
	n, _ := e.Fields[key].(float64)
	return int(n)
}

// Is reports whether the entry has this message and these fields, given as
// key, value, key, value.
func (e Entry) Is(message string, fields ...string) bool {
	if e.Message != message {
		return false
	}
	for i := 0; i+1 < len(fields); i += 2 {
		if e.Field(fields[i]) != fields[i+1] {
			return false
		}
	}
	return true
}

// log keeps what a program writes to standard error, through all its restarts:
// whole in a file, line by line for those who follow.
type log struct {
	mu      sync.Mutex
	file    io.Writer
	rest    []byte // a line that is not whole yet
	entries []Entry
	failed  error         // why the program ended by itself, nil while it has not
	changed chan struct{} // closed when anything above changes
}

func newLog(file io.Writer) *log { return &log{file: file, changed: make(chan struct{})} }

// Write implements io.Writer for the program's standard error.
func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			break
		}
		l.entries = append(l.entries, parseEntry(string(line)))
		l.rest = rest
	}
	l.notify()
	return l.file.Write(b)
}

// parseEntry reads a line of slog's JSON; any other line is an entry that is
// all text.
func parseEntry(line string) Entry {
	e := Entry{Text: line}
	if json.Unmarshal([]byte(line), &e.Fields) != nil {
		return e
	}
	e.Message = e.Field("msg")
	e.Time, _ = time.Parse(time.RFC3339Nano, e.Field("time"))
	return e
}

func (l *log) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// ended tells followers that the program ended by itself, or with nil that it
// runs again.
func (l *log) ended(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = err
	l.notify()
}

func (l *log) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// find returns the first entry from a place on that matches, and the place
// after it. Without one it returns what to wait for, and why that may be in vain.
func (l *log) find(from int, match func(Entry) bool) (e Entry, next int, changed <-chan struct{}, failed error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := from; i < len(l.entries); i++ {
		if match(l.entries[i]) {
			return l.entries[i], i + 1, nil, nil
		}
	}
	return Entry{}, len(l.entries), l.changed, l.failed
}

// tail returns the last lines, for an error.
func (l *log) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, e := range l.entries[max(0, len(l.entries)-n):] {
		b.WriteString(e.Text + "\n")
	}
	b.Write(l.rest)
	return strings.TrimRight(b.String(), "\n")
}
