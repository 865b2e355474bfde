package feature

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Source is where the rows of a table come from: a file, or the answer of a
// database. It gives them to the feeds of a Builder, which hold every value to
// the schema in the same way whatever its source.
type Source interface {
	// Header names the columns, in the order of their places.
	Header() ([]string, error)
	// Rows gives every row to b, in order, until Builder.Full or the end.
	Rows(b *Builder) error
}

// Read makes a table of a source. Columns in keep are read as text besides
// those of the schema, for Where, Partition and SplitBy.
//
// Wrong rows give a *DataError and, for a report only, the table as far as it
// could be read, wrong fields being missing. Any other error (no header,
// missing column, source that cannot be read) comes without a table.
func Read(src Source, s *Schema, lim Limits, keep ...string) (*Table, error) {
	return ReadBlocks(src, s, lim, 0, nil, keep...)
}

// ReadBlocks is Read for a table that need not fit into memory: it gives take
// a table of each block of about so many rows, in order, and returns the last
// one. A block is valid only during the call; its codes are those of the
// dictionaries of the last one, to which alone NegativeLabels and Unread
// belong. Origin counts from the first row of the source.
func ReadBlocks(src Source, s *Schema, lim Limits, block int, take func(*Table) error, keep ...string) (*Table, error) {
	lim.defaults()
	header, err := src.Header()
	if err != nil {
		return nil, err
	}
	b, err := newBuilder(s, lim, header, keep)
	if err != nil {
		return nil, err
	}
	b.block, b.take = block, take
	if err := src.Rows(b); err != nil {
		return nil, err
	}
	if b.failed != nil {
		return nil, b.failed
	}
	return b.table()
}

// Builder collects the columns of a table. A source of typed values gives each
// of the Feeds the same number of values and then says Next.
type Builder struct {
	schema  *Schema
	lim     Limits
	width   int // fields of a record
	feeds   []*Feed
	t       *Table
	rows    int
	first   int // row of the source that the collected columns begin with
	found   []found
	errs    []FieldError
	stopped bool
	scratch []byte

	block  int // rows after which take is called; 0: never
	take   func(*Table) error
	failed error // of take
}

// found is a wrong field of the rows given since the last Next.
type found struct {
	row    int // from the first of them
	feed   *Feed
	reason string
}

// Feeds returns what the schema reads of the source. Two feeds may have the
// same place.
func (b *Builder) Feeds() []*Feed { return b.feeds }

// Full reports whether nothing more is to be read: after too many errors, or
// when a block could not be stored.
func (b *Builder) Full() bool {
	return b.stopped || b.failed != nil || len(b.errs) >= b.lim.Errors
}

// Next ends n rows, which every input has been given. Wrong fields among them
// are reported by row.
func (b *Builder) Next(n int) {
	slices.SortStableFunc(b.found, func(x, y found) int {
		return cmp.Or(cmp.Compare(x.row, y.row), cmp.Compare(x.feed.order, y.feed.order))
	})
	for _, f := range b.found {
		b.report(FieldError{Row: b.rows + f.row + 1, Column: f.feed.column, Reason: f.reason})
	}
	b.Fits(int64(n))
	b.rows += n
	b.ended()
	b.pass()
}

// ended makes the feeds ready for the next rows.
func (b *Builder) ended() {
	b.found = b.found[:0]
	for _, in := range b.feeds {
		in.given, in.wrong = 0, 0
	}
}

// pass hands a full block on.
func (b *Builder) pass() {
	if b.take == nil || b.rows-b.first < b.block {
		return
	}
	b.failed = b.take(b.collected())
	for _, in := range b.feeds {
		in.reset()
	}
	b.first = b.rows
}

// Fits reports whether so many more rows are within the limit; if they are not,
// that is reported and nothing more is to be read.
func (b *Builder) Fits(rows int64) bool {
	if rows <= int64(b.lim.Rows-b.rows) {
		return true
	}
	b.report(FieldError{Row: b.lim.Rows + 1, Reason: fmt.Sprintf("more than %d rows", b.lim.Rows)})
	b.stopped = true
	return false
}

// Expect makes room for so many more rows, if they are kept in memory. A wrong
// guess costs time or memory only.
func (b *Builder) Expect(rows int) {
	if b.take != nil {
		return
	}
	for _, in := range b.feeds {
		if in.grow != nil {
			in.grow(min(rows, b.lim.Rows-b.rows))
		}
	}
}

// Stop reports what keeps a source from going on, as an error of the row after
// those ended.
func (b *Builder) Stop(reason string) {
	b.report(FieldError{Row: b.rows + 1, Reason: reason})
	b.stopped = true
}

func (b *Builder) report(e FieldError) {
	if !b.Full() {
		b.errs = append(b.errs, e)
	}
}

// collected moves the columns into the table.
func (b *Builder) collected() *Table {
	t := b.t
	t.rows = b.rows - b.first
	for _, in := range b.feeds {
		in.store()
	}
	if t.split == nil || b.schema.Split == nil || len(t.split) != t.rows { // no rule, or no column in rows to be scored
		t.split = make([]Split, t.rows)
	}
	t.origin = make([]int32, t.rows)
	for i := range t.origin {
		t.origin[i] = int32(b.first + i)
	}
	return t
}

func (b *Builder) table() (*Table, error) {
	t := b.collected()
	if len(b.errs) > 0 {
		return t, &DataError{Errors: b.errs, Stopped: b.stopped || b.Full()}
	}
	if b.rows == 0 {
		return nil, errors.New("table has a header but no rows")
	}
	return t, nil
}
