package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// output lets fill write to standard output, if path is -, or to a file of that
// mode that appears under its name only when it is whole.
func output(stdout io.Writer, path string, mode fs.FileMode, fill func(io.Writer) error) (err error) {
	if path == "-" {
		w := bufio.NewWriter(stdout)
		return errors.Join(fill(w), w.Flush())
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("output: %s is there and no file that could be replaced", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".koinon-output-*")
	if err != nil {
		return fmt.Errorf("output: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	w := bufio.NewWriter(f)
	err = fill(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
