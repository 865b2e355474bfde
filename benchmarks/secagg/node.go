package secagg

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/hpkeseal"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/link"
	"github.com/koinon-eu/koinon/node/participant"
)

// errLeft ends the round of a node that was told to leave it.
var errLeft = errors.New("left before its upload was whole")

// client is a node as far as a round needs one: its links, its keys, and the loop around the participant that package
// node has around it. Its facts are kept in memory: nodes do not share a disk in production, and here they would.
type client struct {
	index   uint8
	name    string
	private ed25519.PrivateKey
	roster  *federation.Roster
	link    *link.Link // to the coordinator
	plain   *link.Link // to the same services in front of the plain sum
	wire    wire       // of link
	events  chan any   // link.Packet, flushed
	notices chan struct{}

	vector []uint64 // of the coming round
	setup  time.Duration
}

type flushed link.Packet

// wire counts the bytes of TLS records, as TCP carries them.
type wire struct{ up, down atomic.Int64 }

func (w *wire) dial(ctx context.Context, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return counted{c, w}, nil
}

type counted struct {
	net.Conn
	wire *wire
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.wire.down.Add(int64(n))
	return n, err
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.wire.up.Add(int64(n))
	return n, err
}

// serve keeps both sessions open until ctx ends; up is told once each.
func (c *client) serve(ctx context.Context, up chan<- struct{}) {
	version := func() uint32 { return c.roster.Version }
	said := func() {
		select {
		case up <- struct{}{}:
		case <-ctx.Done():
		}
	}
	post := func(v any) {
		select {
		case c.events <- v:
		case <-ctx.Done():
		}
	}
	go func() {
		_ = c.link.Serve(ctx, link.Handler{
			Up: said, Down: func(error) {}, Hello: version, Notice: func(link.Notice) {},
			Packet: func(p link.Packet) { post(p) }, Flushed: func(p link.Packet) { post(flushed(p)) },
		})
	}()
	go func() {
		_ = c.plain.Serve(ctx, link.Handler{
			Up: said, Down: func(error) {}, Hello: version, Packet: func(link.Packet) {}, Flushed: func(link.Packet) {},
			Notice: func(link.Notice) { c.notices <- struct{}{} },
		})
	}()
}

// job is one secure sum as a node knows it.
type job struct {
	plan  *federation.Plan
	sums  *oneSum
	leave bool // in Mask, before the upload is whole
}

// sum takes part in one round, from spec to result. The set-up's CPU time is that of the participant alone, without
// transport.
func (c *client) sum(ctx context.Context, j job) (run [16]byte, closed secagg.Closed, err error) {
	var part *participant.Participant
	var out participant.Output
	var upload *secagg.Upload
	var held []link.Packet
	var sent chan error
	c.setup = 0
	for {
		select {
		case <-ctx.Done():
			return run, closed, ctx.Err()
		case err := <-sent:
			if err != nil {
				return run, closed, err
			}
			if err := part.Uploaded(); err != nil {
				return run, closed, err
			}
			sent = nil
			for _, p := range held { // what overtook the answer to the upload
				if out, err = part.Receive(p.Frames); err != nil {
					return run, closed, err
				}
				if err := c.send(p, out.Send); err != nil {
					return run, closed, err
				}
			}
		case e := <-c.events:
			if f, ok := e.(flushed); ok {
				if upload != nil && f.Frames[0].Type == secagg.TypeMask {
					sent = c.upload(ctx, run, f.Round, upload, j.leave)
					upload = nil
				}
				continue
			}
			p := e.(link.Packet)
			if part == nil {
				if p.Frames[0].Type != secagg.TypeSpec {
					continue // of the round before
				}
				run = p.Run
				if part, err = c.join(j, run); err != nil {
					return run, closed, err
				}
				defer part.Leave()
			}
			if sent != nil && (p.Frames[0].Type == secagg.TypeSurvivors || len(held) > 0) {
				held = append(held, p)
				continue
			}
			if out, err = c.receive(part, p.Frames); err != nil {
				return run, closed, err
			}
			if out.Train {
				if out, err = part.Vector(c.vector); err != nil {
					return run, closed, err
				}
				c.vector = nil
				upload = out.Upload
			}
			if err := c.send(p, out.Send); err != nil {
				return run, closed, err
			}
			if out.Closed != nil {
				return run, *out.Closed, nil
			}
		}
	}
}

