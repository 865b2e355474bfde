package feature

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"
)

// ReadCSV reads a table of comma-separated values (RFC 4180, header in the
// first line, UTF-8; a UTF-8 byte order mark is skipped, UTF-16 is refused). See
// Read for keep and for what comes with an error.
func ReadCSV(r io.Reader, s *Schema, lim Limits, keep ...string) (*Table, error) {
	return Read(NewCSV(r, lim), s, lim, keep...)
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
		b.record(rec, func(int) int { return i + 2 })
		if b.Full() {
			break
		}
	}
	return b.table()
}

// record gives one record to the feeds; line gives the line of a field.
func (b *Builder) record(rec []string, line func(field int) int) {
	if len(rec) != b.width {
		b.report(FieldError{Line: line(0), Reason: fmt.Sprintf("%d fields, the header has %d", len(rec), b.width)})
		return
	}
	if b.rows == b.lim.Rows {
		b.tooMany(line(0))
		return
	}
	for _, in := range b.feeds {
		b.scratch = append(b.scratch[:0], rec[in.place]...)
		in.Text(b.scratch)
	}
	b.endRecord(line)
}

func (b *Builder) tooMany(line int) {
	b.report(FieldError{Line: line, Reason: fmt.Sprintf("more than %d rows", b.lim.Rows)})
	b.stopped = true
}

// endRecord ends one row and reports by line what is wrong with it.
func (b *Builder) endRecord(line func(field int) int) {
	for _, f := range b.found {
		b.report(FieldError{Line: line(f.feed.place), Column: f.feed.column, Reason: f.reason})
	}
	b.rows++
	if len(b.found) > 0 {
		b.ended()
	}
	b.pass()
}

// csvBuffer is how much of a file is looked at in one go: it stays in a
// second-level cache.
const csvBuffer = 1 << 17

// csvSource reads a file of comma-separated values. Whole lines without a
// quote are divided here; every other record is left to encoding/csv, which
// reads from the same buffer, so that each record is read as it would be by
// encoding/csv alone.
type csvSource struct {
	bounded *recordBound
	in      *bufio.Reader
	csv     *csv.Reader
	seen    int     // lines that csv has read
	divided int     // lines that it has not
	ends    []int32 // of the fields of a line
	size    int     // bytes of the file, 0 if that is not known
	read    int     // bytes of the lines divided here
}

// NewCSV returns the rows of a file of comma-separated values, with the line
// of each error, as ReadCSV reads them. A reader that has a method Len() int, the
// bytes still to come, spares memory from growing step by step.
func NewCSV(r io.Reader, lim Limits) Source {
	lim.defaults()
	bounded := &recordBound{r: r, left: lim.Record, max: lim.Record}
	in := bufio.NewReaderSize(bounded, csvBuffer)
	reader := csv.NewReader(in)
	reader.ReuseRecord = true
	c := &csvSource{bounded: bounded, in: in, csv: reader}
	if sized, ok := r.(interface{ Len() int }); ok {
		c.size = sized.Len()
	}
	return c
}

// Header implements Source.
func (c *csvSource) Header() ([]string, error) {
	if err := skipBOM(c.in); err != nil {
		return nil, err
	}
	header, err := c.csv.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("table is empty: not even a header")
	case errors.Is(err, errRecord):
		return nil, errors.New("line 1: header is too long: not a table of comma-separated values")
	case err != nil:
		return nil, fmt.Errorf("header: %w", err)
	}
	c.count(header)
	return header, nil
}

// count brings seen up to the last line of a record.
func (c *csvSource) count(rec []string) {
	line, _ := c.csv.FieldPos(len(rec) - 1)
	c.seen = line + strings.Count(rec[len(rec)-1], "\n")
}

// Rows implements Source. It ends with the file, at the error limit, or at a
// quote that makes what follows unreadable.
func (c *csvSource) Rows(b *Builder) error {
	c.ends = make([]int32, b.width)
	for !b.Full() {
		c.lines(b)
		if b.Full() {
			break
		}
		c.bounded.left = c.bounded.max
		if !c.whole() {
			if _, err := c.in.Peek(c.in.Buffered() + 1); err == nil {
				continue
			}
		}
		if end, err := c.next(b); end {
			return err
		}
	}
	b.stopped = true
	return nil
}

// whole reports whether the buffer holds a whole line.
func (c *csvSource) whole() bool {
	buf, _ := c.in.Peek(c.in.Buffered())
	return bytes.IndexByte(buf, '\n') >= 0
}

