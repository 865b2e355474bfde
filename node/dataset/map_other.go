//go:build !unix

package dataset

import (
	"io"
	"os"
)

// mapFile reads the file into memory: here it has to fit.
func mapFile(f *os.File, size int, writable bool) ([]byte, error) {
	words := make([]uint64, (size+7)/8)
	b := raw(words)[:size]
	if writable {
		return b, nil
	}
	_, err := io.ReadFull(io.NewSectionReader(f, 0, int64(size)), b)
	return b, err
}

func unmap([]byte) error { return nil }

func unlink(*os.File) {}
