package coordinator

import (
	"fmt"
	"io"
	"log/slog"
)

// String names the federation; the keys stay hidden.
func (c Config) String() string { return fmt.Sprintf("coordinator.Config(%s)", c.Federation) }

// Format keeps every verb of fmt from reaching the keys.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue implements slog.LogValuer.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText keeps JSON from reaching the keys.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// String names the federation.
func (c *Coordinator) String() string {
	return fmt.Sprintf("coordinator.Coordinator(%s)", c.cfg.Federation)
}

// Format keeps every verb of fmt from reaching the configuration.
func (c *Coordinator) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue implements slog.LogValuer.
func (c *Coordinator) LogValue() slog.Value { return slog.StringValue(c.String()) }
