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
	events  chan any   // link.Packet, flushed, sessionUp
	notices chan struct{}

	vector []uint64 // of the coming round
	setup  time.Duration
}

type (
	flushed   link.Packet
	sessionUp struct{}
)

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

// serve keeps both sessions open until ctx ends. up is told when one is open; it has room for each of them once.
func (c *client) serve(ctx context.Context, up chan<- struct{}) {
	version := func() uint32 { return c.roster.Version }
	said := func() {
		select {
		case up <- struct{}{}:
		default: // one that was open before
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
			Up: func() { said(); post(sessionUp{}) }, Down: func(error) {}, Hello: version, Notice: func(link.Notice) {},
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
func (c *client) sum(ctx context.Context, j job) ([16]byte, secagg.Closed, error) {
	c.setup = 0
	s := sitting{client: c, job: j}
	defer s.rise()
	for s.closed == nil {
		var err error
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case err = <-s.sent:
			if err == nil {
				err = s.uploaded()
			}
		case e := <-c.events:
			switch e := e.(type) {
			case sessionUp: // what was said last may be lost (S30)
				if s.part != nil {
					err = s.send(s.part.Again())
				}
			case flushed: // the chunks follow their mask message
				if s.upload != nil && e.Frames[0].Type == secagg.TypeMask {
					s.sent, s.upload = c.upload(ctx, s.packet.Run, e.Round, s.upload, j.leave), nil
				}
			case link.Packet:
				err = s.hear(e)
			}
		}
		if err != nil {
			return s.packet.Run, secagg.Closed{}, err
		}
	}
	return s.packet.Run, *s.closed, nil
}

// sitting is a node in one round.
type sitting struct {
	*client
	job    job
	part   *participant.Participant
	packet link.Packet    // names run, round and plan
	upload *secagg.Upload // whose mask message is not on its way yet
	sent   chan error     // until the coordinator has it whole
	held   []link.Packet  // what overtook the answer to the upload
	closed *secagg.Closed
}

func (s *sitting) rise() {
	if s.part != nil {
		s.part.Leave()
	}
}

// hear takes a packet; a spec opens the round, and survivors wait until the upload is known to be whole.
func (s *sitting) hear(p link.Packet) (err error) {
	if s.part == nil {
		if p.Frames[0].Type != secagg.TypeSpec {
			return nil // of the round before
		}
		if s.part, err = s.join(s.job, p.Run); err != nil {
			return err
		}
		s.packet = link.Packet{Run: p.Run, Round: p.Round, Plan: p.Plan}
	}
	if s.sent != nil && (p.Frames[0].Type == secagg.TypeSurvivors || len(s.held) > 0) {
		s.held = append(s.held, p)
		return nil
	}
	out, err := s.receive(s.part, p.Frames)
	if err == nil && out.Train {
		out, err = s.part.Vector(s.vector)
		s.vector, s.upload = nil, out.Upload
	}
	if err != nil {
		return err
	}
	s.closed = out.Closed
	return s.send(out.Send)
}

// uploaded goes on with what came before the answer to the upload.
func (s *sitting) uploaded() error {
	if err := s.part.Uploaded(); err != nil {
		return err
	}
	held := s.held
	s.sent, s.held = nil, nil
	for _, p := range held {
		if err := s.hear(p); err != nil {
			return err
		}
	}
	return nil
}

// send says something, now or when there is a session again.
func (s *sitting) send(frames []secagg.Frame) error {
	if len(frames) == 0 {
		return nil
	}
	p := s.packet
	p.Frames = frames
	if err := s.link.Send(p); !errors.Is(err, link.ErrDown) {
		return err
	}
	return nil
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
	chunks, err := node.Spots(closed, spotBudget)
	if err != nil {
		return err
	}
	return node.SpotCheck(ctx, c.link, run, closed, sum, chunks)
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
