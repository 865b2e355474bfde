package secagg

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/journal/sqlite"
	"github.com/koinon-eu/koinon/coordinator/rpc"
	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/ring"

	"golang.org/x/sync/errgroup"
)

// name is the federation's name in every benchmark.
const name = "bench"

// hub is the coordinator's side in this process.
type hub struct {
	cfg         Config // log and what tests change
	log         *slog.Logger
	probe       *probe
	cpu         *sampler
	authority   identity.Authority
	trust       *identity.Trust
	source      *identity.Source
	key         ed25519.PrivateKey
	journal     journal.Journal
	files       *spool.Files
	spool       spool.Store
	coordinator *coordinator.Coordinator
	plainly     *plainDriver
	last        measured // the round measured last
	group       *errgroup.Group
	stop        context.CancelFunc
}

var _ side = (*hub)(nil)

func newHub(cfg Config) *hub {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &hub{cfg: cfg, log: cfg.Log, probe: &probe{}, cpu: startSampler()}
}

// open implements side.
func (h *hub) open(ctx context.Context, o opening) (opened, error) {
	if err := h.identities(ctx); err != nil {
		return opened{}, err
	}
	if err := h.stores(o); err != nil {
		return opened{}, err
	}
	federated, err := listen()
	if err != nil {
		return opened{}, err
	}
	if h.cfg.listen != nil {
		federated.Federation = h.cfg.listen(federated.Federation)
	}
	plain, err := listen()
	if err != nil {
		return opened{}, err
	}
	layout := ring.Layout{Params: o.Params, Lanes: lanes[o.Bits], Bits: o.Bits}
	h.coordinator, err = coordinator.New(ctx, coordinator.Config{
		Federation: name, Authority: h.authority, Trust: h.trust, Source: h.source, Identity: h.key,
		People:  []admin.Person{{Name: name, Role: name, Key: h.key.Public()}},
		Address: federated.Federation.Addr().String(), Enrolment: federated.Enrolment.Addr().String(),
		Schedule: func(p *federation.Plan) (coordinator.Schedule, error) {
			return newOneSum(layout, len(p.Cohort.Members)), nil
		},
		Journal: h.journal, Spool: h.spool, Log: h.log,
	})
	if err != nil {
		return opened{}, err
	}
	out := opened{
		Address: federated.Federation.Addr().String(), Plain: plain.Federation.Addr().String(),
		Root: h.trust.Root.Raw, Key: h.key.Public().(ed25519.PublicKey),
	}
	for _, m := range o.Members {
		invite, err := h.coordinator.Book().Invite(ctx, name, m, 0)
		if err != nil {
			return opened{}, err
		}
		out.Invites = append(out.Invites, invited{Server: invite.Server, Secret: invite.Secret.Bytes()})
	}
	h.serve(federated, plain)
	return out, nil
}

func (h *hub) identities(ctx context.Context) error {
	caKey, err := identity.NewKey()
	if err != nil {
		return err
	}
	root, err := identity.NewRoot(name, caKey, time.Now())
	if err != nil {
		return err
	}
	if h.authority, err = identity.NewLocal(name, root, caKey, time.Now); err != nil {
		return err
	}
	h.trust = &identity.Trust{Federation: name, Root: root}
	credentials, err := coordinator.Issue(ctx, h.authority, identity.Profile{
		Peer:  identity.Peer{Federation: name, Kind: identity.Coordinator},
		Hosts: []string{"127.0.0.1"},
	})
	if err != nil {
		return err
	}
	h.source = identity.NewSource(credentials)
	_, h.key, err = ed25519.GenerateKey(rand.Reader)
	return err
}

