package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/coordinator/rpc"
	"github.com/koinon-eu/koinon/models/registry"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/models/start"
)

// newSchedule makes the machine of a plan before its first sum.
func (c *Coordinator) newSchedule(plan *federation.Plan) (Schedule, error) {
	if c.cfg.Schedule != nil {
		return c.cfg.Schedule(plan)
	}
	cfg, err := c.learning(plan)
	if err != nil {
		return nil, err
	}
	return schedule.New(cfg)
}

// learning is what a plan's machine is made of, with the model that a warm start names. It is read from the store whether
// or not the release was revoked since: a run that has begun is rebuilt from the same state.
func (c *Coordinator) learning(plan *federation.Plan) (schedule.Config, error) {
	cfg := plan.Learning()
	if plan.WarmStart == nil {
		return cfg, nil
	}
	r, err := c.named(plan.WarmStart)
	if err != nil {
		return cfg, err
	}
	body, err := os.ReadFile(filepath.Join(c.released(r.Name), release.ArtifactFile))
	if err != nil {
		return cfg, fmt.Errorf("warm start: %w", err)
	}
	return start.Open(body, cfg)
}

func (c *Coordinator) released(name string) string {
	return filepath.Join(c.store.Root(), registry.ReleasesFolder, name)
}

// named finds the release that a warm start means among those that were published here.
func (c *Coordinator) named(w *federation.WarmStart) (admin.Release, error) {
	for _, r := range c.book.Releases() {
		if r.State != admin.Published && r.State != admin.Revoked {
			continue
		}
		statement, err := release.ParseStatement(r.Statement)
		if err == nil && federation.Digest(statement.Artifact) == w.Artifact() && (w.Name() == "" || w.Name() == r.Name) {
			return r, nil
		}
	}
	return admin.Release{}, admin.Errorf(admin.ErrInvalid, "warm start: no release %s was published here", w.Release)
}

// usable is named for a plan that has not begun: the release must not be revoked.
func (c *Coordinator) usable(w *federation.WarmStart) (admin.Release, error) {
	r, err := c.named(w)
	if err == nil && r.State == admin.Revoked {
		err = admin.Errorf(admin.ErrInvalid, "warm start: release %s is revoked (%s): %s", r.Name, r.Mode, r.Reason)
	}
	return r, err
}

// checkStart says why a plan may not start from the release it names: it is not published, revoked, or does not fit.
func (c *Coordinator) checkStart(plan *federation.Plan) error {
	if plan.WarmStart == nil {
		return nil
	}
	if _, err := c.usable(plan.WarmStart); err != nil {
		return err
	}
	if _, err := c.learning(plan); err != nil {
		return admin.Errorf(admin.ErrInvalid, "%w", err)
	}
	return nil
}

// Start implements rpc.Driver: the whole release that a plan starts from, so that a node can verify its signature.
func (c *Coordinator) Start(_ context.Context, member string, digest federation.Digest, send func(*pb.StartChunk) error) error {
	p, err := c.book.Plan(digest)
	if err != nil {
		return err
	}
	if !slices.Contains(p.Plan.Cohort.Members, member) {
		return admin.Errorf(admin.ErrForbidden, "member %s is not in the cohort of plan %s", member, p.Plan.Name)
	}
	if p.Plan.WarmStart == nil {
		return fmt.Errorf("plan %s has no warm start: %w", p.Plan.Name, rpc.ErrNotFound)
	}
	r, err := c.usable(p.Plan.WarmStart)
	if err != nil {
		return err
	}
	files, err := os.ReadDir(c.released(r.Name))
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := sendFile(filepath.Join(c.released(r.Name), f.Name()), send); err != nil {
			return err
		}
	}
	return nil
}

// sendFile streams a file of a release, of which only one chunk is in memory.
func sendFile(path string, send func(*pb.StartChunk) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	buffer := make([]byte, pb.MaxChunkBytes) // send has encoded it when it returns
	for {
		n, err := io.ReadFull(f, buffer)
		if n > 0 {
			if err := send(&pb.StartChunk{File: filepath.Base(path), Data: buffer[:n]}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
