package sim

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/hpkeseal"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/train"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	grpctls "google.golang.org/grpc/credentials"
)

// raw is a member with a certificate and an identity key that speaks the wire itself. It takes part like a node, by
// secagg.Client and the schedule, unless a test makes it do something else.
type raw struct {
	t      testing.TB
	stage  *stage
	name   string
	index  uint8
	config node.Config
	client pb.FederationClient
	member *train.Member
	seal   secagg.Seal

	// cheat has the last word on a masked vector before its hashes are made and signed anew; false: it is honest.
	// A cheat says nothing more in its round.
	cheat func(round uint32, step schedule.Step, y []uint64) bool
	// begun is told that a batch is about to be joined; nil: nobody.
	begun func()
	// mute says which of its own packets it keeps to itself, by type of the first frame; nil: none.
	mute func(secagg.Type) bool

	stop   context.CancelFunc
	done   chan struct{}
	stream pb.Federation_SessionClient

	mu      sync.Mutex
	refused []string
	sent    map[secagg.Type]*pb.Packet // the newest of each type
	upload  *secagg.Upload

	machine *schedule.Machine
	state   [32]byte
	agg     *secagg.Client
	round   uint32
	step    schedule.Step
}

// wild turns an enrolled member of the stage into a raw one.
func (s *stage) wild(name string) *raw {
	s.t.Helper()
	r := &raw{t: s.t, stage: s, name: name, seal: hpkeseal.Seal, sent: map[secagg.Type]*pb.Packet{}}
	for i, m := range s.cfg.Members {
		if m.Name == name {
			r.index, r.member = uint8(i+1), train.NewMember(m.Table)
		}
	}
	r.config = s.actors[name].config
	delete(s.actors, name)
	conn, err := grpc.NewClient(r.config.Address, grpc.WithTransportCredentials(grpctls.NewTLS(r.config.TLS)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(pb.MaxMessageBytes), grpc.MaxCallSendMsgSize(64<<20)))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.Close() })
	r.client = pb.NewFederationClient(conn)
	r.machine, err = schedule.New(s.plan.Learning())
	require.NoError(s.t, err)
	r.state = secagg.InitialState(s.plan.Digest(), digestOf(s.t, r.machine))
	return r
}

// approve signs the plan and connects; the newest roster is accepted.
func (r *raw) approve() {
	r.t.Helper()
	roster, _ := r.stage.simulation.coordinator.Book().Roster()
	approval := federation.Approval{Federation: roster.ID, Plan: r.stage.plan.Digest(), Member: r.index, Approve: true}
	signature, err := approval.Sign(r.config.Sign)
	require.NoError(r.t, err)
	digest := r.stage.plan.Digest()
	_, err = r.client.Approve(r.t.Context(), &pb.ApproveRequest{Plan: digest[:], Approve: true, Signature: signature})
	require.NoError(r.t, err)
}

// open opens a session and says hello.
func (r *raw) open(ctx context.Context) pb.Federation_SessionClient {
	r.t.Helper()
	roster, _ := r.stage.simulation.coordinator.Book().Roster()
	stream, err := r.client.Session(ctx)
	require.NoError(r.t, err)
	hello := &pb.Hello{Version: "raw", RosterVersion: roster.Version, Serving: true}
	require.NoError(r.t, stream.Send(&pb.NodeMessage{Message: &pb.NodeMessage_Hello{Hello: hello}}))
	return stream
}

// connect opens a session and takes part until hangUp.
func (r *raw) connect() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.done = cancel, make(chan struct{})
	r.stream = r.open(ctx)
	go func() {
		defer close(r.done)
		for {
			m, err := r.stream.Recv()
			if err != nil {
				return
			}
			r.hear(ctx, m)
		}
	}()
	r.t.Cleanup(r.hangUp)
}

// hangUp ends the session.
func (r *raw) hangUp() {
	r.stop()
	<-r.done
}

