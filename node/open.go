package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"

	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/deploy/service"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/egress"
	"github.com/koinon-eu/koinon/node/link"
)

// Service is a node on a state directory: the Node, its files, its certificate and its monitor.
type Service struct {
	Node    *Node
	dir     Dir
	file    File
	lock    *service.Lock
	ledger  *budget.Ledger
	egress  *Egress
	source  *identity.Source
	peer    identity.Peer
	monitor *service.HTTP
	log     *slog.Logger
}

// Open takes the lock on a state directory, checks its ledger and its egress record from the first to the last
// entry, and makes the node. Close gives everything back.
func Open(ctx context.Context, d Dir, version string, log *slog.Logger) (s *Service, err error) {
	s = &Service{dir: d, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.file, err = d.LoadFile(); err != nil {
		return s, err
	}
	if s.lock, err = service.LockDir(string(d)); err != nil {
		return s, err
	}
	if s.ledger, err = budget.Open(d.BudgetPath(), log); err != nil {
		return s, err
	}
	path, _ := d.EgressPaths()
	record, err := egress.Open(path, log)
	if err != nil {
		return s, err
	}
	s.egress = &Egress{log: record}
	cfg, err := s.config(ctx, version)
	if err != nil {
		return s, err
	}
	if s.file.Metrics != "" {
		cfg.Metrics = service.NewMetrics("koinon-node", version)
		cfg.Health = &service.Health{}
		if s.monitor, err = service.ListenHTTP(s.file.Metrics, nil, service.Monitor(cfg.Metrics, cfg.Health), log); err != nil {
			return s, err
		}
		log.Info("metrics and health", "address", s.monitor.Addr())
	}
	s.Node, err = New(cfg)
	return s, err
}

func (s *Service) config(ctx context.Context, version string) (Config, error) {
	policy, err := s.dir.LoadPolicy(s.file)
	if err != nil {
		return Config{}, err
	}
	sign, err := s.dir.Signer(ctx, s.file)
	if err != nil {
		return Config{}, err
	}
	c, conf, peer, err := s.dir.dial(s.file)
	if err != nil {
		return Config{}, err
	}
	trusted, err := s.dir.Trusted(s.file)
	if err != nil {
		return Config{}, err
	}
	s.source, s.peer = c, peer
	return Config{
		Member: s.file.Member, Address: s.file.Coordinator, TLS: conf, Sign: sign, Store: s.dir, Ledger: s.ledger,
		Policy: policy, Releases: trusted, Version: version, Open: s.dir.OpenTable(ctx, s.file, s.log), Scratch: s.dir.TableScratch(s.file), Record: s.egress.Record,
		Tick: s.file.Tick, Heartbeat: s.file.Heartbeat, Log: s.log,
		Live: s.file.Data.Postgres != nil, Kept: s.dir.KeptTable(s.file, s.log),
		Began: func(run RunID, t *feature.Table) { s.dir.compareRows(run, t, s.log) },
	}, nil
}

// dial returns the credentials of a state directory and the TLS configuration that shows the newest of them.
func (d Dir) dial(f File) (*identity.Source, *tls.Config, identity.Peer, error) {
	c, trust, err := d.Credentials(f.Federation)
	if err != nil {
		return nil, nil, identity.Peer{}, err
	}
	peer, err := trust.PeerOfCertificate(c.Leaf(), identity.Member)
	if err != nil {
		return nil, nil, identity.Peer{}, err
	}
	if peer.Name != f.Member {
		return nil, nil, peer, fmt.Errorf("certificate names %s, node.yaml member %s", peer, f.Member)
	}
	source := identity.NewSource(c)
	return source, identity.ClientConfig(trust, source), peer, nil
}

// Run serves until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	group, _ := service.NewGroup(ctx) // each member of the group gets its context
	s.Node.meters.expires.Set(float64(s.source.Current().Leaf().NotAfter.Unix()))
	renewer := &identity.Renewer{Source: s.source, Renew: s.renew, Jitter: rand.Float64(), Log: s.log}
	group.Go("renew", renewer.Run)
	if s.monitor != nil {
		group.Go("monitor", s.monitor.Serve)
	}
	group.Go("node", s.Node.Run)
	return group.Wait()
}

// renew trades the certificate for a fresh one under a fresh key, stores both before they are used, and connects anew
// with it.
func (s *Service) renew(ctx context.Context, _ *identity.Credentials) (*identity.Credentials, error) {
	fresh, err := Renew(ctx, s.Node.link, s.peer)
	if err == nil {
		err = fresh.Save(s.dir.Path(credentialsName))
	}
	if err != nil {
		return nil, err
	}
	s.Node.meters.expires.Set(float64(fresh.Leaf().NotAfter.Unix()))
	s.source.Set(fresh)
	s.Node.link.Reconnect()
	return fresh, nil
}

// Renew asks for a certificate for a key that is made here.
func Renew(ctx context.Context, l *link.Link, peer identity.Peer) (*identity.Credentials, error) {
	key, err := identity.NewKey()
	if err != nil {
		return nil, err
	}
	csr, err := identity.NewRequest(key, identity.Profile{Peer: peer})
	if err != nil {
		return nil, err
	}
	chain, err := l.Renew(ctx, csr)
	if err != nil {
		return nil, err
	}
	return identity.NewCredentials(key, chain)
}

// Close gives back files and locks. It may be called after a failed Open.
func (s *Service) Close() error {
	var err error
	if s.ledger != nil {
		err = errors.Join(err, s.ledger.Close())
	}
	if s.egress != nil {
		err = errors.Join(err, s.egress.Close())
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Unlock())
	}
	return err
}
