package link

import (
	"fmt"
	"io"
	"log/slog"
)

// String names the member; the invite's secret stays hidden.
func (e Enrolment) String() string { return fmt.Sprintf("link.Enrolment(%.40s)", e.Member) }

// Format keeps every verb of fmt from reaching the secret.
func (e Enrolment) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.String()) }

// LogValue implements slog.LogValuer.
func (e Enrolment) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalText keeps JSON from reaching the secret.
func (e Enrolment) MarshalText() ([]byte, error) { return []byte(e.String()), nil }
