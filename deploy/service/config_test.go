package service

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type testConfig struct {
	Listen string        `yaml:"listen"`
	Wait   time.Duration `yaml:"wait"`
	Log    LogConfig     `yaml:"log"`
	Peers  []string      `yaml:"peers"`
}

func (c *testConfig) Validate() error {
	if c.Listen == "" {
		return errors.New("listen is missing")
	}
	return nil
}

func TestLoadConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.yaml")
	require.NoError(t, os.WriteFile(path, []byte("# comment\nlisten: ':9000'\nlog: {level: debug}\npeers: [DE, FR]\n"), 0o600))
	c := testConfig{Wait: time.Second}
	require.NoError(t, LoadConfig(path, &c))
	require.Equal(t, testConfig{Listen: ":9000", Wait: time.Second, Log: LogConfig{Level: "debug"}, Peers: []string{"DE", "FR"}}, c,
		"defaults stay where the file is silent")
	require.ErrorIs(t, LoadConfig(path+".missing", &c), os.ErrNotExist)
}

func TestConfigIsStrict(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":     {"listen: a\nlisten_on: b\n", "line 2"},
		"unknown nested":  {"listen: a\nlog:\n  levl: info\n", "line 3"},
		"duplicate key":   {"listen: a\nlisten: b\n", "line 2"},
		"wrong type":      {"listen: a\npeers: {a: b}\n", "line 2"},
		"bad duration":    {"listen: a\nwait: soon\n", "soon"},
		"second document": {"listen: a\n---\nlisten: b\n", "line 2: a second YAML document"},
		"broken second":   {"listen: a\n---\nlisten: [\n", "line"},
		"empty":           {"", "empty"},
		"not yaml":        {"listen: [", "line"},
		"a list":          {"- a\n", "line 1"},
		"too large":       {"listen: a\n#" + strings.Repeat("x", MaxConfig), "larger than 1048576 bytes"},
		"deep":            {strings.Repeat("[", 200_000), "depth"},
		"validate":        {"wait: 3s\n", "listen is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			err := DecodeConfig("node.yaml", strings.NewReader(c.text), &testConfig{})
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "node.yaml: ")
		})
	}
}

func FuzzDecodeConfig(f *testing.F) {
	for _, seed := range []string{"listen: a\n", "listen: a\n---\n", "a: &x [*x]\n", "listen: !!binary aGk=\n", "\xff", "listen: a\nwait: 1h\npeers: [a, b]\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c testConfig
		if err := DecodeConfig("f", strings.NewReader(text), &c); err == nil {
			require.NotEmpty(t, c.Listen)
		}
	})
}
