package main

import (
	"context"
	"fmt"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/registry"
)

type listCommand struct {
	Store string `arg:"" help:"https://HOST/, or the directory of a store."`
	CA    string `help:"Certificate authority of the web server, a PEM file." name:"ca" placeholder:"FILE"`
	JSON  bool   `help:"Print the list as JSON." name:"json" env:"-"`
}

// Help shows an example.
func (listCommand) Help() string {
	return `What a store lists is not signed. Pull verifies. A release with something under
REVOKED must not be used, and pull refuses it.

Example:

  koinon list https://models.example/`
}

// Run prints the releases, newest first.
func (c *listCommand) Run(ctx context.Context, std cli.Streams) error {
	roots, err := readRoots(c.CA, nil)
	if err != nil {
		return err
	}
	index, err := (&registry.Client{Roots: roots}).List(ctx, c.Store)
	if err != nil {
		return explain(err)
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, index.Releases)
	}
	if len(index.Releases) == 0 {
		fmt.Fprintln(std.Err, "no release is published there")
		return nil
	}
	table := cli.NewTable("NAME", "CREATED", "PURPOSE", "PLAN", "SIZE", "REVOKED")
	for _, e := range index.Releases {
		revoked := "-"
		if e.Revoked != nil {
			revoked = e.Revoked.Mode + ": " + e.Revoked.Reason
		}
		table.Row(e.Name, e.Created, e.Purpose, e.Plan, cli.Bytes(e.Size), revoked)
	}
	return table.Print(std.Out)
}
