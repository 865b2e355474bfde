//go:build !linux

package dataset

import "os"

// reserve gives a file its size.
func reserve(f *os.File, size int64) error { return f.Truncate(size) }
