package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/registry"
	"github.com/koinon-eu/koinon/models/release"
)

type pullCommand struct {
	trustFlags
	Release string `arg:"" help:"https://HOST/releases/NAME, or a release directory."`
	Output  string `help:"Directory to create; the release's name if left out." placeholder:"DIR" short:"o"`
	CA      string `help:"Certificate authority of the web server, a PEM file." name:"ca" placeholder:"FILE"`
	JSON    bool   `help:"Print the result as JSON." name:"json" env:"-"`
}

// Help shows an example.
func (pullCommand) Help() string {
	return `The signature, the statement and the approvals are checked before anything is
written. On any doubt nothing is left behind.

Example:

  koinon pull https://models.example/releases/document-risk-1 --key release.pub`
}

// Run pulls, verifies, and only then writes.
func (c *pullCommand) Run(ctx context.Context, std cli.Streams) error {
	trust, err := c.load()
	if err != nil {
		return err
	}
	roots, err := readRoots(c.CA, trust.roots)
	if err != nil {
		return err
	}
	if c.Output != "" {
		if err := free(c.Output); err != nil { // before the download, not after
			return err
		}
	}
	var bar *cli.Progress
	client := &registry.Client{Roots: roots, Progress: func(done, total int64) {
		if bar == nil {
			bar = cli.NewByteProgress(std.Err, "pulling", total)
		}
		bar.Set(done)
	}}
	r, err := client.Pull(ctx, c.Release, trust.policy)
	if err != nil {
		return explain(err)
	}
	bar.Done()
	if _, err := load(r); err != nil {
		return explain(err)
	}
	dir := c.Output
	if dir == "" {
		dir = r.Statement.Name
	}
	if err := free(dir); err != nil {
		return err
	}
	if err := release.Write(dir, r.Files); err != nil {
		return err
	}
	result := resultOf(r, trust)
	result.Directory = dir
	if c.JSON {
		return cli.PrintJSON(std.Out, result)
	}
	result.print(std.Out)
	return nil
}

func free(dir string) error {
	_, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return cli.Hint(fmt.Errorf("%s exists; a release is never written over another", dir), "choose another directory with --output")
}
