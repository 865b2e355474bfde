package feature

import (
	"fmt"
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
// the header; a source without lines has Row instead, from 1. Column is the
// column's name, empty if the whole row is meant.
type FieldError struct {
	Line   int    `json:"line,omitempty"`
	Row    int    `json:"row,omitempty"`
	Column string `json:"column,omitempty"`
	Reason string `json:"reason"`
}

func (e FieldError) Error() string {
	at := fmt.Sprintf("line %d", e.Line)
	if e.Row > 0 {
		at = fmt.Sprintf("row %d", e.Row)
	}
	if e.Column != "" {
		at += ", column " + e.Column
	}
	return at + ": " + e.Reason
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
