package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/koinon-eu/koinon/coordinator/admin"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"google.golang.org/grpc"
)

func newTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }

type federationService struct {
	pb.UnimplementedFederationServer
	*Server
}

// Sync tells the newest roster and the plans whose cohort names the caller.
func (s *federationService) Sync(ctx context.Context, r *pb.SyncRequest) (*pb.SyncReply, error) {
	member, err := s.member(ctx)
	if err != nil {
		return nil, err
	}
	if r.RosterVersion > 0 {
		s.cfg.Hub.note(member.Index, func(p *Presence) { p.RosterVersion = r.RosterVersion })
		s.cfg.Driver.Joined(member.Index)
	}
	roster, signed := s.cfg.Book.Roster()
	if roster == nil {
		return nil, admin.Errorf(ErrState, "no member has enrolled yet, so there is no roster")
	}
	reply := &pb.SyncReply{Roster: pb.RosterToPB(signed)}
	for _, p := range s.cfg.Book.Plans() {
		if !slices.Contains(p.Plan.Cohort.Members, member.Name) {
			continue
		}
		approved := p.Approved()
		_, state, _ := s.cfg.Driver.RunOf(p.Digest)
		reply.Plans = append(reply.Plans, &pb.PlanOffer{
			Plan: p.Body, Approved: approved.Has(member.Index), Approvals: roster.Names(approved),
			Open: state != "evaluated",
		})
	}
	return reply, nil
}

// Approve records the caller's signed word on a plan.
func (s *federationService) Approve(ctx context.Context, r *pb.ApproveRequest) (*pb.ApproveReply, error) {
	member, err := s.member(ctx)
	if err != nil {
		return nil, err
	}
	plan, err := pb.Digest("plan", r.Plan)
	if err != nil {
		return nil, invalid(err)
	}
	if err := words("reason", r.Reason); err != nil {
		return nil, err
	}
	if err := s.cfg.Book.Approve(ctx, member.Name, plan, r.Approve, r.Signature, r.Reason); err != nil {
		return nil, err
	}
	s.cfg.Log.Info("plan answered", "member", member.Name, "plan", plan.Short(), "approve", r.Approve)
	return &pb.ApproveReply{}, nil
}

// Renew replaces the caller's certificate, which TLS has just found valid.
func (s *federationService) Renew(ctx context.Context, r *pb.RenewRequest) (*pb.RenewReply, error) {
	member, err := s.member(ctx)
	if err != nil {
		return nil, err
	}
	chain, err := s.cfg.Book.Renew(ctx, member.Name, r.Csr)
	if err != nil {
		return nil, err
	}
	s.cfg.Log.Info("certificate renewed", "member", member.Name)
	return &pb.RenewReply{Chain: chain}, nil
}

// Upload stores chunks as they come; each must belong to the same vector of the caller. Chunks that are refused end
// the stream; the node asks Have and goes on.
func (s *federationService) Upload(stream grpc.ClientStreamingServer[pb.UploadChunk, pb.UploadReply]) error {
	ctx := stream.Context()
	member, err := s.member(ctx)
	if err != nil {
		return err
	}
	var at *Vector
	for {
		c, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		v, err := vector(c.Run, c.Round, c.K)
		if err != nil {
			return invalid(err)
		}
		if at == nil {
			at = &v
			if err := s.announced(ctx, member.Index, v); err != nil {
				return err
			}
		} else if *at != v {
			return invalid(errors.New("upload: chunks of two vectors on one stream"))
		}
		if len(c.Data) == 0 || len(c.Data) > pb.MaxChunkBytes {
			return invalid(fmt.Errorf("upload: chunk %d of %d bytes, want 1 to %d", c.Index, len(c.Data), pb.MaxChunkBytes))
		}
		complete, err := s.cfg.Driver.Chunk(ctx, member.Index, v, c.Index, c.Data)
		if err != nil {
			return err
		}
		s.cfg.Uploaded(len(c.Data))
		if complete {
			if err := s.cfg.Driver.Whole(ctx, member.Index, v); err != nil {
				return err
			}
		}
	}
	if at == nil {
		return invalid(errors.New("upload: no chunk"))
	}
	bitmap, whole, err := s.cfg.Driver.Have(ctx, member.Index, *at)
	if err != nil {
		return err
	}
	return stream.SendAndClose(&pb.UploadReply{Whole: whole, Stored: bitmap})
}

// How long an upload waits for its mask, which comes on the session and may be overtaken by the first chunk.
const (
	announceWait = 15 * time.Second
	announcePoll = 2 * time.Millisecond
)

