package rpc

import (
	"context"

	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
)

type enrolmentService struct {
	pb.UnimplementedEnrolmentServer
	*Server
}

// Enroll spends an invite. It is the only call without a client certificate.
func (s *enrolmentService) Enroll(ctx context.Context, r *pb.EnrollRequest) (*pb.EnrollReply, error) {
	done, err := s.cfg.Book.Enrol(ctx, admin.Enrolment{
		Member: r.Member, Secret: r.Secret, CSR: r.Csr, Key: federation.Key(r.IdentityKey), Proof: r.Proof,
	})
	if err != nil {
		s.cfg.Log.Warn("enrolment refused", "member", clip(r.Member), "error", err)
		return nil, err
	}
	if m, err := s.cfg.Book.Member(r.Member); err == nil {
		s.cfg.Hub.end(m.Index) // a session begun under a certificate that counts no more
	}
	s.cfg.Log.Info("member enrolled", "member", r.Member)
	return &pb.EnrollReply{Chain: done.Chain, Ca: done.Root, Roster: pb.RosterToPB(done.Roster), Address: done.Server}, nil
}

// clip bounds a text from outside before it is logged.
func clip(s string) string { return s[:min(len(s), 40)] }
