package node

import (
	"fmt"
	"io"
	"log/slog"
)

// String names the member; what the node holds stays hidden.
func (n *Node) String() string { return fmt.Sprintf("node.Node(%s)", n.cfg.Member) }

// Format keeps every verb of fmt from reaching runs and tables.
func (n *Node) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, n.String()) }

// LogValue implements slog.LogValuer.
func (n *Node) LogValue() slog.Value { return slog.StringValue(n.String()) }

// String names the run; its key stays hidden.
func (r Run) String() string { return fmt.Sprintf("node.Run(%x, step %d)", r.ID, r.Step) }

// Format keeps every verb of fmt from reaching the key.
func (r Run) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue implements slog.LogValuer.
func (r Run) LogValue() slog.Value { return slog.StringValue(r.String()) }

// String names the member; keys and table stay hidden.
func (c Config) String() string { return fmt.Sprintf("node.Config(%s)", c.Member) }

// Format keeps every verb of fmt from reaching keys and table.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue implements slog.LogValuer.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }
