// Package parquet reads the rows of a Parquet file under a schema. A file comes
// from outside: every size and count in it is checked against a limit before
// memory is made for it, and pages are decoded here. The library
// github.com/parquet-go/parquet-go decodes the footer, after walk has been
// through it.
package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/koinon-eu/koinon/models/feature"
)

const (
	maxFooter = 16 << 20 // bytes
	maxHeld   = 1 << 30  // bytes of the pages of all columns that are read at one time
	maxBatch  = 1 << 14  // rows given to a feed in one go: they stay in a cache
)

var (
	nan32 = float32(math.NaN())
	nan64 = math.NaN()
)

// ErrTooLarge is returned for a table beyond the limit given to Open.
var ErrTooLarge = errors.New("table is too large after decompression")

// file is an open Parquet file. It implements feature.Source.
type file struct {
	in      io.ReaderAt
	size    int64
	max     int64
	meta    format.FileMetaData
	columns []column
	leaves  int
}

// Open reads the footer of a file of size bytes, whose values may take max
// bytes in memory. Nested columns, lists and
// the types that are not read are refused by Rows only if the schema asks for
// them.
func Open(in io.ReaderAt, size, max int64) (src feature.Source, err error) {
	defer rescue(&err)
	f := &file{in: in, size: size, max: max}
	footer, err := f.footer()
	if err != nil {
		return nil, err
	}
	n, err := walk(footer, nil)
	if err == nil && n != len(footer) {
		err = errors.New("has bytes that belong to nothing (signed files are not read)")
	}
	if err == nil {
		err = thrift.Unmarshal(new(thrift.CompactProtocol), footer, &f.meta)
	}
	if err != nil {
		return nil, fmt.Errorf("parquet footer: %w", err)
	}
	if f.meta.EncryptionAlgorithm.Value != nil {
		return nil, errors.New("parquet file is encrypted, which is not read")
	}
	return f, f.layOut()
}

// rescue turns a panic of the library, which the file must have caused, into
// an error.
func rescue(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("parquet file is damaged: %v", r)
	}
}

func (f *file) footer() ([]byte, error) {
	var tail [8]byte
	if f.size < 12 {
		return nil, errors.New("not a parquet file")
	}
	if _, err := f.in.ReadAt(tail[:], f.size-8); err != nil {
		return nil, err
	}
	switch string(tail[4:]) {
	case "PAR1":
	case "PARE":
		return nil, errors.New("parquet file is encrypted, which is not read")
	default:
		return nil, errors.New("not a parquet file, or cut off")
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if n > maxFooter || n > f.size-12 {
		return nil, fmt.Errorf("parquet footer of %d bytes in a file of %d, at most %d", n, f.size, maxFooter)
	}
	footer := make([]byte, n)
	_, err := f.in.ReadAt(footer, f.size-8-n)
	return footer, err
}

// layOut lists the columns at the top of the file's schema.
func (f *file) layOut() error {
	s := f.meta.Schema
	if len(s) == 0 || s[0].Type.Valid {
		return errors.New("parquet schema has no root")
	}
	at := 1
	for at < len(s) {
		e := &s[at]
		if e.Type.Valid {
			f.columns = append(f.columns, newColumn(e, f.leaves))
			f.leaves++
			at++
			continue
		}
		f.columns = append(f.columns, column{name: e.Name, refused: "holds columns or a list of its own"})
		end, err := f.group(at, 0)
		if err != nil {
			return err
		}
		at = end
	}
	if int(s[0].NumChildren.V) != len(f.columns) {
		return errors.New("parquet schema is not a tree")
	}
	return nil
}

// group passes over a group of columns, counts its leaves and returns where it
// ends.
func (f *file) group(at, depth int) (end int, err error) {
	if depth > maxDepth || at >= len(f.meta.Schema) {
		return 0, errors.New("parquet schema is not a tree")
	}
	e := &f.meta.Schema[at]
	at++
	if e.Type.Valid {
		f.leaves++
		return at, nil
	}
	for range e.NumChildren.V {
		if at, err = f.group(at, depth+1); err != nil {
			return 0, err
		}
	}
	return at, nil
}

// Header implements feature.Source.
func (f *file) Header() ([]string, error) {
	names := make([]string, len(f.columns))
	for i, c := range f.columns {
		names[i] = c.name
	}
	return names, nil
}

// Rows implements feature.Source: one group of rows after another, all columns
// in step, so that no more than a page of each is in memory.
func (f *file) Rows(b *feature.Builder) (err error) {
	defer rescue(&err)
	feeds, room := b.Feeds(), maxHeld
	chunks := make([]*chunk, len(feeds))
	for i, in := range feeds {
		c := &f.columns[in.Place()]
		if c.refused != "" {
			return fmt.Errorf("column %s %s, which is not read", c.name, c.refused)
		}
		chunks[i] = &chunk{in: f.in, column: c, room: &room}
		defer chunks[i].close()
	}
	rows, left := int64(0), f.max/int64(4*len(feeds))
	for _, g := range f.meta.RowGroups {
		rows += max(g.NumRows, 0)
		if left -= max(g.NumRows, 0); left < 0 {
			return ErrTooLarge
		}
	}
	if !b.Fits(rows) {
		return nil
	}
	b.Expect(int(min(rows, f.size/int64(2*len(feeds)), math.MaxInt32))) // a claim: not beyond what so large a file may well hold
	for g := range f.meta.RowGroups {
		if err := f.rowGroup(b, &f.meta.RowGroups[g], chunks); err != nil {
			return fmt.Errorf("group of rows %d, %w", g+1, err)
		}
	}
	return nil
}

func (f *file) rowGroup(b *feature.Builder, g *format.RowGroup, chunks []*chunk) error {
	if len(g.Columns) != f.leaves || g.NumRows < 0 {
		return errors.New("which does not fit the file's schema")
	}
	for _, c := range chunks {
		if err := c.open(&g.Columns[c.column.leaf], g.NumRows, f.size); err != nil {
			return fmt.Errorf("column %s: %w", c.column.name, err)
		}
	}
	for left := g.NumRows; left > 0 && !b.Full(); {
		n := int(min(left, maxBatch))
		for _, c := range chunks {
			rows, err := c.rows()
			if err != nil {
				return fmt.Errorf("column %s: %w", c.column.name, err)
			}
			n = min(n, rows)
		}
		for i, in := range b.Feeds() {
			chunks[i].give(in, n)
		}
		b.Next(n)
		left -= int64(n)
	}
	return nil
}
