package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/trees"
)

type planCommands struct {
	Check  checkPlanCommand  `cmd:"" help:"Check a plan and say what it means, offline."`
	Submit submitPlanCommand `cmd:"" help:"Offer a plan to the members of its cohort."`
	List   listPlansCommand  `cmd:"" help:"List plans and who approved them."`
	Show   showPlanCommand   `cmd:"" help:"Print a plan as the members approve it."`
}

// readPlan reads plan.yaml and the files it names beside itself, and checks it at today's date.
func readPlan(path string) (*federation.Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	p, err := federation.ParsePlan(text, beside(dir))
	if err == nil {
		err = p.Check(time.Now().UTC().Format(time.DateOnly))
	}
	if errors.Is(err, federation.ErrLaw) {
		return nil, cli.Hint(err, "the coordinator and each node refuse such a plan again by themselves: change the declaration or the use")
	}
	return p, err
}

// beside reads files of the plan's own folder.
func beside(dir *os.Root) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		b, err := dir.ReadFile(name)
		if err != nil && (!filepath.IsLocal(name) || strings.Contains(err.Error(), "escapes from parent")) {
			return nil, cli.Hint(fmt.Errorf("%s must stand beside the plan", name), "copy the file into the plan's folder: what is submitted is that folder and nothing else")
		}
		return b, err
	}
}

type checkPlanCommand struct {
	output
	Plan  string `arg:"" help:"plan.yaml." type:"path"`
	Start string `help:"Directory of the release that warm_start names: check that it fits." placeholder:"DIR" type:"path" env:"-"`
	Rows  int64  `help:"Training rows of the whole cohort, to set the noise of a plan with privacy against them." placeholder:"N" env:"-"`
}

func (checkPlanCommand) Help() string {
	return `With privacy.dp: record it prints what the accountant is given and what it finds, and fills in noise that is left out.

Example:
  koinon-coordinator plan check plan.yaml --rows 50000`
}

// planFacts is what a plan means.
type planFacts struct {
	Name      string   `json:"name"`
	Digest    string   `json:"digest"`
	Purpose   string   `json:"purpose"`
	Unit      string   `json:"unit"`
	Model     string   `json:"architecture"`
	Algorithm string   `json:"algorithm"`
	Rounds    int      `json:"rounds"`
	Members   []string `json:"members"`
	Threshold int      `json:"threshold"`
	Leavers   int      `json:"may_leave"`
	Gates     int      `json:"gates"`
	Valid     string   `json:"valid_until"`
	Stop      string   `json:"stop,omitempty"`
	Start     string   `json:"warm_start,omitempty"`

	Search  *searchFacts  `json:"search,omitempty"`
	Trees   *treeFacts    `json:"trees,omitempty"`
	Privacy *privacyFacts `json:"privacy,omitempty"`
}

// treeFacts is what a plan of trees means besides.
type treeFacts struct {
	Growth string `json:"growth,omitempty"` // additive, or empty

	Sums  int   `json:"sums"`
	Shed  int   `json:"shed,omitempty"` // 0 where sums have noise, and go on without whoever is missing
	Loses int   `json:"may_be_lost"`    // members that growth can go on without
	Rows  int64 `json:"rows_max_in_all,omitempty"`
	Bits  int   `json:"gradient_bits,omitempty"`
	Wide  bool  `json:"wide_cells,omitempty"`

	Noise float64 `json:"noise_share,omitempty"` // of what rows_max rows, half of them positive, vary by (trees 64)
}

func (t *treeFacts) print(std cli.Streams) {
	t.printSums(std)
	if t.Rows > 0 {
		wide := ""
		if t.Wide {
			wide = ", in cells of two words"
		}
		fmt.Fprintf(std.Out, "cells       rows_max allows %d rows in all: gradients to 2^-%d%s\n", t.Rows, t.Bits, wide)
	}
	if t.Noise > trees.NoiseWarns {
		fmt.Fprintf(std.Out, "warning     even if all rows that rows_max allows came and half were positive, the noise of a sum would be %.0f %% of what they vary by: "+
			"expect little, and refusal from %.0f %% on\n", 100*t.Noise, 100*trees.NoiseRefuses)
	}
}

