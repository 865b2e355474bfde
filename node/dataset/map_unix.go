//go:build unix

package dataset

import (
	"os"
	"syscall"
)

// mapFile maps a file into memory, read-only or writable. The pages are the
// file's: the operating system drops and reads them as memory allows.
func mapFile(f *os.File, size int, writable bool) ([]byte, error) {
	prot := syscall.PROT_READ
	if writable {
		prot |= syscall.PROT_WRITE
	}
	return syscall.Mmap(int(f.Fd()), 0, size, prot, syscall.MAP_SHARED)
}

func unmap(b []byte) error { return syscall.Munmap(b) }

// unlink removes the name of an open file, which then ends with its last user.
func unlink(f *os.File) { _ = os.Remove(f.Name()) }
