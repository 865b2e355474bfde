package sim

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpctls "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// refusal is what the coordinator must answer: a code, and words that a person understands.
func refusal(t testing.TB, code codes.Code, words string, err error) {
	t.Helper()
	require.Equal(t, code, status.Code(err), "%v", err)
	require.Contains(t, status.Convert(err).Message(), words)
}

// asked says something in the session and waits for the notice that refuses it.
func (r *raw) asked(p *pb.Packet) string {
	r.t.Helper()
	before := len(r.notices())
	require.NoError(r.t, r.stream.Send(&pb.NodeMessage{Message: &pb.NodeMessage_Packet{Packet: p}}))
	eventually(r.t, "a notice comes", func() bool { return len(r.notices()) > before })
	return r.notices()[before]
}

func changed(p *pb.Packet, change func(*pb.Packet)) *pb.Packet {
	c := proto.Clone(p).(*pb.Packet)
	change(c)
	return c
}

// heldRound brings the first round to Mask and holds it there: PT is a raw member that has announced its vector and
// keeps the chunks.
func heldRound(t *testing.T, tune func(*coordinator.Config)) (*stage, *raw, coordinator.Run) {
	t.Helper()
	s := setStage(t, testPlan(t, "rounds: 3", "rounds: 1"), fiveTables(t), tune)
	pt := s.wild("PT")
	pt.mute = func(k secagg.Type) bool { return k == secagg.TypeChunk && pt.round == 1 }
	s.submit()
	pt.approve()
	pt.connect()
	s.playAll()
	run := s.until("Mask", func(r coordinator.Run) bool { return len(r.Rounds) == 1 && r.Rounds[0].Phase == "mask" })
	s.until("all but PT are in", func(r coordinator.Run) bool { return r.Rounds[0].Waiting == secagg.SetOf(5) })
	eventually(t, "PT has announced its vector", func() bool { return pt.newest(secagg.TypeMask) != nil })
	eventually(t, "and the coordinator knows", func() bool {
		reply, err := pt.client.Have(t.Context(), &pb.HaveRequest{Run: run.ID[:], Round: 1, K: 1})
		return err == nil && len(reply.Stored) > 0
	})
	return s, pt, run
}

// chunk returns a part of PT's announced vector.
func (r *raw) chunk(run [16]byte, i int) *pb.UploadChunk {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &pb.UploadChunk{Run: run[:], Round: 1, K: 1, Index: uint32(i), Data: r.upload.Chunk(i)}
}

// completes lets the held round go on and wants the whole plan to end well, with all five in the first sum and the
// given number in each that follows.
func (s *stage) completes(pt *raw, run [16]byte, later int) {
	s.t.Helper()
	var chunks []*pb.UploadChunk
	for i := range pt.upload.Chunks {
		chunks = append(chunks, pt.chunk(run, i))
	}
	reply, err := pt.send(s.t.Context(), chunks...)
	require.NoError(s.t, err)
	require.True(s.t, reply.Whole)
	r, want := s.evaluated(), 5
	for _, round := range r.Rounds {
		require.Equal(s.t, "closed", round.Outcome)
		require.Equal(s.t, want, round.Survivors.Len(), "round %d", round.Number)
		want = later
	}
	s.checkSums(r)
	for name, a := range s.actors {
		require.Empty(s.t, a.left(), name)
	}
}

