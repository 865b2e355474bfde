package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errShort means that a structure goes on beyond the bytes at hand.
var errShort = errors.New("cut off")

// Types of the Thrift compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
)

// Bounds of a structure from outside.
const (
	maxDepth = 16
	// maxElements bounds the texts, lists and structures in a footer: a decoder
	// makes room for as many as a list announces, hundreds of bytes each.
	maxElements = 1 << 20
)

// walker goes through a structure of the compact protocol and checks that
// every length and count it announces is there, before a decoder that trusts
// them gets to see it.
type walker struct {
	b        []byte
	at       int
	elements int
	// number is told the integers and booleans of the structure (outer 0) and
	// of the structures in it, by field.
	number func(outer, field int16, v int64)
}

// walk returns the length of the structure that b begins with. The error is
// errShort if b ends before it.
func walk(b []byte, number func(outer, field int16, v int64)) (int, error) {
	w := &walker{b: b, number: number}
	err := w.structure(0, 0)
	return w.at, err
}

func (w *walker) structure(depth int, outer int16) error {
	if depth > maxDepth {
		return fmt.Errorf("more than %d structures in each other", maxDepth)
	}
	field := int16(0)
	for {
		head, err := w.byte()
		if err != nil || head == 0 {
			return err
		}
		if delta := int16(head >> 4); delta > 0 {
			field += delta
		} else {
			n, err := w.zigzag()
			if err != nil {
				return err
			}
			field = int16(n)
		}
		if err := w.value(depth, outer, field, head&15); err != nil {
			return err
		}
	}
}

func (w *walker) value(depth int, outer, field int16, kind byte) error {
	var v int64
	var err error
	switch kind {
	case thriftTrue:
		v = 1
	case thriftFalse:
	case thriftByte:
		var b byte
		b, err = w.byte()
		v = int64(int8(b))
	case thriftI16, thriftI32, thriftI64:
		v, err = w.zigzag()
	case thriftStruct:
		if depth == 0 {
			outer = field
		}
		return w.structure(depth+1, outer)
	default:
		return w.skip(depth, kind)
	}
	if err == nil && w.number != nil {
		if depth == 0 {
			outer = 0
		}
		if depth <= 1 {
			w.number(outer, field, v)
		}
	}
	return err
}

// skip passes over a value that has no number in it for the caller.
func (w *walker) skip(depth int, kind byte) error {
	switch kind {
	case thriftDouble:
		return w.pass(8)
	case thriftBinary:
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.pass(n)
	case thriftList, thriftSet:
		return w.list(depth)
	case thriftMap:
		return w.dictionary(depth)
	}
	return fmt.Errorf("unknown type %d", kind)
}

func (w *walker) list(depth int) error {
	head, err := w.byte()
	if err != nil {
		return err
	}
	n := uint64(head >> 4)
	if n == 15 {
		if n, err = w.varint(); err != nil {
			return err
		}
	}
	return w.items(depth, n, head&15)
}

func (w *walker) dictionary(depth int) error {
	n, err := w.varint()
	if err != nil || n == 0 {
		return err
	}
	kinds, err := w.byte()
	if err != nil {
		return err
	}
	for range n {
		if err := w.items(depth, 1, kinds>>4); err != nil {
			return err
		}
		if err := w.items(depth, 1, kinds&15); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) items(depth int, n uint64, kind byte) error {
	if n > uint64(len(w.b)-w.at) { // each takes a byte at least
		return errShort
	}
	if kind >= thriftBinary {
		if w.elements += int(n); w.elements > maxElements {
			return fmt.Errorf("more than %d elements", maxElements)
		}
	}
	for range n {
		var err error
		switch kind {
		case thriftTrue, thriftFalse, thriftByte:
			err = w.pass(1)
		case thriftI16, thriftI32, thriftI64:
			_, err = w.varint()
		case thriftStruct:
			err = w.inner(depth)
		default:
			err = w.skip(depth+1, kind)
		}
		if err != nil {
			return err
		}
		if depth > maxDepth {
			return fmt.Errorf("more than %d lists in each other", maxDepth)
		}
	}
	return nil
}

// inner walks a structure in a list, whose numbers nobody asks for.
func (w *walker) inner(depth int) error {
	number := w.number
	w.number = nil
	err := w.structure(depth+1, 0)
	w.number = number
	return err
}

func (w *walker) byte() (byte, error) {
	if w.at >= len(w.b) {
		return 0, errShort
	}
	w.at++
	return w.b[w.at-1], nil
}

func (w *walker) pass(n uint64) error {
	if n > uint64(len(w.b)-w.at) {
		return errShort
	}
	w.at += int(n)
	return nil
}

func (w *walker) varint() (uint64, error) {
	v, n := binary.Uvarint(w.b[w.at:])
	switch {
	case n == 0:
		return 0, errShort
	case n < 0:
		return 0, errors.New("integer of more than 64 bits")
	}
	w.at += n
	return v, nil
}

func (w *walker) zigzag() (int64, error) {
	v, err := w.varint()
	return int64(v>>1) ^ -int64(v&1), err
}
