package keystore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// ReadSecret reads a file that only its owner may read: a regular file, no
// permission for group or others (not checked on Windows, whose modes say
// nothing), at most 64 KiB. The caller clears the bytes after use.
func ReadSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open secret: %w", err)
	}
	defer f.Close()
	info, err := f.Stat() // of the open file: what is checked is what is read
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("secret %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("secret %s has mode %04o and others may read it: run chmod 600 %s", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", path, err)
	}
	if len(text) > maxKeyFile {
		clear(text)
		return nil, fmt.Errorf("secret %s has more than %d bytes", path, maxKeyFile)
	}
	if len(text) == 0 {
		return nil, fmt.Errorf("secret %s is empty", path)
	}
	return text, nil
}

// WriteSecret creates path with mode 0600 and the given bytes, whole or not at
// all: after a crash the file is complete or absent. An existing file is an
// error that satisfies errors.Is(err, fs.ErrExist).
func WriteSecret(path string, data []byte) error { return create(path, data, 0o600) }

// WritePublic creates path with mode 0644 and the public key in PEM, whole or
// not at all; an existing file is an error as in WriteSecret.
func WritePublic(path string, text []byte) error { return create(path, text, 0o644) }

// create writes a temporary file beside path, syncs it and links it to its
// name. A link, unlike a rename, fails when the name is taken.
func create(path string, data []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".koinon-*") // mode 0600
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Chmod(mode)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // directories cannot be opened for syncing
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
