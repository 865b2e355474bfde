package train

import (
	"fmt"
	"io"
	"log/slog"
)

// String tells the size; the values stay hidden until they are masked.
func (v Vector) String() string {
	return fmt.Sprintf("train.Vector(%d parameters, %d integers)", len(v.X), len(v.Ints))
}

// Format keeps every verb of fmt from reaching the values.
func (v Vector) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, v.String()) }

// LogValue implements slog.LogValuer.
func (v Vector) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalText keeps JSON from reaching the values.
func (v Vector) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// String names the kind of thing; table and rows stay hidden.
func (m *Member) String() string { return "train.Member" }

// Format keeps every verb of fmt from reaching the rows. It is needed although no field is exported: with a verb that
// does not fit, fmt prints what a pointer points to without asking its methods.
func (m *Member) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, m.String()) }
