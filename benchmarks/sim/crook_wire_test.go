package sim

import (
	"context"
	"errors"
	"io"

	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"google.golang.org/grpc/codes"
	grpctls "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

func (c *crook) member(ctx context.Context) (uint8, error) {
	p, _ := peer.FromContext(ctx)
	who, err := c.trust.PeerOf(p.AuthInfo.(grpctls.TLSInfo).State, identity.Member)
	if err != nil {
		return 0, status.Error(codes.Unauthenticated, err.Error())
	}
	m, _ := c.roster.Member(who.Name)
	return m.Index, nil
}

// Sync offers the one plan.
func (c *crook) Sync(context.Context, *pb.SyncRequest) (*pb.SyncReply, error) {
	body, err := c.plan.Encode()
	return &pb.SyncReply{Roster: pb.RosterToPB(c.signed()), Plans: []*pb.PlanOffer{{Plan: body, Open: true}}}, err
}

// Approve believes everybody.
func (c *crook) Approve(context.Context, *pb.ApproveRequest) (*pb.ApproveReply, error) {
	return &pb.ApproveReply{}, nil
}

// Session hears one node.
func (c *crook) Session(stream pb.Federation_SessionServer) error {
	i, err := c.member(stream.Context())
	if err != nil {
		return err
	}
	if _, err := stream.Recv(); err != nil {
		return err
	}
	c.mu.Lock()
	c.streams[i] = stream
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.streams[i] == stream {
			delete(c.streams, i)
		}
	}()
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if l := m.GetLeft(); l != nil {
			c.mu.Lock()
			c.out[outOf{i, [16]byte(l.Run), l.Round}] = true
			c.mu.Unlock()
		}
		if p, err := pb.PacketFromPB(m.GetPacket()); err == nil {
			c.hear(i, p)
		}
	}
}

func (c *crook) hear(i uint8, p pb.RoundPacket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil || p.Round != c.round || p.Run != c.run {
		return
	}
	agrees := p.Frames[0].Type == secagg.TypeAgree
	if agrees {
		c.agreed[i] = p.Frames[0]
	}
	if err := c.server.Receive(i, p.Frames); err == nil && agrees {
		c.h3 = [32]byte(p.Frames[0].Body[34:66]) // k u16 ‖ g 32 ‖ h3 32
	}
}

// Upload takes a masked vector, whose chunks come in order.
func (c *crook) Upload(stream pb.Federation_UploadServer) error {
	i, err := c.member(stream.Context())
	if err != nil {
		return err
	}
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := c.chunk(i, chunk); err != nil {
			return status.Error(codes.FailedPrecondition, err.Error())
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	stored, whole := c.server.Have(i)
	return stream.SendAndClose(&pb.UploadReply{Whole: whole || c.swallow.Has(i), Stored: stored})
}

func (c *crook) chunk(i uint8, chunk *pb.UploadChunk) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if chunk.Round != c.round {
		return secagg.ErrStale
	}
	if c.swallow.Has(i) {
		return nil
	}
	if err := c.server.Chunk(i, chunk.Index, chunk.Data); err != nil {
		return err
	}
	c.uploads[i] = append(c.uploads[i], chunk.Data...)
	if _, whole := c.server.Have(i); whole {
		return c.server.MarkWhole(i)
	}
	return nil
}

// Have tells what is stored.
func (c *crook) Have(ctx context.Context, _ *pb.HaveRequest) (*pb.HaveReply, error) {
	i, err := c.member(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	stored, whole := c.server.Have(i)
	return &pb.HaveReply{Stored: stored, Whole: whole}, nil
}

// Rounds lists what was published.
func (c *crook) Rounds(_ context.Context, r *pb.RoundsRequest) (*pb.RoundsReply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	reply := &pb.RoundsReply{}
	for round := r.After + 1; round <= c.round; round++ {
		if _, ok := c.closed[round]; ok && [16]byte(r.Run) == c.run {
			reply.Rounds = append(reply.Rounds, round)
		}
	}
	return reply, nil
}

func (c *crook) public(round uint32) (published, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.closed[round]
	if !ok {
		return p, status.Error(codes.NotFound, "no such round")
	}
	return p, nil
}

// Sum serves what was published as the sum.
func (c *crook) Sum(r *pb.SumRequest, stream pb.Federation_SumServer) error {
	p, err := c.public(r.Round)
	if err != nil {
		return err
	}
	if r.Transcript {
		if err := stream.Send(&pb.SumChunk{Frames: pb.FramesToPB(p.frames)}); err != nil {
			return err
		}
	}
	return stream.Send(&pb.SumChunk{Data: ring.AppendLE(nil, p.words)})
}

// Spot serves the masked vectors as they came.
func (c *crook) Spot(r *pb.SpotRequest, stream pb.Federation_SpotServer) error {
	p, err := c.public(r.Round)
	if err != nil {
		return err
	}
	for member, words := range p.uploads {
		u, hashes := secagg.Upload{Words: words}, secagg.ChunkHashes(words)
		m := &pb.SpotChunk{Member: uint32(member), Data: u.Chunk(int(r.Index))}
		for _, d := range secagg.MerklePath(hashes, int(r.Index)) {
			m.Path = append(m.Path, d[:])
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}