func (t *treeFacts) printSums(std cli.Streams) {
	if t.Shed == 0 {
		fmt.Fprintf(std.Out, "trees       %d sums, which have noise and go on without whoever is missing\n", t.Sums)
		return
	}
	lost := fmt.Sprintf("%d members may be lost for good", t.Loses)
	if t.Loses == 0 {
		lost = "growth ends with the first one lost for good"
	}
	fmt.Fprintf(std.Out, "trees       %d sums; cohorts differ by no member or by at least %d, %s\n", t.Sums, t.Shed, lost)
}

// factsOf is for a valid plan. pld also computes the bound of its privacy that
// takes a moment.
func factsOf(p *federation.Plan, pld bool) (f planFacts, err error) {
	n := len(p.Cohort.Members)
	digest := p.Digest()
	f = planFacts{
		Name: p.Name, Digest: digest.String(), Purpose: p.Declaration.PurposeCode, Unit: p.Declaration.Unit,
		Model: p.Architecture.Words(), Algorithm: p.Algorithm.Name, Rounds: p.TrainRounds(), Members: p.Cohort.Members,
		Threshold: secagg.Threshold(n), Leavers: n - secagg.Threshold(n), Gates: len(p.Gates), Valid: p.Declaration.ValidUntil,
	}
	f.Stop, f.Start, f.Search = stopWords(p), p.WarmStart.String(), searchOf(p)
	if b, ok := p.Bounds(); ok {
		f.Trees = &treeFacts{
			Growth: p.Architecture.Trees.Growth,
			Sums:   b.Sums, Shed: b.Shed, Loses: b.Leavers, Rows: b.Rows, Bits: b.Bits, Wide: b.Wide, Noise: b.Noise,
		}
	}
	f.Privacy, err = privacyOf(p, pld)
	return f, err
}

// training is how the model comes about, in a line.
func (f planFacts) training() string {
	switch {
	case f.Trees == nil:
		return fmt.Sprintf("%s with %s, %d rounds", f.Model, f.Algorithm, f.Rounds)
	case f.Trees.Growth == trees.Additive:
		return fmt.Sprintf("%s that grow additively, %d rounds", f.Model, f.Rounds)
	}
	return fmt.Sprintf("%s, %d rounds", f.Model, f.Rounds)
}

func (f planFacts) print(std cli.Streams) {
	fmt.Fprintf(std.Out, "plan        %s\ndigest      %s\npurpose     %s, scores one %s at a time\n", f.Name, f.Digest, f.Purpose, f.Unit)
	fmt.Fprintf(std.Out, "training    %s\n", f.training())
	if f.Search != nil {
		fmt.Fprintf(std.Out, "search      %d settings are tried; up to %d of the rounds are of those that are given up\n", f.Search.Candidates, f.Search.Extra)
	}
	if f.Stop != "" {
		fmt.Fprintf(std.Out, "stop        %s\n", f.Stop)
	}
	if f.Start != "" {
		fmt.Fprintf(std.Out, "warm start  %s: its encoder and parameters, no statistics sums\n", f.Start)
	}
	fmt.Fprintf(std.Out, "cohort      %s: %d must answer in every phase, %d may be lost\n", strings.Join(f.Members, ", "), f.Threshold, f.Leavers)
	if f.Trees != nil {
		f.Trees.print(std)
	}
	if f.Privacy != nil {
		f.Privacy.print(std)
	}
	fmt.Fprintf(std.Out, "gates       %d, fixed now\nvalid until %s\n", f.Gates, f.Valid)
}

// Run checks a plan.
func (c *checkPlanCommand) Run(std cli.Streams) error {
	p, err := readPlan(c.Plan)
	if err == nil && c.Start != "" {
		err = checkStart(p, c.Start)
	}
	if err != nil {
		return err
	}
	facts, err := factsOf(p, true)
	if err != nil {
		return err
	}
	if c.Rows != 0 {
		if facts.Privacy == nil || c.Rows < 0 {
			return cli.Usagef("--rows is the number of training rows, for a plan with privacy.dp: %s", federation.DPRecord)
		}
		facts.Privacy.judge(p, c.Rows)
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, facts)
	}
	facts.print(std)
	if facts.Privacy != nil {
		fmt.Fprintf(std.Out, "signed as   privacy: %s\n", privacyLine(p.Privacy))
	}
	return nil
}

type submitPlanCommand struct {
	caller
	output
	Plan string `arg:"" help:"plan.yaml." type:"path"`
}

func (submitPlanCommand) Help() string {
	return `The run begins by itself when every member of the cohort has approved the plan.

Example:
  koinon-coordinator plan submit plan.yaml --as anna`
}

