package feature

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// ParseSchema reads a schema file: one YAML document of at most
// MaxSchemaBytes. Unknown and repeated keys, aliases and tags of other types
// are refused; every error of form names its line. Defaults are filled in.
func ParseSchema(b []byte) (*Schema, error) {
	if len(b) > MaxSchemaBytes {
		return nil, fmt.Errorf("schema has %d bytes, at most %d", len(b), MaxSchemaBytes)
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, errors.New("schema is empty")
	} else if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("schema: more than one document")
	}
	if len(doc.Content) != 1 {
		return nil, errors.New("schema is empty")
	}
	var s Schema
	if err := s.fromYAML(doc.Content[0]); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	s.normalise()
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return &s, nil
}

// ParseSchemaJSON reads the canonical JSON of a schema and refuses any other
// spelling of it.
func ParseSchemaJSON(b []byte) (*Schema, error) {
	var s Schema
	if err := strictJSON(b, MaxSchemaBytes, &s); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if !bytes.Equal(b, s.Canonical()) {
		return nil, errors.New("schema: JSON is not canonical")
	}
	return &s, nil
}

// Canonical returns the one JSON spelling of a valid schema: keys in the order
// of the type, defaults written out, no space. It is what plans and encoders
// digest. It panics if a range is not finite, which Validate refuses.
func (s *Schema) Canonical() []byte {
	c := *s
	c.Columns = append([]Column(nil), s.Columns...)
	c.normalise()
	return mustJSON(&c)
}

// normalise writes out the defaults, so that one schema has one digest.
func (s *Schema) normalise() {
	if s.Label.Empty == "" {
		s.Label.Empty = EmptyError
	}
	s.KnownAt = momentName(s.KnownAt)
	for i := range s.Columns {
		s.Columns[i].Role = roleName(s.Columns[i].Role)
	}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("feature: canonical JSON: %v", err))
	}
	return b
}

// strictJSON decodes one JSON value of at most limit bytes without unknown
// keys or trailing bytes.
func strictJSON(b []byte, limit int, v any) error {
	if len(b) > limit {
		return fmt.Errorf("%d bytes, at most %d", len(b), limit)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("bytes after the JSON value")
	}
	return nil
}

// field reads the value of one key.
type field func(n *yaml.Node) error

func (s *Schema) fromYAML(n *yaml.Node) error {
	return eachKey(n, "schema", map[string]field{
		"name":     text(&s.Name),
		"version":  number(&s.Version),
		"unit":     text(&s.Unit),
		"id":       text(&s.ID),
		"known_at": text((*string)(&s.KnownAt)),
		"columns":  s.columnsFromYAML,
		"label": func(n *yaml.Node) error {
			return eachKey(n, "label", map[string]field{
				"column": text(&s.Label.Column), "positive": text(&s.Label.Positive), "empty": text(&s.Label.Empty),
				"kind": text(&s.Label.Kind), "max": number(&s.Label.Max), "min_cell": number(&s.Label.MinCell),
				"exposure": text(&s.Label.Exposure), "baseline": text(&s.Label.Baseline),
			})
		},
		"split": func(n *yaml.Node) error {
			s.Split = new(SplitRule)
			return eachKey(n, "split", map[string]field{
				"column": text(&s.Split.Column), "train_until": text(&s.Split.TrainUntil), "test": text(&s.Split.Test),
			})
		},
	})
}

func (s *Schema) columnsFromYAML(n *yaml.Node) error {
	return eachPair(n, "columns", func(name string, n *yaml.Node) error {
		if len(s.Columns) == MaxColumns {
			return at(n, "more than %d columns", MaxColumns)
		}
		c := Column{Name: name}
		err := eachKey(n, "column "+name, map[string]field{
			"type":      text((*string)(&c.Type)),
			"role":      text((*string)(&c.Role)),
			"unit":      text(&c.Unit),
			"range":     interval(&c.Range),
			"values":    list(&c.Values),
			"missing":   text(&c.Missing),
			"proxy_of":  text(&c.ProxyOf),
			"contested": text(&c.Contested),
			"why":       text(&c.Why),
			"known_at":  text((*string)(&c.KnownAt)),
		})
		s.Columns = append(s.Columns, c)
		return err
	})
}

// at is an error that names the line of a node.
func at(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", n.Line, fmt.Sprintf(format, args...))
}

// eachPair calls f for every key of a mapping in file order and refuses a
// repeated key.
func eachPair(n *yaml.Node, what string, f func(key string, n *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return at(n, "%s: expected keys and values, found %s", what, kindName(n))
	}
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, err := scalar(n.Content[i])
		if err != nil {
			return err
		}
		if line, twice := seen[key]; twice {
			return at(n.Content[i], "%s: key %q is already on line %d", what, key, line)
		}
		seen[key] = n.Content[i].Line
		if err := f(key, n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// eachKey reads a mapping whose keys are all known.
func eachKey(n *yaml.Node, what string, fields map[string]field) error {
	return eachPair(n, what, func(key string, value *yaml.Node) error {
		read, ok := fields[key]
		if !ok {
			return at(value, "%s: unknown key %q", what, key)
		}
		if err := read(value); err != nil {
			return fmt.Errorf("%w (%s: %s)", err, what, key)
		}
		return nil
	})
}

// scalar returns the text of a plain value as written; null is refused.
func scalar(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", at(n, "expected a value, found %s", kindName(n))
	}
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
		return n.Value, nil
	case "!!null":
		return "", at(n, "value is empty")
	}
	return "", at(n, "tag %s is not allowed here", n.ShortTag())
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	return "a value"
}

func text(dst *string) field {
	return func(n *yaml.Node) (err error) {
		*dst, err = scalar(n)
		return err
	}
}

func number[T int | int64](dst *T) field {
	return func(n *yaml.Node) error {
		s, err := scalar(n)
		if err != nil {
			return err
		}
		v, err := strconv.Atoi(s)
		if err != nil {
			return at(n, "%q is not a whole number", s)
		}
		*dst = T(v)
		return nil
	}
}

func list(dst *[]string) field {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.SequenceNode {
			return at(n, "expected a list, found %s", kindName(n))
		}
		if len(n.Content) == 0 {
			return at(n, "list is empty")
		}
		if len(n.Content) > MaxValues {
			return at(n, "%d values, at most %d", len(n.Content), MaxValues)
		}
		for _, item := range n.Content {
			s, err := scalar(item)
			if err != nil {
				return err
			}
			*dst = append(*dst, s)
		}
		return nil
	}
}

func interval(dst **[2]float64) field {
	return func(n *yaml.Node) error {
		var items []string
		if err := list(&items)(n); err != nil {
			return err
		}
		if len(items) != 2 {
			return at(n, "a range has two ends, found %d", len(items))
		}
		var r [2]float64
		for i, s := range items {
			v, err := strconv.ParseFloat(s, 64)
			if err != nil || strings.ContainsAny(s, "xXnN_") {
				return at(n, "%q is not a number", s)
			}
			r[i] = v
		}
		if r[0] == 0 {
			r[0] = 0 // -0 and 0 are one range
		}
		*dst = &r
		return nil
	}
}
