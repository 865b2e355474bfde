package postgres

import (
	"errors"
	"fmt"
	"strings"
)

// quote makes an SQL identifier of a name. A name with a zero byte cannot come
// from a server, and none is in a configuration.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quoteTable reads the name of a table as SQL does, with or without a schema:
// what is not quoted is taken in lower case.
func quoteTable(name string) (string, error) {
	bad := fmt.Errorf("%.100q is not the name of a table: want TABLE or SCHEMA.TABLE", name)
	var parts []string
	for rest := name; ; {
		part, after, err := identifier(rest)
		if err != nil {
			return "", bad
		}
		parts = append(parts, quote(part))
		if after == "" {
			break
		}
		if after[0] != '.' {
			return "", bad
		}
		rest = after[1:]
	}
	if len(parts) > 2 {
		return "", bad
	}
	return strings.Join(parts, "."), nil
}

// identifier cuts one identifier off.
func identifier(s string) (name, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		n := strings.IndexFunc(s, func(r rune) bool {
			return r != '_' && r != '$' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r < 0x80
		})
		if n < 0 {
			n = len(s)
		}
		if n == 0 || s[0] >= '0' && s[0] <= '9' || s[0] == '$' {
			return "", "", errors.New("empty")
		}
		return strings.ToLower(s[:n]), s[n:], nil
	}
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			i++
			continue
		}
		name = strings.ReplaceAll(s[1:i], `""`, `"`)
		if name == "" || strings.ContainsRune(name, 0) {
			return "", "", errors.New("empty")
		}
		return name, s[i+1:], nil
	}
	return "", "", errors.New("not closed")
}

// oneStatement returns the query without what may stand behind it: a semicolon
// and comments. It refuses what is not one SELECT, with or without WITH, before
// anything is sent. The server would refuse a second statement, and whatever
// writes, once more.
func oneStatement(q string) (string, error) {
	depth, first, end := 0, "", len(q)
	for at := 0; at < len(q); {
		n, err := token(q[at:])
		if err != nil {
			return "", fmt.Errorf("query: %w", err)
		}
		word := q[at : at+n]
		at += n
		if strings.TrimSpace(word) == "" || strings.HasPrefix(word, "--") || strings.HasPrefix(word, "/*") {
			continue
		}
		switch {
		case word == ";":
			end = min(end, at-1)
			continue
		case end < len(q):
			return "", errors.New("query: want one statement, here are several")
		case word == "(":
			depth++
		case word == ")":
			if depth--; depth < 0 {
				return "", errors.New("query: a parenthesis is closed that is not open")
			}
		case word == "\x00":
			return "", errors.New("query: holds a zero byte")
		case first == "":
			first = strings.ToLower(word)
		}
	}
	switch {
	case depth > 0:
		return "", errors.New("query: a parenthesis is not closed")
	case first != "select" && first != "with":
		return "", errors.New("query: want a SELECT, or WITH … SELECT")
	}
	return q[:end], nil
}

// token returns the length of what the query begins with: a comment, a quoted
// text, a word, or one byte.
func token(q string) (int, error) {
	switch {
	case strings.HasPrefix(q, "--"):
		if n := strings.IndexByte(q, '\n'); n >= 0 {
			return n + 1, nil
		}
		return len(q), nil
	case strings.HasPrefix(q, "/*"):
		return comment(q)
	case q[0] == '\'', q[0] == '"':
		return closed(q, q[:1], false)
	case len(q) > 1 && (q[0] == 'e' || q[0] == 'E') && q[1] == '\'':
		n, err := closed(q[1:], "'", true)
		return n + 1, err
	case q[0] == '$':
		if end := strings.IndexByte(q[1:], '$'); end >= 0 && wordLength(q[1:end+1]) == end {
			tag := q[:end+2]
			n := strings.Index(q[len(tag):], tag)
			if n < 0 {
				return 0, errors.New("a text in dollars is not closed")
			}
			return n + 2*len(tag), nil
		}
	}
	return max(wordLength(q), 1), nil
}

// wordLength counts the bytes of a word: letters, digits, _ and $, which a
// dollar quote cannot begin behind.
func wordLength(q string) int {
	n := strings.IndexFunc(q, func(r rune) bool {
		return r != '_' && r != '$' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r < 0x80
	})
	if n < 0 {
		return len(q)
	}
	return n
}

// comment returns the length of a comment, which may hold others.
func comment(q string) (int, error) {
	depth := 0
	for i := 0; i+1 < len(q); i++ {
		switch q[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			i++
			if depth--; depth == 0 {
				return i + 1, nil
			}
		}
	}
	return 0, errors.New("a comment is not closed")
}

// closed returns the length of a quoted text; a doubled quote is part of it,
// and with escapes so is one behind a backslash.
func closed(q, mark string, escapes bool) (int, error) {
	for i := 1; i < len(q); i++ {
		switch {
		case escapes && q[i] == '\\':
			i++
		case q[i:i+1] != mark:
		case i+1 < len(q) && q[i+1:i+2] == mark:
			i++
		default:
			return i + 1, nil
		}
	}
	return 0, errors.New("a quoted text is not closed")
}
