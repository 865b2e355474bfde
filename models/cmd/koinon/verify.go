package main

import (
	"bytes"
	"fmt"
	"io"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/release"
)

type verifyCommand struct {
	trustFlags
	Directory string `arg:"" help:"Release directory."`
	JSON      bool   `help:"Print the result as JSON." name:"json" env:"-"`
}

// Help shows an example.
func (verifyCommand) Help() string {
	return `Needs no network. Every file must be the one that was signed, and no other may
be there.

Example:

  koinon verify document-risk-1 --key release.pub`
}

// Run verifies and says what was verified.
func (c *verifyCommand) Run(std cli.Streams) error {
	trust, err := c.load()
	if err != nil {
		return err
	}
	r, _, err := open(c.Directory, trust)
	if err != nil {
		return err
	}
	result := resultOf(r, trust)
	if c.JSON {
		return cli.PrintJSON(std.Out, result)
	}
	result.print(std.Out)
	return nil
}

// open reads and verifies a release directory and parses its model from the
// bytes that were verified, so that nothing can change in between.
func open(dir string, trust trusted) (*release.Release, *artifact.Model, error) {
	files, err := release.Read(dir)
	if err != nil {
		return nil, nil, explain(err)
	}
	r, err := release.Open(files, trust.policy)
	if err != nil {
		return nil, nil, explain(err)
	}
	model, err := load(r)
	return r, model, explain(err)
}

// load parses the model of a verified release. Signed files that do not fit
// together are refused as well: encoder.json must be the encoder of the model,
// and the model must be of the plan stated.
func load(r *release.Release) (*artifact.Model, error) {
	model, err := artifact.Parse(r.Files[release.ArtifactFile])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", release.ErrStatement, err)
	}
	if model.Header.FineTuned != "" {
		return nil, fmt.Errorf("%w: %w", release.ErrStatement, artifact.ErrFineTuned)
	}
	if !bytes.Equal(model.Encoder.Canonical(), r.Files[release.EncoderFile]) {
		return nil, fmt.Errorf("%w: %s is not the encoder of %s", release.ErrStatement, release.EncoderFile, release.ArtifactFile)
	}
	if model.Header.Plan != r.Statement.Plan.Digest.String() {
		return nil, fmt.Errorf("%w: %s is of another plan", release.ErrStatement, release.ArtifactFile)
	}
	return model, nil
}

// result is what pull and verify print.
type result struct {
	Verified  bool       `json:"verified"` // always true: what is not verified is an error
	Name      string     `json:"name"`
	Purpose   string     `json:"purpose"`
	Created   string     `json:"created"`
	Statement string     `json:"statement"`
	Artifact  string     `json:"artifact"`
	Key       string     `json:"key"`
	Approvals []approval `json:"approvals"`
	Pinned    bool       `json:"approvers_pinned"` // approvers' keys were in the trust file
	Files     int        `json:"files"`
	Bytes     int64      `json:"bytes"`
	Directory string     `json:"directory,omitempty"` // where pull wrote it
}

type approval struct {
	Person string `json:"person"`
	Role   string `json:"role"`
	Time   string `json:"time"`
}

func resultOf(r *release.Release, trust trusted) result {
	out := result{
		Verified: true, Name: r.Statement.Name, Purpose: r.Statement.Purpose, Created: r.Statement.Created,
		Statement: r.Digest.String(), Artifact: r.Statement.Artifact.String(), Key: r.Key,
		Pinned: len(trust.policy.Approvers) > 0, Files: len(r.Files),
	}
	for _, a := range r.Approvals {
		out.Approvals = append(out.Approvals, approval{a.Person, a.Role, a.Time})
	}
	for _, data := range r.Files {
		out.Bytes += int64(len(data))
	}
	return out
}

func (r result) print(w io.Writer) {
	fmt.Fprintf(w, "verified %s: %d files, %s\n", r.Name, r.Files, cli.Bytes(r.Bytes))
	fmt.Fprintf(w, "  purpose    %s\n", r.Purpose)
	fmt.Fprintf(w, "  created    %s\n", r.Created)
	fmt.Fprintf(w, "  statement  %s\n", r.Statement)
	fmt.Fprintf(w, "  signed by  key %s\n", r.Key)
	for _, a := range r.Approvals {
		fmt.Fprintf(w, "  approved   %s, %s, %s\n", a.Person, a.Role, a.Time)
	}
	if !r.Pinned {
		fmt.Fprintln(w, "  note       the approvers' keys are vouched for by the release key only; list approvers in a trust file to check them")
	}
	if r.Directory != "" {
		fmt.Fprintf(w, "  written to %s\n", r.Directory)
	}
}
