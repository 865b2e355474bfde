package dataset

import (
	"fmt"
	"os"
)

// leastScratch is what is not worth a file, in bytes.
const leastScratch = 32 << 20

// NewScratch returns how to borrow memory, all zero, that is a file without a
// name in dir: what does not fit into memory goes to the disk, and all of it is
// gone after release or with the process. Small pieces are of the heap.
func NewScratch(dir string) func(floats, codes int) (x []float32, c []int32, release func() error, err error) {
	return newScratch(dir, leastScratch)
}

func newScratch(dir string, least int) func(floats, codes int) (x []float32, c []int32, release func() error, err error) {
	return func(floats, codes int) ([]float32, []int32, func() error, error) {
		size := 4 * (floats + codes)
		if size < least {
			return make([]float32, floats), make([]int32, codes), func() error { return nil }, nil
		}
		b, err := scratch(dir, size)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("encoded rows: %w; make room, or switch the cache off", err)
		}
		return view[float32](b[: 4*floats : 4*floats]), view[int32](b[4*floats:]), func() error { return unmap(b) }, nil
	}
}

func scratch(dir string, size int) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, "encoded-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer f.Close()
	unlink(f)
	if err := reserve(f, int64(size)); err != nil {
		return nil, err
	}
	return mapFile(f, size, true)
}
