package coordinator

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"maps"
	"slices"

	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/coordinator/rpc"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/registry"
	"github.com/koinon-eu/koinon/models/release"
)

// AllRuns lists every run, oldest first.
func (c *Coordinator) AllRuns() []Run {
	c.mu.Lock()
	list := make([]*run, 0, len(c.order))
	for _, id := range c.order {
		list = append(list, c.runs[id])
	}
	c.mu.Unlock()
	out := make([]Run, len(list))
	for i, r := range list {
		out[i] = r.snapshot()
	}
	return out
}

// RunByPlan returns the newest run of a plan.
func (c *Coordinator) RunByPlan(plan federation.Digest) (Run, bool) {
	id, _, ok := c.RunOf(plan)
	if !ok {
		return Run{}, false
	}
	r, err := c.find(id)
	if err != nil {
		return Run{}, false
	}
	return r.snapshot(), true
}

// WaitRun waits until a plan's run is over: evaluated, stopped or failed. progress, if not nil, is called at each
// change on the way.
func (c *Coordinator) WaitRun(ctx context.Context, plan federation.Digest, progress func(Run)) (Run, error) {
	for {
		changed := c.Watch()
		if r, ok := c.RunByPlan(plan); ok {
			if r.Ended != 0 {
				return r, nil
			}
			if progress != nil {
				progress(r)
			}
		}
		select {
		case <-ctx.Done():
			return Run{}, ctx.Err()
		case <-changed:
		}
	}
}

// Store returns the published releases; nil when the coordinator draws up none.
func (c *Coordinator) Store() *registry.Store { return c.store }

// Connected returns how many members have a session.
func (c *Coordinator) Connected() int { return c.hub.Connected().Len() }

// policy is whom this coordinator's own releases are verified against.
func (c *Coordinator) policy() release.Policy {
	p := release.Policy{Approvers: c.book.Approvers()}
	if key, ok := c.cfg.Release.Public().(*ecdsa.PublicKey); ok {
		p.Keys = []*ecdsa.PublicKey{key}
	}
	return p
}

// Runs implements rpc.Driver.
func (c *Coordinator) Runs(one *[16]byte, rounds bool) ([]*pb.RunStatus, error) {
	var out []*pb.RunStatus
	for _, r := range c.AllRuns() {
		if one == nil || r.ID == *one {
			out = append(out, c.status(r, rounds))
		}
	}
	if one != nil && len(out) == 0 {
		return nil, fmt.Errorf("run %s: %w", runName(*one), rpc.ErrNotFound)
	}
	return out, nil
}

func (c *Coordinator) status(r Run, rounds bool) *pb.RunStatus {
	s := &pb.RunStatus{
		Run: r.ID[:], Plan: r.Plan[:], PlanName: r.Name, State: r.State, Reason: r.Reason, Step: r.Step, Steps: r.Steps,
		Release: r.Release, Stopping: c.stoppingStatus(r),
	}
	if n := len(r.Rounds); n > 0 {
		s.Round = r.Rounds[n-1].Number
	}
	roster, _ := c.book.Roster()
	for _, m := range slices.Sorted(maps.Keys(r.Excluded)) {
		s.Excluded = append(s.Excluded, fmt.Sprintf("%s (%s)", roster.Name(m), r.Excluded[m]))
	}
	if !rounds {
		return s
	}
	for _, round := range r.Rounds {
		status := &pb.RoundStatus{
			Round: round.Number, Step: round.Step, Kind: round.Kind, Phase: round.Phase, Outcome: round.Outcome,
			Survivors: roster.Names(round.Survivors), Milliseconds: round.Milliseconds(), Bytes: round.Bytes(),
			Sum: uint32(round.K), Sums: uint32(round.Sums),
		}
		for _, l := range round.Lost {
			status.Dropouts = append(status.Dropouts, roster.Name(l.Member))
			status.LostIn = append(status.LostIn, l.Phase.String())
		}
		s.Rounds = append(s.Rounds, status)
	}
	return s
}

// Names returns members' names, for a person.
func (c *Coordinator) Names(set secagg.Set) []string {
	roster, _ := c.book.Roster()
	if roster == nil {
		return nil
	}
	return roster.Names(set)
}
