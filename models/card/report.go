package card

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// CheckReport compares every figure of the card with the report it points
// into. A figure must be the very number there, bit for bit; a figure without
// a value must be null or absent there.
func (r *Record) CheckReport(report []byte) error {
	dec := json.NewDecoder(bytes.NewReader(report))
	dec.UseNumber()
	var doc any
	if err := dec.Decode(&doc); err != nil {
		return fmt.Errorf("card: report: %w", err)
	}
	for _, f := range r.Figures {
		for _, v := range []struct {
			value   *float64
			pointer string
		}{{f.Value, f.Pointer}, {f.Low, f.LowPointer}, {f.High, f.HighPointer}} {
			if v.pointer == "" {
				continue
			}
			if err := compare(doc, v.pointer, v.value); err != nil {
				return fmt.Errorf("card: figure %s: %w", strings.TrimSpace(f.Name+" "+f.Group), err)
			}
		}
	}
	return nil
}

func compare(doc any, pointer string, want *float64) error {
	got, found := lookup(doc, pointer)
	if want == nil {
		if found && got != nil {
			return fmt.Errorf("the report has a value at %s, the card has none", pointer)
		}
		return nil
	}
	number, ok := got.(json.Number)
	if !ok {
		return fmt.Errorf("the report has no number at %s", pointer)
	}
	value, err := number.Float64()
	if err != nil || value != *want {
		return fmt.Errorf("the report has %s at %s, the card has %v", number, pointer, *want)
	}
	return nil
}

// unescape decodes a reference token of RFC 6901.
var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// lookup follows a JSON pointer.
func lookup(doc any, pointer string) (any, bool) {
	for _, token := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		switch node := doc.(type) {
		case map[string]any:
			next, ok := node[unescape.Replace(token)]
			if !ok {
				return nil, false
			}
			doc = next
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(node) {
				return nil, false
			}
			doc = node[i]
		default:
			return nil, false
		}
	}
	return doc, true
}

// Pointer builds a JSON pointer of reference tokens.
func Pointer(tokens ...string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte('/')
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll(t, "~", "~0"), "/", "~1"))
	}
	return b.String()
}
