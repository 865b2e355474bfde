package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/release"
)

type showCommand struct {
	trustFlags
	Directory string `arg:"" help:"Release directory."`
	Card      bool   `help:"Print the model card (Markdown) instead." env:"-" xor:"what"`
	Report    bool   `help:"Print the report (Markdown) instead." env:"-" xor:"what"`
	JSON      bool   `help:"Print statement and approvals as JSON." name:"json" env:"-" xor:"what"`
}

// Help shows an example.
func (showCommand) Help() string {
	return `The release is verified first.

Example:

  koinon show document-risk-1 --key release.pub
  koinon show document-risk-1 --key release.pub --card`
}

// Run verifies the release and tells its story.
func (c *showCommand) Run(std cli.Streams) error {
	trust, err := c.load()
	if err != nil {
		return err
	}
	r, model, err := open(c.Directory, trust)
	if err != nil {
		return err
	}
	switch {
	case c.Card:
		return printText(std.Out, r.Files[release.CardTextFile])
	case c.Report:
		return printText(std.Out, r.Files[release.ReportTextFile])
	case c.JSON:
		return cli.PrintJSON(std.Out, map[string]any{
			"statement": json.RawMessage(r.Files[release.StatementFile]), "approvals": r.Approvals, "digest": r.Digest, "key": r.Key,
		})
	}
	var text bytes.Buffer
	story(&text, r, model)
	resultOf(r, trust).print(&text)
	return printText(std.Out, text.Bytes())
}

// printText writes text from a release without what could steer a terminal.
func printText(w io.Writer, text []byte) error {
	_, err := io.WriteString(w, strings.Map(func(r rune) rune {
		if cli.Steers(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, string(text)))
	return err
}

// story says in words who, what, when and how.
func story(w io.Writer, r *release.Release, model *artifact.Model) {
	s := r.Statement
	fmt.Fprintf(w, "%s was made on %s by the federation %s with program version %s.\n\n", s.Name, s.Created, s.Federation, s.Code)
	fmt.Fprintf(w, "It serves the purpose %s and no other. A score is an advisory: a human decides.\n\n", s.Purpose)
	fmt.Fprintf(w, "Who: the members %s approved the plan %s\n  (digest %s).\n\n", strings.Join(s.Members, ", "), s.Plan.Name, s.Plan.Digest)
	fmt.Fprintf(w, "How: %s; every sum was made under masks.\n", rounds(s))
	if missing := absences(s); missing != "" {
		fmt.Fprintf(w, "  Not in every sum: %s.\n", missing)
	}
	fmt.Fprintf(w, "\nWhat: a model of kind %s with %d parameters on %d columns.\n", model.Header.Architecture.Words(), model.Parameters(), len(model.Encoder.Inputs()))
	fmt.Fprintf(w, "  artifact %s\n", s.Artifact)
	kinds(w, model)
	fmt.Fprintln(w, "\nGates, fixed before training:")
	if len(s.Gates) == 0 {
		fmt.Fprintln(w, "  none")
	}
	for _, g := range s.Gates {
		reached := ""
		if g.Value != nil {
			reached = fmt.Sprintf(", reached %.4f", *g.Value)
		}
		fmt.Fprintf(w, "  %s: %s %s%s\n", g.Result, strings.TrimSpace(g.Metric+" "+g.Group), g.Wanted, reached)
		if g.Answer != "" {
			fmt.Fprintf(w, "    answer: %s\n", g.Answer)
		}
	}
	fmt.Fprintln(w)
}

// kinds says what a score of the model is.
func kinds(w io.Writer, model *artifact.Model) {
	if model.Forecasts() {
		fmt.Fprintf(w, "  it forecasts counts: an expected number, and the interval of about 80 %% of such counts\n")
		return
	}
	for _, b := range model.Header.Bands {
		fmt.Fprintf(w, "  band %s from %.4g\n", b.Name, b.From)
	}
}

// rounds counts them by kind, in order of first appearance.
func rounds(s *release.Statement) string {
	var kinds []string
	count := map[string]int{}
	for _, r := range s.Rounds {
		if count[r.Kind]++; count[r.Kind] == 1 {
			kinds = append(kinds, r.Kind)
		}
	}
	parts := make([]string, len(kinds))
	for i, k := range kinds {
		parts[i] = fmt.Sprintf("%d of kind %s", count[k], k)
	}
	return fmt.Sprintf("%d rounds (%s)", len(s.Rounds), strings.Join(parts, ", "))
}

// absences counts for each member the rounds it was not in.
func absences(s *release.Statement) string {
	var parts []string
	for _, m := range s.Members {
		n := 0
		for _, r := range s.Rounds {
			if !slices.Contains(r.Survivors, m) {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s missed %d", m, n))
		}
	}
	return strings.Join(parts, ", ")
}