// next leaves one record to encoding/csv.
func (c *csvSource) next(b *Builder) (end bool, err error) {
	rec, err := c.csv.Read()
	line := func(field int) int { n, _ := c.csv.FieldPos(field); return c.divided + n }
	var pe *csv.ParseError
	switch {
	case err == nil, errors.Is(err, csv.ErrFieldCount):
		c.count(rec)
		b.record(rec, line)
	case errors.Is(err, io.EOF):
		return true, nil
	case errors.As(err, &pe):
		b.report(FieldError{Line: c.divided + pe.Line, Reason: fmt.Sprintf("%v at byte %d; reading stopped", pe.Err, pe.Column)})
		b.stopped = true
	case errors.Is(err, errRecord):
		b.report(FieldError{Line: b.rows + 2, Reason: fmt.Sprintf("record longer than %d bytes (an unclosed quote?); reading stopped", c.bounded.max)})
		b.stopped = true
	default:
		return true, fmt.Errorf("read table: %w", err)
	}
	return false, nil
}

// lines reads the lines in the buffer up to the first that is cut off or holds
// a quote.
func (c *csvSource) lines(b *Builder) {
	buf, _ := c.in.Peek(c.in.Buffered())
	rest := buf
	for len(rest) > 0 && !b.Full() {
		fields, length := divide(rest, c.ends)
		if length == 0 {
			break
		}
		c.divided++
		if fields > 0 {
			c.fields(b, rest, fields)
		}
		rest = rest[length:]
	}
	c.read += len(buf) - len(rest)
	_, _ = c.in.Discard(len(buf) - len(rest)) // it is in the buffer
	if c.size > 0 && b.rows > 0 {
		seen := c.read + int(c.csv.InputOffset())
		rows := (c.size - seen) / max(seen/b.rows, b.width)
		b.Expect(rows + rows/50 + 1)
		c.size = 0
	}
}

// fields gives a line to the feeds.
func (c *csvSource) fields(b *Builder, line []byte, fields int) {
	number := c.seen + c.divided
	switch {
	case fields != b.width:
		b.report(FieldError{Line: number, Reason: fmt.Sprintf("%d fields, the header has %d", fields, b.width)})
		return
	case b.rows == b.lim.Rows:
		b.tooMany(number)
		return
	}
	for _, in := range b.feeds {
		from := int32(0)
		if in.place > 0 {
			from = c.ends[in.place-1] + 1
		}
		f := line[from:c.ends[in.place]]
		if n := in.numbers; n != nil {
			if v, ok := decimal(f); ok && n.fits(v) && len(f) <= in.longest {
				n.values = append(n.values, v)
				continue
			}
		}
		in.Text(f)
	}
	b.endRecord(func(int) int { return number })
}

// divide finds the fields of the first line of buf and its length with its end
// (\n or \r\n); ends gets where each of the first len(ends) fields ends. A blank
// line has no fields. The length is 0 if the line is cut off or holds a quote.
//
// It looks at eight bytes at once for those below '-': the separators, and
// hardly a byte of a number.
func divide(buf []byte, ends []int32) (fields, length int) {
	const high, below = 0x8080808080808080, '-' * 0x0101010101010101
	for at := 0; at < len(buf); at += 8 {
		var x uint64
		if at+8 <= len(buf) {
			x = binary.LittleEndian.Uint64(buf[at:])
		} else {
			x = lastWord(buf[at:])
		}
		for low := ^((x | high) - below) & ^x & high; low != 0; low &= low - 1 {
			i := at + bits.TrailingZeros64(low)>>3
			switch buf[i] {
			case ',':
				if fields < len(ends) {
					ends[fields] = int32(i)
				}
				fields++
			case '"':
				return 0, 0
			case '\n':
				end := i
				if end > 0 && buf[end-1] == '\r' {
					end--
				}
				if end == 0 {
					return 0, i + 1
				}
				if fields < len(ends) {
					ends[fields] = int32(end)
				}
				return fields + 1, i + 1
			}
		}
	}
	return 0, 0
}

// lastWord fills up fewer than eight bytes with bytes that divide nothing.
func lastWord(b []byte) uint64 {
	x := ^uint64(0)
	for i, c := range b {
		x = x&^(0xff<<(8*i)) | uint64(c)<<(8*i)
	}
	return x
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
// an unclosed quote cannot pull a whole file into memory. It keeps the first
// error of its reader, which may be met by either of two readers of a buffer.
type recordBound struct {
	r         io.Reader
	left, max int
	err       error
}

func (b *recordBound) Read(p []byte) (int, error) {
	switch {
	case b.err != nil:
		return 0, b.err
	case b.left <= 0:
		return 0, errRecord
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	b.err = err
	return n, err
}