// join makes the participant of a round.
func (c *client) join(j job, run [16]byte) (*participant.Participant, error) {
	step, _ := j.sums.Next()
	model, err := j.sums.Digest()
	if err != nil {
		return nil, err
	}
	policy := federation.DefaultPolicy()
	policy.MinCohort, policy.MaxWords, policy.PhaseTicks = minNodes, step.Encoding.Layout.Words(), ticks
	cfg := participant.Config{
		Self: c.index, Roster: c.roster, Plan: j.plan, Approved: true, Today: time.Now().UTC().Format(time.DateOnly),
		Policy: policy, Run: run,
		Expect: j.plan.Sum(step, run, 0, secagg.InitialState(j.plan.Digest(), model), model), Number: step.Number(), Rows: weight,
		Lock: func([32]byte) (secagg.Set, bool) { return secagg.Set{}, false },
		Sign: c.sign, Seal: hpkeseal.Seal,
	}
	if _, err := rand.Read(cfg.Rho[:]); err != nil {
		return nil, err
	}
	return participant.New(cfg)
}

// receive is Receive, whose CPU time until the vector is wanted is the key set-up.
func (c *client) receive(part *participant.Participant, frames []secagg.Frame) (participant.Output, error) {
	if part.Phase() >= participant.Train {
		return part.Receive(frames)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begun := threadCPU()
	out, err := part.Receive(frames)
	c.setup += threadCPU() - begun
	return out, err
}

func (c *client) send(p link.Packet, frames []secagg.Frame) error {
	if len(frames) == 0 {
		return nil
	}
	return c.link.Send(link.Packet{Run: p.Run, Round: p.Round, Plan: p.Plan, Frames: frames})
}

// upload sends the masked vector beside the loop; who leaves does so with one chunk missing, and says so.
func (c *client) upload(ctx context.Context, run [16]byte, round uint32, u *secagg.Upload, leave bool) chan error {
	sent := make(chan error, 1)
	v := link.Vector{Run: run, Round: round, K: 1, Chunks: u.Chunks, Chunk: link.ChunksOf(u.Words)}
	go func() {
		if !leave {
			sent <- c.link.Upload(ctx, v)
			return
		}
		if err := cut(ctx, c.link, v); err != nil {
			sent <- err
			return
		}
		sent <- errors.Join(errLeft, c.link.Left(run, round, errLeft.Error()))
	}()
	return sent
}

// cut uploads all chunks of a vector but the last, as a node does that is lost just then.
func cut(ctx context.Context, l *link.Link, v link.Vector) error {
	whole := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	chunk := v.Chunk
	v.Chunk = func(i int) []byte {
		if i == v.Chunks-1 {
			cancel()
		}
		return chunk(i)
	}
	if err := l.Upload(ctx, v); err == nil {
		return errors.New("an upload without its last chunk counted as whole")
	}
	return whole.Err()
}

// fetch takes the sum of the closed round.
func (c *client) fetch(ctx context.Context, l *link.Link, run [16]byte, words int) ([]uint64, error) {
	got, err := l.Sum(ctx, run, 1, words, false)
	if err != nil {
		return nil, fmt.Errorf("fetch the sum: %w", err)
	}
	return got.Words, nil
}

// spot checks the sum as a node does (S56).
func (c *client) spot(ctx context.Context, run [16]byte, closed secagg.Closed, sum []uint64) error {
	return node.SpotCheck(ctx, c.link, run, closed, sum, spotBudget)
}

// spotBudget is the default of package node.
const spotBudget = 16 << 20

// plainly uploads this node's vector in plain; who leaves does so with one chunk missing.
func (c *client) plainly(ctx context.Context, run [16]byte, leave bool) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.notices:
	}
	v := link.Vector{Run: run, Round: 1, K: 1, Chunks: secagg.Chunks(len(c.vector)), Chunk: link.ChunksOf(c.vector)}
	c.vector = nil
	if leave {
		return cut(ctx, c.plain, v)
	}
	return c.plain.Upload(ctx, v)
}
