package main

import (
	"context"
	"errors"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/deploy/service"
	"github.com/koinon-eu/koinon/node"
)

type serveCommand struct {
	place
	LogLevel  string `help:"debug, info, warn or error; over node.yaml." placeholder:"LEVEL"`
	LogFormat string `help:"text or json; over node.yaml." placeholder:"FORMAT"`
}

// Help shows an example.
func (serveCommand) Help() string {
	return `Connects to the coordinator and takes part in the rounds of approved plans. Stops on SIGINT or SIGTERM. A node that
is stopped in the middle of a round leaves it and joins the next one when it is started again.

Example:

  koinon-node serve --dir /var/lib/koinon-node`
}

// Run implements the command.
func (c *serveCommand) Run(ctx context.Context, std cli.Streams) error {
	file, err := c.dir().LoadFile()
	if err != nil {
		return hinted(err)
	}
	if c.LogLevel != "" {
		file.Log.Level = c.LogLevel
	}
	if c.LogFormat != "" {
		file.Log.Format = c.LogFormat
	}
	log, err := service.NewLogger(std.Err, file.Log)
	if err != nil {
		return err
	}
	s, err := node.Open(ctx, c.dir(), version, log.With("member", file.Member))
	if err != nil {
		return hinted(err)
	}
	log.Info("node serves", "federation", file.Federation, "member", file.Member, "version", version)
	return hinted(errors.Join(s.Run(ctx), s.Close()))
}
