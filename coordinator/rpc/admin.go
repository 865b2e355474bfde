package rpc

import (
	"context"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/coordinator/admin"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
)

type adminService struct {
	pb.UnimplementedAdminServer
	*Server
}

// Invite makes a one-time invite for a member.
func (s *adminService) Invite(ctx context.Context, r *pb.InviteRequest) (*pb.InviteReply, error) {
	p, err := s.person(ctx)
	if err != nil {
		return nil, err
	}
	invite, err := s.cfg.Book.Invite(ctx, p.Name, r.Member, time.Duration(r.ValidSeconds)*time.Second)
	if err != nil {
		return nil, err
	}
	text, err := invite.Text()
	if err != nil {
		return nil, err
	}
	s.cfg.Log.Info("member invited", "member", r.Member, "by", p.Name, "expires", invite.Expires)
	return &pb.InviteReply{Invite: text, Expires: invite.Expires.Unix()}, nil
}

// Members lists all members with what their nodes said last.
func (s *adminService) Members(ctx context.Context, _ *pb.MembersRequest) (*pb.MembersReply, error) {
	if _, err := s.person(ctx); err != nil {
		return nil, err
	}
	reply := &pb.MembersReply{}
	if roster, _ := s.cfg.Book.Roster(); roster != nil {
		reply.RosterVersion = roster.Version
	}
	for _, m := range s.cfg.Book.Members() {
		seen, live := s.cfg.Hub.Presence(m.Index)
		reply.Members = append(reply.Members, &pb.MemberStatus{
			Name: m.Name, Index: uint32(m.Index), Enrolled: m.Enrolled(), Connected: live, Suspended: m.Suspended,
			LastSeen: seen.LastSeen, Version: seen.Version, RosterVersion: seen.RosterVersion, IdentityKey: m.Key,
		})
	}
	return reply, nil
}

// Suspend keeps a member out of rounds, or lets it back in.
func (s *adminService) Suspend(ctx context.Context, r *pb.SuspendRequest) (*pb.SuspendReply, error) {
	p, err := s.person(ctx)
	if err != nil {
		return nil, err
	}
	if err := words("reason", r.Reason); err != nil {
		return nil, err
	}
	if err := s.cfg.Book.Suspend(ctx, p.Name, r.Member, r.Reason, r.Resume); err != nil {
		return nil, err
	}
	s.cfg.Log.Info("member suspended", "member", r.Member, "resume", r.Resume, "by", p.Name)
	return &pb.SuspendReply{}, nil
}

// SubmitPlan checks a plan and offers it to its cohort.
func (s *adminService) SubmitPlan(ctx context.Context, r *pb.SubmitPlanRequest) (*pb.SubmitPlanReply, error) {
	p, err := s.person(ctx)
	if err != nil {
		return nil, err
	}
	digest, err := s.cfg.Book.Submit(ctx, p.Name, r.Plan)
	if err != nil {
		return nil, err
	}
	s.cfg.Log.Info("plan submitted", "plan", digest.Short(), "by", p.Name)
	return &pb.SubmitPlanReply{Digest: digest[:]}, nil
}

// Plans lists plans, or one.
func (s *adminService) Plans(ctx context.Context, r *pb.PlansRequest) (*pb.PlansReply, error) {
	if _, err := s.person(ctx); err != nil {
		return nil, err
	}
	plans := s.cfg.Book.Plans()
	if len(r.Digest) > 0 {
		digest, err := pb.Digest("plan", r.Digest)
		if err != nil {
			return nil, invalid(err)
		}
		plan, err := s.cfg.Book.Plan(digest)
		if err != nil {
			return nil, err
		}
		plans = []admin.Plan{plan}
	}
	reply := &pb.PlansReply{}
	names := map[uint8]string{}
	for _, m := range s.cfg.Book.Members() {
		names[m.Index] = m.Name
	}
	for _, plan := range plans {
		status := &pb.PlanStatus{Plan: plan.Body, Digest: plan.Digest[:], State: "open"}
		for _, w := range plan.Words() {
			if w.Approve {
				status.Approved = append(status.Approved, names[w.Member])
			} else {
				status.Rejected = append(status.Rejected, names[w.Member])
			}
		}
		if run, state, ok := s.cfg.Driver.RunOf(plan.Digest); ok {
			status.Run, status.State = run[:], state
		}
		reply.Plans = append(reply.Plans, status)
	}
	return reply, nil
}

