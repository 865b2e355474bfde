package dataset

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/koinon-eu/koinon/models/feature"
)

// spill holds the blocks of a table that is being read in a file without a
// name, until it is known how many rows there are.
type spill struct {
	dir    string
	max    int64
	file   *os.File
	out    *bufio.Writer
	blocks []block
	bytes  int64
	rows   int
}

// block says where the columns of some rows lie.
type block struct {
	at       int64
	rows     int
	sections []section // in order
}

// section is the part of one column in a block or in a cache.
type section struct {
	Kind   string `json:"kind"` // number, codes, label, split, id or ends
	Column string `json:"column,omitempty"`
	At     int64  `json:"at"`
	Bytes  int64  `json:"bytes"`
}

// content lists the columns of a table with their bytes.
func content(c feature.Columns) (all []section, data [][]byte) {
	put := func(kind, column string, b []byte) {
		all = append(all, section{Kind: kind, Column: column, Bytes: int64(len(b))})
		data = append(data, b)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Numbers)) {
		put("number", name, raw(c.Numbers[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Codes)) {
		put("codes", name, raw(c.Codes[name]))
	}
	put("label", "", raw(c.Label))
	put("split", "", raw(c.Split))
	put("origin", "", raw(c.Origin))
	put("id", "", c.IDText)
	put("ends", "", raw(c.IDEnds))
	return all, data
}

// add writes a block.
func (s *spill) add(t *feature.Table) error {
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "reading-*") // mode 0600
		if err != nil {
			return fmt.Errorf("cache: %w", err)
		}
		unlink(f)
		s.file, s.out = f, bufio.NewWriterSize(f, 1<<20)
	}
	c := t.Columns()
	shift(c.IDEnds, s.idBytes())
	b := block{at: s.bytes, rows: t.Rows()}
	all, data := content(c)
	for i, part := range data {
		if s.bytes += int64(len(part)); s.bytes > s.max {
			return fmt.Errorf("%w of %d MiB: allow it more, or switch it off", ErrCacheFull, s.max>>20)
		}
		if _, err := s.out.Write(part); err != nil {
			return fmt.Errorf("cache: %w; make room, or switch the cache off", err)
		}
		all[i].At = b.at
		b.at += all[i].Bytes
	}
	b.sections = all
	s.blocks, s.rows = append(s.blocks, b), s.rows+b.rows
	return nil
}

// shift makes the ends of a block's identifiers count from the first block. The
// block is used no more.
func shift(ends []uint64, by uint64) {
	for i := range ends {
		ends[i] += by
	}
}

// idBytes returns the bytes of the identifiers so far.
func (s *spill) idBytes() (n uint64) {
	for _, b := range s.blocks {
		n += uint64(b.sections[len(b.sections)-2].Bytes)
	}
	return n
}

// write makes a cache of the blocks, column by column. Names and lists come
// from the last block.
func (s *spill) write(path string, k key, last feature.Columns) (err error) {
	if err := s.out.Flush(); err != nil {
		return err
	}
	d := newDirectory(last, s.rows)
	for i, first := range s.blocks[0].sections {
		for _, b := range s.blocks[1:] {
			first.Bytes += b.sections[i].Bytes
		}
		d.Sections = append(d.Sections, first)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "writing-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	w, err := newCacheWriter(f, k, d)
	if err != nil {
		return err
	}
	for i := range d.Sections {
		if err := w.align(); err != nil {
			return err
		}
		for _, b := range s.blocks {
			at := b.sections[i]
			if _, err := io.Copy(w, io.NewSectionReader(s.file, at.At, at.Bytes)); err != nil {
				return err
			}
		}
	}
	if err := w.end(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func (s *spill) close() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name()) // where it could not be unlinked
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync() // not every system can
	return d.Close()
}
