package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/koinon-eu/koinon/coordinator/admin"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/deploy/cli"
)

type runCommands struct {
	Start startRunCommand `cmd:"" help:"Start a run that enough members have approved, before all have."`
	List  listRunsCommand `cmd:"" help:"List runs."`
	Show  showRunCommand  `cmd:"" help:"Show a run with its rounds."`
	Stop  stopRunCommand  `cmd:"" help:"End a run for good."`
}

type startRunCommand struct {
	caller
	output
	Plan string `arg:"" help:"Name, digest, or the beginning of the digest of a plan."`
}

func (startRunCommand) Help() string {
	return `A run begins by itself once the whole cohort has approved its plan. This begins it when enough have, or begins another after one was stopped or has failed.

Example:
  koinon-coordinator run start document-risk-2026-1 --as anna`
}

// Run starts a run.
func (c *startRunCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.call(ctx, func(ctx context.Context, client *admin.Client, _ *person) error {
		status, _, err := findPlan(ctx, client, c.Plan)
		if err != nil {
			return err
		}
		reply, err := client.StartRun(ctx, &pb.StartRunRequest{Plan: status.Digest})
		if err != nil {
			return err
		}
		if c.JSON {
			return cli.PrintJSON(std.Out, map[string]string{"run": hex.EncodeToString(reply.Run)})
		}
		_, err = fmt.Fprintf(std.Out, "Run %x has started.\n", reply.Run)
		return err
	})
}

// runLine is a run as --json prints it.
type runLine struct {
	Run     string      `json:"run"`
	Plan    string      `json:"plan"`
	Digest  string      `json:"plan_digest"`
	State   string      `json:"state"`
	Reason  string      `json:"reason,omitempty"`
	Step    uint32      `json:"step"`
	Steps   uint32      `json:"steps"`
	Round   uint32      `json:"round"`
	Release string      `json:"release,omitempty"`
	Out     []string    `json:"excluded,omitempty"`
	Rounds  []roundLine `json:"rounds,omitempty"`
	Stop    *stopLine   `json:"stopping,omitempty"`
}

type roundLine struct {
	Round        uint32   `json:"round"`
	Step         uint32   `json:"step"`
	Sum          uint32   `json:"sum"`
	Sums         uint32   `json:"sums"`
	Kind         string   `json:"kind"`
	Phase        string   `json:"phase"`
	Outcome      string   `json:"outcome"`
	Survivors    []string `json:"survivors"`
	Dropouts     []string `json:"dropouts"`
	LostIn       []string `json:"lost_in"`
	Milliseconds int64    `json:"milliseconds"`
	Bytes        uint64   `json:"bytes"`
}

func lineOf(r *pb.RunStatus) runLine {
	l := runLine{
		Run: hex.EncodeToString(r.Run), Plan: r.PlanName, Digest: hex.EncodeToString(r.Plan), State: r.State, Reason: r.Reason,
		Step: r.Step, Steps: r.Steps, Round: r.Round, Release: r.Release, Out: r.Excluded,
		Stop: stopLineOf(r.Stopping),
	}
	for _, round := range r.Rounds {
		l.Rounds = append(l.Rounds, roundLine{
			Round: round.Round, Step: round.Step, Sum: round.Sum, Sums: round.Sums, Kind: round.Kind, Phase: round.Phase, Outcome: round.Outcome,
			Survivors: round.Survivors, Dropouts: round.Dropouts, LostIn: round.LostIn,
			Milliseconds: round.Milliseconds, Bytes: round.Bytes,
		})
	}
	return l
}

type listRunsCommand struct {
	caller
	output
}

func (listRunsCommand) Help() string { return "Example:\n  koinon-coordinator run list --as anna" }

// Run lists runs.
func (c *listRunsCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.call(ctx, func(ctx context.Context, client *admin.Client, _ *person) error {
		reply, err := client.Runs(ctx, &pb.RunsRequest{})
		if err != nil {
			return err
		}
		lines := []runLine{}
		table := cli.NewTable("RUN", "PLAN", "STATE", "STEP", "ROUND", "RELEASE", "REASON")
		for _, r := range reply.Runs {
			l := lineOf(r)
			lines = append(lines, l)
			table.Row(l.Run[:12], l.Plan, l.State, fmt.Sprintf("%d/%d", l.Step, l.Steps), l.Round, orDash(l.Release), orDash(l.Reason))
		}
		if c.JSON {
			return cli.PrintJSON(std.Out, lines)
		}
		return table.Print(std.Out)
	})
}

