package onnx

import (
	"encoding/binary"
	"math"
)

// message is a protobuf message as it is written: fields in the order in which
// they are added, so that the same model has the same bytes.
type message []byte

// Wire types of protobuf.
const (
	wireVarint  = 0
	wireBytes   = 2
	wireFixed32 = 5
)

func (m message) key(field, wire int) message {
	return binary.AppendUvarint(m, uint64(field<<3|wire))
}

// int adds an int64 or an enum.
func (m message) int(field int, v int64) message {
	return binary.AppendUvarint(m.key(field, wireVarint), uint64(v))
}

func (m message) float(field int, v float32) message {
	return binary.LittleEndian.AppendUint32(m.key(field, wireFixed32), math.Float32bits(v))
}

// bytes adds bytes or a nested message.
func (m message) bytes(field int, v []byte) message {
	return append(binary.AppendUvarint(m.key(field, wireBytes), uint64(len(v))), v...)
}

func (m message) text(field int, v string) message {
	return append(binary.AppendUvarint(m.key(field, wireBytes), uint64(len(v))), v...)
}

// ints adds a packed list of int64.
func (m message) ints(field int, v []int64) message {
	var list []byte
	for _, x := range v {
		list = binary.AppendUvarint(list, uint64(x))
	}
	return m.bytes(field, list)
}

// floats adds a packed list of float.
func (m message) floats(field int, v []float32) message {
	return m.bytes(field, raw32(v))
}

func raw32(v []float32) []byte {
	out := make([]byte, 0, 4*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

func raw64(v []float64) []byte {
	out := make([]byte, 0, 8*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(x))
	}
	return out
}

func rawInt64(v []int64) []byte {
	out := make([]byte, 0, 8*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint64(out, uint64(x))
	}
	return out
}
