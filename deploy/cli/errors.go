package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// Hint adds to err the next thing to try. The hint is printed on a line of its
// own after the error; of several, only the outermost is. Hint(nil, …) is nil.
func Hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hintError{err: err, hint: fmt.Sprintf(format, args...)}
}

type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// Usage marks err as the caller's mistake on the command line, which only the
// command itself could see: the program ends with 2 instead of 1.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err: err}
}

// Usagef is Usage of a new error.
func Usagef(format string, args ...any) error { return Usage(fmt.Errorf(format, args...)) }

// HintOf returns the outermost hint of err, or "".
func HintOf(err error) string {
	var h *hintError
	if errors.As(err, &h) {
		return h.hint
	}
	return ""
}

// PrintError writes err as "error: …" and, when it has one, "hint: …". Lines
// after the first are indented, so that each of the two stays one block; what
// could steer the terminal is shown as spaces.
func PrintError(w io.Writer, err error) {
	fmt.Fprintf(w, "error: %s\n", indent(err.Error()))
	if hint := HintOf(err); hint != "" {
		fmt.Fprintf(w, "hint: %s\n", indent(hint))
	}
}

func indent(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n  ")
}
