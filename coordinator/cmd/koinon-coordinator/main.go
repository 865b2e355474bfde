// Koinon-coordinator runs a federation: it keeps members and plans, sums their masked updates, evaluates, and
// publishes what two people have approved. Its own commands for admins talk to the running service over mutual TLS.
package main

import (
	"errors"

	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/deploy/service"
)

// version is set by the linker.
var version = "devel"

const description = "The coordinator of a federation: sums masked updates, evaluates, and publishes what two people have approved. It never sees one member's update."

// grammar is the command line.
type grammar struct {
	Init     initCommand      `cmd:"" help:"Make a new federation in an empty directory."`
	Serve    serveCommand     `cmd:"" help:"Run the coordinator until stopped."`
	Member   memberCommands   `cmd:"" help:"Invite and look after members."`
	Plan     planCommands     `cmd:"" help:"Check, submit and read plans."`
	Run      runCommands      `cmd:"" help:"Watch, start and stop runs."`
	Release  releaseCommands  `cmd:"" help:"Approve and revoke releases."`
	Evidence evidenceCommands `cmd:"" help:"Show and hand on what proves a fault."`
	Journal  journalCommands  `cmd:"" help:"Verify and export the journal."`
	Backup   backupCommand    `cmd:"" help:"Copy everything that a new machine would need."`
	Restore  restoreCommand   `cmd:"" help:"Make a state directory from a backup."`
}

// output chooses between words and JSON.
type output struct {
	JSON bool `help:"Print JSON." name:"json" env:"-"`
}

func main() {
	service.Collect()
	cli.Main("koinon-coordinator", version, &grammar{}, cli.Description(description))
}

// hinted adds to an error what to try next.
func hinted(err error) error {
	switch {
	case err == nil || cli.HintOf(err) != "":
		return err
	case errors.Is(err, admin.ErrUnreachable):
		return cli.Hint(err, "is `koinon-coordinator serve` running, and is its address in admin.yaml right?")
	case errors.Is(err, service.ErrLocked):
		return cli.Hint(err, "another koinon-coordinator runs on this directory")
	}
	return err
}
