package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"

	"github.com/koinon-eu/koinon/models/feature"
)

// batch is how many rows go to the feeds at once.
const batch = 1024

// Header implements feature.Source.
func (r *Reader) Header() ([]string, error) {
	names := make([]string, len(r.columns))
	for i, c := range r.columns {
		names[i] = c.name
	}
	return names, nil
}

// Rows implements feature.Source. It asks for the columns that b reads and for
// no others.
func (r *Reader) Rows(b *feature.Builder) error {
	places := places(b.Feeds())
	statement, formats, err := r.statement(places)
	if err != nil {
		return err
	}
	readers := make([]reader, len(b.Feeds()))
	for i, in := range b.Feeds() {
		readers[i] = reader{feed: in, form: r.columns[in.Place()].form(), at: slices.Index(places, in.Place())}
	}
	sum, left := newDigest(r.columns, places), r.max
	answer := r.conn.ExecParams(r.ctx, statement, nil, nil, nil, formats)
	rows := 0
	for !b.Full() && answer.NextRow() {
		values := answer.Values()
		if len(values) != len(places) {
			return &Error{Text: "the server's answer has another number of columns than was asked for"}
		}
		if left -= sum.row(values); r.max > 0 && left < 0 {
			return ErrTooLarge
		}
		for i := range readers {
			if err := readers[i].value(values[readers[i].at]); err != nil {
				return fmt.Errorf("column %s: %w", readers[i].feed.Column(), err)
			}
		}
		if rows++; rows == batch {
			flush(b, readers, rows)
			rows = 0
		}
	}
	flush(b, readers, rows)
	if b.Full() {
		return nil // the rest is not asked for: Close cancels it
	}
	if _, err := answer.Close(); err != nil {
		return r.fault(err)
	}
	r.digest = sum.end()
	return nil
}

func flush(b *feature.Builder, readers []reader, rows int) {
	for i := range readers {
		readers[i].flush()
	}
	b.Next(rows)
}

// places lists the columns that the feeds read, in the table's order.
func places(feeds []*feature.Feed) []int {
	var out []int
	for _, in := range feeds {
		out = append(out, in.Place())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// statement is the query for some columns, with the format of each.
func (r *Reader) statement(places []int) (text string, formats []int16, err error) {
	text = "SELECT "
	for i, p := range places {
		c := r.columns[p]
		f := c.form()
		if f == refused {
			return "", nil, c.refuse()
		}
		if i > 0 {
			text += ", "
		}
		text += quote(c.name)
		formats = append(formats, f.format())
	}
	text += " FROM " + r.from
	if r.order != "" {
		text += " ORDER BY " + quote(r.order)
	}
	return text, formats, nil
}

// digest names rows by their values as the server sent them.
type digest struct {
	sum hash.Hash
	buf []byte
}

func newDigest(columns []column, places []int) *digest {
	d := &digest{sum: sha256.New(), buf: []byte("koinon/postgres/rows/v1")}
	d.buf = binary.BigEndian.AppendUint32(d.buf, uint32(len(places)))
	for _, p := range places {
		d.put([]byte(columns[p].name))
	}
	return d
}

func (d *digest) put(v []byte) {
	if v == nil {
		d.buf = binary.BigEndian.AppendUint32(d.buf, 1<<32-1)
		return
	}
	d.buf = append(binary.BigEndian.AppendUint32(d.buf, uint32(len(v))), v...)
}

// row takes a row and returns its bytes.
func (d *digest) row(values [][]byte) (bytes int64) {
	for _, v := range values {
		d.put(v)
		bytes += int64(len(v)) + 4
	}
	if len(d.buf) >= 1<<16 {
		d.sum.Write(d.buf)
		d.buf = d.buf[:0]
	}
	return bytes
}

func (d *digest) end() [32]byte {
	d.sum.Write(d.buf)
	return [32]byte(d.sum.Sum(nil))
}
