package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	namedTest = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`)
	madeTest  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	sentence  = regexp.MustCompile(`(?m)^- \*\*(S\d+)\*\*`)
	cited     = regexp.MustCompile(`\bS(\d+)(?:[–-]S(\d+))?\b`)
)

// testFiles returns the text of every test in the repository.
func testFiles(t *testing.T) string {
	var all strings.Builder
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && name != ".." && strings.HasPrefix(name, ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		b, err := os.ReadFile(path)
		all.Write(append(b, '\n'))
		return err
	}))
	return all.String()
}

// TestProtocolNamesTests: every test that protocol.md and protocol-v2.md name exists.
func TestProtocolNamesTests(t *testing.T) {
	text, err := os.ReadFile("protocol.md")
	require.NoError(t, err)
	v2, err := os.ReadFile("protocol-v2.md")
	require.NoError(t, err)
	text = append(text, v2...)
	made := map[string]bool{}
	for _, m := range madeTest.FindAllStringSubmatch(testFiles(t), -1) {
		made[m[1]] = true
	}
	named := namedTest.FindAllString(string(text), -1)
	require.Greater(t, len(named), 50)
	for _, name := range named {
		require.True(t, made[name], "the protocol names %s, which does not exist", name)
	}
}

// TestProtocolIsCited: every sentence has its number once, and a test cites the ones that say what is sent, checked,
// kept or refused. The others define a word, are a bound of the design, or follow from another one.
func TestProtocolIsCited(t *testing.T) {
	text, err := os.ReadFile("protocol.md")
	require.NoError(t, err)
	var numbers []string
	for _, m := range sentence.FindAllStringSubmatch(string(text), -1) {
		require.NotContains(t, numbers, m[1])
		numbers = append(numbers, m[1])
	}
	require.Len(t, numbers, 80)
	seen := map[string]bool{}
	for _, m := range cited.FindAllStringSubmatch(testFiles(t), -1) {
		seen["S"+m[1]], seen["S"+m[2]] = true, true
	}
	for _, n := range numbers {
		if !uncited[n] {
			require.True(t, seen[n], "no test cites %s", n)
		}
	}
}

// TestVersion2IsCited: the same for protocol-v2.md.
func TestVersion2IsCited(t *testing.T) {
	text, err := os.ReadFile("protocol-v2.md")
	require.NoError(t, err)
	tests := testFiles(t)
	numbers := regexp.MustCompile(`(?m)^- \*\*V(\d+)\*\*`).FindAllStringSubmatch(string(text), -1)
	require.Len(t, numbers, 22)
	for i, m := range numbers {
		require.Equal(t, strconv.Itoa(i+1), m[1])
		if m[1] != "22" { // what it buys
			require.Regexp(t, `//.*\bV`+m[1]+`\b`, tests, "no test cites V%s", m[1])
		}
	}
}

var uncited = map[string]bool{
	"S66": true, // what an operator does
}
