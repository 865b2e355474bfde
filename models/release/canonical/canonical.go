// Package canonical holds the one JSON form of the records in a release: the
// fields of a Go struct in their order, no white space, no HTML escaping, no
// final newline. Equal records give equal bytes, so a digest names a record.
package canonical

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrForm means that bytes are not the canonical form of a record.
var ErrForm = errors.New("not in canonical form")

// Marshal returns the canonical form of v. NaN and infinities are errors.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Unmarshal reads the canonical form of at most limit bytes into v. Whatever
// Marshal would not have written (unknown, repeated or reordered keys, other
// spellings of a number, anything behind the value) is refused with ErrForm:
// v is written again and must give the same bytes.
func Unmarshal(data []byte, limit int, v any) error {
	if len(data) > limit {
		return fmt.Errorf("%d bytes, limit %d", len(data), limit)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	again, err := Marshal(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, data) {
		return ErrForm
	}
	return nil
}
