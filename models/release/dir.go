package release

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Write creates the directory dir with the files, whole or not at all: they
// are written to a temporary directory beside it, synced, and renamed. An
// existing dir is an error that satisfies errors.Is(err, fs.ErrExist).
func Write(dir string, files Files) (err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("write release: %w", err)
	}
	for name := range files {
		if !ValidName(name) {
			return fmt.Errorf("write release: file name %q is not valid", name)
		}
	}
	if _, err := os.Lstat(abs); err == nil {
		return fmt.Errorf("write release: %s: %w", dir, fs.ErrExist)
	}
	parent := filepath.Dir(abs)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("write release: %w", err)
	}
	tmp, err := os.MkdirTemp(parent, ".koinon-release-*")
	if err != nil {
		return fmt.Errorf("write release: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write release: %w", errors.Join(err, os.RemoveAll(tmp)))
		}
	}()
	for name, data := range files {
		if err := writeSynced(filepath.Join(tmp, name), data); err != nil {
			return err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := syncDir(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, abs); err != nil {
		return err
	}
	return syncDir(parent)
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // directories cannot be opened for syncing
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Read loads the files of a release directory, at most MaxRelease bytes, for
// Open. Subdirectories, symbolic links and other special files are errors.
func Read(dir string) (files Files, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read release: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("read release: %w", err)
	}
	if len(entries) > maxFiles {
		return nil, fmt.Errorf("read release: %s has %d files, limit %d", dir, len(entries), maxFiles)
	}
	files = make(Files, len(entries))
	left := int64(MaxRelease)
	for _, e := range entries {
		if !e.Type().IsRegular() {
			return nil, fmt.Errorf("read release: %s is not a regular file; a release has no folders and no links", filepath.Join(dir, e.Name()))
		}
		data, err := readFile(root, e.Name(), left)
		if err != nil {
			return nil, fmt.Errorf("read release: %w", err)
		}
		files[e.Name()] = data
		left -= int64(len(data))
	}
	return files, nil
}

func readFile(root *os.Root, name string, left int64) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, left+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > left {
		return nil, fmt.Errorf("%s: release is larger than %d bytes", name, int64(MaxRelease))
	}
	return data, nil
}
