package prg

import (
	"fmt"
	"io"
)

// Format hides the key under every verb, also under %d and %x.
func (s Stream) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText hides the key from JSON, YAML and the handlers of log/slog.
func (s Stream) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
