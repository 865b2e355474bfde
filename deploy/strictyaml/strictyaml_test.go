package strictyaml_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/deploy/strictyaml"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

type settings struct {
	Listen string        `yaml:"listen"`
	Wait   time.Duration `yaml:"wait"`
	Rows   uint32        `yaml:"rows"`
	On     bool          `yaml:"on"`
	Share  float64       `yaml:"share"`
	Peers  []string      `yaml:"peers"`
	Log    struct {
		Level string `yaml:"level"`
	} `yaml:"log"`
	Own own `yaml:"own"`
}

// own reads itself, and names its line.
type own string

func (o *own) UnmarshalYAML(n *yaml.Node) error { return fmt.Errorf("line %d: never good", n.Line) }

func TestErrorsAreInWords(t *testing.T) {
	for text, want := range map[string]string{
		"listen: a\n\nminrows: 3\n":                  "line 3: unknown key minrows",
		"log: {levl: info}\nlisten: a\nlisten_on: b": "line 1: unknown key levl\nline 3: unknown key listen_on",
		"listen: a\nlisten: b\n":                     "line 2: mapping key \"listen\" already defined at line 1",
		"wait: soon\n":                               "line 1: `soon`: want a duration such as 10s",
		"rows: -1\n":                                 "line 1: `-1`: want a whole number that is not negative",
		"on: perhaps\n":                              "line 1: `perhaps`: want true or false",
		"share: much\n":                              "line 1: `much`: want a number",
		"peers: {a: b}\n":                            "line 1: want a list",
		"log: 3\n":                                   "line 1: `3`: want keys with values",
		"listen: [a]\n":                              "line 1: want text",
		"- a\n":                                      "line 1: want keys with values",
		"own: x\n":                                   "line 1: never good",
		"listen: a\n---\nlisten: b\n":                "line 2: a second YAML document; one is expected",
	} {
		require.EqualError(t, strictyaml.Decode([]byte(text), &settings{}), want, text)
	}
	require.ErrorContains(t, strictyaml.Decode([]byte("listen: ["), &settings{}), "line")
	require.ErrorIs(t, strictyaml.Decode([]byte("# nothing\n"), &settings{}), io.EOF)
}

func TestDefaultsStay(t *testing.T) {
	s := settings{Wait: time.Second}
	require.NoError(t, strictyaml.Decode([]byte("listen: a\n"), &s))
	require.Equal(t, settings{Listen: "a", Wait: time.Second}, s)
}
