package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/coordinator/admin"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/keystore"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/release/canonical"
)

type releaseCommands struct {
	List    listReleasesCommand   `cmd:"" help:"List candidates and releases."`
	Show    showReleaseCommand    `cmd:"" help:"Show what a release states, its gates and approvals."`
	Answer  answerGateCommand     `cmd:"" help:"Answer in writing a gate whose finding asks for it."`
	Approve approveReleaseCommand `cmd:"" help:"Approve a release with your own key."`
	Revoke  revokeReleaseCommand  `cmd:"" help:"Say that a published release must not be used."`
}

// releaseLine is a release as --json prints it.
type releaseLine struct {
	Name      string          `json:"name"`
	State     string          `json:"state"`
	Reason    string          `json:"reason,omitempty"`
	Run       string          `json:"run"`
	Digest    string          `json:"statement_digest,omitempty"`
	URL       string          `json:"url,omitempty"`
	Gates     []gateLine      `json:"gates"`
	Approvals []approvalLine  `json:"approvals"`
	Statement json.RawMessage `json:"statement,omitempty"`
}

type gateLine struct {
	Text    string `json:"text"`
	Verdict string `json:"verdict"`
	Figures string `json:"figures"`
}

type approvalLine struct {
	Person string `json:"person"`
	Role   string `json:"role"`
	Time   string `json:"time"`
}

func releaseLineOf(r *pb.ReleaseStatus) releaseLine {
	l := releaseLine{
		Name: r.Name, State: r.State, Reason: r.Reason, Run: hex.EncodeToString(r.Run), Digest: hex.EncodeToString(r.Statement),
		URL: r.Url, Gates: []gateLine{}, Approvals: []approvalLine{}, Statement: r.StatementBody,
	}
	for _, g := range r.Gates {
		l.Gates = append(l.Gates, gateLine{g.Text, g.Verdict, g.Figures})
	}
	for _, a := range r.Approvals {
		l.Approvals = append(l.Approvals, approvalLine{a.Person, a.Role, time.Unix(a.Time, 0).UTC().Format(time.RFC3339)})
	}
	return l
}

type listReleasesCommand struct {
	caller
	output
}

func (listReleasesCommand) Help() string {
	return "Example:\n  koinon-coordinator release list --as anna"
}

// Run lists releases.
func (c *listReleasesCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.call(ctx, func(ctx context.Context, client *admin.Client, _ *person) error {
		reply, err := client.Releases(ctx, &pb.ReleasesRequest{})
		if err != nil {
			return err
		}
		lines := []releaseLine{}
		table := cli.NewTable("RELEASE", "STATE", "GATES", "APPROVED BY", "URL", "REASON")
		for _, r := range reply.Releases {
			l := releaseLineOf(r)
			lines = append(lines, l)
			passed := 0
			for _, g := range l.Gates {
				if g.Verdict == release.Pass || g.Verdict == release.Answered {
					passed++
				}
			}
			var by []string
			for _, a := range l.Approvals {
				by = append(by, a.Person+" ("+a.Role+")")
			}
			table.Row(l.Name, l.State, fmt.Sprintf("%d of %d", passed, len(l.Gates)), orDash(strings.Join(by, ", ")), orDash(l.URL), orDash(l.Reason))
		}
		if c.JSON {
			return cli.PrintJSON(std.Out, lines)
		}
		return table.Print(std.Out)
	})
}

// oneRelease asks for a release by name, statement included.
func oneRelease(ctx context.Context, client *admin.Client, name string) (*pb.ReleaseStatus, error) {
	reply, err := client.Releases(ctx, &pb.ReleasesRequest{Name: name})
	if err != nil {
		return nil, err
	}
	if len(reply.Releases) != 1 {
		return nil, fmt.Errorf("the coordinator sent %d releases for one name", len(reply.Releases))
	}
	return reply.Releases[0], nil
}

type showReleaseCommand struct {
	caller
	output
	Name string `arg:"" help:"Name of the release."`
}

func (showReleaseCommand) Help() string {
	return "Example:\n  koinon-coordinator release show document-risk-1 --as anna"
}

// Run shows a release.
func (c *showReleaseCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.call(ctx, func(ctx context.Context, client *admin.Client, _ *person) error {
		r, err := oneRelease(ctx, client, c.Name)
		if err != nil {
			return err
		}
		l := releaseLineOf(r)
		if c.JSON {
			return cli.PrintJSON(std.Out, l)
		}
		return l.print(std)
	})
}

func (l releaseLine) print(std cli.Streams) error {
	cli.Printf(std.Out, "release    %s\nstate      %s\nrun        %s\n", l.Name, l.State, l.Run)
	if l.Reason != "" {
		cli.Printf(std.Out, "reason     %s\n", l.Reason)
	}
	if l.Digest != "" {
		cli.Printf(std.Out, "statement  %s\n", l.Digest)
	}
	if l.URL != "" {
		cli.Printf(std.Out, "url        %s\n", l.URL)
	}
	table := cli.NewTable("NO.", "GATE", "RESULT", "WHY")
	for i, g := range l.Gates {
		table.Row(i+1, g.Text, g.Verdict, g.Figures)
	}
	for _, a := range l.Approvals {
		cli.Printf(std.Out, "approved   %s (%s), %s\n", a.Person, a.Role, a.Time)
	}
	return table.Print(std.Out)
}

type answerGateCommand struct {
	caller
	output
	Name   string `arg:"" help:"Name of the release."`
	Gate   uint32 `required:"" help:"Number of the gate, as release show counts them."`
	Answer string `required:"" help:"The answer; it stands in the statement that two people approve."`
}

