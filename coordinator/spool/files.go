package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Files keeps each vector in a file below a directory.
type Files struct{ dir string }

// NewFiles makes the directory when it is missing.
func NewFiles(dir string) (*Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return &Files{dir: dir}, nil
}

// Dir returns the directory.
func (s *Files) Dir() string { return s.dir }

func (s *Files) path(k Key) string { return filepath.Join(s.dir, filepath.FromSlash(k.String())) }

// WriteAt implements Store.
func (s *Files) WriteAt(k Key, data []byte, offset int64) error {
	path := s.path(k)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			f, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
		}
	}
	if err != nil {
		return missing(k, err)
	}
	_, err = f.WriteAt(data, offset)
	return missing(k, errors.Join(err, f.Close()))
}

// Sync implements Store: the file, then the directories that name it.
func (s *Files) Sync(k Key) error {
	for path := s.path(k); len(path) >= len(s.dir); path = filepath.Dir(path) {
		f, err := os.Open(path)
		if err != nil {
			return missing(k, err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return missing(k, err)
		}
	}
	return nil
}

// ReadAt implements Store.
func (s *Files) ReadAt(k Key, data []byte, offset int64) error {
	f, err := os.Open(s.path(k))
	if err != nil {
		return missing(k, err)
	}
	defer f.Close()
	_, err = f.ReadAt(data, offset)
	if errors.Is(err, io.EOF) {
		err = ErrMissing
	}
	return missing(k, err)
}

// Size implements Store.
func (s *Files) Size(k Key) (int64, error) {
	info, err := os.Stat(s.path(k))
	if err != nil {
		return 0, missing(k, err)
	}
	return info.Size(), nil
}

// Remove implements Store.
func (s *Files) Remove(k Key) error {
	if err := os.Remove(s.path(k)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return missing(k, err)
	}
	return nil
}

// RemoveUploads implements Store.
func (s *Files) RemoveUploads(run [16]byte, round uint32) error {
	dir := filepath.Dir(s.path(Key{Run: run, Round: round}))
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	var failed error
	for _, e := range entries {
		if e.Name() != "sum" {
			failed = errors.Join(failed, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return failed
}
