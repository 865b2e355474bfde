package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/journal/sqlite"
	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/keystore"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/deploy/service"
)

type serveCommand struct{ place }

func (serveCommand) Help() string {
	return `Serves the federation, enrolment, the public web site, and metrics with /healthz and /readyz. Everything is taken up again from the journal, also after a power cut.

Example:
  koinon-coordinator serve --dir /var/lib/koinon-coordinator`
}

// Run serves until the context ends.
func (c *serveCommand) Run(ctx context.Context, std cli.Streams) error {
	conf, err := load(c.Dir)
	if err != nil {
		return cli.Hint(err, "koinon-coordinator init makes a federation")
	}
	log, err := service.NewLogger(std.Err, conf.Log)
	if err != nil {
		return err
	}
	if roles := approvable(c.Dir, conf); len(roles) > 1 {
		log.Warn("approval keys of several roles lie here: whoever uses this account can approve a release alone; move each admin's folder to its person's machine",
			"dir", filepath.Join(c.Dir, adminsDir), "roles", roles)
	}
	lock, err := service.LockDir(c.Dir)
	if err != nil {
		return hinted(err)
	}
	defer func() { _ = lock.Unlock() }() // ends with the process in any case
	s, err := c.assemble(ctx, conf, log)
	if err != nil {
		return err
	}
	return errors.Join(s.run(ctx, conf, log), s.cfg.Journal.Close())
}

// approvable are the roles whose approval keys lie in the state directory, where init has made them.
func approvable(dir string, conf *config) []string {
	var roles []string
	for _, a := range conf.Admins {
		_, err := os.Lstat(filepath.Join(dir, adminsDir, a.Name, approvalFile))
		if err == nil && !slices.Contains(roles, a.Role) {
			roles = append(roles, a.Role)
		}
	}
	return roles
}

// assembled is a coordinator that is ready to listen.
type assembled struct {
	cfg    coordinator.Config
	health *service.Health
}

// assemble opens keys, journal and spool as the configuration says.
func (c *serveCommand) assemble(ctx context.Context, conf *config, log *slog.Logger) (*assembled, error) {
	authority, err := identity.OpenAuthority(filepath.Join(c.Dir, caFile), conf.Federation, time.Now)
	if err != nil {
		return nil, err
	}
	source, err := c.certificate(ctx, authority, conf)
	if err != nil {
		return nil, err
	}
	identityKey, err := keystore.Open(ctx, reference(c.Dir, conf.Keys.Identity), keystore.Options{Vault: conf.Vault})
	if err != nil {
		return nil, err
	}
	releaseKey, err := c.releaseKey(ctx, conf)
	if err != nil {
		return nil, err
	}
	people, err := conf.people(c.Dir)
	if err != nil {
		return nil, err
	}
	store, err := spool.NewFiles(filepath.Join(c.Dir, spoolDir))
	if err != nil {
		return nil, err
	}
	records, err := sqlite.Open(filepath.Join(c.Dir, journalFile))
	if err != nil {
		return nil, err
	}
	health := &service.Health{}
	health.NotReady("coordinator", "starting")
	return &assembled{health: health, cfg: coordinator.Config{
		Federation: conf.Federation, Authority: authority, Source: source,
		Trust:    &identity.Trust{Federation: conf.Federation, Root: authority.Root()},
		Identity: identityKey, Release: releaseKey, People: people,
		Address: conf.Reach.Federation, Enrolment: conf.Reach.Enrolment, Web: conf.Reach.Web,
		Journal: records, Spool: store, Releases: filepath.Join(c.Dir, artifactsDir),
		Tick: time.Duration(conf.Rounds.Tick), Grace: conf.Rounds.Grace, FullCohort: conf.Rounds.FullCohort,
		MaxBatchTicks: conf.Rounds.MaxBatchTicks, MaxAborts: conf.Rounds.MaxAborts, Window: time.Duration(conf.Rounds.Window),
		CertificateLife: time.Duration(conf.Rounds.CertificateLife), Version: version, Log: log,
		Metrics: service.NewMetrics("koinon-coordinator", version), Health: health,
	}}, nil
}

// releaseKey opens the key that signs releases, and refuses one that engineers were not told to trust.
func (c *serveCommand) releaseKey(ctx context.Context, conf *config) (crypto.Signer, error) {
	key, err := keystore.Open(ctx, reference(c.Dir, conf.Keys.Release), keystore.Options{Vault: conf.Vault})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(c.Dir, releasePub)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	known, err := keystore.ParsePublic(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if same, ok := known.(interface{ Equal(crypto.PublicKey) bool }); !ok || !same.Equal(key.Public()) {
		return nil, cli.Hint(fmt.Errorf("release key %s is not the one in %s", conf.Keys.Release, path),
			"engineers trust the key in that file: name its version (vault:MOUNT/KEY@VERSION), or give engineers the new key and replace the file")
	}
	return key, nil
}

// certificate loads the server's certificate, made anew when it is old or its hosts have changed.
func (c *serveCommand) certificate(ctx context.Context, authority identity.Authority, conf *config) (*identity.Source, error) {
	path := filepath.Join(c.Dir, serverFile)
	credentials, err := identity.LoadCredentials(path)
	if err != nil || !time.Now().Before(identity.RenewAt(credentials.Leaf(), 0)) || !names(credentials, conf.Hosts) {
		if err := issueServer(ctx, c.Dir, authority, conf); err != nil {
			return nil, err
		}
		if credentials, err = identity.LoadCredentials(path); err != nil {
			return nil, err
		}
	}
	return identity.NewSource(credentials), nil
}

func names(c *identity.Credentials, hosts []string) bool {
	for _, h := range hosts {
		if c.Leaf().VerifyHostname(h) != nil {
			return false
		}
	}
	return true
}

// run opens the four listeners and serves them until ctx ends.
func (s *assembled) run(ctx context.Context, conf *config, log *slog.Logger) error {
	c, err := coordinator.New(ctx, s.cfg)
	if err != nil {
		return err
	}
	var listeners coordinator.Listeners
	for _, l := range []struct {
		addr string
		to   *net.Listener
	}{{conf.Listen.Federation, &listeners.Federation}, {conf.Listen.Enrolment, &listeners.Enrolment}} {
		if *l.to, err = net.Listen("tcp", l.addr); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		defer (*l.to).Close()
	}
	site, err := c.Site()
	if err != nil {
		return err
	}
	web, err := service.ListenHTTP(conf.Listen.Web, coordinator.WebTLS(s.cfg.Source), site, log)
	if err != nil {
		return err
	}
	monitor, err := service.ListenHTTP(conf.Listen.Metrics, nil, service.Monitor(s.cfg.Metrics, s.health), log)
	if err != nil {
		return err
	}
	group, _ := service.NewGroup(ctx)
	group.Go("federation", func(ctx context.Context) error { return c.Serve(ctx, listeners) })
	group.Go("web", web.Serve)
	group.Go("monitor", monitor.Serve)
	s.health.Ready("coordinator")
	log.Info("coordinator serves", "federation", conf.Federation, "members", listeners.Federation.Addr().String(),
		"enrolment", listeners.Enrolment.Addr().String(), "web", web.Addr(), "metrics", monitor.Addr(), "version", version)
	return group.Wait()
}
