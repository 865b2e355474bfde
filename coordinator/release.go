package coordinator

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/report"
	"github.com/koinon-eu/koinon/coordinator/admin"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/coordinator/rpc"
	"github.com/koinon-eu/koinon/models/registry"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/schedule"
)

// evaluated draws up a candidate from a complete run, stores its files, journals it, and ends the run. A restart in
// between does the same again and finds what is there.
func (r *run) evaluated(ctx context.Context) error {
	if m := r.model(); m != nil && m.Forest() != nil {
		shown := m.Forest().Disclosure() // trees 46
		r.c.cfg.Log.Info("histograms opened", "run", runName(r.id), "trees", len(m.Forest().Trees()), "cells", shown.Cells, "cells_below_five_rows", shown.Small)
	}
	if m := r.model(); m != nil && m.Stopped() {
		rounds, planned := m.Rounds()
		_, chosen := m.Chosen()
		r.c.cfg.Log.Info("training ended early", "run", runName(r.id), "rounds", rounds, "planned", planned, "chosen_after", chosen)
	}
	if r.c.cfg.Releases != "" {
		name, err := r.draw(ctx)
		if err != nil {
			return fmt.Errorf("draw up candidate: %w", err)
		}
		r.mu.Lock()
		r.view.Release = name
		r.mu.Unlock()
	}
	return r.end(ctx, Evaluated, "")
}

// Candidate draws up the candidate of a run that is complete, without storing or journalling anything: for a
// federation in one process.
func (c *Coordinator) Candidate(id [16]byte) (release.Files, *report.Report, error) {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	r, err := c.find(id)
	if err != nil {
		return nil, nil, err
	}
	if !r.over() || r.model() == nil || !r.model().Done() {
		return nil, nil, admin.Errorf(rpc.ErrState, "run %s is not evaluated", runName(id))
	}
	built, err := r.candidate(r.plan.Plan.Name).build()
	return built.files, built.report, err
}

// Model returns the machine of a run that is over, which nobody changes any more.
func (c *Coordinator) Model(id [16]byte) (*schedule.Machine, error) {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	r, err := c.find(id)
	if err != nil {
		return nil, err
	}
	if !r.over() || r.model() == nil {
		return nil, admin.Errorf(rpc.ErrState, "run %s is not over", runName(id))
	}
	return r.model(), nil
}

func (r *run) candidate(name string) candidate {
	roster, _ := r.c.book.Roster()
	last := r.closed[len(r.closed)-1]
	return candidate{
		name: name, created: time.Unix(last.time, 0), version: r.c.cfg.Version, plan: r.plan.Plan, roster: roster,
		machine: r.model(), rounds: r.closed,
	}
}

// draw stores and journals the candidate under the next free name of its plan.
func (r *run) draw(ctx context.Context) (string, error) {
	number := 1
	for _, other := range r.c.book.Releases() {
		if other.Run == runName(r.id) {
			return other.Name, nil
		}
		if other.Plan == r.plan.Plan.Name {
			number++
		}
	}
	name := fmt.Sprintf("%s-%d", r.plan.Plan.Name, number)
	built, err := r.candidate(name).build()
	if err != nil {
		return "", err
	}
	if err := r.c.keep(r.c.candidates(name), built.files); err != nil {
		return "", err
	}
	stopping, err := r.c.keepFinal(name, built)
	if err != nil {
		return "", err
	}
	return name, r.c.book.Draw(ctx, admin.Drawn{
		Name: name, Run: runName(r.id), Plan: r.plan.Plan.Name, Statement: built.statement, Gates: built.gates,
		Reason: built.reason, Folder: name, Stopping: stopping,
	})
}

// keep stores files in a directory of their own. After a restart between the files and their record they are there
// already and the same, because drawing up is deterministic.
func (c *Coordinator) keep(dir string, files release.Files) error {
	err := release.Write(dir, files)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	there, err := release.Read(dir)
	if err != nil {
		return err
	}
	if !sameFiles(there, files) {
		return fmt.Errorf("%s holds other files than this run gives; remove it", dir)
	}
	return nil
}

