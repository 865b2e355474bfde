package dataset

import (
	"unsafe"
)

// plainData are the types that lie in a cache as they lie in memory.
type plainData interface {
	~int8 | ~uint8 | ~int32 | ~uint32 | ~float32 | ~uint64
}

// raw views values as bytes.
func raw[T plainData](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0])))
}

// view views bytes as values. b must begin at a multiple of their size; what is
// left over at its end is not seen.
func view[T plainData](b []byte) []T {
	var zero T
	n := len(b) / int(unsafe.Sizeof(zero))
	if n == 0 {
		return []T{}
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n)
}
