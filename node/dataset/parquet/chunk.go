package parquet

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// chunk reads the pages of one column of one group of rows after another.
type chunk struct {
	in     io.ReaderAt
	column *column
	room   *int // bytes that all chunks may still hold

	codec      format.CompressionCodec
	at, end    int64 // what is left of the chunk in the file
	left       int64 // rows of the group that no page has held
	dictionary *page
	page       page
	row        int // of the page, rows already given
	value      int // of the page, values already given
	held       int // bytes taken off room
	dictHeld   int

	head     []byte // scratch, as all below
	raw      []byte
	unfolded []byte
	levels   []uint8
	index    []uint32
	counts   []int64
	joined   []byte
	zstd     *zstd.Decoder
	null     []bool
	floats   []float32
	doubles  []float64
	ints     []int64
	text     []byte
}

// open begins the column's part of a group of rows.
func (c *chunk) open(meta *format.ColumnChunk, rows, fileSize int64) error {
	m := &meta.MetaData
	c.codec, c.at = m.Codec, m.DataPageOffset
	if d := m.DictionaryPageOffset; d > 0 && d < c.at {
		c.at = d
	}
	c.end = c.at + m.TotalCompressedSize
	switch {
	case meta.FilePath != "":
		return errors.New("its values are in another file")
	case m.Type != c.column.kind:
		return fmt.Errorf("holds %s in one place and %s in another", c.column.kind, m.Type)
	case c.at < 4 || m.TotalCompressedSize < 0 || c.end < c.at || c.end > fileSize:
		return errors.New("its place in the file is impossible")
	}
	c.left = rows
	c.dictionary, c.page.rows, c.row, c.value = nil, 0, 0, 0
	return nil
}

// rows returns how many rows can be given before the next page, reading it if
// need be.
func (c *chunk) rows() (int, error) {
	for c.row == c.page.rows {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	return c.page.rows - c.row, nil
}

// next reads a page: its values, or the dictionary.
func (c *chunk) next() error {
	h, err := c.header()
	if err != nil {
		return err
	}
	if int64(h.size) > c.end-c.at {
		return errCut
	}
	switch h.kind {
	case format.DataPage, format.DataPageV2, format.DictionaryPage:
	default: // an index, which nobody needs
		c.at += int64(h.size)
		return nil
	}
	if h.kind != format.DictionaryPage && int64(h.values) > c.left {
		return errors.New("has more values than its group has rows")
	}
	// What a page can take: itself, unfolded, and up to 33 bytes a value for its
	// levels, indices, lengths and decoded values.
	need := h.size + h.unfolded + 33*h.values
	held := &c.held
	if h.kind == format.DictionaryPage {
		held = &c.dictHeld
	}
	if *c.room += *held - need; *c.room < 0 {
		return fmt.Errorf("the pages of all columns take more than %d bytes together; write smaller ones", maxHeld)
	}
	*held = need
	c.raw = sized(c.raw, h.size)
	if _, err := c.in.ReadAt(c.raw, c.at); err != nil {
		return err
	}
	c.at += int64(h.size)
	if h.kind == format.DictionaryPage {
		return c.readDictionary(h)
	}
	c.left -= int64(h.values)
	c.row, c.value = 0, 0
	return c.decode(h, c.raw)
}

// header reads the header of a page and goes to what follows it.
func (c *chunk) header() (pageHeader, error) {
	for window := 1 << 12; ; window = maxHeader {
		n := int(min(int64(window), c.end-c.at))
		if n == 0 {
			return pageHeader{}, errors.New("has fewer values than its group has rows")
		}
		c.head = sized(c.head, n)
		if _, err := c.in.ReadAt(c.head, c.at); err != nil && !errors.Is(err, io.EOF) {
			return pageHeader{}, err
		}
		h, length, err := parseHeader(c.head)
		if errors.Is(err, errShort) && n == window && window < maxHeader {
			continue
		}
		if err != nil {
			return h, fmt.Errorf("page header: %w", err)
		}
		c.at += int64(length)
		return h, nil
	}
}

func (c *chunk) readDictionary(h pageHeader) error {
	if c.dictionary != nil {
		return errors.New("has two dictionaries")
	}
	if h.encoding != format.Plain && h.encoding != oldDictionary {
		return fmt.Errorf("dictionary in encoding %s is not read", h.encoding)
	}
	body, err := c.unfold(c.raw, h.unfolded)
	if err != nil {
		return err
	}
	d := &page{rows: h.values}
	if err := c.plain(body, h.values, d); err != nil {
		return fmt.Errorf("dictionary: %w", err)
	}
	c.dictionary = d
	c.raw, c.unfolded = nil, nil // the texts of the dictionary stand in them
	return nil
}

func (c *chunk) close() {
	if c.zstd != nil {
		c.zstd.Close()
	}
}
