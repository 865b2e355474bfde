// Package dataset opens a national table, read-only, and reports on it. The
// table and the report stay on the node's machine.
package dataset

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/koinon-eu/koinon/models/feature"
)

// DefaultMaxBytes bounds the size of a table after decompression, 64 GiB.
const DefaultMaxBytes = 64 << 30

// ErrTooLarge is returned for a table beyond Options.MaxBytes.
var ErrTooLarge = errors.New("table is too large after decompression")

// Options bound what is read. The zero value has the defaults.
type Options struct {
	Limits   feature.Limits
	MaxBytes int64    // after decompression; 0 is DefaultMaxBytes
	Keep     []string // columns read besides those of the schema, see feature.ReadCSV
}

// Open reads a .csv or .csv.gz file under a schema. Wrong rows give a
// *feature.DataError; every error names the file.
func Open(path string, s *feature.Schema, keep ...string) (*feature.Table, error) {
	return OpenWith(path, s, Options{Keep: keep})
}

// OpenWith is Open with limits. With a *feature.DataError it returns the table
// as far as it could be read, as feature.ReadCSV does.
func OpenWith(path string, s *feature.Schema, o Options) (*feature.Table, error) {
	lower := strings.ToLower(path)
	zipped := strings.HasSuffix(lower, ".csv.gz")
	if !zipped && !strings.HasSuffix(lower, ".csv") {
		return nil, fmt.Errorf("%s: neither .csv nor .csv.gz", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if info.IsDir() {
		return nil, fmt.Errorf("%s: is a directory", path)
	}
	var r io.Reader = f
	if zipped {
		z, err := gzip.NewReader(bufio.NewReaderSize(f, 1<<16))
		if err != nil {
			return nil, fmt.Errorf("%s: not a gzip file: %w", path, err)
		}
		defer z.Close()
		r = z
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	t, err := feature.ReadCSV(&bounded{r, o.MaxBytes}, s, o.Limits, o.Keep...)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) && zipped:
		err = fmt.Errorf("%s: file is cut off: %w", path, err)
	case err != nil:
		err = fmt.Errorf("%s: %w", path, err)
	}
	return t, err
}

// bounded fails after left bytes, so that a small file cannot unfold without
// end.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}
