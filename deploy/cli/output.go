package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// PrintJSON writes v as indented JSON and a newline, with <, > and & as they
// are: what --json prints.
func PrintJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// IsTerminal reports whether w is a terminal, where progress may be drawn.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Table collects rows and prints them in aligned columns. Cells that hold a Go
// number are set flush right. The zero Table has no header.
type Table struct {
	header []string
	rows   [][]string
	right  map[int]bool
}

// NewTable returns a table with these column names.
func NewTable(header ...string) *Table { return &Table{header: header} }

// Row adds a row. Cells are printed with fmt's %v; a nil cell is "-".
// Control characters are shown as spaces, so a name from outside cannot
// rewrite the terminal.
func (t *Table) Row(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		switch c.(type) {
		case int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64:
			if t.right == nil {
				t.right = map[int]bool{}
			}
			t.right[i] = true
		case nil:
			c = "-"
		}
		row[i] = clean(fmt.Sprint(c))
	}
	t.rows = append(t.rows, row)
}

// Len is the number of rows, without the header.
func (t *Table) Len() int { return len(t.rows) }

// Print writes the table; columns are two spaces apart.
func (t *Table) Print(w io.Writer) error {
	lines := t.rows
	if len(t.header) > 0 {
		lines = append([][]string{t.header}, t.rows...)
	}
	var widths []int
	for _, line := range lines {
		for i, cell := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range lines {
		if _, err := io.WriteString(w, t.line(line, widths)); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) line(cells []string, widths []int) string {
	var b strings.Builder
	for i, cell := range cells {
		if i > 0 {
			b.WriteString("  ")
		}
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if t.right[i] {
			b.WriteString(pad + cell)
		} else {
			b.WriteString(cell + pad)
		}
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}

func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// Bytes writes a count of bytes for a person: 999 B, 1.5 kB, 2.0 MB.
func Bytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), -1
	for value >= 999.95 && unit < 4 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTP"[unit])
}
