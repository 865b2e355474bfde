package parquet

import (
	"encoding/binary"
	"errors"
)

var errRuns = errors.New("runs of indices are cut off or too wide")

// runs decodes n values of the hybrid of run lengths and bit packing, width
// bits each, and returns how many bytes they took. Never more than n values are
// made, whatever a run says of its length.
func runs[T uint8 | uint32](out []T, b []byte, width int, n int) ([]T, int, error) {
	if width < 0 || width > 32 {
		return nil, 0, errRuns
	}
	out = out[:0]
	at, bytes := 0, (width+7)/8
	for len(out) < n {
		head, size := binary.Uvarint(b[at:])
		if size <= 0 {
			return nil, 0, errRuns
		}
		at += size
		if head&1 == 0 {
			if len(b)-at < bytes {
				return nil, 0, errRuns
			}
			var v T
			for i := bytes - 1; i >= 0; i-- {
				v = T(uint32(v)<<8 | uint32(b[at+i]))
			}
			at += bytes
			for range min(head>>1, uint64(n-len(out))) {
				out = append(out, v)
			}
			if head == 0 {
				return nil, 0, errRuns // would go on without end
			}
			continue
		}
		groups := head >> 1 // of eight values
		if groups == 0 {
			return nil, 0, errRuns
		}
		count := n - len(out)
		if groups < uint64(count+7)/8 {
			count = int(groups) * 8
		}
		packed := (count*width + 7) / 8 // a last group may be cut to what is needed
		if len(b)-at < packed {
			return nil, 0, errRuns
		}
		out = unpack(out, b[at:at+packed], width, count)
		at += int(min(groups*uint64(width), uint64(len(b)-at)))
	}
	return out, at, nil
}

// unpack appends count values of width bits, the first in the lowest bits.
func unpack[T uint8 | uint32](out []T, b []byte, width, count int) []T {
	var word uint64
	have, at := 0, 0
	mask := uint64(1)<<width - 1
	for range count {
		for have < width {
			word |= uint64(b[at]) << have
			at++
			have += 8
		}
		out = append(out, T(word&mask))
		word >>= width
		have -= width
	}
	return out
}
