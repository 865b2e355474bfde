package main

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/deploy/cli"
)

type metricsCommand struct {
	Input      string   `required:"" placeholder:"FILE.csv" help:"CSV or CSV.gz with a header row; - reads standard input."`
	Label      string   `required:"" placeholder:"COLUMN" help:"Column of labels: 1 found, 0 not; rows with an empty label are left out."`
	Score      string   `required:"" placeholder:"COLUMN" help:"Column of scores, higher is riskier. Brier, ECE and log loss need probabilities."`
	Group      []string `placeholder:"COLUMN" help:"Columns to compare groups by."`
	Threshold  float64  `default:"0.5" help:"A row is flagged when its score is at least this."`
	Convention string   `default:"strict" enum:"strict,fairlearn" help:"In gaps, a rate over nothing is left out (strict) or 0 (fairlearn)."`
	JSON       bool     `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (metricsCommand) Help() string {
	return `Example:
  koinon-bench metrics --input scores.csv --label fraud --score p --group sex,age_band --threshold 0.1

Undefined figures (a rate over nothing, AUROC of one class) are null. Rows without
a group value are the group "(missing)".`
}

// Run reads the file and prints the figures.
func (c *metricsCommand) Run(std cli.Streams) error {
	if !finite(c.Threshold) {
		return cli.Usagef("--threshold %v is not a number", c.Threshold)
	}
	in, err := open(c.Input, std.In)
	if err != nil {
		return err
	}
	defer in.Close()
	table, err := c.read(in)
	if err != nil {
		return err
	}
	figures, err := fairness.Exact(table.scores, table.labels, table.groups, c.Threshold, fairness.Convention(c.Convention))
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, figures)
	}
	return printFigures(std, table, figures)
}

// scored is what a file of scores holds; label −1 is an empty label.
type scored struct {
	scores []float64
	labels []int8
	groups []fairness.Column
}

// maxFieldBytes bounds a field of the input; the csv reader itself does not.
const maxFieldBytes = 1 << 16

func (c *metricsCommand) read(in io.Reader) (*scored, error) {
	in = skipBOM(in)
	r := csv.NewReader(in)
	r.ReuseRecord = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s is empty", c.Input)
	}
	if err != nil {
		return nil, lineError(c.Input, err)
	}
	columns, err := c.columns(slices.Clone(header))
	if err != nil {
		return nil, err
	}
	t := &scored{}
	for _, name := range c.Group {
		t.groups = append(t.groups, fairness.Column{Name: name})
	}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, lineError(c.Input, err)
		}
		if field, err := t.add(record, columns); err != nil {
			line, col := r.FieldPos(field)
			return nil, fmt.Errorf("%s: line %d, column %d (%s): %w", c.Input, line, col, c.name(columns, field), err)
		}
	}
	if len(t.scores) == 0 {
		return nil, fmt.Errorf("%s has a header and no rows", c.Input)
	}
	return t, nil
}

// columns finds the fields of the label, the score and the groups, in that order.
func (c *metricsCommand) columns(header []string) ([]int, error) {
	var at []int
	seen := map[string]bool{}
	for i, name := range append([]string{c.Label, c.Score}, c.Group...) {
		if i > 1 && seen[name] {
			return nil, cli.Usagef("column %q is named twice", name)
		}
		seen[name] = i > 1
		first := slices.Index(header, name)
		if first < 0 {
			return nil, cli.Hint(fmt.Errorf("%s: line 1: no column %q", c.Input, name), "it has: %s", cut(strings.Join(header, ", "), 300))
		}
		if slices.Contains(header[first+1:], name) {
			return nil, fmt.Errorf("%s: line 1: column %q twice", c.Input, name)
		}
		at = append(at, first)
	}
	return at, nil
}

func (c *metricsCommand) name(columns []int, field int) string {
	i := slices.Index(columns, field)
	return append([]string{c.Label, c.Score}, c.Group...)[i]
}

// add takes one record; on error it says which field is at fault.
func (t *scored) add(record []string, columns []int) (field int, err error) {
	for _, at := range columns {
		if len(record[at]) > maxFieldBytes {
			return at, fmt.Errorf("field of %d bytes, at most %d", len(record[at]), maxFieldBytes)
		}
		if !utf8.ValidString(record[at]) {
			return at, errors.New("not UTF-8")
		}
	}
	y, err := parseLabel(record[columns[0]])
	if err != nil {
		return columns[0], err
	}
	s, err := strconv.ParseFloat(strings.TrimSpace(record[columns[1]]), 64)
	if y >= 0 && (err != nil || !finite(s)) {
		return columns[1], fmt.Errorf("score %q is not a finite number", cut(record[columns[1]], 40))
	}
	t.scores, t.labels = append(t.scores, s), append(t.labels, y)
	for i := range t.groups {
		t.groups[i].Values = append(t.groups[i].Values, strings.Clone(record[columns[2+i]]))
	}
	return 0, nil
}

func parseLabel(s string) (int8, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "1", "1.0", "true":
		return 1, nil
	case "0", "0.0", "false":
		return 0, nil
	case "":
		return -1, nil
	}
	return 0, fmt.Errorf("label %q is neither 1 nor 0", cut(s, 40))
}

func lineError(file string, err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("%s: line %d, column %d: %w", file, parse.Line, parse.Column, parse.Err)
	}
	return fmt.Errorf("%s: %w", file, err)
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

func skipBOM(r io.Reader) io.Reader {
	b := bufio.NewReader(r)
	if head, _ := b.Peek(3); string(head) == "\xef\xbb\xbf" {
		_, _ = b.Discard(3)
	}
	return b
}

// open opens a plain or gzipped file, or standard input as "-".
func open(name string, stdin io.Reader) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(stdin), nil
	}
	f, err := os.Open(name)
	if err != nil || !strings.HasSuffix(name, ".gz") {
		return f, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}
