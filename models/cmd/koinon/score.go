package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/release"
)

type scoreCommand struct {
	trustFlags
	Model   string `required:"" help:"Release directory." placeholder:"DIR"`
	Input   string `required:"" help:"Table to score, CSV or gzipped CSV; - is standard input." placeholder:"FILE"`
	Output  string `default:"-" help:"Where advisories go; - is standard output." placeholder:"FILE" short:"o"`
	Format  string `default:"json" enum:"json,csv" help:"json (one object a line) or csv." env:"-"`
	JSON    bool   `help:"Same as --format json." name:"json" env:"-"`
	Factors int    `default:"3" help:"Main factors to show for each row, 0 to 100." env:"-"`
}

// Help shows an example.
func (scoreCommand) Help() string {
	return `The release is verified each time; an unverified model scores nothing. Advisories
are written whole or not at all when --output is a file. A model that forecasts
counts prints the expected count of each row and the interval of about 80 % of
such counts.

Example:

  koinon score --model document-risk-1 --key release.pub --input cases.csv --format csv`
}

// batch is how many rows are scored between two signs of progress.
const batch = 4096

// Run verifies, reads, scores and writes.
func (c *scoreCommand) Run(ctx context.Context, std cli.Streams) error {
	if c.JSON && c.Format != "json" {
		return cli.Usagef("--json and --format %s contradict each other", c.Format)
	}
	if c.Factors < 0 || c.Factors > 100 {
		return cli.Usagef("--factors %d: want 0 to 100", c.Factors)
	}
	trust, err := c.load()
	if err != nil {
		return err
	}
	r, model, err := open(c.Model, trust)
	if err != nil {
		return err
	}
	table, err := c.read(std.In, model)
	if err != nil {
		return err
	}
	// Advisories are about cases: for the owner only.
	return output(std.Out, c.Output, 0o600, func(w io.Writer) error {
		return c.score(ctx, std.Err, w, r, model, table)
	})
}

// read loads the table to be scored under the model's own schema.
func (c *scoreCommand) read(stdin io.Reader, model *artifact.Model) (*feature.Table, error) {
	in, name := stdin, "standard input"
	if c.Input != "-" {
		f, err := os.Open(c.Input)
		if err != nil {
			return nil, fmt.Errorf("input: %w", err)
		}
		defer f.Close()
		in, name = f, c.Input
	}
	plain, err := decompress(in)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", name, err)
	}
	table, err := feature.ReadCSV(plain, model.Encoder.Schema, feature.Limits{Scoring: true})
	var wrong *feature.DataError
	if errors.As(err, &wrong) {
		text := fmt.Sprintf("input %s:", name)
		for _, e := range wrong.Errors {
			text += "\n" + e.Error()
		}
		if wrong.Stopped {
			text += "\n(reading stopped here)"
		}
		return nil, cli.Hint(errors.New(text), "nothing was scored; correct these fields, or leave them empty where the value is missing")
	}
	if err != nil {
		err = fmt.Errorf("input %s: %w", name, err)
	}
	if missing := (*feature.MissingError)(nil); errors.As(err, &missing) {
		err = cli.Hint(err, "the first line must name these columns, in any order: %s", strings.Join(needed(model.Encoder.Schema), ", "))
	}
	return table, err
}

// needed are the columns that a table to be scored must have.
func needed(s *feature.Schema) []string {
	var names []string
	if s.ID != "" {
		names = append(names, s.ID)
	}
	if s.Label.Exposure != "" {
		names = append(names, s.Label.Exposure)
	}
	for _, c := range s.Features() {
		names = append(names, c.Name)
	}
	return names
}

// decompress looks at the first bytes, not at the name: standard input has
// none.
func decompress(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	head, err := b.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b {
		return gzip.NewReader(b)
	}
	return b, nil
}

// score writes an advisory for each row.
func (c *scoreCommand) score(ctx context.Context, log, w io.Writer, r *release.Release, model *artifact.Model, table *feature.Table) error {
	scorer, err := model.NewScorer()
	if err != nil {
		return err
	}
	printerOf, told := newPrinter, notice
	if model.Forecasts() {
		printerOf, told = newForecasts, forecastNotice
	}
	fmt.Fprintf(log, "%s, verified, for the purpose %s: %s\n", r.Statement.Name, r.Statement.Purpose, told)
	out := printerOf(c.Format, w, c.Factors, r.Statement.Name)
	if err := out.begin(); err != nil {
		return err
	}
	bar := cli.NewProgress(log, "scoring", "rows", int64(table.Rows()))
	for from := 0; from < table.Rows(); from += batch {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := table.Subset(span(from, min(from+batch, table.Rows())))
		advisories, err := scorer.Score(part, c.Factors)
		if err != nil {
			return err
		}
		for _, a := range advisories {
			if err := out.row(int(part.Origin()[a.Row])+1, a); err != nil {
				return err
			}
		}
		bar.Set(int64(min(from+batch, table.Rows())))
	}
	bar.Done()
	return out.end()
}

func span(from, to int) []int32 {
	rows := make([]int32, 0, to-from)
	for i := from; i < to; i++ {
		rows = append(rows, int32(i))
	}
	return rows
}