// TestBadPackets: "Bad input, each with a clear error, nothing lost, the round unharmed: replayed and stale messages,
// wrong round, unknown member …": packets of a member that has a valid certificate, to a real coordinator.
func TestBadPackets(t *testing.T) {
	s, pt, run := heldRound(t, nil)
	advert, share, mask := pt.newest(secagg.TypeAdvert), pt.newest(secagg.TypeShare), pt.newest(secagg.TypeMask)
	for name, c := range map[string]struct {
		packet *pb.Packet
		words  string
	}{
		"wrong round":     {changed(mask, func(p *pb.Packet) { p.Round = 9 }), "round 9 is over, 1 is open"},
		"no round":        {changed(mask, func(p *pb.Packet) { p.Round = 0 }), "names no round"},
		"unknown run":     {changed(mask, func(p *pb.Packet) { p.Run = make([]byte, 16) }), "no such run"},
		"another plan":    {changed(mask, func(p *pb.Packet) { p.Plan[0] ^= 1 }), "another plan"},
		"another sender":  {changed(mask, func(p *pb.Packet) { p.Frames[0].Sender = 1 }), "another sender"},
		"the coordinator": {changed(mask, func(p *pb.Packet) { p.Frames[0].Sender = 0 }), "sender"},
		"stale advert": {changed(advert, func(p *pb.Packet) {
			p.Frames[0].Body[33] ^= 1
		}), "two different messages"},
		"changed share":     {changed(share, func(p *pb.Packet) { p.Frames[0].Body[5] ^= 1 }), "two different messages"},
		"forged signature":  {changed(share, func(p *pb.Packet) { p.Frames[0].Signature[5] ^= 1 }), "two different messages"},
		"second vector":     {changed(mask, func(p *pb.Packet) { p.Frames[0].Body[40] ^= 1 }), "two different messages"},
		"result of a node":  {packetOf(mask, secagg.Frame{Type: secagg.TypeResult, Sender: 5, Body: make([]byte, 166), Signature: make([]byte, 64)}), "another sender"},
		"unknown type":      {packetOf(mask, secagg.Frame{Type: 0x99, Sender: 5, Body: []byte("what?")}), "canonical"},
		"no body":           {packetOf(mask, secagg.Frame{Type: secagg.TypeAdvert, Sender: 5, Signature: make([]byte, 64)}), "two different messages"},
		"complaint, masked": {packetOf(mask, pt.sign(secagg.TypeComplaint, specOf(pt), append([]byte{1, 1}, make([]byte, 32)...))), "accuses"},
		"no frames":         {changed(mask, func(p *pb.Packet) { p.Frames = nil }), "frames"},
		"3,000 frames": {changed(mask, func(p *pb.Packet) {
			for range 3000 {
				p.Frames = append(p.Frames, p.Frames[1])
			}
		}), "frames"},
	} {
		require.Contains(t, pt.asked(c.packet), c.words, name)
	}
	s.completes(pt, run.ID, 5)

	// A closed round is over, whatever is said of it.
	require.Contains(t, pt.asked(mask), "over")
	require.Contains(t, pt.asked(changed(mask, func(p *pb.Packet) { p.Round = 77 })), "over")
	s.verifies()
}

func specOf(r *raw) [32]byte {
	spec, _ := r.agg.Spec()
	return spec.Digest()
}

func packetOf(like *pb.Packet, frames ...secagg.Frame) *pb.Packet {
	return changed(like, func(p *pb.Packet) { p.Frames = pb.FramesToPB(frames) })
}

