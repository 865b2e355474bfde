package coordinator_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/hpkeseal"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
)

// fake is a member's node made of secagg.Client and the schedule alone: enough to run a whole plan.
type fake struct {
	w           *world
	name        string
	index       uint8
	key         ed25519.PrivateKey
	credentials *identity.Credentials
	client      pb.FederationClient
	table       *feature.Table

	// before, when set, sees each packet of the coordinator and each own packet by the type of its first frame; false
	// drops it, and dead makes the node disappear in that moment.
	before func(t secagg.Type) bool
	also   func(sent []secagg.Frame) []secagg.Frame // a second packet after one that was sent

	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}
	plan   *federation.Plan
	roster *federation.Roster

	machine *schedule.Machine
	state   [32]byte
	applied uint32 // last closed round
	joined  uint32
	locks   map[[32]byte]secagg.Set
	agg     *secagg.Client
	round   uint32
	left    []string
	refused []string
	closed  int
}

func newFake(w *world, name string, key ed25519.PrivateKey, c *identity.Credentials) *fake {
	f := &fake{w: w, name: name, key: key, credentials: c, locks: map[[32]byte]secagg.Set{}}
	f.index = uint8(slices.Index(names, name) + 1)
	f.client = pb.NewFederationClient(w.dial(w.federation.Addr().String(), c))
	return f
}

func (f *fake) sign(m []byte) ([]byte, error) { return ed25519.Sign(f.key, m), nil }

func (f *fake) approve(p *federation.Plan) {
	f.w.t.Helper()
	_, id := f.w.c.Book().Federation()
	signature, err := federation.Approval{Federation: id, Plan: p.Digest(), Member: f.index, Approve: true}.Sign(f.sign)
	require.NoError(f.w.t, err)
	digest := p.Digest()
	_, err = f.client.Approve(f.w.t.Context(), &pb.ApproveRequest{Plan: digest[:], Approve: true, Signature: signature})
	require.NoError(f.w.t, err)
	f.plan = p
	if f.table, err = feature.ReadCSV(bytes.NewReader(table(int(f.index))), p.Schema, feature.Limits{}); err != nil {
		require.NoError(f.w.t, err)
	}
}

// connect opens a session and keeps it, as a node would; the newest roster is accepted.
func (f *fake) connect() {
	f.mu.Lock()
	defer f.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel, f.done = cancel, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		for ctx.Err() == nil {
			_ = f.session(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}(f.done)
	f.w.t.Cleanup(f.kill)
}

// kill ends the node: its secrets are gone, what it stored stays.
func (f *fake) kill() {
	f.mu.Lock()
	cancel, done := f.cancel, f.done
	f.cancel = nil
	f.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
		f.agg = nil
	}
}

// vanish is kill from inside the session's own goroutine.
func (f *fake) vanish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cancel != nil {
		f.cancel()
	}
}

func (f *fake) session(ctx context.Context) error {
	reply, err := f.client.Sync(ctx, &pb.SyncRequest{})
	if err != nil {
		return err
	}
	signed, err := pb.RosterFromPB(reply.Roster)
	if err != nil {
		return err
	}
	if f.roster, err = signed.Open(nil); err != nil {
		return err
	}
	stream, err := f.client.Session(ctx)
	if err != nil {
		return err
	}
	hello := &pb.Hello{Version: "fake", RosterVersion: f.roster.Version, Serving: true}
	if err := stream.Send(&pb.NodeMessage{Message: &pb.NodeMessage_Hello{Hello: hello}}); err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		switch v := m.Message.(type) {
		case *pb.CoordinatorMessage_Notice:
			if v.Notice.Refused != "" {
				f.mu.Lock()
				f.refused = append(f.refused, v.Notice.Refused)
				f.mu.Unlock()
			}
		case *pb.CoordinatorMessage_Packet:
			if err := f.packet(ctx, stream, v.Packet); err != nil {
				return err
			}
		}
	}
}