func (c *Coordinator) candidates(folder string) string {
	return filepath.Join(c.cfg.Releases, "candidates", folder)
}

// AnswerGate implements rpc.Driver: with the last answer that was missing the candidate gets a statement, which holds
// the answers, and waits for approvals.
func (c *Coordinator) AnswerGate(ctx context.Context, by, name string, gate int, answer string) (string, error) {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	old, err := c.book.Release(name)
	if err != nil {
		return "", err
	}
	switch {
	case old.State != admin.Gated:
		return "", admin.Errorf(admin.ErrForbidden, "release %s is %s, no gate of it wants an answer", name, old.State)
	case gate < 1 || gate > len(old.Gates):
		return "", admin.Errorf(admin.ErrInvalid, "release %s has gates 1 to %d", name, len(old.Gates))
	case old.Gates[gate-1].Verdict != string(fairness.AnswerRequired):
		return "", admin.Errorf(admin.ErrForbidden, "gate %d of release %s says %q and cannot be answered", gate, name, old.Gates[gate-1].Verdict)
	case strings.TrimSpace(answer) == "" || len(answer) > pb.MaxReasonBytes:
		return "", admin.Errorf(admin.ErrInvalid, "answer: want 1 to %d bytes", pb.MaxReasonBytes)
	}
	next := old.Drawn
	next.By, next.Answers = by, maps.Clone(old.Answers)
	if next.Answers == nil {
		next.Answers = map[int]string{}
	}
	next.Answers[gate-1] = strings.TrimSpace(answer)
	if err := c.redraw(&next); err != nil {
		return "", err
	}
	if err := c.book.Redraw(ctx, next); err != nil {
		return "", err
	}
	c.cfg.Log.Info("gate answered", "release", name, "gate", gate, "by", by)
	r, err := c.book.Release(name)
	return string(r.State), err
}

// redraw draws a candidate up again with its answers, in a folder of its own.
func (c *Coordinator) redraw(d *admin.Drawn) error {
	id, err := parseRun(d.Run)
	if err != nil {
		return err
	}
	r, err := c.find(id)
	if err != nil {
		return err
	}
	if r.machine == nil {
		if err := r.rebuild(); err != nil {
			return err
		}
	}
	draft := r.candidate(d.Name)
	draft.answers = d.Answers
	built, err := draft.build()
	if err != nil {
		return err
	}
	digest := release.Digest(sha256.Sum256(built.files[release.CardFile]))
	d.Folder = d.Name + "-" + digest.String()[:12]
	d.Gates, d.Reason, d.Statement = built.gates, built.reason, built.statement
	return c.keep(c.candidates(d.Folder), built.files)
}

func sameFiles(a, b release.Files) bool {
	if len(a) != len(b) {
		return false
	}
	for name, data := range a {
		if string(data) != string(b[name]) {
			return false
		}
	}
	return true
}

// ApproveRelease implements rpc.Driver.
func (c *Coordinator) ApproveRelease(ctx context.Context, by, name string, approval []byte) (string, error) {
	ready, err := c.book.ApproveRelease(ctx, by, name, approval)
	if err != nil {
		return "", err
	}
	c.cfg.Log.Info("release approved", "release", name, "by", by)
	if ready {
		if err := c.publish(ctx, name); err != nil {
			return "", err
		}
	}
	r, err := c.book.Release(name)
	return string(r.State), err
}

// publishReady publishes what two people have approved and a restart has kept from being published, and withholds what
// was revoked.
func (c *Coordinator) publishReady(ctx context.Context) {
	for _, r := range c.book.Ready() {
		if err := c.publish(ctx, r.Name); err != nil {
			c.cfg.Log.Error("release not published", "release", r.Name, "error", err)
		}
	}
	if err := c.withhold(); err != nil {
		c.cfg.Log.Error("revoked release is still given out", "error", err)
	}
}

