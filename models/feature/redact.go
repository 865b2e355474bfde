package feature

import (
	"fmt"
	"io"
)

// String tells the size; the rows stay hidden.
func (t *Table) String() string { return fmt.Sprintf("feature.Table(%d rows)", t.rows) }

// Format keeps every verb of fmt from reaching the rows.
func (t *Table) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// String tells the size; the rows stay hidden.
func (m *Matrix) String() string { return fmt.Sprintf("feature.Matrix(%d rows)", m.Rows) }

// Format keeps every verb of fmt from reaching the rows.
func (m *Matrix) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, m.String()) }

// MarshalText keeps JSON and logs from reaching the rows.
func (m *Matrix) MarshalText() ([]byte, error) { return []byte(m.String()), nil }
