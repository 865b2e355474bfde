package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"

	"github.com/parquet-go/parquet-go/format"
)

// Bounds of a page. Writers make pages of about 1 MB; a page of one value for
// all rows of a group can hold many.
const (
	maxHeader = 1 << 20   // bytes of a page's header
	maxPage   = 128 << 20 // bytes of a page, unfolded
	maxValues = 1 << 24   // values of a page
)

// oldDictionary is what writers of the first version of the format call
// format.RLEDictionary in a data page, and format.Plain in a dictionary.
const oldDictionary format.Encoding = 2

// pageHeader is what is used of a format.PageHeader.
type pageHeader struct {
	kind         format.PageType
	size         int // on disk, without the header
	unfolded     int
	crc          int64
	values       int
	encoding     format.Encoding
	defined      format.Encoding // of definition levels
	nulls        int64           // v2
	definedBytes int             // v2
	repeated     int64           // v2
	compressed   bool            // v2
}

// parseHeader reads a page's header and returns its length; errShort if b ends
// before it.
func parseHeader(b []byte) (h pageHeader, length int, err error) {
	h.compressed = true
	var num [3]int64 // of kinds by field 5, 7, 8
	small := true
	take := func(v int64) int {
		small = small && v >= 0 && v <= math.MaxInt32
		return int(v)
	}
	length, err = walk(b, func(outer, field int16, v int64) {
		switch outer<<8 | field {
		case 1:
			h.kind = format.PageType(v)
		case 2:
			h.unfolded = take(v)
		case 3:
			h.size = take(v)
		case 4:
			h.crc = v
		case 5<<8 | 1:
			num[0] = v
		case 7<<8 | 1:
			num[1] = v
		case 8<<8 | 1:
			num[2] = v
		case 5<<8 | 2, 7<<8 | 2, 8<<8 | 4:
			h.encoding = format.Encoding(v)
		case 5<<8 | 3:
			h.defined = format.Encoding(v)
		case 8<<8 | 2:
			h.nulls = v
		case 8<<8 | 5:
			h.definedBytes = take(v)
		case 8<<8 | 6:
			h.repeated = v
		case 8<<8 | 7:
			h.compressed = v != 0
		}
	})
	if err != nil {
		return h, 0, err
	}
	switch h.kind {
	case format.DataPage:
		h.values = take(num[0])
	case format.DictionaryPage:
		h.values = take(num[1])
	case format.DataPageV2:
		h.values = take(num[2])
	}
	switch {
	case !small:
		err = errors.New("page header with an impossible size")
	case h.unfolded > maxPage:
		err = fmt.Errorf("page of %d bytes, at most %d", h.unfolded, maxPage)
	case h.values > maxValues:
		err = fmt.Errorf("page of %d values, at most %d", h.values, maxValues)
	}
	return h, length, err
}

// page holds the values of a page. Those that are not null stand in one of the
// slices, by the type of the column.
type page struct {
	rows    int
	null    []uint8 // 1 where a row is null; nil if none is
	floats  []float32
	doubles []float64
	ints    []int64
	own     texts
	from    *texts   // own, or those of the dictionary
	index   []uint32 // into from; nil: as they stand
}

// texts are byte strings: text i is data[begin[i]:ends[i]].
type texts struct {
	data        []byte
	begin, ends []uint32
}

func (p *page) text(i int) []byte {
	if p.index != nil {
		i = int(p.index[i])
	}
	return p.from.data[p.from.begin[i]:p.from.ends[i]]
}

// decode reads the values of a data page. body is as on disk.
func (c *chunk) decode(h pageHeader, body []byte) error {
	if h.crc != 0 && crc32.ChecksumIEEE(body) != uint32(h.crc) {
		return errors.New("page is damaged: its checksum differs")
	}
	var levels []byte
	var err error
	if h.kind == format.DataPageV2 {
		if h.repeated != 0 || h.definedBytes > len(body) {
			return errors.New("page with levels that do not fit")
		}
		levels, body = body[:h.definedBytes], body[h.definedBytes:]
		h.unfolded -= h.definedBytes
		if h.compressed {
			body, err = c.unfold(body, h.unfolded)
		}
	} else {
		if body, err = c.unfold(body, h.unfolded); err == nil && c.column.optional {
			levels, body, err = levelsV1(h, body)
		}
	}
	if err != nil {
		return err
	}
	p := &c.page
	p.rows, p.null = h.values, nil
	present := h.values
	if c.column.optional {
		if p.null, present, err = c.nulls(levels, h.values); err != nil {
			return err
		}
	}
	p.from, p.index = &p.own, nil
	switch h.encoding {
	case format.Plain:
		return c.plain(body, present, p)
	case oldDictionary, format.RLEDictionary:
		return c.indexed(body, present)
	}
	return c.other(h.encoding, body, present)
}

