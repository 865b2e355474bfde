package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/node"
)

type evidenceCommands struct {
	List  evidenceListCommand  `cmd:"" help:"List what this node keeps."`
	Show  evidenceShowCommand  `cmd:"" help:"Say what one file is about."`
	Check evidenceCheckCommand `cmd:"" help:"Judge one file by the roster; exit code 1 when it proves nothing."`
}

type evidenceListCommand struct {
	place
	output
}

// Help shows an example.
func (evidenceListCommand) Help() string {
	return `Lists the evidence in this state directory, judged by the accepted roster: against whom it is and whether it proves that
by itself.

Example:

  koinon-node evidence list --dir /var/lib/koinon-node`
}

// evidenceView is a file of evidence as these commands show it.
type evidenceView struct {
	File   string    `json:"file"`
	Keeper string    `json:"keeper"`
	Found  time.Time `json:"found"`
	Reason string    `json:"reason"`
	federation.Verdict
	Error string `json:"error,omitempty"` // why the file cannot be read
}

// viewEvidence judges a file by a roster. What only a recomputation shows is computed again here, if this node can.
func viewEvidence(d node.Dir, r *federation.Roster, file string, e federation.Evidence) evidenceView {
	v := evidenceView{File: file, Keeper: e.Keeper, Found: e.Time, Reason: e.Reason, Verdict: federation.Judge(r, e.Proof)}
	if len(e.Proof) == 0 || v.Kind == "" { // then it can only be told what its keeper says
		v.Plan, v.Run, v.Round = e.Plan, e.Run, e.Round
	}
	if !v.Recompute {
		return v
	}
	if err := node.Recompute(d, r, e.Proof); err != nil {
		v.Why += "; not computed again: " + err.Error()
		return v
	}
	v.Proven, v.Why = true, "computed again from the model of this node: another model follows from the sum than was announced"
	return v
}

// Run implements the command.
func (c *evidenceListCommand) Run(_ context.Context, std cli.Streams) error {
	roster, err := c.dir().Roster()
	if err != nil {
		return hinted(err)
	}
	kept, err := c.dir().Evidence()
	if err != nil {
		return hinted(err)
	}
	views := []evidenceView{}
	for _, k := range kept {
		if k.Err != nil {
			views = append(views, evidenceView{File: k.File, Error: k.Err.Error()})
			continue
		}
		views = append(views, viewEvidence(c.dir(), roster, k.File, k.Evidence))
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, views)
	}
	t := cli.NewTable("FILE", "FOUND", "RUN", "ROUND", "KIND", "AGAINST", "PROVES IT")
	for _, v := range views {
		if v.Error != "" {
			t.Row(filepath.Base(v.File), "", "", "", "cannot be read", "", "")
			continue
		}
		t.Row(filepath.Base(v.File), v.Found.Format(time.RFC3339), v.Run[:min(8, len(v.Run))], v.Round, v.kind(), or(v.Names, "-"), yes(v.Proven))
	}
	return t.Print(std.Out)
}

func (v evidenceView) kind() string { return or(v.Kind, "reason only") }

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// evidenceFile is the file and the roster that a command judges.
type evidenceFile struct {
	place
	output
	File   string `arg:"" help:"File of evidence, or the name of one in this state directory."`
	Roster string `help:"Judge by this roster.json instead of the one accepted here." placeholder:"FILE" env:"-"`
}

func (c *evidenceFile) view() (evidenceView, error) {
	var roster *federation.Roster
	var err error
	if c.Roster != "" {
		roster, err = node.ReadRoster(c.Roster)
	} else {
		roster, err = c.dir().Roster()
	}
	if err != nil {
		if errors.Is(err, node.ErrUnknown) && c.Roster == "" {
			err = cli.Hint(err, "name the state directory with --dir, or a roster with --roster")
		}
		return evidenceView{}, hinted(err)
	}
	e, err := c.dir().ReadEvidence(c.File)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, node.ErrUnknown) {
		return evidenceView{}, cli.Hint(fmt.Errorf("there is no evidence %s", c.File), "list what this node keeps with: koinon-node evidence list")
	}
	if err != nil {
		return evidenceView{}, err
	}
	return viewEvidence(c.dir(), roster, c.File, e), nil
}

type evidenceShowCommand struct{ evidenceFile }

// Help shows an example.
func (evidenceShowCommand) Help() string {
	return `Says what a file of evidence is about and what it proves. What its keeper says stands apart from what follows from
signatures.

Example:

  koinon-node evidence show 00000012-07a1c2d4-false-sum-coordinator.evidence --dir /var/lib/koinon-node`
}

// Run implements the command.
func (c *evidenceShowCommand) Run(_ context.Context, std cli.Streams) error {
	v, err := c.view()
	if err != nil {
		return err
	}
	return c.print(std.Out, v)
}

type evidenceCheckCommand struct{ evidenceFile }

// Help shows an example.
func (evidenceCheckCommand) Help() string {
	return `Judges a file of evidence by the roster alone, whoever made it: another member, this node, or the coordinator, which
exports it from its journal. Exit code 0: it proves what it says. Exit code 1: it does not, with the reason.

A false model shows only to who computes it again: a node that still is at that round does so.

Examples:

  koinon-node evidence check from-france.evidence --dir /var/lib/koinon-node
  koinon-node evidence check from-france.evidence --roster roster.json --json`
}

// Run implements the command.
func (c *evidenceCheckCommand) Run(_ context.Context, std cli.Streams) error {
	v, err := c.view()
	if err != nil {
		return err
	}
	if err := c.print(std.Out, v); err != nil || v.Proven {
		return err
	}
	return cli.Hint(fmt.Errorf("%s proves nothing: %s", c.File, v.Why), "%s", next(v))
}

// next says what to do with evidence that proves nothing.
func next(v evidenceView) string {
	switch {
	case v.Recompute:
		return "ask the other members that stopped the run to check it on their nodes, before anyone approves the plan again"
	case v.Kind == "":
		return "compare its reason with what the other operators have; nothing more can be shown"
	case v.Wrong > 0 && !v.SameRoster:
		return "the round ran under another roster: check it with that one, --roster FILE"
	}
	return "ask its keeper for the file again, and compare the rosters with: koinon-node roster show"
}

func (c *evidenceFile) print(w io.Writer, v evidenceView) error {
	if c.JSON {
		return cli.PrintJSON(w, v)
	}
	var failed error
	line := func(name, format string, args ...any) {
		_, err := cli.Printf(w, "%-11s %s\n", name, fmt.Sprintf(format, args...))
		failed = errors.Join(failed, err)
	}
	line("file", "%s", v.File)
	line("kept by", "%s, %s", v.Keeper, v.Found.Format(time.RFC3339))
	line("who says", "%s", v.Reason)
	line("kind", "%s", v.kind())
	line("against", "%s", or(v.Names, "nobody that can be told"))
	line("plan", "%s", v.Plan)
	line("run", "%s, round %d", v.Run, v.Round)
	if v.Kind != "" {
		roster := "the batch ran under this very roster"
		if !v.SameRoster {
			roster = "the batch ran under another version of the roster"
		}
		line("signatures", "%d hold, %d do not; %s", v.Signatures, v.Wrong, roster)
	}
	line("proves it", "%s: %s", yes(v.Proven), v.Why)
	if v.Vectors {
		line("", "it holds a piece of the sum: for those only who may see the run's results")
	}
	return failed
}
