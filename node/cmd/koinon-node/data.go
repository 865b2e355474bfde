package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/dataset"
)

type dataCommands struct {
	Check dataCheckCommand `cmd:"" help:"Read the table under a schema and report on it."`
}

type dataCheckCommand struct {
	place
	output
	Data      string `help:"A file; default is the table that node.yaml names." placeholder:"FILE" xor:"table" type:"path"`
	Postgres  string `help:"A table of a PostgreSQL server, or one SELECT. Where the server is says --dsn-file or PGHOST and its like." placeholder:"TABLE" xor:"table"`
	DSNFile   string `help:"File with the connection string, for --postgres." name:"dsn-file" placeholder:"FILE" type:"path"`
	Password  string `help:"Where the password is, for --postgres: file:PATH or vault:MOUNT/PATH#FIELD." placeholder:"REFERENCE"`
	Plaintext bool   `help:"Accept a connection without TLS to another machine."`
	Schema    string `help:"Schema file." placeholder:"FILE" xor:"under" type:"path"`
	Plan      string `help:"A plan that was offered, by name or digest: its schema and denied columns." placeholder:"PLAN" xor:"under"`
}

// Help shows an example.
func (dataCheckCommand) Help() string {
	return `Reports rows, types, ranges, missing values, labels and groups, every field that is wrong with its line and column, and how
the rows differ from those of the last run (drift). It always reads the table anew. Nothing leaves this machine.

Example:

  koinon-node data check --dir /var/lib/koinon-node --plan document-risk
  koinon-node data check --schema schema.yaml --postgres public.cases --dsn-file /etc/koinon/cases.dsn`
}

// Run implements the command.
func (c *dataCheckCommand) Run(ctx context.Context, std cli.Streams) error {
	file, err := c.table()
	if err != nil {
		return hinted(err)
	}
	schema, denied, err := c.under()
	if err != nil {
		return hinted(err)
	}
	last, err := c.dir().SummaryOf(schema)
	if err != nil {
		return hinted(err)
	}
	report, err := c.dir().CheckTable(ctx, file, schema, dataset.Options{Last: last}, denied...)
	if err != nil {
		return hinted(err)
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

// table is what of node.yaml says where the table is, or what the flags say instead.
func (c *dataCheckCommand) table() (node.File, error) {
	switch {
	case c.Data != "":
		return node.File{Data: node.Data{File: c.Data}}, nil
	case c.Postgres != "":
		p := &node.Postgres{DSNFile: c.DSNFile, Password: c.Password, Plaintext: c.Plaintext}
		if strings.ContainsAny(strings.TrimSpace(c.Postgres), " \n\t") && !strings.HasPrefix(c.Postgres, `"`) {
			p.Query = c.Postgres
		} else {
			p.Table = c.Postgres
		}
		return node.File{Data: node.Data{Postgres: p}}, nil
	case c.DSNFile != "" || c.Password != "" || c.Plaintext:
		return node.File{}, cli.Usagef("--dsn-file, --password and --plaintext go with --postgres")
	}
	file, err := c.dir().LoadFile()
	if err != nil {
		return file, err
	}
	if file.Data.None() {
		return file, cli.Usagef("node.yaml names no data: give --data or --postgres")
	}
	return file, nil
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
