package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/node/link"
)

// Operator is one command of the operator, on a state directory and beside a node that may be serving from it. It
// speaks to the coordinator itself, with the member's certificate; what it sends is in the operator's egress record.
type Operator struct {
	Dir    Dir
	File   File
	link   *link.Link
	egress *Egress
	peer   identity.Peer
}

// OpenOperator prepares a command that speaks to the coordinator. Close ends it.
func OpenOperator(d Dir, version string) (*Operator, error) {
	file, err := d.LoadFile()
	if err != nil {
		return nil, err
	}
	_, conf, peer, err := d.dial(file)
	if err != nil {
		return nil, err
	}
	o := &Operator{Dir: d, File: file, peer: peer}
	if o.egress, err = d.OperatorEgress(time.Now()); err != nil {
		return nil, err
	}
	o.link, err = link.New(link.Config{Address: file.Coordinator, TLS: conf, Version: version, Record: o.egress.Record})
	if err != nil {
		return nil, errors.Join(err, o.egress.Close())
	}
	return o, nil
}

// Close ends the command.
func (o *Operator) Close() error { return errors.Join(o.link.Close(), o.egress.Close()) }

// Sync fetches the newest roster and plans into the state directory.
func (o *Operator) Sync(ctx context.Context) (Offers, error) { return Sync(ctx, o.link, o.Dir, false) }

// Decide signs the operator's word on a plan, tells the coordinator and keeps it. An approval is held to the law
// rules and this node's own policy first: what could not run is not approved.
func (o *Operator) Decide(ctx context.Context, plan *federation.Plan, approve bool, reason string, now time.Time) (Decision, error) {
	if approve {
		if err := plan.Check(now.UTC().Format(time.DateOnly)); err != nil {
			return Decision{}, err
		}
		policy, err := o.Dir.LoadPolicy(o.File)
		if err != nil {
			return Decision{}, err
		}
		if err := policy.Allows(plan); err != nil {
			return Decision{}, err
		}
	}
	sign, err := o.Dir.Signer(ctx, o.File)
	if err != nil {
		return Decision{}, err
	}
	trusted, err := o.Dir.Trusted(o.File)
	if err != nil {
		return Decision{}, err
	}
	return Decide(ctx, o.link, o.Dir, Word{
		Member: o.File.Member, Plan: plan.Digest(), Approve: approve, Reason: reason, By: "operator", Time: now, Sign: sign,
		Releases: trusted,
	})
}

// Renew trades the certificate for a fresh one now, instead of when it is due.
func (o *Operator) Renew(ctx context.Context) error {
	fresh, err := Renew(ctx, o.link, o.peer)
	if err != nil {
		return err
	}
	return fresh.Save(o.Dir.Path(credentialsName))
}

// AcceptOffered pins the roster that was offered last, if its version is the one the operator looked at.
func (d Dir) AcceptOffered(version uint32) (*federation.Roster, error) {
	signed, offered, err := d.Offered()
	if err != nil {
		return nil, err
	}
	if offered.Version != version {
		return nil, fmt.Errorf("the newest roster is version %d, not %d", offered.Version, version)
	}
	pinned, err := d.Roster()
	if err != nil {
		return nil, err
	}
	if offered.ID != pinned.ID || offered.Version <= pinned.Version {
		return nil, fmt.Errorf("roster version %d is not newer than the accepted version %d of this federation", offered.Version, pinned.Version)
	}
	return offered, d.AcceptRoster(signed)
}
