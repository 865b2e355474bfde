package docs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// programs are the four, by the folder they are built from.
var programs = map[string]string{
	"koinon-coordinator": "coordinator/cmd/koinon-coordinator",
	"koinon-node":        "node/cmd/koinon-node",
	"koinon":             "models/cmd/koinon",
	"koinon-bench":       "benchmarks/cmd/koinon-bench",
}

// binaries holds the built programs for all tests of this package.
var binaries string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "koinon-docs-")
	if err != nil {
		panic(err)
	}
	binaries = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

var build = sync.OnceValue(func() error {
	args := []string{"build", "-o", binaries + string(filepath.Separator)}
	for _, folder := range programs {
		args = append(args, module+folder)
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
})

// run runs a built program without any KOINON_ variable and returns its exit code and all it printed.
func run(t *testing.T, program string, args ...string) (code int, output string) {
	t.Helper()
	require.NoError(t, build())
	c := exec.Command(filepath.Join(binaries, program), args...)
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "KOINON_") })
	out, err := c.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), string(out)
}

// pages are the Markdown files of the project.
func pages(t *testing.T) []string {
	found, err := filepath.Glob("*.md")
	require.NoError(t, err)
	return append(found, "../README.md", "../CHANGELOG.md")
}

// TestCommandsExist runs every command that a page, a unit file or a sample shows, with --help behind it: a program,
// command or flag that does not exist ends with another exit code than 0.
func TestCommandsExist(t *testing.T) {
	units, err := filepath.Glob("../deploy/systemd/*.service")
	require.NoError(t, err)
	require.NotEmpty(t, units)
	seen := map[string]bool{}
	for _, page := range append(pages(t), units...) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, c := range commands(string(text)) {
			line := strings.Join(c, " ")
			if seen[line] {
				continue
			}
			seen[line] = true
			code, output := run(t, c[0], append(slices.Clone(c[1:]), "--help")...)
			if code != 0 {
				t.Errorf("%s: %s\n%s", page, line, output)
			}
		}
	}
	require.Greater(t, len(seen), 60)
}

var span = regexp.MustCompile("`([^`\n]+)`")

// commands finds the programs' command lines in a page: in code spans, in fenced blocks and in unit files.
func commands(text string) (found [][]string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	fenced := false
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "```") {
			fenced = !fenced
			continue
		}
		if exec, ok := strings.CutPrefix(trimmed, "ExecStart=/usr/local/bin/"); ok {
			found = append(found, inShell(exec)...)
			continue
		}
		if fenced {
			if prompt, ok := strings.CutPrefix(trimmed, "$ "); ok {
				trimmed = prompt
			} else if !strings.HasPrefix(trimmed, "koinon") {
				continue
			}
			found = append(found, inShell(trimmed)...)
			continue
		}
		for _, s := range span.FindAllStringSubmatch(line, -1) {
			found = append(found, inShell(s[1])...)
		}
	}
	return found
}

// inShell divides a line of shell into commands and returns those that begin with a program of ours.
func inShell(line string) (found [][]string) {
	var words []string
	end := func() {
		if len(words) > 0 && programs[words[0]] != "" && !slices.ContainsFunc(words, elided) {
			found = append(found, words)
		}
		words = nil
	}
	skip := false // the next word is the file of a redirection
	for _, w := range tokens(line) {
		switch {
		case w == "|" || w == "&&" || w == ";":
			end()
		case w == ">" || w == "<" || w == "2>":
			skip = true
		case strings.HasPrefix(w, ">") || strings.HasPrefix(w, "2>"):
		case skip:
			skip = false
		default:
			words = append(words, w)
		}
	}
	end()
	return found
}

// elided reports whether a word stands for something left out.
func elided(w string) bool { return strings.Contains(w, "…") || w == "..." }

// tokens divides at white space outside quotes and drops the quotes.
func tokens(line string) (out []string) {
	var word bytes.Buffer
	quote, any := rune(0), false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, any = r, true
		case quote == 0 && unicode.IsSpace(r):
			if any {
				out = append(out, word.String())
			}
			word.Reset()
			any = false
		default:
			word.WriteRune(r)
			any = true
		}
	}
	if any {
		out = append(out, word.String())
	}
	return out
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinksResolve follows every relative link of every page, and its anchor if it has one.
func TestLinksResolve(t *testing.T) {
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			} else if anchor != "" && !slices.Contains(anchors(t, target), anchor) {
				t.Errorf("%s links to %s: no such heading", page, m[1])
			}
		}
	}
}

var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchors are the names that a Markdown page gives its headings.
func anchors(t *testing.T, page string) (out []string) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	fenced := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		if title := strings.TrimLeft(line, "#"); !fenced && title != line && strings.HasPrefix(title, " ") {
			title = notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			out = append(out, strings.ReplaceAll(title, " ", "-"))
		}
	}
	return out
}
