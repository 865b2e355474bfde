package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/node"
)

type enrollCommand struct {
	place
	output
	Invite      string        `help:"The invite itself. Others on this machine can read it: prefer --invite-file or standard input." placeholder:"WORD" env:"-"`
	InviteFile  string        `help:"File that holds the invite; - is standard input." placeholder:"FILE" default:"-" env:"-"`
	Fingerprint string        `help:"Fingerprint of the federation's authority as the admin says it over another channel; nothing is sent if the invite has another." placeholder:"HEX" env:"-"`
	Identity    string        `help:"Identity key (Ed25519) that exists already, as vault:MOUNT/KEY or file:PATH, for node.yaml; made when left out." placeholder:"REFERENCE"`
	Data        string        `help:"The national table (CSV, CSV.gz or Parquet), for node.yaml." placeholder:"FILE" type:"path"`
	Policy      string        `help:"This node's own limits, for node.yaml." placeholder:"FILE" type:"path"`
	Tick        time.Duration `help:"Unit of deadlines, for node.yaml; the coordinator must use the same." placeholder:"1s"`
	Metrics     string        `help:"Address of metrics and health, for node.yaml." placeholder:"HOST:PORT"`
}

// Help shows an example.
func (enrollCommand) Help() string {
	return `Makes the keys of this member here, checks that the coordinator is the one the invite names, and gets a certificate.
Run again it changes nothing. For an identity key in Vault, set Vault's own variables, or write node.yaml with its
section vault first.

Example:

  koinon-node enroll --dir /var/lib/koinon-node --data /srv/koinon/table.csv.gz --invite-file invite.txt`
}

// Run implements the command.
func (c *enrollCommand) Run(ctx context.Context, std cli.Streams) error {
	text, err := c.text(std)
	if err != nil {
		return err
	}
	invite, err := identity.ParseInvite(text)
	if err != nil {
		return cli.Hint(err, "copy the whole line that koinon-coordinator member invite printed")
	}
	if err := c.compare(invite); err != nil {
		return err
	}
	done, err := node.Enroll(ctx, c.dir(), invite, node.File{
		Data: node.Data{File: c.Data}, Policy: c.Policy, Tick: c.Tick, Metrics: c.Metrics, Identity: c.Identity,
	}, time.Now())
	if err != nil {
		return hinted(err)
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, done)
	}
	verb := "enrolled"
	if done.Already {
		verb = "already enrolled"
	}
	fmt.Fprintf(std.Out, "%s: member %s (index %d) of %s\n", verb, done.Member, done.Index, done.Federation)
	fmt.Fprintf(std.Out, "authority    %s\n", done.Authority)
	fmt.Fprintf(std.Out, "identity key %s\n", done.Identity)
	fmt.Fprintf(std.Out, "certificate  until %s, renews itself\n", done.Expires.Format(time.RFC3339))
	if done.Offered > 0 {
		fmt.Fprintf(std.Out, "roster       version %d is accepted here, %d is offered: koinon-node roster show\n", done.Roster, done.Offered)
	}
	if first := !done.Already && done.Offered == 0; first && c.Fingerprint == "" && cli.IsTerminal(std.Out) {
		fmt.Fprint(std.Err, advice(done))
	}
	return nil
}

// advice is what a person reads who has not compared the fingerprint yet.
func advice(done node.Enrolled) string {
	return fmt.Sprintf("\nBefore you start the node, compare the authority's fingerprint with the admin by telephone:\n  %s\nIf it differs, delete this directory and tell the admin.\n", done.Authority)
}

// compare holds the invite to the fingerprint that came over another channel, before anything is made or sent.
func (c *enrollCommand) compare(invite identity.Invite) error {
	if c.Fingerprint == "" {
		return nil
	}
	want, err := identity.ParseFingerprint(c.Fingerprint)
	if err != nil {
		return cli.Usage(err)
	}
	if invite.Root != want {
		return cli.Hint(fmt.Errorf("the invite has fingerprint %s, not %s", invite.Root, want), "nothing was sent. Somebody may have changed the invite: call the admin, and do not use it")
	}
	return nil
}

// text reads the invite from the flag, a file or standard input.
func (c *enrollCommand) text(std cli.Streams) (string, error) {
	const limit = 4096
	in := std.In
	switch {
	case c.Invite != "":
		return c.Invite, nil
	case c.InviteFile != "-":
		f, err := os.Open(c.InviteFile)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, limit))
	return string(b), err
}
