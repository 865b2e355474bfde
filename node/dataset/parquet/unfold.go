package parquet

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

var errUnfolded = errors.New("page does not unfold to the size it announces")

// unfold decompresses a page to exactly size bytes, which parseHeader has
// bounded, and never makes more.
func (c *chunk) unfold(b []byte, size int) (out []byte, err error) {
	if size < 0 {
		return nil, errUnfolded
	}
	switch c.codec {
	case format.Uncompressed:
		out = b
	case format.Snappy:
		if n, err := snappy.DecodedLen(b); err != nil || n != size {
			return nil, errUnfolded
		}
		c.unfolded = sized(c.unfolded, size)
		out, err = snappy.Decode(c.unfolded, b)
	case format.Zstd:
		if c.zstd == nil {
			if c.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPage)); err != nil {
				return nil, err
			}
		}
		c.unfolded = sized(c.unfolded, size)
		out, err = c.zstd.DecodeAll(b, c.unfolded[:0])
	case format.Gzip:
		out, err = c.gunzip(b, size)
	default:
		return nil, fmt.Errorf("compression %s is not read; write it with zstd, snappy, gzip or none", c.codec)
	}
	if err != nil {
		return nil, err
	}
	if len(out) != size {
		return nil, errUnfolded
	}
	return out, nil
}

func (c *chunk) gunzip(b []byte, size int) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	c.unfolded = sized(c.unfolded, size+1)
	n, err := io.ReadFull(z, c.unfolded)
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, errors.Join(errUnfolded, err)
	}
	return c.unfolded[:n], nil
}
