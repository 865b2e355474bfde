package docs

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/koinon-eu/koinon/"

type pkg struct {
	ImportPath string
	Dir        string
	Doc        string
	GoFiles    []string
	Imports    []string
}

// TestArchitecture holds the code to the three blocks of architecture.md.
func TestArchitecture(t *testing.T) {
	imports, owners, pure := block(t, "imports"), block(t, "owners"), strings.Fields(strings.Join(block(t, "pure"), " "))
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if p.Doc == "" {
			t.Errorf("%s has no package comment", name)
		}
		allowed, ok := first(imports, name)
		if !ok {
			t.Errorf("%s has no line in the imports block", name)
		}
		for _, imp := range p.Imports {
			own, isOwn := strings.CutPrefix(imp, module)
			switch {
			case isOwn && !matchAny(allowed, own):
				t.Errorf("%s may not import %s", name, own)
			case slices.Contains(pure, name) && slices.Contains(pure, "!"+imp):
				t.Errorf("%s is pure and may not import %s", name, imp)
			case !isOwn:
				if who, owned := first(owners, imp); owned && !matchAny(who, name) {
					t.Errorf("%s may not import %s: only %s may", name, imp, who)
				}
			}
		}
	}
}

// TestPureReadsNoClock holds pure packages to ticks: they may parse a date, but not ask for one.
func TestPureReadsNoClock(t *testing.T) {
	clock := regexp.MustCompile(`\btime\.(Now|Since|Until|Sleep|After|AfterFunc|Tick|NewTimer|NewTicker)\(`)
	pure := strings.Fields(strings.Join(block(t, "pure"), " "))
	for _, p := range packages(t) {
		if !slices.Contains(pure, strings.TrimPrefix(p.ImportPath, module)) {
			continue
		}
		for _, file := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			if at := clock.FindString(string(text)); at != "" {
				t.Errorf("%s/%s is pure and calls %s)", p.ImportPath, file, at)
			}
		}
	}
}

// match reports whether pattern covers name; "a/..." covers a and all below it.
func match(pattern, name string) bool {
	stem, tree := strings.CutSuffix(pattern, "...")
	if !tree {
		return pattern == name
	}
	return name == strings.TrimSuffix(stem, "/") || strings.HasPrefix(name, stem)
}

func matchAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, name) })
}

// first returns the right-hand side of the first line whose left side covers name.
func first(lines []string, name string) (right []string, ok bool) {
	for _, line := range lines {
		left, right, _ := strings.Cut(line, ":")
		if match(strings.TrimSpace(left), name) {
			return strings.Fields(right), true
		}
	}
	return nil, false
}

func block(t *testing.T, label string) []string {
	text, err := os.ReadFile("architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```"+label+"\n")
	body, _, closed := strings.Cut(rest, "\n```")
	if !ok || !closed {
		t.Fatalf("architecture.md has no %s block", label)
	}
	return strings.Split(body, "\n")
}

func packages(t *testing.T) (all []pkg) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,GoFiles,Imports", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