// announced waits until the caller's mask has been accepted.
func (s *Server) announced(ctx context.Context, member uint8, at Vector) error {
	ctx, cancel := context.WithTimeout(ctx, announceWait)
	defer cancel()
	for pause := announcePoll; ; pause = min(2*pause, 200*time.Millisecond) {
		bitmap, _, err := s.cfg.Driver.Have(ctx, member, at)
		if err != nil || bitmap != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("upload: no mask of member %d was accepted: %w", member, secagg.ErrUpload)
		case <-time.After(pause):
		}
	}
}

func vector(run []byte, round, k uint32) (Vector, error) {
	id, err := pb.RunID(run)
	return Vector{Run: id, Round: round, K: k}, err
}

// Have tells which chunks of the caller's masked vector are stored (S54).
func (s *federationService) Have(ctx context.Context, r *pb.HaveRequest) (*pb.HaveReply, error) {
	member, err := s.member(ctx)
	if err != nil {
		return nil, err
	}
	at, err := vector(r.Run, r.Round, r.K)
	if err != nil {
		return nil, invalid(err)
	}
	bitmap, whole, err := s.cfg.Driver.Have(ctx, member.Index, at)
	if err != nil {
		return nil, err
	}
	return &pb.HaveReply{Stored: bitmap, Whole: whole}, nil
}

// maxRounds bounds one answer of Rounds.
const maxRounds = 1000

// Rounds lists closed rounds after a given one, oldest first (S62).
func (s *federationService) Rounds(ctx context.Context, r *pb.RoundsRequest) (*pb.RoundsReply, error) {
	member, err := s.member(ctx)
	if err != nil {
		return nil, err
	}
	run, err := pb.RunID(r.Run)
	if err != nil {
		return nil, invalid(err)
	}
	limit := int(r.Limit)
	if limit == 0 || limit > maxRounds {
		limit = maxRounds
	}
	rounds, err := s.cfg.Driver.Rounds(ctx, member.Index, run, r.After, limit)
	if err != nil {
		return nil, err
	}
	return &pb.RoundsReply{Rounds: rounds}, nil
}

// Sum streams a closed round: its transcript first when asked, then the sum in chunks of 64 KiB (S60).
func (s *federationService) Sum(r *pb.SumRequest, stream grpc.ServerStreamingServer[pb.SumChunk]) error {
	ctx := stream.Context()
	member, err := s.member(ctx)
	if err != nil {
		return err
	}
	run, err := pb.RunID(r.Run)
	if err != nil {
		return invalid(err)
	}
	sum, err := s.cfg.Driver.Sum(ctx, member.Index, run, r.Round)
	if err != nil {
		return err
	}
	if r.Transcript {
		if err := sendTranscript(stream, pb.FramesToPB(sum.Transcript)); err != nil {
			return err
		}
	}
	buffer := make([]byte, pb.MaxChunkBytes) // Send has encoded it when it returns
	for offset := int64(0); offset < sum.Size; offset += pb.MaxChunkBytes {
		data := buffer[:min(pb.MaxChunkBytes, sum.Size-offset)]
		if err := sum.ReadAt(data, offset); err != nil {
			return err
		}
		if err := stream.Send(&pb.SumChunk{Data: data}); err != nil {
			return err
		}
	}
	return nil
}

// sendTranscript cuts frames into messages well below the size limit.
func sendTranscript(stream grpc.ServerStreamingServer[pb.SumChunk], frames []*pb.Frame) error {
	for len(frames) > 0 {
		n, size := 0, 0
		for n < len(frames) && (n == 0 || size+len(frames[n].Body) < pb.MaxMessageBytes/4) {
			size += len(frames[n].Body) + 80
			n++
		}
		if err := stream.Send(&pb.SumChunk{Frames: frames[:n]}); err != nil {
			return err
		}
		frames = frames[n:]
	}
	return nil
}

// Spot streams one chunk of every survivor's masked vector with its inclusion path (S56).
func (s *federationService) Spot(r *pb.SpotRequest, stream grpc.ServerStreamingServer[pb.SpotChunk]) error {
	ctx := stream.Context()
	member, err := s.member(ctx)
	if err != nil {
		return err
	}
	run, err := pb.RunID(r.Run)
	if err != nil {
		return invalid(err)
	}
	return s.cfg.Driver.Spot(ctx, member.Index, run, r.Round, r.Index, stream.Send)
}

// Start streams the files of the release that a plan's warm start names.
func (s *federationService) Start(r *pb.StartRequest, stream grpc.ServerStreamingServer[pb.StartChunk]) error {
	ctx := stream.Context()
	member, err := s.member(ctx)
	if err != nil {
		return err
	}
	plan, err := pb.Digest("plan", r.Plan)
	if err != nil {
		return invalid(err)
	}
	return s.cfg.Driver.Start(ctx, member.Name, plan, stream.Send)
}
