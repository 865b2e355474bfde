package feature

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

func checkName(what, s string) error {
	if s == "" {
		return fmt.Errorf("%s is empty", what)
	}
	if len(s) > MaxNameBytes {
		return fmt.Errorf("%s has %d bytes, at most %d", what, len(s), MaxNameBytes)
	}
	return checkPrintable(what, s)
}

func checkValue(what, s string) error {
	if s == "" {
		return fmt.Errorf("%s is empty", what)
	}
	if len(s) > MaxValueBytes {
		return fmt.Errorf("%s has %d bytes, at most %d", what, len(s), MaxValueBytes)
	}
	return checkPrintable(what, s)
}

func checkText(what, s string) error {
	if len(s) > MaxCommentBytes {
		return fmt.Errorf("%s has %d bytes, at most %d", what, len(s), MaxCommentBytes)
	}
	return checkPrintable(what, s)
}

func checkPrintable(what, s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s %q is not UTF-8", what, s)
	}
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return fmt.Errorf("%s %q holds a character that cannot be printed", what, s)
		}
	}
	return nil
}

// isDate reports whether s is a calendar date YYYY-MM-DD. Dates of that form
// compare as text, so no clock is needed.
func isDate(s string) bool {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return false
	}
	part := func(a, b int) int {
		n := 0
		for _, ch := range []byte(s[a:b]) {
			if ch < '0' || ch > '9' {
				return -1
			}
			n = 10*n + int(ch-'0')
		}
		return n
	}
	y, m, d := part(0, 4), part(5, 7), part(8, 10)
	if y < 0 || m < 1 || m > 12 || d < 1 {
		return false
	}
	days := [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[m-1]
	if m == 2 && y%4 == 0 && (y%100 != 0 || y%400 == 0) {
		days = 29
	}
	return d <= days
}
