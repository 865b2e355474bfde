package main

import (
	"context"
	"errors"
	"os"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/dataset"
)

type dataCommands struct {
	Check dataCheckCommand `cmd:"" help:"Read the table under a schema and report on it."`
}

type dataCheckCommand struct {
	place
	output
	Data   string `help:"The table; default is that of node.yaml." placeholder:"FILE" type:"path"`
	Schema string `help:"Schema file." placeholder:"FILE" xor:"under" type:"path"`
	Plan   string `help:"A plan that was offered, by name or digest: its schema and denied columns." placeholder:"PLAN" xor:"under"`
}

// Help shows an example.
func (dataCheckCommand) Help() string {
	return `Reports rows, types, ranges, missing values, labels and groups, and every field that is wrong with its line and column.
Nothing leaves this machine.

Example:

  koinon-node data check --dir /var/lib/koinon-node --plan document-risk`
}

// Run implements the command.
func (c *dataCheckCommand) Run(_ context.Context, std cli.Streams) error {
	path, err := c.table()
	if err != nil {
		return hinted(err)
	}
	schema, denied, err := c.under()
	if err != nil {
		return hinted(err)
	}
	report, err := dataset.Check(path, schema, dataset.Options{}, denied...)
	if err != nil {
		return err
	}
	if c.JSON {
		err = report.WriteJSON(std.Out)
	} else {
		err = report.WriteText(std.Out)
	}
	if err == nil && !report.OK() {
		err = cli.Hint(errors.New("the table does not fit the schema"), "mend the lines named above, or talk to the plan's authors about the schema")
	}
	return err
}

func (c *dataCheckCommand) table() (string, error) {
	if c.Data != "" {
		return c.Data, nil
	}
	file, err := c.dir().LoadFile()
	if err != nil {
		return "", err
	}
	if file.Data == "" {
		return "", cli.Usagef("node.yaml names no data: give --data")
	}
	return c.dir().Abs(file.Data), nil
}

func (c *dataCheckCommand) under() (*feature.Schema, []string, error) {
	switch {
	case c.Schema != "":
		text, err := os.ReadFile(c.Schema)
		if err != nil {
			return nil, nil, err
		}
		s, err := feature.ParseSchema(text)
		return s, nil, err
	case c.Plan != "":
		p, err := findPlan(c.dir(), c.Plan)
		if err != nil {
			return nil, nil, err
		}
		return p.Schema, p.Declaration.Features.Deny, nil
	}
	return nil, nil, cli.Usagef("give --schema or --plan")
}
