// Package dataset opens a national table, read-only, and reports on it. The
// table and the report stay on the node's machine.
package dataset

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/dataset/parquet"
)

// DefaultMaxBytes bounds the size of a table after decompression, 64 GiB.
const DefaultMaxBytes = 64 << 30

// ErrTooLarge is returned for a table beyond Options.MaxBytes.
var ErrTooLarge = parquet.ErrTooLarge

// ErrChanged means that the table was written to while it was read.
var ErrChanged = errors.New("changed while it was read; write a new file and move it into place")

// Options bound what is read. The zero value has the defaults.
type Options struct {
	Limits   feature.Limits
	MaxBytes int64    // after decompression; 0 is DefaultMaxBytes
	Keep     []string // columns read besides those of the schema, see feature.Read; a table with such is not cached
	Cache    *Cache   // nil: none
	Last     *Summary // of the rows of the last run, for a report; nil: none
	Today    string   // YYYY-MM-DD, for a report; empty: the clock's, in UTC
}

// Open reads a .csv, .csv.gz or .parquet file under a schema. Wrong rows give
// a *feature.DataError; every error names the file.
func Open(path string, s *feature.Schema, keep ...string) (*feature.Table, error) {
	return OpenWith(path, s, Options{Keep: keep})
}

// OpenWith is Open with limits. With a *feature.DataError it returns the table
// as far as it could be read, as feature.Read does.
func OpenWith(path string, s *feature.Schema, o Options) (*feature.Table, error) {
	t, _, err := openTable(path, s, o, o.Cache != nil)
	return t, err
}

// OpenNamed is OpenWith and names the content of the file that the rows come
// from: its SHA-256. A file that is written to meanwhile gives ErrChanged.
func OpenNamed(path string, s *feature.Schema, o Options) (*feature.Table, [32]byte, error) {
	return openTable(path, s, o, true)
}

func openTable(path string, s *feature.Schema, o Options, named bool) (*feature.Table, [32]byte, error) {
	f, err := open(path, o)
	if err != nil {
		return nil, [32]byte{}, err
	}
	defer f.Close()
	f.named = named
	t, digest, err := f.read(s, o)
	if errors.Is(err, io.ErrUnexpectedEOF) && f.kind == zipped {
		err = fmt.Errorf("file is cut off: %w", err)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return t, digest, err
}

// kind is the format of a file.
type kind uint8

const (
	plain kind = iota
	zipped
	columnar
)

// kinds lists the formats by the ending of a file's name.
var kinds = []struct {
	ending string
	kind   kind
}{{".csv", plain}, {".csv.gz", zipped}, {".parquet", columnar}}

// table is an open file of a national table.
type table struct {
	*os.File
	kind   kind
	size   int64
	max    int64
	before stamp
	named  bool // what it holds is asked for
}

func open(path string, o Options) (*table, error) {
	f := &table{max: o.MaxBytes, kind: kind(255)}
	for _, k := range kinds {
		if strings.HasSuffix(strings.ToLower(path), k.ending) {
			f.kind = k.kind
		}
	}
	if f.kind > columnar {
		return nil, fmt.Errorf("%s: neither .csv nor .csv.gz nor .parquet", path)
	}
	if f.max <= 0 {
		f.max = DefaultMaxBytes
	}
	var err error
	if f.File, err = os.Open(path); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s: is a directory", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	f.size, f.before = info.Size(), stampOf(info)
	return f, nil
}

// read reads the table through the cache, if there is one, and names it. Tables
// of counts are of few rows and have none.
func (f *table) read(s *feature.Schema, o Options) (*feature.Table, [32]byte, error) {
	if o.Cache == nil || len(o.Keep) > 0 || o.Limits.Scoring || s.Label.IsCount() {
		return f.parse(o, func(src feature.Source) (*feature.Table, error) {
			return feature.Read(src, s, o.Limits, o.Keep...)
		})
	}
	digest, err := f.digest()
	if err != nil {
		return nil, digest, err
	}
	if t := o.Cache.load(digest, s); t != nil {
		return t, digest, nil
	}
	var t *feature.Table
	_, parsed, err := f.parse(o, func(src feature.Source) (*feature.Table, error) {
		t, err = o.Cache.fill(src, s, o.Limits)
		return t, err
	})
	if err == nil && parsed != digest {
		err = ErrChanged
	}
	if err == nil {
		t, err = o.Cache.keep(digest, s)
	}
	o.Cache.drop()
	return t, digest, err
}

// parse reads the rows and names what they were read from.
func (f *table) parse(o Options, read func(feature.Source) (*feature.Table, error)) (*feature.Table, [32]byte, error) {
	if f.kind == columnar {
		return f.parseColumns(read)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, [32]byte{}, err
	}
	h := sha256.New()
	file := io.Reader(f.File)
	if f.named {
		file = io.TeeReader(f.File, h)
	}
	var r io.Reader = &bounded{r: file, left: f.max, size: f.size}
	if f.kind == zipped {
		z, err := gzip.NewReader(bufio.NewReaderSize(file, 1<<16))
		if err != nil {
			return nil, [32]byte{}, fmt.Errorf("not a gzip file: %w", err)
		}
		defer z.Close()
		r = &bounded{r: z, left: f.max}
	}
	t, err := read(feature.NewCSV(r, o.Limits))
	if err != nil || !f.named {
		return t, [32]byte{}, err
	}
	if n, err := io.Copy(io.Discard, file); err != nil {
		return nil, [32]byte{}, err
	} else if n > 0 { // beyond what was its end
		return nil, [32]byte{}, ErrChanged
	}
	digest := [32]byte(h.Sum(nil))
	return t, digest, f.unchanged(digest)
}

// parseColumns reads a Parquet file, from one place and another: it is named
// beforehand.
func (f *table) parseColumns(read func(feature.Source) (*feature.Table, error)) (*feature.Table, [32]byte, error) {
	var digest [32]byte
	var err error
	if f.named {
		digest, err = f.digest()
	}
	if err != nil {
		return nil, digest, err
	}
	src, err := parquet.Open(f.File, f.size, f.max)
	if err != nil {
		return nil, digest, err
	}
	t, err := read(src)
	if err == nil && f.named {
		err = f.unchanged(digest)
	}
	return t, digest, err
}

// digest names the content of the file.
func (f *table) digest() ([32]byte, error) {
	h := sha256.New()
	_, err := io.Copy(h, io.NewSectionReader(f.File, 0, 1<<62))
	return [32]byte(h.Sum(nil)), err
}

// unchanged refuses a file that was written to since it was opened. Where the
// file system does not tell for certain, the file is read and named again.
func (f *table) unchanged(digest [32]byte) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if after := stampOf(info); after.certain && after == f.before {
		return nil
	}
	again, err := f.digest()
	if err == nil && again != digest {
		err = ErrChanged
	}
	return err
}

// bounded fails after left bytes, so that a small file cannot unfold without
// end.
type bounded struct {
	r    io.Reader
	left int64
	size int64 // of the whole, 0 if that is not known
}

// Len helps feature.NewCSV to make room.
func (b *bounded) Len() int { return int(b.size) }

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}