func (f *fake) packet(ctx context.Context, stream grpc.BidiStreamingClient[pb.NodeMessage, pb.CoordinatorMessage], p *pb.Packet) error {
	packet, err := pb.PacketFromPB(p)
	if err != nil {
		return err
	}
	t := packet.Frames[0].Type
	if f.before != nil && !f.before(t) {
		return ctx.Err()
	}
	if t == secagg.TypeSpec && (f.agg == nil || f.round != packet.Round) {
		if err := f.begin(ctx, packet); err != nil {
			return f.leave(stream, packet, err)
		}
	}
	if f.agg == nil {
		return f.absent(stream, packet)
	}
	if f.agg.State() == "waiting" && t == secagg.TypeSum && packet.Round == f.round+1 {
		f.round = packet.Round
	}
	if f.round != packet.Round {
		return nil
	}
	out, err := f.agg.Receive(packet.Frames)
	if err != nil {
		return f.leave(stream, packet, err)
	}
	if err := f.act(ctx, stream, packet, out); err != nil {
		return err
	}
	if !out.Want {
		return nil
	}
	x, err := f.vector()
	if err != nil {
		return err
	}
	if out, err = f.agg.Vector(x); err != nil {
		return f.leave(stream, packet, err)
	}
	return f.act(ctx, stream, packet, out)
}

func (f *fake) leave(stream grpc.BidiStreamingClient[pb.NodeMessage, pb.CoordinatorMessage], p pb.RoundPacket, why error) error {
	f.agg = nil
	if errors.Is(why, secagg.ErrAborted) {
		return nil
	}
	f.mu.Lock()
	f.left = append(f.left, why.Error())
	f.mu.Unlock()
	return stream.Send(&pb.NodeMessage{Message: &pb.NodeMessage_Left{
		Left: &pb.Left{Run: p.Run[:], Round: p.Round, Reason: why.Error()},
	}})
}

// begin catches up with what was closed meanwhile and derives the step by itself (S73).
func (f *fake) begin(ctx context.Context, p pb.RoundPacket) error {
	if f.machine == nil {
		machine, err := schedule.New(f.plan.Learning())
		if err != nil {
			return err
		}
		model, err := machine.Digest()
		if err != nil {
			return err
		}
		f.machine, f.state = machine, secagg.InitialState(f.plan.Digest(), model)
	}
	missed, err := f.client.Rounds(ctx, &pb.RoundsRequest{Run: p.Run[:], After: f.applied})
	if err != nil {
		return err
	}
	for _, number := range missed.Rounds {
		if err := f.catchUp(ctx, p.Run, number); err != nil {
			return err
		}
	}
	step, _ := f.machine.Next()
	model, err := f.machine.Digest()
	if err != nil {
		return err
	}
	cohort, err := f.plan.Set(f.roster)
	if err != nil {
		return err
	}
	cfg := secagg.ClientConfig{
		Self: f.index, Federation: f.roster.ID, RosterDigest: f.roster.Digest(), Plan: f.plan.Digest(), Roster: f.roster.SecAgg(),
		Cohort: cohort, Run: p.Run, LastRound: f.joined, MinCohort: 3, Expect: f.plan.Sum(step, p.Run, p.Round, f.state, model),
		Number: step.Number(), Rows: 300, MaxSums: uint16(f.plan.Batch), Sign: f.sign, Seal: hpkeseal.Seal,
		Lock: func(name [32]byte) (secagg.Set, bool) { s, ok := f.locks[name]; return s, ok },
	}
	if _, err := rand.Read(cfg.Rho[:]); err != nil {
		return err
	}
	f.round = p.Round
	f.agg, err = secagg.NewClient(cfg)
	return err
}

