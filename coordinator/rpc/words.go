package rpc

import (
	"fmt"
	"strings"
	"unicode"
)

// steers reports whether a character may not stand in words that people will read on a terminal.
func steers(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

// words refuses a reason or an answer that could steer the terminals of those who are shown it.
func words(what, text string) error {
	if strings.ContainsFunc(text, steers) {
		return invalid(fmt.Errorf("%s: holds a control character or a line end", what))
	}
	return nil
}

// cleared is text with spaces for what words refuses.
func cleared(text string) string {
	return strings.Map(func(r rune) rune {
		if steers(r) {
			return ' '
		}
		return r
	}, text)
}