// findRun turns the beginning of a run's name, or a plan's name, into the newest run it means.
func findRun(ctx context.Context, client *admin.Client, word string) (*pb.RunStatus, error) {
	reply, err := client.Runs(ctx, &pb.RunsRequest{})
	if err != nil {
		return nil, err
	}
	for i := len(reply.Runs) - 1; i >= 0; i-- {
		r := reply.Runs[i]
		if r.PlanName == word || len(word) >= 6 && strings.HasPrefix(hex.EncodeToString(r.Run), word) {
			return r, nil
		}
	}
	return nil, cli.Hint(fmt.Errorf("no run %s", word), "`koinon-coordinator run list` shows them")
}

type showRunCommand struct {
	caller
	output
	Name string `arg:"" name:"run" help:"Beginning of the run's name, or the plan's name for its newest run."`
}

func (showRunCommand) Help() string {
	return "Example:\n  koinon-coordinator run show document-risk-2026-1 --as anna"
}

// Run shows one run.
func (c *showRunCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.call(ctx, func(ctx context.Context, client *admin.Client, _ *person) error {
		found, err := findRun(ctx, client, c.Name)
		if err != nil {
			return err
		}
		reply, err := client.Runs(ctx, &pb.RunsRequest{Run: found.Run, Rounds: true})
		if err != nil {
			return err
		}
		l := lineOf(reply.Runs[0])
		if c.JSON {
			return cli.PrintJSON(std.Out, l)
		}
		cli.Printf(std.Out, "run    %s of plan %s\nstate  %s, step %d of %d\n", l.Run, l.Plan, l.State, l.Step, l.Steps)
		if l.Reason != "" {
			cli.Printf(std.Out, "reason %s\n", l.Reason)
		}
		if l.Release != "" {
			cli.Printf(std.Out, "gave   %s\n", l.Release)
		}
		if l.Stop != nil {
			l.Stop.print(std.Out)
		}
		if len(l.Out) > 0 {
			cli.Printf(std.Out, "out    %s\n", strings.Join(l.Out, ", "))
		}
		table := cli.NewTable("ROUND", "STEP", "BATCH", "SUMS", "OUTCOME", "IN THE SUM", "DROPOUTS", "TIME", "TRAFFIC")
		for _, r := range l.Rounds {
			outcome := r.Outcome
			if outcome == "" {
				outcome = "in " + r.Phase
			}
			var lost []string
			for i, name := range r.Dropouts {
				lost = append(lost, name+" ("+r.LostIn[i]+")")
			}
			var took, traffic any // not known of rounds before a restart
			if r.Bytes > 0 {
				took, traffic = fmt.Sprintf("%.2f s", float64(r.Milliseconds)/1000), cli.Bytes(int64(r.Bytes))
			}
			table.Row(r.Round, r.Step, fmt.Sprintf("%d/%d", r.Sum, r.Sums), r.Kind, outcome, len(r.Survivors), orDash(strings.Join(lost, " ")), took, traffic)
		}
		return table.Print(std.Out)
	})
}

type stopRunCommand struct {
	caller
	Name   string `arg:"" name:"run" help:"Beginning of the run's name, or the plan's name for its newest run."`
	Reason string `required:"" help:"Why; members and journal get to know it."`
}

func (stopRunCommand) Help() string {
	return "Example:\n  koinon-coordinator run stop document-risk-2026-1 --reason \"wrong schema\" --as anna"
}

// Run stops a run.
func (c *stopRunCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.call(ctx, func(ctx context.Context, client *admin.Client, _ *person) error {
		found, err := findRun(ctx, client, c.Name)
		if err != nil {
			return err
		}
		if _, err := client.StopRun(ctx, &pb.StopRunRequest{Run: found.Run, Reason: c.Reason}); err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.Out, "Run %x is stopped.\n", found.Run)
		return err
	})
}
