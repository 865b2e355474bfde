package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// NewJSONEncoder returns an encoder that leaves <, > and & as they are and
// escapes the control characters that JSON lets stand: DEL and C1, by which a
// value from outside could steer a terminal.
func NewJSONEncoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(escaper{w})
	enc.SetEscapeHTML(false)
	return enc
}

// escaper passes JSON on. An encoder writes each value in one piece, so no
// character is cut in two.
type escaper struct{ w io.Writer }

func (e escaper) Write(b []byte) (int, error) {
	plain := func(r rune) bool { return r == utf8.RuneError || r >= 0x7f && r < 0xa0 }
	if bytes.IndexFunc(b, plain) < 0 {
		return e.w.Write(b)
	}
	var out bytes.Buffer
	for _, r := range string(b) { // what is not UTF-8 comes as U+FFFD
		if r >= 0x7f && r < 0xa0 {
			fmt.Fprintf(&out, `\u%04x`, r)
		} else {
			out.WriteRune(r)
		}
	}
	if _, err := e.w.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// PrintJSON writes v as indented JSON and a newline, as NewJSONEncoder does:
// what --json prints.
func PrintJSON(w io.Writer, v any) error {
	enc := NewJSONEncoder(w)
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
// Control and bidirectional characters are shown as spaces, so a name from
// outside cannot rewrite the terminal.
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

// Steers reports whether a character can steer a terminal or turn the order
// of what is read: control characters, line ends among them, and those of
// bidirectional text.
func Steers(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if Steers(r) {
			return ' '
		}
		return r
	}, s)
}

// Printf is fmt.Fprintf for words from outside: what steers a terminal is
// shown as spaces in every argument that is a string, a list of strings or an
// error.
func Printf(w io.Writer, format string, args ...any) (int, error) {
	cleaned := make([]any, len(args))
	for i, a := range args {
		switch v := a.(type) {
		case string:
			a = clean(v)
		case error:
			a = clean(v.Error())
		case []string:
			list := make([]string, len(v))
			for j, s := range v {
				list[j] = clean(s)
			}
			a = list
		}
		cleaned[i] = a
	}
	return fmt.Fprintf(w, format, cleaned...)
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
