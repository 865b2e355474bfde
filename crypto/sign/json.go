package sign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxDepth bounds the nesting of bundles and payloads; the format itself
// needs six levels.
const maxDepth = 16

// object is a JSON object whose keys are matched exactly. encoding/json alone
// would fold case and let the last of two equal keys win, so that two
// verifiers could read two different manifests from one signature.
type object map[string]any

// parseObject decodes exactly one JSON object: valid UTF-8, no duplicate key,
// at most maxDepth deep, nothing behind it. Values are object, []any, string,
// json.Number, bool or nil.
func parseObject(data []byte) (object, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	value, err := parseValue(dec, 0)
	if errors.Is(err, io.EOF) {
		return nil, errors.New("is empty or cut off")
	}
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("goes on after its end")
	}
	o, ok := value.(object)
	if !ok {
		return nil, errors.New("is not a JSON object")
	}
	return o, nil
}

func parseValue(dec *json.Decoder, depth int) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if depth == maxDepth {
		return nil, fmt.Errorf("is nested more than %d deep", maxDepth)
	}
	if delim == '[' {
		return parseArray(dec, depth)
	}
	return parseMembers(dec, depth)
}

func parseArray(dec *json.Decoder, depth int) (any, error) {
	list := []any{}
	for dec.More() {
		v, err := parseValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := dec.Token()
	return list, err
}

func parseMembers(dec *json.Decoder, depth int) (any, error) {
	o := object{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string)
		if _, twice := o[key]; twice {
			return nil, fmt.Errorf("has the key %q twice", key)
		}
		if o[key], err = parseValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token()
	return o, err
}

// only refuses every key that is not named.
func (o object) only(keys ...string) error {
	for key := range o {
		known := false
		for _, k := range keys {
			known = known || k == key
		}
		if !known {
			return fmt.Errorf("has an unknown key %q", key)
		}
	}
	return nil
}

func (o object) text(key string) (string, error) {
	s, ok := o[key].(string)
	if !ok {
		return "", fmt.Errorf("needs a string %q", key)
	}
	return s, nil
}

func (o object) object(key string) (object, error) {
	v, ok := o[key].(object)
	if !ok {
		return nil, fmt.Errorf("needs an object %q", key)
	}
	return v, nil
}

func (o object) list(key string) ([]any, error) {
	v, ok := o[key].([]any)
	if !ok {
		return nil, fmt.Errorf("needs a list %q", key)
	}
	return v, nil
}

// absent tells whether key is missing, null, or an empty list or object: the
// ways in which writers say "nothing".
func (o object) absent(key string) bool {
	switch v := o[key].(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case object:
		return len(v) == 0
	}
	return false
}