func (answerGateCommand) Help() string {
	return `Some gates ask for an answer instead of failing. With the last answer the candidate gets a statement and waits for approvals.

Example:
  koinon-coordinator release answer document-risk-1 --gate 4 --answer "audit of 60 labels found no error" --as anna`
}

// Run answers a gate.
func (c *answerGateCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.call(ctx, func(ctx context.Context, client *admin.Client, _ *person) error {
		reply, err := client.AnswerGate(ctx, &pb.AnswerGateRequest{Name: c.Name, Gate: c.Gate, Answer: c.Answer})
		if err != nil {
			return err
		}
		if c.JSON {
			return cli.PrintJSON(std.Out, map[string]any{"name": c.Name, "gate": c.Gate, "state": reply.State})
		}
		_, err = cli.Printf(std.Out, "Gate %d of %s is answered. The release is %s now.\n", c.Gate, c.Name, reply.State)
		return err
	})
}

type approveReleaseCommand struct {
	caller
	output
	Name      string `arg:"" help:"Name of the release."`
	Statement string `help:"Digest of the statement you have read; the one shown by the coordinator if left out." placeholder:"DIGEST"`
}

func (approveReleaseCommand) Help() string {
	return `Shows the release's statement and signs it with your approval key. The second person, in another role, publishes it.

Example:
  koinon-coordinator release approve document-risk-1 --as ben`
}

// Run approves a release. The statement that is signed is parsed and its digest computed here: the coordinator's word
// for it is not taken.
func (c *approveReleaseCommand) Run(ctx context.Context, std cli.Streams) error {
	folder, err := c.folder()
	if err != nil {
		return err
	}
	return c.call(ctx, func(ctx context.Context, client *admin.Client, p *person) error {
		r, err := oneRelease(ctx, client, c.Name)
		if err != nil {
			return err
		}
		if len(r.StatementBody) == 0 {
			return fmt.Errorf("release %s is %s and has no statement: %s", c.Name, r.State, r.Reason)
		}
		statement, err := release.ParseStatement(r.StatementBody)
		if err != nil {
			return err
		}
		digest := release.StatementDigest(r.StatementBody)
		if statement.Name != c.Name || c.Statement != "" && c.Statement != digest.String() {
			return fmt.Errorf("the coordinator shows statement %s of release %s, not what you have read", digest, statement.Name)
		}
		shown := std.Out
		if c.JSON {
			shown = std.Err
		}
		if err := printStatement(shown, statement, digest); err != nil {
			return err
		}
		key, err := keystore.Open(ctx, reference(folder, p.Approval), keystore.Options{})
		if err != nil {
			return err
		}
		approval, err := release.Approve(key, p.Name, p.Role, digest, time.Now())
		if err != nil {
			return err
		}
		body, err := canonical.Marshal(approval)
		if err != nil {
			return err
		}
		reply, err := client.ApproveRelease(ctx, &pb.ApproveReleaseRequest{Name: c.Name, Approval: body})
		if err != nil {
			return err
		}
		if c.JSON {
			return cli.PrintJSON(std.Out, map[string]string{"name": c.Name, "statement": digest.String(), "state": reply.State})
		}
		_, err = cli.Printf(std.Out, "%s (%s) approved %s, statement %s. It is %s now.\n", p.Name, p.Role, c.Name, digest, reply.State)
		return err
	})
}

// printStatement shows what an approver is about to sign.
func printStatement(w io.Writer, s *release.Statement, digest release.Digest) error {
	cli.Printf(w, "release    %s of %s, for the purpose %s\nstatement  %s\nmodel      %s\nplan       %s, digest %s\nmembers    %s\n",
		s.Name, s.Federation, s.Purpose, digest.String(), s.Artifact.String(), s.Plan.Name, s.Plan.Digest.String(), strings.Join(s.Members, ", "))
	table := cli.NewTable("GATE", "WANTED", "REACHED", "RESULT", "ANSWER")
	for _, g := range s.Gates {
		var reached any
		if g.Value != nil {
			reached = fmt.Sprintf("%.4f", *g.Value)
		}
		table.Row(strings.TrimSpace(g.Metric+" "+g.Group), g.Wanted, reached, g.Result, orDash(g.Answer))
	}
	return table.Print(w)
}

type revokeReleaseCommand struct {
	caller
	Name   string `arg:"" help:"Name of the release."`
	Mode   string `required:"" enum:"suspend,withdraw,recall" help:"suspend (for now), withdraw (for good), recall (what was pulled must go as well)." env:"-"`
	Reason string `required:"" help:"Why; shown to everyone."`
}

func (revokeReleaseCommand) Help() string {
	return `The web site and the store give the release out no more: koinon list shows mode and reason, koinon pull refuses. Copies that were pulled before are not reached in this version.

Example:
  koinon-coordinator release revoke document-risk-1 --mode withdraw --reason "calibration drifted" --as anna`
}

// Run revokes a release.
func (c *revokeReleaseCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.call(ctx, func(ctx context.Context, client *admin.Client, _ *person) error {
		_, err := client.RevokeRelease(ctx, &pb.RevokeReleaseRequest{Name: c.Name, Mode: c.Mode, Reason: c.Reason})
		if err != nil {
			return err
		}
		_, err = cli.Printf(std.Out, "%s is revoked (%s): koinon pull refuses it from now on.\n", c.Name, c.Mode)
		fmt.Fprintln(std.Err, "hint: copies that were pulled already are not reached, and koinon verify and koinon score still accept them: tell the deployers yourself")
		return err
	})
}
