package secagg

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"fmt"

	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/node/link"

	"golang.org/x/sync/errgroup"
)

// fleet is the nodes' side: all nodes of the cohort.
type fleet struct {
	members []string
	clients []*client
	stop    context.CancelFunc
}

// memberNames names a cohort.
func memberNames(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("node-%02d", i+1)
	}
	return out
}

// enrol makes every node a member over the Enrolment service, has each accept the newest roster, and opens sessions.
func enrol(ctx context.Context, cfg Config, members []string, o opened) (*fleet, error) {
	root, err := x509.ParseCertificate(o.Root)
	if err != nil {
		return nil, err
	}
	f := &fleet{members: members}
	trust := &identity.Trust{Federation: name, Root: root}
	for i, m := range members {
		own := o
		if cfg.dial != nil {
			own.Address = cfg.dial(i, o.Address)
		}
		c, err := newClient(ctx, m, own, o.Invites[i], trust)
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", m, err)
		}
		f.clients = append(f.clients, c)
	}
	serving, stop := context.WithCancel(context.Background())
	f.stop = stop
	up := make(chan struct{}, 2*len(f.clients))
	for _, c := range f.clients {
		if err := c.accept(ctx, o.Key); err != nil {
			stop()
			return nil, fmt.Errorf("member %s: %w", c.name, err)
		}
		c.serve(serving, up)
	}
	for range 2 * len(f.clients) {
		select {
		case <-ctx.Done():
			stop()
			return nil, ctx.Err()
		case <-up:
		}
	}
	return f, nil
}

func newClient(ctx context.Context, member string, o opened, i invited, trust *identity.Trust) (*client, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := identity.NewKey()
	if err != nil {
		return nil, err
	}
	csr, err := identity.NewRequest(key, identity.Profile{Peer: identity.Peer{Federation: name, Kind: identity.Member, Name: member}})
	if err != nil {
		return nil, err
	}
	got, err := link.Enroll(ctx, link.Enrolment{
		Address: i.Server, Federation: name, Pin: identity.FingerprintOf(trust.Root), Member: member, Secret: i.Secret, CSR: csr,
		Identity: public, Proof: ed25519.Sign(private, federation.EnrolmentProof(name, member, csr)),
	})
	if err != nil {
		return nil, err
	}
	credentials, err := identity.NewCredentials(key, got.Chain)
	if err != nil {
		return nil, err
	}
	c := &client{name: member, private: private, events: make(chan any, 64), notices: make(chan struct{}, 64)}
	tls := identity.ClientConfig(trust, identity.NewSource(credentials))
	if c.link, err = link.New(link.Config{Address: o.Address, TLS: tls, Version: name, Dial: c.wire.dial}); err != nil {
		return nil, err
	}
	c.plain, err = link.New(link.Config{Address: o.Plain, TLS: tls, Version: name})
	return c, err
}

// accept takes the newest roster, which names every member.
func (c *client) accept(ctx context.Context, key []byte) error {
	reply, err := c.link.Sync(ctx, 0)
	if err != nil {
		return err
	}
	signed, err := pb.RosterFromPB(reply.GetRoster())
	if err != nil {
		return err
	}
	if c.roster, err = signed.Open(key); err != nil {
		return err
	}
	self, ok := c.roster.Member(c.name)
	if !ok {
		return fmt.Errorf("roster version %d does not name it", c.roster.Version)
	}
	c.index = self.Index
	return nil
}

// approve has every node approve a plan; with the last approval its run starts.
func (f *fleet) approve(ctx context.Context, plan *federation.Plan) error {
	return f.each(ctx, func(ctx context.Context, _ int, c *client) error {
		word := federation.Approval{Federation: c.roster.ID, Plan: plan.Digest(), Member: c.index, Approve: true}
		signature, err := word.Sign(c.sign)
		if err != nil {
			return err
		}
		return c.link.Approve(ctx, plan.Digest(), true, signature, "")
	})
}

// each does something with every node at once.
func (f *fleet) each(ctx context.Context, do func(ctx context.Context, i int, c *client) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for i, c := range f.clients {
		group.Go(func() error {
			if err := do(ctx, i, c); err != nil {
				return fmt.Errorf("member %s: %w", c.name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (c *client) sign(message []byte) ([]byte, error) { return ed25519.Sign(c.private, message), nil }

func (f *fleet) close() {
	f.stop()
	for _, c := range f.clients {
		_ = c.link.Close()
		_ = c.plain.Close()
	}
}
