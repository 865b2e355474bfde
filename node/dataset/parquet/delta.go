package parquet

import (
	"encoding/binary"
	"errors"

	"github.com/parquet-go/parquet-go/format"
)

var errDelta = errors.New("differences are cut off or do not fit")

// deltas decodes n integers of the encoding DELTA_BINARY_PACKED and returns how
// many bytes they took.
func deltas(out []int64, b []byte, n int) ([]int64, int, error) {
	var head [3]uint64 // values of a block, miniblocks of a block, values in all
	at := 0
	for i := range head {
		v, size := binary.Uvarint(b[at:])
		if size <= 0 {
			return nil, 0, errDelta
		}
		head[i], at = v, at+size
	}
	value, size := binary.Varint(b[at:])
	per := head[0] / max(head[1], 1)
	if size <= 0 || head[2] != uint64(n) || head[1] == 0 || head[1] > 1<<10 || per == 0 || per%8 != 0 || per > maxValues {
		return nil, 0, errDelta
	}
	at += size
	out = append(out[:0], value)[:min(n, 1)]
	for len(out) < n {
		least, size := binary.Varint(b[at:])
		if size <= 0 || len(b)-at-size < int(head[1]) {
			return nil, 0, errDelta
		}
		widths := b[at+size : at+size+int(head[1])]
		at += size + int(head[1])
		for _, width := range widths {
			if len(out) == n {
				break // the rest of a last block is left out
			}
			length := int(per) * int(width) / 8
			if width > 64 || length > len(b)-at {
				return nil, 0, errDelta
			}
			for i := range min(int(per), n-len(out)) {
				value += least + int64(bitsAt(b[at:at+length], i*int(width), int(width)))
				out = append(out, value)
			}
			at += length
		}
	}
	return out, at, nil
}

// bitsAt returns width bits from a bit on; b holds them.
func bitsAt(b []byte, from, width int) uint64 {
	if width == 0 {
		return 0
	}
	var word [8]byte
	i, s := from/8, from%8
	copy(word[:], b[i:])
	v := binary.LittleEndian.Uint64(word[:]) >> s
	if s+width > 64 {
		v |= uint64(b[i+8]) << (64 - s)
	}
	return v & (^uint64(0) >> (64 - width))
}

// other reads a page in one of the encodings that newer writers use.
func (c *chunk) other(e format.Encoding, b []byte, n int) error {
	p := &c.page
	switch k := c.column.kind; {
	case e == format.DeltaBinaryPacked && (k == format.Int32 || k == format.Int64):
		ints, _, err := deltas(p.ints, b, n)
		if err != nil {
			return err
		}
		if p.ints = ints; k == format.Int32 {
			for i, v := range ints {
				ints[i] = c.column.widen(uint32(v))
			}
		}
		return nil
	case e == format.DeltaLengthByteArray && k == format.ByteArray:
		return c.lengths(b, n)
	case e == format.DeltaByteArray && (k == format.ByteArray || k == format.FixedLenByteArray):
		return c.prefixed(b, n)
	case e == format.ByteStreamSplit && c.column.width() > 0:
		return c.streams(b, n)
	case e == format.RLE && k == format.Boolean && len(b) >= 4:
		return c.booleans(b[4:], n)
	}
	return errors.New("encoding " + e.String() + " of " + c.column.kind.String() + " is not read; write it plain or with a dictionary")
}

// lengths reads byte strings whose lengths come first.
func (c *chunk) lengths(b []byte, n int) error {
	lengths, at, err := deltas(c.counts, b, n)
	if err != nil {
		return err
	}
	c.counts = lengths
	t := &c.page.own
	t.data, t.begin, t.ends = b, sized(t.begin, n), sized(t.ends, n)
	for i, length := range lengths {
		if length < 0 || length > int64(len(b)-at) {
			return errCut
		}
		t.begin[i], t.ends[i] = uint32(at), uint32(at+int(length))
		at += int(length)
	}
	return nil
}

// prefixed reads byte strings of which each begins like the one before.
func (c *chunk) prefixed(b []byte, n int) error {
	prefixes, at, err := deltas(c.counts, b, n)
	if err != nil {
		return err
	}
	c.counts = prefixes
	suffixes, size, err := deltas(nil, b[at:], n)
	if err != nil {
		return err
	}
	at += size
	t := &c.page.own
	t.data, t.begin, t.ends = c.joined[:0], sized(t.begin, n), sized(t.ends, n)
	var last []byte
	for i, suffix := range suffixes {
		prefix := prefixes[i]
		if prefix < 0 || prefix > int64(len(last)) || suffix < 0 || suffix > int64(len(b)-at) || len(t.data)+int(prefix+suffix) > maxPage {
			return errCut
		}
		begin := len(t.data)
		t.data = append(append(t.data, last[:prefix]...), b[at:at+int(suffix)]...)
		t.begin[i], t.ends[i] = uint32(begin), uint32(len(t.data))
		last, at = t.data[begin:], at+int(suffix)
	}
	c.joined = t.data
	return nil
}

// streams reads numbers whose first bytes come first, then their second bytes,
// and so on.
func (c *chunk) streams(b []byte, n int) error {
	width := c.column.width()
	if n*width > len(b) {
		return errCut
	}
	c.joined = sized(c.joined, n*width)
	for k := range width {
		for i, v := range b[k*n : k*n+n] {
			c.joined[i*width+k] = v
		}
	}
	return c.plain(c.joined, n, &c.page)
}
