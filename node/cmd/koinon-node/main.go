// Koinon-node is a member's node: it keeps the national table where it is, takes part in the rounds of plans that its
// operator approved, and gives out sums under masks only.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/deploy/service"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/chain"
	"github.com/koinon-eu/koinon/node/dataset/postgres"
	"github.com/koinon-eu/koinon/node/link"
)

// version is set by the linker.
var version = "devel"

const description = "A member's node: the national table stays here, sums leave under masks, and nothing runs that the operator has not approved."

// grammar is the command line.
type grammar struct {
	Enroll   enrollCommand    `cmd:"" help:"Make this directory a member's node, with an invite."`
	Serve    serveCommand     `cmd:"" help:"Take part in rounds until stopped."`
	Data     dataCommands     `cmd:"" help:"Look at the national table."`
	Plan     planCommands     `cmd:"" help:"Read plans and decide on them."`
	Roster   rosterCommands   `cmd:"" help:"Look at the members and accept changes."`
	Budget   budgetCommands   `cmd:"" help:"What this node has given away."`
	Egress   egressCommands   `cmd:"" help:"Every message that left this node."`
	Evidence evidenceCommands `cmd:"" help:"What shows that somebody lied."`
	Figures  figuresCommands  `cmd:"" help:"This member's own figures, alone against federated."`
	FineTune fineTuneCommand  `cmd:"" help:"Fit a federated model to this member's own rows."`
	Doctor   doctorCommand    `cmd:"" help:"Check that everything is in order."`
}

// place is the state directory of a command.
type place struct {
	Dir string `help:"State directory." default:"." placeholder:"DIR" type:"path"`
}

func (p place) dir() node.Dir { return node.Dir(p.Dir) }

// output chooses between words and JSON.
type output struct {
	JSON bool `help:"Print JSON." name:"json" env:"-"`
}

func main() {
	service.Collect()
	cli.Main("koinon-node", version, &grammar{}, cli.Description(description))
}

// hinted adds to an error what to try next.
func hinted(err error) error {
	var remote *link.RemoteError
	var damaged *chain.BrokenError
	var server *postgres.Error
	switch {
	case err == nil || cli.HintOf(err) != "":
		return err
	case errors.As(err, &server) && server.Hint != "":
		return cli.Hint(err, "%s", server.Hint)
	case errors.Is(err, identity.ErrFingerprint):
		return cli.Hint(err, "this is not the coordinator the invite is from: check the address, and ask the admin for the authority's fingerprint")
	case errors.Is(err, identity.ErrInvite):
		return cli.Hint(err, "ask the admin for a new invite: koinon-coordinator member invite")
	case errors.Is(err, service.ErrLocked):
		return cli.Hint(err, "another koinon-node is using this directory")
	case errors.Is(err, identity.ErrExpired):
		return cli.Hint(err, "a node that was off for too long enrols again: ask the admin for a new invite, move certs/node.pem away, and run enroll; the accepted roster stays")
	case errors.Is(err, federation.ErrLaw):
		return cli.Hint(err, "the plan's authors must change it; reject it with: koinon-node plan reject")
	case errors.Is(err, node.ErrStart):
		return cli.Hint(err, "ask the admin which release is meant; whom this node trusts with releases stands in node.yaml, release_keys")
	case errors.As(err, &damaged):
		return cli.Hint(err, "the file was changed or damaged: keep it as it is, stop the node, and compare it with a backup")
	case errors.Is(err, node.ErrOtherCoordinator):
		return cli.Hint(err, "call the admin: nothing here was changed. A federation that was made anew needs a new state directory")
	case errors.Is(err, fs.ErrPermission):
		return cli.Hint(err, "run commands as the user that serves, and give files that another user has made back to it: chown -R koinon-node: DIR")
	case errors.As(err, &remote) && remote.Unreachable:
		return cli.Hint(err, "check that the coordinator runs and that the network lets this node out; koinon-node doctor says more")
	case errors.As(err, &remote) && remote.Denied:
		return cli.Hint(err, "the coordinator does not accept this member or invite; ask its admin")
	case notEnrolled(err):
		return cli.Hint(err, "name the state directory with --dir, or make one with: koinon-node enroll")
	}
	return err
}

// notEnrolled reports whether a directory lacks what enrolment writes.
func notEnrolled(err error) bool {
	return errors.Is(err, fs.ErrNotExist) && strings.Contains(err.Error(), "node.yaml") ||
		errors.Is(err, node.ErrUnknown) && strings.Contains(err.Error(), "roster.json")
}

// asked is hinted for a command that would also do without asking the coordinator.
func asked(err error) error {
	var remote *link.RemoteError
	if errors.As(err, &remote) && remote.Unreachable {
		return cli.Hint(err, "check that the coordinator runs and that the network lets this node out; to see what is known here without asking, add --offline")
	}
	return hinted(err)
}

// findPlan returns the plan whose name, digest or beginning of a digest is word.
func findPlan(d node.Dir, word string) (*federation.Plan, error) {
	plans, err := d.Plans()
	if err != nil {
		return nil, err
	}
	var found []*federation.Plan
	for _, p := range plans {
		if p.Name == word || len(word) >= 6 && strings.HasPrefix(p.Digest().String(), strings.ToLower(word)) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, cli.Hint(fmt.Errorf("no plan %q is known here", word), "list what was offered with: koinon-node plan list")
	}
	return nil, cli.Hint(fmt.Errorf("%d plans fit %q", len(found), word), "give the plan's digest")
}