func (r *raw) hear(ctx context.Context, m *pb.CoordinatorMessage) {
	if n := m.GetNotice(); n != nil && n.Refused != "" {
		r.mu.Lock()
		r.refused = append(r.refused, n.Refused)
		r.mu.Unlock()
	}
	p, err := pb.PacketFromPB(m.GetPacket())
	if err != nil {
		return
	}
	if p.Frames[0].Type == secagg.TypeSpec && (r.agg == nil || r.round != p.Round) {
		r.begin(p)
	}
	if r.agg == nil {
		r.absent(p)
		return
	}
	if p.Frames[0].Type == secagg.TypeSum && p.Round == r.round+1 {
		r.round = p.Round
	}
	if r.round != p.Round {
		return
	}
	out, err := r.agg.Receive(p.Frames)
	if err != nil {
		r.agg = nil
		return
	}
	r.say(p, out.Send)
	if out.Want {
		r.vector(ctx, p)
	}
	if out.Closed != nil {
		r.apply(ctx, p, *out.Closed)
	}
	if out.Closed != nil || out.Ended != nil {
		r.expect(p)
	}
}

// absent says that a member that has left its batch is not in it, as a node does.
func (r *raw) absent(p pb.RoundPacket) {
	if t := p.Frames[0].Type; t != secagg.TypeSum && t != secagg.TypeAbort {
		return
	}
	_ = r.stream.Send(&pb.NodeMessage{Message: &pb.NodeMessage_Left{Left: &pb.Left{Run: p.Run[:], Round: p.Round, Reason: "not in it"}}})
}

// expect goes on to the batch's next sum, if there is one.
func (r *raw) expect(p pb.RoundPacket) {
	step, more := r.machine.Next()
	if r.agg == nil || r.agg.Done() || !more {
		r.agg = nil
		return
	}
	r.step = step
	require.NoError(r.t, r.agg.Expect(r.stage.plan.Sum(step, p.Run, 0, r.state, digestOf(r.t, r.machine)), step.Number(), 100))
}

func (r *raw) begin(p pb.RoundPacket) {
	if r.begun != nil {
		r.begun()
	}
	roster, _ := r.stage.simulation.coordinator.Book().Roster()
	cohort, err := r.stage.plan.Set(roster)
	require.NoError(r.t, err)
	step, more := r.machine.Next()
	require.True(r.t, more)
	cfg := secagg.ClientConfig{
		Self: r.index, Federation: roster.ID, RosterDigest: roster.Digest(), Plan: r.stage.plan.Digest(), Roster: roster.SecAgg(),
		Cohort: cohort, Run: p.Run, MinCohort: 3, Number: step.Number(), Rows: 100, MaxSums: uint16(r.stage.plan.Batch), Sign: r.config.Sign, Seal: r.seal,
		Expect: r.stage.plan.Sum(step, p.Run, p.Round, r.state, digestOf(r.t, r.machine)),
	}
	_, _ = rand.Read(cfg.Rho[:])
	r.agg, err = secagg.NewClient(cfg)
	require.NoError(r.t, err)
	r.round, r.step = p.Round, step
}

func (r *raw) say(p pb.RoundPacket, frames []secagg.Frame) {
	if len(frames) == 0 {
		return
	}
	packet := pb.PacketToPB(p.Run, p.Round, p.Plan, frames)
	r.mu.Lock()
	r.sent[frames[0].Type] = packet
	r.mu.Unlock()
	if r.mute == nil || !r.mute(frames[0].Type) {
		_ = r.stream.Send(&pb.NodeMessage{Message: &pb.NodeMessage_Packet{Packet: packet}})
	}
}