// catchUp verifies a closed round that this node was not part of, and applies it (S62).
func (f *fake) catchUp(ctx context.Context, run [16]byte, number uint32) error {
	frames, sum, err := f.fetch(ctx, run, number, true)
	if err != nil {
		return err
	}
	step, _ := f.machine.Next()
	model, err := f.machine.Digest()
	if err != nil {
		return err
	}
	cohort, err := f.plan.Set(f.roster)
	if err != nil {
		return err
	}
	closed, err := secagg.VerifyRound(secagg.VerifyConfig{
		Federation: f.roster.ID, RosterDigest: f.roster.Digest(), Plan: f.plan.Digest(), Roster: f.roster.SecAgg(),
		Cohort: cohort, Run: run, Expect: f.plan.Sum(step, run, number, f.state, model),
	}, frames)
	if err != nil {
		return fmt.Errorf("round %d: %w", number, err)
	}
	return f.apply(number, closed, sum)
}

func (f *fake) fetch(ctx context.Context, run [16]byte, number uint32, transcript bool) ([]secagg.Frame, []uint64, error) {
	stream, err := f.client.Sum(ctx, &pb.SumRequest{Run: run[:], Round: number, Transcript: transcript})
	if err != nil {
		return nil, nil, err
	}
	var frames []secagg.Frame
	var data []byte
	for {
		c, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		part, err := pb.FramesFromPB(c.Frames)
		if err != nil {
			return nil, nil, err
		}
		frames, data = append(frames, part...), append(data, c.Data...)
	}
	words, err := ring.FromLE(data)
	return frames, words, err
}

func (f *fake) apply(number uint32, c secagg.Closed, sum []uint64) error {
	if secagg.SumRoot(sum) != c.SumRoot {
		return errors.New("the sum is not the announced one")
	}
	if err := f.machine.Apply(sum, c.Survivors.Len()); err != nil {
		return err
	}
	model, err := f.machine.Digest()
	if err != nil {
		return err
	}
	f.state = secagg.NextState(f.state, c.Sigma, c.H3, c.SumRoot, model)
	if model != c.Model || f.state != c.State {
		return secagg.ErrModel
	}
	f.mu.Lock()
	f.applied = number
	f.closed++
	f.mu.Unlock()
	return nil
}

func (f *fake) act(ctx context.Context, stream grpc.BidiStreamingClient[pb.NodeMessage, pb.CoordinatorMessage], p pb.RoundPacket, out secagg.ClientOutput) error {
	for _, fact := range out.Store {
		switch fact.Kind {
		case secagg.FactRound:
			f.joined = fact.Round
		case secagg.FactLock:
			f.locks[fact.Lock] = fact.Survivors
		}
	}
	if len(out.Send) > 0 {
		if f.before != nil && !f.before(out.Send[0].Type) {
			return ctx.Err()
		}
		m := &pb.NodeMessage{Message: &pb.NodeMessage_Packet{Packet: pb.PacketToPB(p.Run, p.Round, p.Plan, out.Send)}}
		if err := stream.Send(m); err != nil {
			return err
		}
		if more := f.more(out.Send); more != nil {
			m = &pb.NodeMessage{Message: &pb.NodeMessage_Packet{Packet: pb.PacketToPB(p.Run, p.Round, p.Plan, more)}}
			if err := stream.Send(m); err != nil {
				return err
			}
		}
	}
	if out.Upload != nil {
		if err := f.upload(ctx, p, out.Upload); err != nil {
			return err
		}
		if err := f.agg.Uploaded(); err != nil {
			return err
		}
	}
	if out.Closed != nil {
		if err := f.close(ctx, p, *out.Closed); err != nil {
			f.agg = nil
			return err
		}
	}
	if out.Closed != nil || out.Ended != nil {
		return f.expect(p.Run)
	}
	return nil
}

func (f *fake) more(sent []secagg.Frame) []secagg.Frame {
	if f.also == nil {
		return nil
	}
	return f.also(sent)
}

// forge signs another body in place of a frame's, as a member does that says two things.
func (f *fake) forge(frame secagg.Frame, body []byte) secagg.Frame {
	spec, _ := f.agg.Spec()
	digest := spec.Digest()
	tag := "koinon/secagg/v1/" + frame.Type.String()
	m := append([]byte{byte(len(tag))}, tag...)
	frame.Body = body
	frame.Signature, _ = f.sign(append(append(append(m, digest[:]...), frame.Sender), body...))
	return frame
}
