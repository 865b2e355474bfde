// Package leaktest finds secrets where they must not be: in logs, errors,
// journals, state files and whatever else a program prints. It is for tests.
package leaktest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// window is how many bytes of a secret are enough to know it by: whoever prints
// a part of a secret leaks as well.
const window = 8

// Scanner knows secrets in every form in which a program could print them. It
// may be used by several goroutines at once, after the last Add.
type Scanner struct {
	patterns map[uint64][]pattern // by their first eight bytes
	names    []string
}

type pattern struct {
	secret, form string
	text         []byte
}

// Add makes a secret of at least eight bytes known under a name. It panics on a
// shorter one, which would be found by chance.
func (s *Scanner) Add(name string, secret []byte) {
	if len(secret) < window {
		panic("leaktest: secret " + name + " is too short to be looked for")
	}
	s.names = append(s.names, name)
	for form, text := range forms(secret) {
		s.add(pattern{name, form, text})
	}
}

// AddText makes a text of at least eight bytes known that shows as it is.
func (s *Scanner) AddText(name, text string) {
	if len(text) < window {
		panic("leaktest: text " + name + " is too short to be looked for")
	}
	s.names = append(s.names, name)
	s.add(pattern{name, "text", []byte(text)})
}

// Len returns how many secrets and texts are known.
func (s *Scanner) Len() int { return len(s.names) }

func (s *Scanner) add(p pattern) {
	if s.patterns == nil {
		s.patterns = map[uint64][]pattern{}
	}
	key := binary.BigEndian.Uint64(p.text)
	s.patterns[key] = append(s.patterns[key], p)
}

// forms returns the beginning of a secret, and in some forms its end, as bytes,
// hexadecimal, base64, and as lists of numbers.
func forms(secret []byte) map[string][]byte {
	head, tail := secret[:window], secret[len(secret)-window:]
	list := func(format, between string) []byte {
		var parts []string
		for _, b := range head {
			parts = append(parts, fmt.Sprintf(format, b))
		}
		return []byte(strings.Join(parts, between))
	}
	all := map[string][]byte{
		"bytes":             head,
		"bytes, end":        tail,
		"hex":               []byte(hex.EncodeToString(head)),
		"hex, end":          []byte(hex.EncodeToString(tail)),
		"upper hex":         []byte(strings.ToUpper(hex.EncodeToString(head))),
		"spaced hex":        list("%02x", " "),
		"numbers":           list("%d", " "),
		"JSON numbers":      list("%d", ","),
		"numbers, comma":    list("%d", ", "),
		"Go numbers":        list("%#x", ", "),
		"quoted":            []byte(strings.Trim(fmt.Sprintf("%q", head), `"`)),
		"escaped, as slog":  []byte(strings.Trim(fmt.Sprintf("%q", string(secret[:window])), `"`)),
		"big-endian number": []byte(fmt.Sprintf("%08d", binary.BigEndian.Uint64(head))),
	}
	for shift := range 3 { // base64 writes the same bytes in three ways, by where they begin
		padded := append(make([]byte, shift), secret...)
		padded = padded[:len(padded)/3*3]
		for name, coding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			text := coding.EncodeToString(padded)
			if shift > 0 {
				text = text[4:] // what holds the shift
			}
			if len(text) >= window {
				all[fmt.Sprintf("%s, %d", name, shift)] = []byte(text)
			}
		}
	}
	return all
}

// Find returns what it found in text, as "secret (form)", sorted and once each.
func (s *Scanner) Find(text []byte) []string {
	found := map[string]bool{}
	for at := 0; at+window <= len(text); at++ {
		for _, p := range s.patterns[binary.BigEndian.Uint64(text[at:])] {
			if bytes.HasPrefix(text[at:], p.text) {
				found[fmt.Sprintf("%s (%s)", p.secret, p.form)] = true
			}
		}
	}
	list := make([]string, 0, len(found))
	for f := range found {
		list = append(list, f)
	}
	slices.Sort(list)
	return list
}

// Render prints a value in every way a program might: with the verbs of fmt,
// inside other values, in an error, through both handlers of log/slog and as JSON.
func Render(v any) []byte {
	var b bytes.Buffer
	type inside struct {
		Field any
		List  []any
	}
	for _, value := range []any{v, &v, inside{v, []any{v}}, map[string]any{"key": v}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%c", "%U"} {
			fmt.Fprintf(&b, verb+"\n", value)
		}
		fmt.Fprintln(&b, value)
		fmt.Fprintln(&b, fmt.Errorf("wrapped: %v", value))
		text, err := json.Marshal(value)
		fmt.Fprintf(&b, "%s %v\n", text, err)
		for _, handler := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
			log := slog.New(handler)
			log.Info("value", "value", value)
			log.With("value", value).Info("value", slog.Group("group", "value", value))
		}
	}
	return b.Bytes()
}