// vector computes, masks and uploads.
func (r *raw) vector(ctx context.Context, p pb.RoundPacket) {
	random := r.stage.random(r.name)
	v, err := r.member.Local(r.machine, r.step, random(node.RunID{}, r.step.Ordinal, node.UseOrder))
	require.NoError(r.t, err)
	words, err := r.step.Encoding.Encode(v.X, v.Ints, v.Rows, random(node.RunID{}, r.step.Ordinal, node.UseRounding))
	require.NoError(r.t, err)
	out, err := r.agg.Vector(words)
	require.NoError(r.t, err)
	require.NoError(r.t, r.agg.Uploaded()) // or else the survivors may overtake the answer to the upload
	u := out.Upload
	if r.cheat != nil && r.cheat(p.Round, r.step, u.Words) {
		out.Send = r.remask(out.Send, u)
		defer func() { r.agg = nil }()
	}
	r.mu.Lock()
	r.upload = u
	r.mu.Unlock()
	r.say(p, out.Send)
	if r.mute != nil && r.mute(secagg.TypeChunk) {
		return
	}
	sum, _ := r.agg.Sum()
	chunks := make([]*pb.UploadChunk, u.Chunks)
	for i := range chunks {
		chunks[i] = &pb.UploadChunk{Run: p.Run[:], Round: p.Round, K: uint32(sum.K), Index: uint32(i), Data: u.Chunk(i)}
	}
	_, _ = r.send(ctx, chunks...)
}

// remask announces a changed vector: mask = k u16 ‖ g 32 ‖ root 32 ‖ words u32, signed (S3), and the chunk hashes.
func (r *raw) remask(frames []secagg.Frame, u *secagg.Upload) []secagg.Frame {
	u.Hashes = secagg.ChunkHashes(u.Words)
	u.Root = secagg.MerkleRoot(u.Hashes)
	spec, _ := r.agg.Spec()
	body := append([]byte(nil), frames[0].Body[:34]...)
	body = binary.BigEndian.AppendUint32(append(body, u.Root[:]...), uint32(len(u.Words)))
	hashes := binary.BigEndian.AppendUint32(nil, uint32(len(u.Hashes)))
	for _, h := range u.Hashes {
		hashes = append(hashes, h[:]...)
	}
	return []secagg.Frame{r.sign(secagg.TypeMask, spec.Digest(), body), {Type: secagg.TypeHashes, Sender: r.index, Body: hashes}}
}

// sign signs a body as this member (S3).
func (r *raw) sign(kind secagg.Type, spec [32]byte, body []byte) secagg.Frame {
	tag := "koinon/secagg/v1/" + kind.String()
	message := append([]byte{byte(len(tag))}, tag...)
	message = append(append(append(message, spec[:]...), r.index), body...)
	signature, err := r.config.Sign(message)
	require.NoError(r.t, err)
	return secagg.Frame{Type: kind, Sender: r.index, Body: body, Signature: signature}
}

// send uploads chunks on one stream.
func (r *raw) send(ctx context.Context, chunks ...*pb.UploadChunk) (*pb.UploadReply, error) {
	stream, err := r.client.Upload(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range chunks {
		if stream.Send(c) != nil {
			break // CloseAndRecv says why
		}
	}
	return stream.CloseAndRecv()
}

// apply moves on by the published sum, unchecked.
func (r *raw) apply(ctx context.Context, p pb.RoundPacket, c secagg.Closed) {
	stream, err := r.client.Sum(ctx, &pb.SumRequest{Run: p.Run[:], Round: p.Round})
	if err != nil {
		return
	}
	var data []byte
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return
		}
		data = append(data, m.Data...)
	}
	sum, err := ring.FromLE(data)
	require.NoError(r.t, err)
	require.NoError(r.t, r.machine.Apply(sum, c.Survivors.Len()))
	r.state = secagg.NextState(r.state, c.Sigma, c.H3, c.SumRoot, digestOf(r.t, r.machine))
}

// notices returns why packets were refused, in order.
func (r *raw) notices() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.refused...)
}

// newest returns what the member said last of a type.
func (r *raw) newest(t secagg.Type) *pb.Packet {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent[t]
}
