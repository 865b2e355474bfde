package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Files keeps each vector in a file below a directory. Files in use stay open, so that a chunk costs one system call.
type Files struct {
	dir string

	mu    sync.Mutex
	open  map[Key]*os.File
	order []Key            // of open, oldest first
	names map[string]names // by directory; what is not here may hold names of an earlier process
}

// names counts how often a name came into a directory, and how many of those times are durable.
type names struct{ made, durable int }

// maxOpen is how many files stay open: more than a cohort has members.
const maxOpen = 128

// NewFiles makes the directory when it is missing.
func NewFiles(dir string) (*Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return &Files{dir: dir, open: map[Key]*os.File{}, names: map[string]names{}}, nil
}

// Dir returns the directory.
func (s *Files) Dir() string { return s.dir }

func (s *Files) path(k Key) string { return filepath.Join(s.dir, filepath.FromSlash(k.String())) }

// WriteAt implements Store.
func (s *Files) WriteAt(k Key, data []byte, offset int64) error {
	return s.with(k, true, func(f *os.File) error {
		_, err := f.WriteAt(data, offset)
		return err
	})
}

// ReadAt implements Store.
func (s *Files) ReadAt(k Key, data []byte, offset int64) error {
	return s.with(k, false, func(f *os.File) error {
		_, err := f.ReadAt(data, offset)
		if errors.Is(err, io.EOF) {
			err = ErrMissing
		}
		return err
	})
}

// Sync implements Store: the file, then the directories that name it, where a name in them may not be durable yet.
func (s *Files) Sync(k Key) error {
	if err := s.with(k, false, (*os.File).Sync); err != nil {
		return err
	}
	for dir := filepath.Dir(s.path(k)); len(dir) >= len(s.dir); dir = filepath.Dir(dir) {
		if err := s.syncDir(dir); err != nil {
			return missing(k, err)
		}
	}
	return nil
}

// syncDir makes the names that a directory has by now durable.
func (s *Files) syncDir(dir string) error {
	s.mu.Lock()
	n, known := s.names[dir]
	s.mu.Unlock()
	if known && n.durable == n.made {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.names[dir]
	now.durable = max(now.durable, n.made)
	s.names[dir] = now
	return nil
}

// with does something with a vector's file, which another goroutine may be closing because others are needed more.
func (s *Files) with(k Key, write bool, do func(*os.File) error) error {
	for {
		f, err := s.file(k, write)
		if err == nil {
			err = do(f)
		}
		if !errors.Is(err, os.ErrClosed) {
			return missing(k, err)
		}
	}
}

// file returns a vector's open file; only a writer makes one that is missing.
func (s *Files) file(k Key, write bool) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.open[k]; f != nil {
		return f, nil
	}
	path := s.path(k)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) && write {
		f, err = s.create(path)
	}
	if err != nil {
		return nil, err
	}
	if len(s.order) == maxOpen {
		s.shut(s.order[0])
	}
	s.open[k], s.order = f, append(s.order, k)
	return f, nil
}

// create makes a file and the directories above it, and notes which of them have a new name.
func (s *Files) create(path string) (*os.File, error) {
	for dir := filepath.Dir(path); len(dir) >= len(s.dir); dir = filepath.Dir(dir) {
		n := s.names[dir]
		n.made++
		s.names[dir] = n
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}

// shut closes a vector's file.
func (s *Files) shut(k Key) {
	if f := s.open[k]; f != nil {
		_ = f.Close() // what was written is made durable by Sync, not by this
		delete(s.open, k)
	}
	for i, other := range s.order {
		if other == k {
			s.order = append(s.order[:i], s.order[i+1:]...)
			return
		}
	}
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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut(k)
	if err := os.Remove(s.path(k)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return missing(k, err)
	}
	return nil
}

// RemoveUploads implements Store.
func (s *Files) RemoveUploads(run [16]byte, round uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.open {
		if k.Run == run && k.Round == round && k.Member != 0 {
			s.shut(k)
		}
	}
	dir := filepath.Dir(s.path(Key{Run: run, Round: round}))
	delete(s.names, dir) // not needed any more; who needs it still syncs once too often
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
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

// Close closes the files. The spool can be used again.
func (s *Files) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var failed error
	for _, f := range s.open {
		failed = errors.Join(failed, f.Close())
	}
	clear(s.open)
	s.order = nil
	return failed
}