// StartRun starts a run of a plan that at least t members approved.
func (s *adminService) StartRun(ctx context.Context, r *pb.StartRunRequest) (*pb.StartRunReply, error) {
	p, err := s.person(ctx)
	if err != nil {
		return nil, err
	}
	plan, err := pb.Digest("plan", r.Plan)
	if err != nil {
		return nil, invalid(err)
	}
	run, err := s.cfg.Driver.StartRun(ctx, p.Name, plan)
	if err != nil {
		return nil, err
	}
	return &pb.StartRunReply{Run: run[:]}, nil
}

// Runs lists runs, or one.
func (s *adminService) Runs(ctx context.Context, r *pb.RunsRequest) (*pb.RunsReply, error) {
	if _, err := s.person(ctx); err != nil {
		return nil, err
	}
	var one *[16]byte
	if len(r.Run) > 0 {
		run, err := pb.RunID(r.Run)
		if err != nil {
			return nil, invalid(err)
		}
		one = &run
	}
	runs, err := s.cfg.Driver.Runs(one, r.Rounds)
	if err != nil {
		return nil, err
	}
	return &pb.RunsReply{Runs: runs}, nil
}

// StopRun ends a run for good.
func (s *adminService) StopRun(ctx context.Context, r *pb.StopRunRequest) (*pb.StopRunReply, error) {
	p, err := s.person(ctx)
	if err != nil {
		return nil, err
	}
	run, err := pb.RunID(r.Run)
	if err != nil {
		return nil, invalid(err)
	}
	if err := words("reason", r.Reason); err != nil {
		return nil, err
	}
	return &pb.StopRunReply{}, s.cfg.Driver.StopRun(ctx, p.Name, run, r.Reason)
}

// Releases lists releases, or one with its statement.
func (s *adminService) Releases(ctx context.Context, r *pb.ReleasesRequest) (*pb.ReleasesReply, error) {
	if _, err := s.person(ctx); err != nil {
		return nil, err
	}
	releases, err := s.cfg.Driver.Releases(r.Name)
	if err != nil {
		return nil, err
	}
	return &pb.ReleasesReply{Releases: releases}, nil
}

// AnswerGate gives the written answer that a gate with a finding asks for.
func (s *adminService) AnswerGate(ctx context.Context, r *pb.AnswerGateRequest) (*pb.AnswerGateReply, error) {
	p, err := s.person(ctx)
	if err != nil {
		return nil, err
	}
	if err := words("answer", strings.TrimSpace(r.Answer)); err != nil {
		return nil, err
	}
	state, err := s.cfg.Driver.AnswerGate(ctx, p.Name, r.Name, int(r.Gate), r.Answer)
	if err != nil {
		return nil, err
	}
	return &pb.AnswerGateReply{State: state}, nil
}

// ApproveRelease adds the caller's signed approval; the second one in another role publishes.
func (s *adminService) ApproveRelease(ctx context.Context, r *pb.ApproveReleaseRequest) (*pb.ApproveReleaseReply, error) {
	p, err := s.person(ctx)
	if err != nil {
		return nil, err
	}
	state, err := s.cfg.Driver.ApproveRelease(ctx, p.Name, r.Name, r.Approval)
	if err != nil {
		return nil, err
	}
	return &pb.ApproveReleaseReply{State: state}, nil
}

// RevokeRelease suspends, withdraws or recalls a published release.
func (s *adminService) RevokeRelease(ctx context.Context, r *pb.RevokeReleaseRequest) (*pb.RevokeReleaseReply, error) {
	p, err := s.person(ctx)
	if err != nil {
		return nil, err
	}
	if err := words("reason", r.Reason); err != nil {
		return nil, err
	}
	return &pb.RevokeReleaseReply{}, s.cfg.Driver.RevokeRelease(ctx, p.Name, r.Name, r.Mode, r.Reason)
}
