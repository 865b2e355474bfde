package trees

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/koinon-eu/koinon/models/feature"
)

// magic begins the bytes of an ensemble and fixes their version.
const magic = "koinon/trees/1\n"

// MaxBytes bounds an ensemble's canonical bytes.
const MaxBytes = 1 << 28

// ErrForm says that bytes are not an ensemble or state in its one form.
var ErrForm = errors.New("malformed trees")

// Marshal returns the canonical bytes of a valid ensemble: magic, the base
// score as float64, the columns, then the number of trees and each of them.
// Integers are uvarints, floats little-endian. A column is its name, 0 and its
// cuts and the cell of missing for a number, 1 and the cell of each slot for a
// category, then its number of cells and its reference. A tree is the number of
// its nodes and each: 0, or the column + 1 and where cells go; then value and
// cover, and the gain of a split. Children follow from the order (Tree).
func (e *Ensemble) Marshal() ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	b := e.Bins.appendTo(appendFloat64([]byte(magic), e.Base))
	b = binary.AppendUvarint(b, uint64(len(e.Trees)))
	for _, t := range e.Trees {
		b = e.Bins.appendTree(b, t)
	}
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("trees: %d bytes, at most %d", len(b), MaxBytes)
	}
	return b, nil
}

func appendFloat64(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

func appendFloat32(b []byte, v float32) []byte {
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
}

func (b *Bins) appendTo(out []byte) []byte {
	out = binary.AppendUvarint(out, uint64(len(b.Columns)))
	for i := range b.Columns {
		c := &b.Columns[i]
		out = binary.AppendUvarint(out, uint64(len(c.Name)))
		out = append(out, c.Name...)
		if c.IsCategory() {
			out = append(out, 1)
			out = binary.AppendUvarint(out, uint64(len(c.Slots)))
			for _, cell := range c.Slots {
				out = binary.AppendUvarint(out, uint64(cell))
			}
		} else {
			out = append(out, 0)
			out = binary.AppendUvarint(out, uint64(len(c.Cuts)))
			for _, cut := range c.Cuts {
				out = appendFloat32(out, cut)
			}
			out = binary.AppendUvarint(out, uint64(c.Missing))
		}
		out = binary.AppendUvarint(out, uint64(c.Cells))
		out = binary.AppendUvarint(out, uint64(c.Reference))
	}
	return out
}

func (b *Bins) appendTree(out []byte, t Tree) []byte {
	out = binary.AppendUvarint(out, uint64(len(t)))
	for i := range t {
		n := &t[i]
		out = binary.AppendUvarint(out, uint64(n.Column+1))
		if !n.Leaf() {
			if n.Set != nil {
				for _, w := range n.Set {
					out = binary.LittleEndian.AppendUint64(out, w)
				}
			} else {
				out = binary.AppendUvarint(out, uint64(n.Cell))
				out = append(out, flag(n.MissingLeft))
			}
			out = appendFloat32(out, n.Gain)
		}
		out = appendFloat32(appendFloat32(out, n.Value), n.Cover)
	}
	return out
}

// Marshal returns the canonical bytes of valid cells: those within an ensemble.
func (b *Bins) Marshal() ([]byte, error) {
	if err := b.Validate(); err != nil {
		return nil, err
	}
	return b.appendTo(nil), nil
}

// ParseBins reads cells. It refuses anything but what Marshal writes.
func ParseBins(text []byte) (*Bins, error) {
	r := &reader{b: text}
	b := r.bins()
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes too many", len(r.b))
	}
	if r.err != nil {
		return nil, r.err
	}
	if !bytes.Equal(b.appendTo(nil), text) {
		return nil, fmt.Errorf("%w: not canonical", ErrForm)
	}
	return b, nil
}

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// Parse reads an ensemble. It refuses anything but what Marshal writes.
func Parse(b []byte) (*Ensemble, error) {
	rest, ok := bytes.CutPrefix(b, []byte(magic))
	if !ok || len(b) > MaxBytes {
		return nil, fmt.Errorf("%w: not an ensemble of version 1, of at most %d bytes", ErrForm, MaxBytes)
	}
	r := &reader{b: rest}
	e := &Ensemble{Base: math.Float64frombits(binary.LittleEndian.Uint64(r.take(8)))}
	e.Bins = r.bins()
	n := r.count(MaxTrees, 9)
	for range n {
		e.Trees = append(e.Trees, r.tree(e.Bins))
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes too many", len(r.b))
	}
	if r.err != nil {
		return nil, r.err
	}
	again, err := e.Marshal()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	if !bytes.Equal(again, b) {
		return nil, fmt.Errorf("%w: not canonical", ErrForm)
	}
	return e, nil
}

// reader takes fields off bytes. After the first error every field is zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrForm, fmt.Sprintf(format, args...))
		r.b = nil
	}
}

// take returns the next n bytes, zeros after an error.
func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail("truncated")
		return make([]byte, min(max(n, 0), 4096))
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) uvarint(limit int) int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > uint64(limit) {
		r.fail("broken integer, or one above %d", limit)
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

// count reads the number of items of at least size bytes each that follow.
func (r *reader) count(limit, size int) int {
	n := r.uvarint(limit)
	if n*size > len(r.b) {
		r.fail("truncated")
		return 0
	}
	return n
}

func (r *reader) float32() float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(r.take(4)))
}

func (r *reader) bins() *Bins {
	b := &Bins{Columns: make([]Column, r.count(feature.MaxColumns, 5))}
	for i := range b.Columns {
		c := &b.Columns[i]
		c.Name = string(r.take(r.uvarint(feature.MaxNameBytes)))
		switch kind := r.take(1)[0]; kind {
		case 0:
			for range r.count(MaxBins, 4) {
				c.Cuts = append(c.Cuts, r.float32())
			}
			c.Missing = uint16(r.uvarint(maxCells))
		case 1:
			c.Slots = make([]uint16, r.count(feature.MaxValues+2, 1))
			for j := range c.Slots {
				c.Slots[j] = uint16(r.uvarint(maxCells))
				c.Missing = c.Slots[j]
			}
		default:
			r.fail("column of kind %d", kind)
		}
		c.Cells, c.Reference = r.uvarint(maxCells), uint16(r.uvarint(maxCells))
	}
	if err := b.Validate(); err != nil {
		r.fail("%s", err)
	}
	return b
}

// maxNodes is the most nodes of a tree.
const maxNodes = 2<<MaxDepth - 1

func (r *reader) tree(b *Bins) Tree {
	t := make(Tree, r.count(maxNodes, 9))
	next := int32(1)
	for i := range t {
		n := &t[i]
		n.Column = int32(r.uvarint(len(b.Columns))) - 1
		if !n.Leaf() && r.err == nil {
			n.Left = next
			next += 2
			if c := &b.Columns[n.Column]; c.IsCategory() {
				n.Set = make([]uint64, setWords(c.Cells))
				for j := range n.Set {
					n.Set[j] = binary.LittleEndian.Uint64(r.take(8))
				}
			} else {
				n.Cell = uint16(r.uvarint(c.Cells))
				n.MissingLeft = r.take(1)[0] != 0
			}
			n.Gain = r.float32()
		}
		n.Value, n.Cover = r.float32(), r.float32()
	}
	return t
}
