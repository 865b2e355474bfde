package secagg

import (
	"fmt"
	"io"
)

// What holds secrets prints as its name under every verb of fmt, and as text
// in JSON, YAML and the handlers of log/slog, which this package may not import.

// Format hides Rho under every verb.
func (c ClientConfig) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// MarshalText hides Rho from JSON and logs.
func (c ClientConfig) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Format tells what String does under every verb.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// MarshalText tells what String does, in JSON and logs.
func (c *Client) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
