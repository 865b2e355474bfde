package secagg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/deploy/service"
)

// ErrWrongSum means that a sum was not that of the survivors' vectors.
var ErrWrongSum = errors.New("the sum is not that of the survivors' vectors")

// bench is one measurement.
type bench struct {
	cfg    Config
	layout ring.Layout
	side   side
	fleet  *fleet
	cpu    *sampler // of the nodes' process; nil when both roles share it
}

// Run measures: cfg.Rounds times a secure round and a plain one, in turn. Every sum is compared with one computed here;
// another is ErrWrongSum.
func Run(ctx context.Context, cfg Config) (_ *Report, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(cfg.Dir, "koinon-secagg-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{cfg: cfg, layout: cfg.Layout()}
	if len(cfg.Coordinator) > 0 {
		if b.side, err = startRemote(cfg.Coordinator); err != nil {
			return nil, err
		}
		b.cpu = startSampler()
		defer b.cpu.close()
		defer service.Collect()() // as a node's program does
	} else {
		b.side = newHub(cfg)
	}
	defer func() { err = errors.Join(err, b.side.close()) }()
	members := memberNames(cfg.Nodes)
	cfg.say("enrolling %d nodes", cfg.Nodes)
	o, err := b.side.open(ctx, opening{Dir: dir, Members: members, Params: cfg.Params, Bits: cfg.Bits, NoFsync: cfg.NoFsync})
	if err != nil {
		return nil, err
	}
	if b.fleet, err = enrol(ctx, cfg, members, o); err != nil {
		return nil, err
	}
	defer b.fleet.close()
	return b.rounds(ctx)
}

// rounds measures every round and keeps the fastest of each kind.
func (b *bench) rounds(ctx context.Context) (*Report, error) {
	cfg := b.cfg
	out := &Report{
		Nodes: cfg.Nodes, Params: cfg.Params, Dropouts: cfg.Dropouts, Bits: cfg.Bits, Threshold: secagg.Threshold(cfg.Nodes),
		Rounds: cfg.Rounds, Processes: b.cpu != nil, Fsync: !cfg.NoFsync,
	}
	for i := range cfg.Rounds {
		s, err := b.secure(ctx, i)
		if err != nil {
			return nil, err
		}
		cfg.say("round %d of %d: secure sum %.2f s", i+1, cfg.Rounds, s.Seconds)
		p, err := b.plain(ctx, i)
		if err != nil {
			return nil, err
		}
		cfg.say("round %d of %d: plain sum %.2f s", i+1, cfg.Rounds, p.Seconds)
		if i == 0 || s.Seconds < out.Secure.Seconds {
			out.Secure = s
		}
		if i == 0 || p.Seconds < out.Plain.Seconds {
			out.Plain = p
		}
	}
	out.Ratio = out.Secure.Seconds / out.Plain.Seconds
	return out, nil
}

// leaves says which nodes leave: the last ones.
func (b *bench) leaves(i int) bool { return i >= b.cfg.Nodes-b.cfg.Dropouts }

// prepare draws the vectors of a round, which a node would have trained, and begins new peaks.
func (b *bench) prepare(ctx context.Context, round int) error {
	for i, c := range b.fleet.clients {
		c.vector = vector(b.layout, round, i)
		if b.cfg.tamper != nil {
			b.cfg.tamper(i, c.vector)
		}
	}
	if b.cpu != nil {
		b.cpu.forget()
	}
	debug.FreeOSMemory()
	resetPeak()
	return b.side.forget(ctx)
}

// check compares what nodes fetched with the sum of the survivors' vectors.
func (b *bench) check(round int, sums [][]uint64) error {
	var members []int
	for i := range b.fleet.clients {
		if !b.leaves(i) {
			members = append(members, i)
		}
	}
	want := plainSum(b.layout, round, members)
	for _, i := range members {
		if !slices.Equal(sums[i], want) {
			return fmt.Errorf("member %s: %w", b.fleet.members[i], ErrWrongSum)
		}
	}
	return nil
}

// nodesBetween is the CPU time of the nodes' process between two times, 0 when it is also the coordinator's.
func (b *bench) nodesBetween(from, to time.Time) float64 {
	if b.cpu == nil {
		return 0
	}
	return b.cpu.between(from, to)
}

// timed measures something that all nodes do at once outside the phases of a round.
func (b *bench) timed(ctx context.Context, title string, do func(ctx context.Context, i int, c *client) error) (Phase, error) {
	begun := time.Now()
	if err := b.fleet.each(ctx, do); err != nil {
		return Phase{}, err
	}
	ended := time.Now()
	used, err := b.side.used(ctx, begun, ended)
	return phaseOf(title, begun, ended, used.CPU, b.nodesBetween(begun, ended)), err
}

// nodePeak is the mean over the nodes of their process.
func (b *bench) nodePeak() int64 { return peakMemory() / int64(b.cfg.Nodes) }