// Run submits a plan.
func (c *submitPlanCommand) Run(ctx context.Context, std cli.Streams) error {
	p, err := readPlan(c.Plan)
	if err != nil {
		return err
	}
	body, err := p.Encode()
	if err != nil {
		return err
	}
	facts, err := factsOf(p, false)
	if err != nil {
		return err
	}
	return c.call(ctx, func(ctx context.Context, client *admin.Client, _ *person) error {
		if _, err := client.SubmitPlan(ctx, &pb.SubmitPlanRequest{Plan: body}); err != nil {
			return err
		}
		if c.JSON {
			return cli.PrintJSON(std.Out, facts)
		}
		facts.print(std)
		_, err := fmt.Fprintln(std.Out, "Submitted. Each member decides with `koinon-node plan approve`.")
		return err
	})
}

type listPlansCommand struct {
	caller
	output
}

func (listPlansCommand) Help() string { return "Example:\n  koinon-coordinator plan list --as anna" }

// planLine is a plan as --json prints it.
type planLine struct {
	planFacts
	State    string   `json:"state"`
	Approved []string `json:"approved"`
	Rejected []string `json:"rejected"`
	Run      string   `json:"run,omitempty"`
}

// Run lists plans.
func (c *listPlansCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.call(ctx, func(ctx context.Context, client *admin.Client, _ *person) error {
		reply, err := client.Plans(ctx, &pb.PlansRequest{})
		if err != nil {
			return err
		}
		lines := []planLine{}
		for _, s := range reply.Plans {
			p, err := federation.DecodePlan(s.Plan)
			if err != nil {
				return err
			}
			facts, err := factsOf(p, false)
			if err != nil {
				return err
			}
			lines = append(lines, planLine{
				planFacts: facts, State: s.State, Approved: s.Approved, Rejected: s.Rejected, Run: fmt.Sprintf("%x", s.Run),
			})
		}
		if c.JSON {
			return cli.PrintJSON(std.Out, lines)
		}
		table := cli.NewTable("PLAN", "DIGEST", "STATE", "APPROVED", "REJECTED", "RUN")
		for _, l := range lines {
			table.Row(l.Name, l.Digest[:12], l.State, fmt.Sprintf("%d of %d", len(l.Approved), len(l.Members)),
				orDash(strings.Join(l.Rejected, " ")), orDash(l.Run[:min(12, len(l.Run))]))
		}
		return table.Print(std.Out)
	})
}

// findPlan turns a name, a digest or the beginning of one into the plan's status.
func findPlan(ctx context.Context, client *admin.Client, word string) (*pb.PlanStatus, *federation.Plan, error) {
	reply, err := client.Plans(ctx, &pb.PlansRequest{})
	if err != nil {
		return nil, nil, err
	}
	var found *pb.PlanStatus
	var plan *federation.Plan
	for _, s := range reply.Plans {
		p, err := federation.DecodePlan(s.Plan)
		if err != nil {
			return nil, nil, err
		}
		if p.Name == word || len(word) >= 6 && strings.HasPrefix(fmt.Sprintf("%x", s.Digest), word) {
			if found != nil {
				return nil, nil, cli.Hint(fmt.Errorf("%s means more than one plan", word), "name it by its digest")
			}
			found, plan = s, p
		}
	}
	if found == nil {
		return nil, nil, cli.Hint(fmt.Errorf("no plan %s", word), "`koinon-coordinator plan list` shows names and digests")
	}
	return found, plan, nil
}

type showPlanCommand struct {
	caller
	output
	Plan string `arg:"" help:"Name, digest, or the beginning of the digest."`
}

func (showPlanCommand) Help() string {
	return "Example:\n  koinon-coordinator plan show document-risk-2026-1 --as anna"
}

// Run prints a plan.
func (c *showPlanCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.call(ctx, func(ctx context.Context, client *admin.Client, _ *person) error {
		status, plan, err := findPlan(ctx, client, c.Plan)
		if err != nil {
			return err
		}
		if c.JSON {
			return cli.PrintJSON(std.Out, json.RawMessage(status.Plan))
		}
		facts, err := factsOf(plan, false)
		if err != nil {
			return err
		}
		facts.print(std)
		cli.Printf(std.Out, "state       %s\napproved    %s\n", status.State, strings.Join(status.Approved, ", "))
		if len(status.Rejected) > 0 {
			cli.Printf(std.Out, "rejected    %s\n", strings.Join(status.Rejected, ", "))
		}
		return nil
	})
}