// stores makes journal and spool as the coordinator's program does.
func (h *hub) stores(o opening) error {
	var err error
	if o.NoFsync {
		h.journal = probedJournal{journal.NewMemory(), h.probe}
	} else {
		j, err := sqlite.Open(filepath.Join(o.Dir, "journal.db"))
		if err != nil {
			return err
		}
		h.journal = probedJournal{j, h.probe}
	}
	if h.files, err = spool.NewFiles(filepath.Join(o.Dir, "spool")); err != nil {
		return err
	}
	h.spool = probedSpool{Store: h.files, probe: h.probe, noFsync: o.NoFsync}
	if h.cfg.store != nil {
		h.spool = h.cfg.store(h.spool)
	}
	return nil
}

func listen() (l coordinator.Listeners, err error) {
	if l.Federation, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return l, err
	}
	l.Enrolment, err = net.Listen("tcp", "127.0.0.1:0")
	return l, err
}

// serve starts the coordinator, and beside it the same services in front of the plain sum.
func (h *hub) serve(federated, plain coordinator.Listeners) {
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.group, ctx = errgroup.WithContext(ctx)
	h.group.Go(func() error { return h.coordinator.Serve(ctx, federated) })
	nodes := rpc.NewHub()
	h.plainly = &plainDriver{spool: h.spool, hub: nodes}
	server := rpc.New(rpc.Config{
		Book: h.coordinator.Book(), Hub: nodes, Driver: h.plainly, Trust: h.trust, Source: h.source, Log: h.log, Now: time.Now,
	})
	h.group.Go(func() error { return server.Serve(ctx, plain.Federation, plain.Enrolment) })
}

// submit implements side.
func (h *hub) submit(ctx context.Context, plan []byte) error {
	h.probe.reset()
	h.cpu.forget()
	_, err := h.coordinator.Book().Submit(ctx, name, plan)
	return err
}

// wait implements side.
func (h *hub) wait(ctx context.Context, plan [32]byte) (measured, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	run, err := h.coordinator.WaitRun(ctx, plan, func(coordinator.Run) {
		h.probe.mu.Lock()
		defer h.probe.mu.Unlock()
		if h.probe.failed != "" {
			cancel(fmt.Errorf("round aborted: %s", h.probe.failed))
		}
	})
	if err != nil {
		return measured{}, context.Cause(ctx)
	}
	if run.State != coordinator.Evaluated {
		return measured{}, fmt.Errorf("run ended %s: %s", run.State, run.Reason)
	}
	h.last = h.measured(run.ID)
	return h.last, nil
}

// measured divides what was used among the phases.
func (h *hub) measured(run [16]byte) measured {
	h.probe.mu.Lock()
	defer h.probe.mu.Unlock()
	m := measured{Run: run, Marks: h.probe.marks, Fsync: h.probe.fsync.total.Seconds()}
	for i := 1; i < len(m.Marks); i++ {
		m.CPU = append(m.CPU, h.cpu.between(m.Marks[i-1], m.Marks[i]))
	}
	return m
}

// plain implements side.
func (h *hub) plain(ctx context.Context, p plainRound) (measured, error) {
	h.probe.reset()
	h.cpu.forget()
	if err := h.plainly.sum(ctx, p, h.probe); err != nil {
		return measured{}, err
	}
	h.last = h.measured(p.Run)
	return h.last, nil
}

// used implements side.
func (h *hub) used(_ context.Context, from, to time.Time) (usage, error) {
	return usage{CPU: h.cpu.between(from, to), Peak: peakMemory()}, nil
}

// forget implements side.
func (h *hub) forget(context.Context) error {
	debug.FreeOSMemory()
	resetPeak()
	return errors.Join(h.files.RemoveUploads(h.last.Run, 1), h.files.Remove(spool.Key{Run: h.last.Run, Round: 1}))
}

// close implements side.
func (h *hub) close() error {
	h.cpu.close()
	var err error
	if h.stop != nil {
		h.stop()
		if err = h.group.Wait(); errors.Is(err, context.Canceled) {
			err = nil
		}
	}
	if h.journal != nil {
		err = errors.Join(err, h.journal.Close())
	}
	if h.files != nil {
		err = errors.Join(err, os.RemoveAll(h.files.Dir()))
	}
	return err
}
