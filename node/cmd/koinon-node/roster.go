package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/node"
)

type rosterCommands struct {
	Show   rosterShowCommand   `cmd:"" help:"Show the accepted roster and what a newer one would change."`
	Accept rosterAcceptCommand `cmd:"" help:"Use the newest roster from the next round on."`
}

type rosterShowCommand struct {
	place
	output
	Offline bool `help:"Do not ask the coordinator." env:"-"`
}

// Help shows an example.
func (rosterShowCommand) Help() string {
	return `Asks the coordinator for a newer roster first, unless told not to. Compare identity keys with the other operators by
another way (telephone, letter): whoever could swap them could read this member's part.

Example:

  koinon-node roster show --dir /var/lib/koinon-node`
}

// rosterView is what show prints.
type rosterView struct {
	Accepted *federation.Roster  `json:"accepted"`
	Digest   federation.Digest   `json:"digest"`
	Offered  *federation.Roster  `json:"offered"`
	Changes  []federation.Change `json:"changes"`
}

// Run implements the command.
func (c *rosterShowCommand) Run(ctx context.Context, std cli.Streams) error {
	if !c.Offline {
		if err := syncRoster(ctx, c.dir()); err != nil {
			return asked(err)
		}
	}
	view, err := rosterOf(c.dir())
	if err != nil {
		return hinted(err)
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, view)
	}
	return view.print(std.Out)
}

func syncRoster(ctx context.Context, d node.Dir) error {
	return withOperator(d, func(o *node.Operator) error {
		_, err := o.Sync(ctx)
		return err
	})
}

func rosterOf(d node.Dir) (rosterView, error) {
	accepted, err := d.Roster()
	if err != nil {
		return rosterView{}, err
	}
	view := rosterView{Accepted: accepted, Digest: accepted.Digest(), Changes: []federation.Change{}}
	_, offered, err := d.Offered()
	if errors.Is(err, node.ErrUnknown) {
		return view, nil
	}
	if err == nil && offered.Version > accepted.Version {
		view.Offered, view.Changes = offered, federation.Changes(accepted, offered)
	}
	return view, err
}

func (v rosterView) print(w io.Writer) error {
	fmt.Fprintf(w, "roster version %d of %s, accepted here\ndigest %s\n\n", v.Accepted.Version, v.Accepted.Federation, v.Digest)
	t := cli.NewTable("MEMBER", "INDEX", "IDENTITY KEY", "")
	for _, m := range v.Accepted.Members {
		key, _ := m.Key.MarshalText() // cannot fail
		state := ""
		if m.Suspended {
			state = "suspended"
		}
		t.Row(m.Name, m.Index, string(key), state)
	}
	if err := t.Print(w); err != nil {
		return err
	}
	if v.Offered == nil {
		return nil
	}
	if len(v.Changes) == 0 {
		fmt.Fprintf(w, "\nversion %d is offered and changes nothing\n", v.Offered.Version)
	} else {
		fmt.Fprintf(w, "\nversion %d is offered and changes:\n", v.Offered.Version)
		changes := cli.NewTable()
		for _, c := range v.Changes {
			changes.Row("  "+c.Member, c.What)
		}
		if err := changes.Print(w); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\naccept it with: koinon-node roster accept %d\n", v.Offered.Version)
	return err
}

type rosterAcceptCommand struct {
	place
	output
	Version uint32 `arg:"" optional:"" help:"The version that was looked at; the newest if left out."`
}

// Help shows an example.
func (rosterAcceptCommand) Help() string {
	return `Pins the newest roster. Rounds that begin afterwards run under it; look at it first with roster show, and name the
version that you saw: if there is a newer one by now, nothing is accepted.

Example:

  koinon-node roster accept 7 --dir /var/lib/koinon-node`
}

// Run implements the command.
func (c *rosterAcceptCommand) Run(ctx context.Context, std cli.Streams) error {
	// The version that is sent shows the coordinator which roster this node uses: so once more after accepting.
	if err := syncRoster(ctx, c.dir()); err != nil {
		return hinted(err)
	}
	view, err := rosterOf(c.dir())
	if err != nil {
		return err
	}
	if view.Offered == nil && (c.Version == 0 || c.Version == view.Accepted.Version) {
		if c.JSON {
			return cli.PrintJSON(std.Out, view)
		}
		_, err := fmt.Fprintf(std.Out, "roster version %d is accepted already and the newest\n", view.Accepted.Version)
		return err
	}
	if view.Offered == nil {
		return fmt.Errorf("the newest roster is version %d, not %d", view.Accepted.Version, c.Version)
	}
	version := c.Version
	if version == 0 {
		version = view.Offered.Version
	}
	if _, err := c.dir().AcceptOffered(version); err != nil {
		return err
	}
	if err := syncRoster(ctx, c.dir()); err != nil {
		return hinted(err)
	}
	if c.JSON {
		view, err = rosterOf(c.dir())
		if err != nil {
			return err
		}
		return cli.PrintJSON(std.Out, view)
	}
	_, err = fmt.Fprintf(std.Out, "accepted roster version %d\n", version)
	return err
}