// TestBadShapes: what is no packet at all ends the session with a code and words, and only that session: the member
// comes back and the round goes on.
func TestBadShapes(t *testing.T) {
	s, pt, run := heldRound(t, func(c *coordinator.Config) { c.Grace = 500 })
	pt.hangUp()
	mask := pt.newest(secagg.TypeMask)
	packet := func(change func(*pb.Packet)) *pb.NodeMessage {
		return &pb.NodeMessage{Message: &pb.NodeMessage_Packet{Packet: changed(mask, change)}}
	}
	for name, c := range map[string]struct {
		message *pb.NodeMessage
		code    codes.Code
		words   string
	}{
		"nothing":             {&pb.NodeMessage{}, codes.InvalidArgument, "empty message"},
		"no packet":           {&pb.NodeMessage{Message: &pb.NodeMessage_Packet{}}, codes.InvalidArgument, ""},
		"short run":           {packet(func(p *pb.Packet) { p.Run = p.Run[:15] }), codes.InvalidArgument, "want 16"},
		"short plan":          {packet(func(p *pb.Packet) { p.Plan = p.Plan[:4] }), codes.InvalidArgument, "want 32"},
		"short signature":     {packet(func(p *pb.Packet) { p.Frames[0].Signature = p.Frames[0].Signature[:63] }), codes.InvalidArgument, "signature of 63 bytes"},
		"large type":          {packet(func(p *pb.Packet) { p.Frames[0].Type = 0x130 }), codes.InvalidArgument, "does not fit"},
		"large sender":        {packet(func(p *pb.Packet) { p.Frames[0].Sender = 261 }), codes.InvalidArgument, "does not fit"},
		"large body":          {packet(func(p *pb.Packet) { p.Frames[0].Body = make([]byte, 3<<20) }), codes.InvalidArgument, "over the limit"},
		"5,000 frames":        {packet(func(p *pb.Packet) { p.Frames = make([]*pb.Frame, 5000) }), codes.InvalidArgument, "at most"},
		"message of 9 MiB":    {packet(func(p *pb.Packet) { p.Frames[0].Body = make([]byte, 9<<20) }), codes.ResourceExhausted, "larger than max"},
		"packet before hello": {packet(func(*pb.Packet) {}), codes.InvalidArgument, "hello"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		var stream pb.Federation_SessionClient
		if name == "packet before hello" {
			var err error
			stream, err = pt.client.Session(ctx)
			require.NoError(t, err)
		} else {
			stream = pt.open(ctx)
		}
		_ = stream.Send(c.message)
		var err error
		for err == nil {
			_, err = stream.Recv()
		}
		cancel()
		refusal(t, c.code, c.words, err)
	}
	pt.connect()
	s.completes(pt, run.ID, 5)
}

// TestBadChunks: "truncated and oversized chunks", a wrong index, another vector, other bytes, an upload after U3: each
// gets a code and words, and what was stored before stays.
func TestBadChunks(t *testing.T) {
	s, pt, run := heldRound(t, nil)
	require.Greater(t, pt.upload.Chunks, 1)
	for name, c := range map[string]struct {
		change func(*pb.UploadChunk)
		code   codes.Code
		words  string
	}{
		"empty":         {func(c *pb.UploadChunk) { c.Data = nil }, codes.InvalidArgument, "want 1 to 65536"},
		"truncated":     {func(c *pb.UploadChunk) { c.Data = c.Data[:65528] }, codes.FailedPrecondition, "has 65528 bytes"},
		"oversized":     {func(c *pb.UploadChunk) { c.Data = append(c.Data, 0) }, codes.InvalidArgument, "want 1 to 65536"},
		"9 MiB":         {func(c *pb.UploadChunk) { c.Data = make([]byte, 9<<20) }, codes.ResourceExhausted, "larger than max"},
		"other bytes":   {func(c *pb.UploadChunk) { c.Data[9] ^= 1 }, codes.FailedPrecondition, "not the announced one"},
		"wrong index":   {func(c *pb.UploadChunk) { c.Index = 1 }, codes.FailedPrecondition, "upload is not"},
		"index beyond":  {func(c *pb.UploadChunk) { c.Index = 1 << 31 }, codes.FailedPrecondition, "upload is not"},
		"another sum":   {func(c *pb.UploadChunk) { c.K = 2 }, codes.NotFound, "sum 2"},
		"no sum":        {func(c *pb.UploadChunk) { c.K = 0 }, codes.NotFound, "sum 0"},
		"another round": {func(c *pb.UploadChunk) { c.Round = 7 }, codes.FailedPrecondition, "not open"},
		"no round":      {func(c *pb.UploadChunk) { c.Round = 0 }, codes.NotFound, "round 0"},
		"unknown run":   {func(c *pb.UploadChunk) { c.Run = make([]byte, 16) }, codes.NotFound, "no such run"},
		"no run":        {func(c *pb.UploadChunk) { c.Run = nil }, codes.InvalidArgument, "want 16"},
	} {
		bad := pt.chunk(run.ID, 0)
		c.change(bad)
		_, err := pt.send(t.Context(), bad)
		t.Run(name, func(t *testing.T) { refusal(t, c.code, c.words, err) })
	}
	_, err := pt.send(t.Context())
	refusal(t, codes.InvalidArgument, "no chunk", err)
	mixed := pt.chunk(run.ID, 1)
	mixed.Round = 2
	_, err = pt.send(t.Context(), pt.chunk(run.ID, 0), mixed)
	refusal(t, codes.InvalidArgument, "two vectors", err)

	reply, err := pt.client.Have(t.Context(), &pb.HaveRequest{Run: run.ID[:], Round: 1, K: 1})
	require.NoError(t, err)
	require.Equal(t, byte(1), reply.Stored[0], "the one good chunk")
	require.False(t, reply.Whole)
	s.completes(pt, run.ID, 5)
	_, err = pt.send(t.Context(), pt.chunk(run.ID, 0))
	refusal(t, codes.FailedPrecondition, "", err)
}

// TestLateUpload: "an upload that arrives after U3 … is refused and not stored" (S32): a member that announced its
// vector loses its connection; the others close the round, and its vector is in no sum.
func TestLateUpload(t *testing.T) {
	s, pt, run := heldRound(t, func(c *coordinator.Config) { c.FullCohort = 10 })
	pt.hangUp()
	s.until("the round closes", func(r coordinator.Run) bool { return r.Rounds[0].Outcome != "" })
	_, err := pt.send(t.Context(), pt.chunk(run.ID, 0))
	require.Equal(t, codes.FailedPrecondition, status.Code(err), "%v", err)
	r := s.evaluated()
	require.Equal(t, "closed", r.Rounds[0].Outcome)
	require.Equal(t, secagg.SetOf(1, 2, 3, 4), r.Rounds[0].Survivors)
	s.checkSums(r)
}

// TestFlood: ten thousand tiny packets of one member, and a member that never reads what it is told: neither grows the
// journal nor holds up the others.
func TestFlood(t *testing.T) {
	s, pt, run := heldRound(t, func(c *coordinator.Config) { c.Grace, c.FullCohort = 500, 10 })
	records := func() (n int) {
		require.NoError(t, s.journal.Read(t.Context(), 1, func(journal.Record) error { n++; return nil }))
		return n
	}
	before := records()
	tiny := packetOf(pt.newest(secagg.TypeMask), secagg.Frame{Type: secagg.TypeAgree, Sender: 5, Body: []byte{0, 1}, Signature: make([]byte, 64)})
	pt.hangUp()
	const flood = 10_000
	for sent := 0; sent < flood; { // a session that is told more than it reads is ended; the member comes back
		ctx, cancel := context.WithCancel(t.Context())
		stream := pt.open(ctx)
		for sent < flood && stream.Send(&pb.NodeMessage{Message: &pb.NodeMessage_Packet{Packet: tiny}}) == nil {
			sent++
		}
		cancel()
	}
	require.Equal(t, before, records(), "the journal holds what was accepted, not what was thrown at it")

	// Signed announcements of one vector after the other prove equivocation; evidence is kept once, however many come.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream := pt.open(ctx)
	for i := range 500 {
		p := packetOf(tiny, pt.sign(secagg.TypeMask, specOf(pt), append(append([]byte{0, 1}, byte(i), byte(i>>8)), make([]byte, 66)...)))
		if stream.Send(&pb.NodeMessage{Message: &pb.NodeMessage_Packet{Packet: p}}) != nil {
			break
		}
	}
	eventually(t, "evidence is kept", func() bool { return records() > before })
	cancel()
	require.Equal(t, before+1, records())
	pt.connect()
	s.completes(pt, run.ID, 4) // proven guilty, it is kept out of the rounds that follow (S72)
}

// TestFloodUnread: a member that floods and never reads the refusals blocks itself, for the end of its session waits behind
// what it does not read. After a while the coordinator cuts its connection and says so; the round of the others is
// unharmed, and the member may come back.
func TestFloodUnread(t *testing.T) {
	log := &lookout{}
	s, pt, run := heldRound(t, func(c *coordinator.Config) {
		c.Grace, c.FullCohort, c.Heartbeat, c.Log = 500, 10, 300*time.Millisecond, slog.New(slog.NewTextHandler(log, nil))
	})
	pt.hangUp()
	late := changed(pt.newest(secagg.TypeMask), func(p *pb.Packet) { p.Round = 9 })
	conn, err := grpc.NewClient(pt.config.Address, grpc.WithTransportCredentials(grpctls.NewTLS(pt.config.TLS)),
		grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(64<<10)) // neither grows with the line
	require.NoError(t, err)
	defer conn.Close()
	reading := pt.client
	pt.client = pb.NewFederationClient(conn)
	stream, ended := pt.open(t.Context()), make(chan error, 1)
	pt.client = reading
	go func() {
		for i := 1; ; i++ {
			if i%64 == 0 { // what is refused goes out as long as it can
				time.Sleep(2 * time.Millisecond)
			}
			if err := stream.Send(&pb.NodeMessage{Message: &pb.NodeMessage_Packet{Packet: late}}); err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case <-ended:
	case <-time.After(60 * time.Second):
		t.Fatal("the flood is blocked for good")
	}
	line, ok := log.line("its connection is cut")
	require.True(t, ok)
	require.Contains(t, line, "member=PT")
	pt.connect()
	s.completes(pt, run.ID, 5)
}

// TestSlowReader: a node that holds a session open and never reads or answers costs the others the deadline of the
// batch's Advertise and nothing else; the plan completes without it.
func TestSlowReader(t *testing.T) {
	plan := testPlan(t, "rounds: 3", "rounds: 1", "advertise: 300", "advertise: 12")
	s := setStage(t, plan, fiveTables(t), nil)
	pt := s.wild("PT")
	s.submit()
	pt.approve()
	pt.open(t.Context())
	s.playAll()
	r := s.evaluated()
	for _, round := range r.Rounds {
		require.Equal(t, "closed", round.Outcome)
		require.Equal(t, secagg.SetOf(1, 2, 3, 4), round.Survivors)
		require.Equal(t, r.Rounds[0].Sums, round.Sums, "one batch")
	}
	require.Equal(t, "advertise", r.Rounds[0].Lost[0].Phase.String())
	s.checkSums(r)
}
