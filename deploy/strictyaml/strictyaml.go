// Package strictyaml reads the YAML files that people write: exactly one
// document, no unknown or repeated key, and errors that name line and key and
// nothing of the program's inside.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Decode reads text into the struct that into points to, over the defaults
// already there. Text without a document is io.EOF.
func Decode(text []byte, into any) error {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(into); err != nil {
		return words(err)
	}
	// One Decode leaves a second document unread and says nothing.
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return words(err)
	}
	return fmt.Errorf("line %d: a second YAML document; one is expected", second.Line)
}

// What the library says ends with the name of a Go type.
var (
	unknown  = regexp.MustCompile(`^field (.+) not found in type .+$`)
	repeated = regexp.MustCompile(`^field (.+) already set in type .+$`)
	misfit   = regexp.MustCompile("(?s)^cannot construct !!\\S+( `.*`)? into (.+)$")
	lined    = regexp.MustCompile(`^line \d+: `)
)

// words puts what the library says into a person's words, a line for each error.
func words(err error) error {
	var all *yaml.LoadErrors
	if !errors.As(err, &all) {
		return err
	}
	lines := make([]string, len(all.Errors))
	for i, e := range all.Errors {
		lines[i] = sentence(e.Message)
		if e.Mark.Line > 0 && !lined.MatchString(lines[i]) { // a type that reads itself has named its line
			lines[i] = fmt.Sprintf("line %d: %s", e.Mark.Line, lines[i])
		}
	}
	return errors.New(strings.Join(lines, "\n"))
}

func sentence(text string) string {
	if m := unknown.FindStringSubmatch(text); m != nil {
		return "unknown key " + m[1]
	}
	if m := repeated.FindStringSubmatch(text); m != nil {
		return "key " + m[1] + " stands here twice"
	}
	m := misfit.FindStringSubmatch(text)
	switch {
	case m == nil:
		return text
	case m[1] == "":
		return "want " + wanted(m[2])
	}
	return strings.TrimSpace(m[1]) + ": want " + wanted(m[2])
}

// wanted says in words what a Go type holds.
func wanted(kind string) string {
	switch {
	case kind == "time.Duration":
		return "a duration such as 10s"
	case kind == "string":
		return "text"
	case kind == "bool":
		return "true or false"
	case strings.HasPrefix(kind, "int"):
		return "a whole number"
	case strings.HasPrefix(kind, "uint"):
		return "a whole number that is not negative"
	case strings.HasPrefix(kind, "float"):
		return "a number"
	case strings.HasPrefix(kind, "["):
		return "a list"
	}
	return "keys with values"
}
