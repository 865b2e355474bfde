package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/koinon-eu/koinon/deploy/service"
)

// maxState bounds the JSON files of a state directory; that of a run may hold a control variate.
const maxState = 64 << 20

// read returns a file of the directory, at most limit bytes; ErrUnknown when there is none.
func (d Dir) read(name string, limit int64) ([]byte, error) {
	f, err := os.Open(d.Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", name, ErrUnknown)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, limit)
	}
	return b, nil
}

// readJSON reads a file strictly: unknown fields and trailing bytes are refused.
func (d Dir) readJSON(name string, v any) error {
	b, err := d.read(name, maxState)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: something follows the JSON value", name)
	}
	return nil
}

func (d Dir) writeJSON(name string, v any, indent bool) error {
	b, err := json.Marshal(v)
	if err == nil && indent {
		b, err = json.MarshalIndent(v, "", "  ")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return service.WriteFile(d.Path(name), append(b, '\n'), 0o600)
}