func levelsV1(h pageHeader, body []byte) (levels, rest []byte, err error) {
	if h.defined != format.RLE {
		return nil, nil, fmt.Errorf("definition levels in encoding %s are not read", h.defined)
	}
	if len(body) < 4 || uint64(binary.LittleEndian.Uint32(body)) > uint64(len(body)-4) {
		return nil, nil, errors.New("definition levels are cut off")
	}
	n := 4 + int(binary.LittleEndian.Uint32(body))
	return body[4:n], body[n:], nil
}

// nulls reads which rows have no value, and counts those that have one.
func (c *chunk) nulls(levels []byte, rows int) ([]uint8, int, error) {
	defined, _, err := runs(c.levels, levels, 1, rows)
	if err != nil {
		return nil, 0, err
	}
	c.levels = defined
	present := 0
	for i, d := range defined {
		present += int(d)
		defined[i] = 1 - d
	}
	if present == rows {
		return nil, rows, nil
	}
	return defined, present, nil
}

// plain reads values one after the other.
func (c *chunk) plain(b []byte, n int, p *page) error {
	if n*c.column.width() > len(b) {
		return errCut
	}
	switch c.column.kind {
	case format.Float:
		p.floats = sized(p.floats, n)
		for i := range p.floats {
			p.floats[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	case format.Double:
		p.doubles = sized(p.doubles, n)
		for i := range p.doubles {
			p.doubles[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		}
	case format.Int32:
		p.ints = sized(p.ints, n)
		for i := range p.ints {
			p.ints[i] = c.column.widen(binary.LittleEndian.Uint32(b[4*i:]))
		}
	case format.Int64:
		p.ints = sized(p.ints, n)
		for i := range p.ints {
			p.ints[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
		}
	case format.Boolean:
		p.ints = sized(p.ints, n)
		if (n+7)/8 > len(b) {
			return errCut
		}
		for i := range p.ints {
			p.ints[i] = int64(b[i/8] >> (i % 8) & 1)
		}
	default:
		return c.texts(b, n, p)
	}
	return nil
}

var errCut = errors.New("page is cut off")

// texts reads byte strings of a fixed length, or with their length before each.
func (c *chunk) texts(b []byte, n int, p *page) error {
	t := &p.own
	t.data, t.begin, t.ends = b, sized(t.begin, n), sized(t.ends, n)
	at := 0
	for i := range n {
		length := c.column.length
		if c.column.kind == format.ByteArray {
			if len(b)-at < 4 {
				return errCut
			}
			length = int(binary.LittleEndian.Uint32(b[at:]))
			at += 4
		}
		if length < 0 || length > len(b)-at {
			return errCut
		}
		t.begin[i], t.ends[i] = uint32(at), uint32(at+length)
		at += length
	}
	return nil
}

// indexed reads indices into the dictionary of the chunk.
func (c *chunk) indexed(b []byte, n int) error {
	if c.dictionary == nil {
		return errors.New("page needs a dictionary, which is missing")
	}
	if n == 0 {
		b = []byte{0}
	}
	if len(b) == 0 {
		return errCut
	}
	index, _, err := runs(c.index, b[1:], int(b[0]), n)
	if err != nil {
		return err
	}
	c.index = index
	d, p := c.dictionary, &c.page
	for _, i := range index {
		if int(i) >= d.rows {
			return fmt.Errorf("index %d into a dictionary of %d values", i, d.rows)
		}
	}
	switch c.column.kind {
	case format.Float:
		p.floats = gather(p.floats, d.floats, index)
	case format.Double:
		p.doubles = gather(p.doubles, d.doubles, index)
	case format.Int32, format.Int64, format.Boolean:
		p.ints = gather(p.ints, d.ints, index)
	default:
		p.from, p.index = &d.own, index
	}
	return nil
}

func (c *chunk) booleans(b []byte, n int) error {
	bools, _, err := runs(c.index, b, 1, n)
	if err != nil {
		return err
	}
	c.index = bools
	c.page.ints = sized(c.page.ints, n)
	for i, v := range bools {
		c.page.ints[i] = int64(v)
	}
	return nil
}

func gather[T any](out, values []T, index []uint32) []T {
	out = sized(out, len(index))
	for i, x := range index {
		out[i] = values[x]
	}
	return out
}

// sized returns a slice of n values, of the memory of s if it is long enough.
func sized[T any](s []T, n int) []T {
	if cap(s) >= n {
		return s[:n]
	}
	return make([]T, n, 1<<bits.Len(uint(n)))
}
