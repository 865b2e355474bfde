package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/koinon-eu/koinon/coordinator/admin"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/deploy/cli"
)

type memberCommands struct {
	Invite  inviteCommand  `cmd:"" help:"Print a one-time invite for a member."`
	List    membersCommand `cmd:"" help:"List members and what their nodes said last."`
	Suspend suspendCommand `cmd:"" help:"Keep a member out of rounds, or let it back in."`
}

type inviteCommand struct {
	caller
	output
	Member string        `arg:"" help:"Name of the member, for example DE."`
	Valid  time.Duration `help:"How long the invite can be used." default:"72h"`
}

func (inviteCommand) Help() string {
	return `Give the invite to the member's operator over a channel you trust: it carries the authority's fingerprint, enrols once, and expires. Inviting an enrolled member again gives it a new key, which every operator has to accept.

Example:
  koinon-coordinator member invite DE --as anna`
}

// Run prints the invite and nothing else on standard output.
func (c *inviteCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.call(ctx, func(ctx context.Context, client *admin.Client, _ *person) error {
		reply, err := client.Invite(ctx, &pb.InviteRequest{Member: c.Member, ValidSeconds: int64(c.Valid / time.Second)})
		if err != nil {
			return err
		}
		expires := time.Unix(reply.Expires, 0).UTC().Format(time.RFC3339)
		if c.JSON {
			return cli.PrintJSON(std.Out, map[string]string{"member": c.Member, "invite": reply.Invite, "expires": expires})
		}
		fmt.Fprintf(std.Err, "Invite for %s, valid once, until %s:\n", c.Member, expires)
		_, err = fmt.Fprintln(std.Out, reply.Invite)
		return err
	})
}

type membersCommand struct {
	caller
	output
}

func (membersCommand) Help() string {
	return "Example:\n  koinon-coordinator member list --as anna"
}

// memberLine is a member as --json prints it.
type memberLine struct {
	Name          string `json:"name"`
	Index         uint32 `json:"index"`
	State         string `json:"state"`
	Connected     bool   `json:"connected"`
	LastSeen      string `json:"last_seen,omitempty"`
	Version       string `json:"version,omitempty"`
	RosterVersion uint32 `json:"roster_version"`
	IdentityKey   string `json:"identity_key,omitempty"`
}

// Run lists the members.
func (c *membersCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.call(ctx, func(ctx context.Context, client *admin.Client, _ *person) error {
		reply, err := client.Members(ctx, &pb.MembersRequest{})
		if err != nil {
			return err
		}
		lines := []memberLine{}
		for _, m := range reply.Members {
			l := memberLine{
				Name: m.Name, Index: m.Index, State: "invited", Connected: m.Connected, Version: m.Version,
				RosterVersion: m.RosterVersion, IdentityKey: base64.StdEncoding.EncodeToString(m.IdentityKey),
			}
			if m.Enrolled {
				l.State = "enrolled"
			}
			if m.Suspended {
				l.State = "suspended"
			}
			if m.LastSeen > 0 {
				l.LastSeen = time.Unix(m.LastSeen, 0).UTC().Format(time.RFC3339)
			}
			lines = append(lines, l)
		}
		if c.JSON {
			return cli.PrintJSON(std.Out, map[string]any{"roster_version": reply.RosterVersion, "members": lines})
		}
		table := cli.NewTable("MEMBER", "INDEX", "STATE", "CONNECTED", "LAST SEEN", "ROSTER", "VERSION")
		for _, l := range lines {
			table.Row(l.Name, l.Index, l.State, yes(l.Connected), orDash(l.LastSeen), l.RosterVersion, orDash(l.Version))
		}
		if err := table.Print(std.Out); err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.Out, "Newest roster: version %d\n", reply.RosterVersion)
		return err
	})
}

type suspendCommand struct {
	caller
	Member string `arg:"" help:"Name of the member."`
	Reason string `help:"Why; goes into the journal."`
	Resume bool   `help:"Let a suspended member take part again."`
}

func (suspendCommand) Help() string {
	return `A suspended member is not invited to rounds. It stays in the cohort of its plans: the number that must answer does not fall.

Example:
  koinon-coordinator member suspend PT --reason "key under review" --as anna`
}

// Run suspends or resumes.
func (c *suspendCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.call(ctx, func(ctx context.Context, client *admin.Client, _ *person) error {
		if _, err := client.Suspend(ctx, &pb.SuspendRequest{Member: c.Member, Resume: c.Resume, Reason: c.Reason}); err != nil {
			return err
		}
		what := "suspended"
		if c.Resume {
			what = "resumed"
		}
		_, err := fmt.Fprintf(std.Out, "%s is %s. Operators see the new roster and have to accept it.\n", c.Member, what)
		return err
	})
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func orDash(s string) any {
	if s == "" {
		return nil
	}
	return s
}
