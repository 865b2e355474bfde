package chain

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// BrokenError names the first line that is wrong.
type BrokenError struct {
	Path   string
	Line   uint64 // from 1
	Reason error
}

// Error says which line and why.
func (e *BrokenError) Error() string { return fmt.Sprintf("%s: line %d %v", e.Path, e.Line, e.Reason) }

// Unwrap gives the reason.
func (e *BrokenError) Unwrap() error { return e.Reason }

// Read checks the whole file and calls fn, which may be nil, with each entry
// after its check. It needs no lock: a partial last line, which may be a write
// under way, is only counted in Summary.Torn. Damage is a *BrokenError.
func Read(path, name string, fn func(Entry) error) (Summary, error) {
	f, err := os.Open(path)
	if err != nil {
		return Summary{}, fmt.Errorf("read %s records: %w", name, err)
	}
	defer f.Close()
	s, _, err := scan(f, path, name, fn)
	return s, err
}

// scan returns also the offset behind the last whole line.
func scan(r io.Reader, path, name string, fn func(Entry) error) (s Summary, offset int64, err error) {
	lines := bufio.NewReaderSize(r, MaxLine)
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			s.Torn = len(line)
			return s, offset, nil
		case errors.Is(err, bufio.ErrBufferFull):
			return s, offset, &BrokenError{path, s.Entries + 1, fmt.Errorf("is longer than %d bytes", MaxLine)}
		case err != nil:
			return s, offset, fmt.Errorf("read %s: %w", path, err)
		}
		e, err := ParseEntry(name, bytes.TrimSuffix(line, []byte("\n")))
		if err == nil {
			err = s.follow(e)
		}
		if err != nil {
			return s, offset, &BrokenError{path, s.Entries + 1, err}
		}
		offset += int64(len(line))
		if fn != nil {
			if err := fn(e); err != nil {
				return s, offset, &BrokenError{path, e.Seq, err}
			}
		}
	}
}