// withhold has the store give out no release that the journal says is revoked, also when a restart or a full disk came
// between the two.
func (c *Coordinator) withhold() error {
	if c.store == nil {
		return nil
	}
	var failed error
	for _, r := range c.book.Releases() {
		if r.State != admin.Revoked {
			continue
		}
		failed = errors.Join(failed, c.store.Revoke(r.Name, registry.Revocation{
			Mode: r.Mode, Reason: r.Reason, Time: release.FormatTime(time.Unix(r.Revoked, 0)),
		}))
	}
	return failed
}

// publish seals a release with the release key, puts it into the registry and journals that it is there. The
// statement is in the journal since the candidate was drawn up: nothing is signed that is not on record.
func (c *Coordinator) publish(ctx context.Context, name string) error {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	r, err := c.book.Release(name)
	if err != nil {
		return err
	}
	if r.State == admin.Published {
		return nil
	}
	if c.cfg.Release == nil || c.store == nil {
		return admin.Errorf(rpc.ErrState, "release %s: no release key is configured", name)
	}
	sealed, err := c.seal(r)
	if err != nil {
		return fmt.Errorf("release %s: %w", name, err)
	}
	if err := c.store.Put(sealed); err != nil {
		return err
	}
	if err := c.book.Signed(ctx, name, sealed.Key); err != nil {
		return err
	}
	c.cfg.Log.Info("release published", "release", name, "key", sealed.Key)
	return nil
}

// seal signs the candidate's files, or takes the sealed release that a cut-off publication has left in the store: an
// EC signature is never the same twice.
func (c *Coordinator) seal(r admin.Release) (*release.Release, error) {
	stored := filepath.Join(c.store.Root(), registry.ReleasesFolder, r.Name)
	if files, err := release.Read(stored); err == nil {
		if string(files[release.StatementFile]) != string(r.Statement) {
			return nil, errors.New("the store holds another release of this name: its statement is not the journalled one")
		}
		return release.Open(files, c.policy())
	}
	files, err := release.Read(c.candidates(r.Folder))
	if err != nil {
		return nil, err
	}
	if string(files[release.StatementFile]) != string(r.Statement) {
		return nil, errors.New("the candidate's statement is not the journalled one")
	}
	return release.Seal(files, r.Approvals, c.book.Approvers(), c.cfg.Release)
}

// RevokeRelease implements rpc.Driver.
func (c *Coordinator) RevokeRelease(ctx context.Context, by, name, mode, reason string) error {
	if err := c.book.Revoke(ctx, by, name, mode, reason); err != nil {
		return err
	}
	c.cfg.Log.Warn("release revoked", "release", name, "mode", mode, "by", by, "reason", reason)
	return c.withhold()
}

// Releases implements rpc.Driver.
func (c *Coordinator) Releases(name string) ([]*pb.ReleaseStatus, error) {
	list := c.book.Releases()
	if name != "" {
		one, err := c.book.Release(name)
		if err != nil {
			return nil, err
		}
		list = []admin.Release{one}
	}
	var out []*pb.ReleaseStatus
	for _, r := range list {
		run, _ := parseRun(r.Run)
		digest := r.Digest()
		s := &pb.ReleaseStatus{Name: r.Name, Run: run[:], State: string(r.State), Reason: r.Reason}
		if len(r.Statement) > 0 {
			s.Statement = digest[:]
		}
		if name != "" {
			s.StatementBody = r.Statement
		}
		if (r.State == admin.Published || r.State == admin.Revoked) && c.cfg.Web != "" {
			s.Url = c.cfg.Web + "/releases/" + r.Name
		}
		for _, g := range r.Gates {
			s.Gates = append(s.Gates, &pb.GateStatus{Text: g.Text, Verdict: g.Verdict, Figures: g.Figures})
		}
		for _, a := range r.Approvals {
			when, _ := time.Parse(time.RFC3339, a.Time)
			s.Approvals = append(s.Approvals, &pb.ApprovalStatus{Person: a.Person, Role: a.Role, Time: when.Unix()})
		}
		out = append(out, s)
	}
	return out, nil
}
