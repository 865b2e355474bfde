package feature

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Limits bound what is read from a table. A zero field takes its default.
type Limits struct {
	Rows    int // default 100,000,000
	Columns int // of the file; default 10,000
	Field   int // bytes of one field; default 65,536
	Record  int // bytes of one record; default 16 MiB
	Errors  int // errors collected before reading stops; default 20

	// Scoring reads rows to be scored: label, split and group columns may be
	// absent, values that are not listed become unknown, and numbers outside
	// the declared range are kept (the encoder takes them as the nearest value
	// seen in training).
	Scoring bool
}

func (l *Limits) defaults() {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.Rows, 100_000_000}, {&l.Columns, 10_000}, {&l.Field, 1 << 16}, {&l.Record, 16 << 20}, {&l.Errors, 20}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
}

// FieldError is one thing wrong with a table. Line counts from 1 and includes
// the header; Column is the column's name, empty if the whole line is meant.
type FieldError struct {
	Line   int    `json:"line"`
	Column string `json:"column,omitempty"`
	Reason string `json:"reason"`
}

func (e FieldError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
	}
	return fmt.Sprintf("line %d, column %s: %s", e.Line, e.Column, e.Reason)
}

// DataError lists what is wrong with the rows of a table, in file order.
// Stopped says that reading ended before the end of the file.
type DataError struct {
	Errors  []FieldError
	Stopped bool
}

func (e *DataError) Error() string {
	s := e.Errors[0].Error()
	if n := len(e.Errors) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}

// ReadCSV reads a table of comma-separated values (RFC 4180, header in the
// first line, UTF-8; a UTF-8 byte order mark is skipped, UTF-16 is refused).
// Columns in keep are read as text besides those of the schema, for Where,
// Partition and SplitBy.
//
// Wrong rows give a *DataError and, for a report only, the table as far as it
// could be read, wrong fields being missing. Any other error (no header,
// missing column, file that cannot be read) comes without a table.
func ReadCSV(r io.Reader, s *Schema, lim Limits, keep ...string) (*Table, error) {
	lim.defaults()
	bounded := &recordBound{r: r, left: lim.Record, max: lim.Record}
	in := bufio.NewReader(bounded)
	if err := skipBOM(in); err != nil {
		return nil, err
	}
	cr := csv.NewReader(in)
	cr.ReuseRecord = true
	header, err := cr.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("table is empty: not even a header")
	case err != nil:
		return nil, headerError(err)
	}
	b, err := newBuilder(s, lim, header, keep)
	if err != nil {
		return nil, err
	}
	if err := b.readAll(cr, bounded); err != nil {
		return nil, err
	}
	return b.table()
}

// FromRecords makes a table of records already divided into fields, with the
// rules and errors of ReadCSV; record i counts as line i+2.
func FromRecords(header []string, records [][]string, s *Schema, lim Limits, keep ...string) (*Table, error) {
	lim.defaults()
	b, err := newBuilder(s, lim, header, keep)
	if err != nil {
		return nil, err
	}
	for i, rec := range records {
		if len(rec) != len(header) {
			b.report(i+2, "", fmt.Sprintf("%d fields, the header has %d", len(rec), len(header)))
		} else {
			b.add(rec, func(int) int { return i + 2 })
		}
		if b.full() {
			break
		}
	}
	return b.table()
}

// readAll feeds the records to the builder until the end, the error limit, or
// a quote that makes what follows unreadable.
func (b *builder) readAll(cr *csv.Reader, bounded *recordBound) error {
	line := func(field int) int { n, _ := cr.FieldPos(field); return n }
	for !b.full() {
		bounded.left = bounded.max
		rec, err := cr.Read()
		var pe *csv.ParseError
		switch {
		case err == nil:
			b.add(rec, line)
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, csv.ErrFieldCount):
			b.report(line(0), "", fmt.Sprintf("%d fields, the header has %d", len(rec), b.width))
		case errors.As(err, &pe):
			b.report(pe.Line, "", fmt.Sprintf("%v at byte %d; reading stopped", pe.Err, pe.Column))
			b.stopped = true
		case errors.Is(err, errRecord):
			b.report(b.rows+2, "", fmt.Sprintf("record longer than %d bytes (an unclosed quote?); reading stopped", bounded.max))
			b.stopped = true
		default:
			return fmt.Errorf("read table: %w", err)
		}
	}
	b.stopped = true
	return nil
}

func headerError(err error) error {
	if errors.Is(err, errRecord) {
		return errors.New("line 1: header is too long: not a table of comma-separated values")
	}
	return fmt.Errorf("header: %w", err)
}

// skipBOM drops a UTF-8 byte order mark and refuses those of UTF-16.
func skipBOM(in *bufio.Reader) error {
	head, err := in.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read table: %w", err)
	}
	switch {
	case bytes.HasPrefix(head, []byte{0xEF, 0xBB, 0xBF}):
		_, err = in.Discard(3)
		return err
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}), bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		return errors.New("table is UTF-16; save it as UTF-8")
	}
	return nil
}

var errRecord = errors.New("record too long")

// recordBound fails once a single record has drawn more than max bytes, so that
// an unclosed quote cannot pull a whole file into memory.
type recordBound struct {
	r         io.Reader
	left, max int
}

func (b *recordBound) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errRecord
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}

// checkHeader finds every column's place and refuses what would be ambiguous.
func checkHeader(header []string, lim Limits) (map[string]int, error) {
	if len(header) > lim.Columns {
		return nil, fmt.Errorf("header has %d columns, at most %d", len(header), lim.Columns)
	}
	place := make(map[string]int, len(header))
	for i, name := range header {
		if !utf8.ValidString(name) {
			return nil, fmt.Errorf("header, column %d: %q is not UTF-8", i+1, name)
		}
		if strings.ContainsRune(name, 0) {
			return nil, fmt.Errorf("header, column %d holds a zero byte: not UTF-8 text", i+1)
		}
		if _, twice := place[name]; twice {
			return nil, fmt.Errorf("header, column %d: %q appears twice", i+1, name)
		}
		place[strings.Clone(name)] = i
	}
	if len(header) == 1 && strings.ContainsAny(header[0], ";\t|") {
		return nil, fmt.Errorf("header %q is one column: fields must be separated by commas", shorten(header[0]))
	}
	return place, nil
}

// shorten cuts a value for an error message.
func shorten(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
