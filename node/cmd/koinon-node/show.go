package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node"
)

type planShowCommand struct {
	place
	output
	Plan string `arg:"" help:"Name or digest of the plan."`
}

// Help shows an example.
func (planShowCommand) Help() string {
	return `Shows what an operator decides on: purpose and declaration, the cohort with N, t and c, whether law rules and this
node's policy allow it, and in words what the sums reveal.

Example:

  koinon-node plan show --dir /var/lib/koinon-node document-risk`
}

// planView is one plan as show prints it.
type planView struct {
	Digest     federation.Digest `json:"digest"`
	Plan       *federation.Plan  `json:"plan"`
	N          int               `json:"n"`
	T          int               `json:"t"`
	C          int               `json:"c"`
	Roster     int               `json:"roster_members"`
	Law        string            `json:"law"`
	Policy     string            `json:"policy"`
	Unattended bool              `json:"unattended"`
	Decision   node.Decision     `json:"decision"`
	Stopped    []stoppedRun      `json:"stopped,omitempty"`
	Exposure   []string          `json:"exposure"`
}

// Run implements the command.
func (c *planShowCommand) Run(_ context.Context, std cli.Streams) error {
	p, err := findPlan(c.dir(), c.Plan)
	if err != nil {
		return err
	}
	view, err := viewOf(c.dir(), p, time.Now())
	if err != nil {
		return hinted(err)
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, view)
	}
	return view.print(std.Out)
}

func viewOf(d node.Dir, p *federation.Plan, now time.Time) (planView, error) {
	file, err := d.LoadFile()
	if err != nil {
		return planView{}, err
	}
	policy, err := d.LoadPolicy(file)
	if err != nil {
		return planView{}, err
	}
	roster, err := d.Roster()
	if err != nil {
		return planView{}, err
	}
	decision, err := d.Decision(p.Digest())
	if err != nil {
		return planView{}, err
	}
	stopped, err := stoppedRuns(d, p.Digest())
	n := len(p.Cohort.Members)
	t := secagg.Threshold(n)
	return planView{
		Digest: p.Digest(), Plan: p, N: n, T: t, C: n - t, Roster: len(roster.Members),
		Law: verdict(p.Check(now.UTC().Format(time.DateOnly))), Policy: verdict(policy.Allows(p)),
		Unattended: policy.RunsUnattended(p), Decision: decision, Stopped: stopped, Exposure: exposure(p, n, t),
	}, err
}

func verdict(err error) string {
	if err != nil {
		return err.Error()
	}
	return "allowed"
}

// exposure says in words what this plan's sums reveal and what nothing here protects (secagg.md §17).
func exposure(p *federation.Plan, n, t int) []string {
	out := []string{
		fmt.Sprintf("The coordinator and everyone who gets the result see sums over %d to %d members, never one member's part, as long as at most %d of these %d members are corrupt.", t, n, n-t, n),
		"A sum says what it says: a category value or a cell that only one member has shows that member's count. Names of categories are learnt only when at least 20 rows hold them.",
		"Two sums over different survivors differ by the members in one and not the other. Parts that stay equal from round to round (the coarse weight, row counts by label and group) then show exactly for a member that was missing once.",
		"The evaluation sums counts of scores by label and group over each member's test rows; it is summed once.",
		"Other plans over the same table with another cohort can be compared with this one; nothing here limits that.",
		"Members can put in false values and the coordinator can leave members out; both are logged or bounded, not prevented.",
		fmt.Sprintf("A round needs %d of the %d members in every phase; more than %d absent or refusing stop it.", t, n, n-t),
	}
	if p.Algorithm.Name == aggregate.Newton {
		out = append(out, "This algorithm sums counts of PAIRS of categories, which isolate rows sooner than single counts do.")
	}
	out = append(out, startAndStop(p)...)
	if p.Grows() && !p.Together() {
		out = append(out, "Additive trees sum gradients by column and at most eight ranges of its cells, one sum an epoch, with this node's own noise on each number; where the ranges lie follows from the plan alone.")
	}
	if p.Together() {
		out = append(out,
			"Trees sum histograms of gradients by column and cell, one sum a level. The sign of a gradient in a cell with one row is that row's label; `cell` in the plan says how many rows are expected behind a cell.",
			fmt.Sprintf("This node releases statistics and histograms only where all sums over this table, put together, single out nobody or at least %d members. Of %d members left out together, each can take its own part off.", p.Shed, p.Shed))
	}
	if p.Privacy.DP == federation.DPNone {
		return append(out, "No noise is added: the model and the sums are not anonymous in the sense of data protection law.")
	}
	return append(out,
		fmt.Sprintf("This node adds noise of its own to everything it computes from training rows, row counts included: whatever becomes of it, each training record is protected with epsilon %v at delta %v if every step is answered once. A step answered anew after a restart counts again; `koinon-node budget show` adds it all up.", p.Privacy.Epsilon, p.Privacy.Delta),
		"Test rows are not covered by that: their scores enter the evaluation's counts without noise. A person with several records has the protection of all of them together, and so has one with records in several countries.")
}

func (v planView) print(w io.Writer) error {
	p, d := v.Plan, v.Plan.Declaration
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("plan", "%s", p.Name)
	line("digest", "%s", v.Digest)
	line("decision", "%s", decisionWord(v.Decision))
	for _, s := range v.Stopped {
		line("stopped here", "run %s, round %d: %s; see %s", s.Run[:8], s.Round, s.Reason, or(s.Evidence, "the log"))
	}
	b.WriteString("\n")
	line("purpose", "%s: %s", d.PurposeCode, d.Use)
	line("unit", "%s; target: %s; profiling: %t", d.Unit, d.Target, d.Profiling)
	line("legal basis", "%s (%s), provider %s, valid until %s", d.LegalBasis, d.Regime, d.Roles.Provider, d.ValidUntil)
	line("law rules", "%s", v.Law)
	line("own policy", "%s; unattended: %t", v.Policy, v.Unattended)
	b.WriteString("\n")
	line("cohort", "N = %d, t = %d, c = %d: %s", v.N, v.T, v.C, strings.Join(p.Cohort.Members, " "))
	if v.N < v.Roster {
		line("", "the roster has %d members; the bound c holds for these %d only", v.Roster, v.N)
	}
	line("fewest in a sum", "%d", p.Cohort.Minimum)
	line("architecture", "%s", p.Architecture.Words())
	line("algorithm", "%s, %d rounds, seed %d", p.Algorithm.Name, p.TrainRounds(), p.Seed)
	line("features", "%s", columns(p.Schema.Features()))
	line("groups", "%s (measured, never features)", columns(p.Schema.Groups()))
	line("denied", "%s", strings.Join(d.Features.Deny, ", "))
	if m := p.Mechanisms(); m != nil {
		line("privacy", "epsilon %v at delta %v; statistics: noise %v; training: rate %v, noise %v, %d steps", p.Privacy.Epsilon, p.Privacy.Delta,
			m[0].Noise, m[1].Rate, m[1].Noise, m[1].Steps)
	}
	line("batch", "up to %d sums from one key set-up", p.Batch)
	line("deadlines", "%v ticks", p.Deadlines.Ticks())
	b.WriteString("\nWhat its sums reveal:\n")
	for _, s := range v.Exposure {
		b.WriteString(wrapped("  - ", s, 100))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func columns(all []feature.Column) string {
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

// wrapped breaks a sentence into lines of at most width bytes, with the first line behind lead.
func wrapped(lead, s string, width int) string {
	var b strings.Builder
	b.WriteString(lead)
	n := len(lead)
	for i, word := range strings.Fields(s) {
		if i > 0 && n+1+len(word) > width {
			b.WriteString("\n" + strings.Repeat(" ", len(lead)))
			n = len(lead)
		} else if i > 0 {
			b.WriteByte(' ')
			n++
		}
		b.WriteString(word)
		n += len(word)
	}
	return b.String() + "\n"
}
