package coordinator_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/registry"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/release/canonical"

	"github.com/stretchr/testify/require"
)

// agree checks that every member ended with the coordinator's model.
func (w *world) agree(p *federation.Plan, r coordinator.Run) {
	w.t.Helper()
	machine, err := w.c.Model(r.ID)
	require.NoError(w.t, err)
	want, err := machine.Digest()
	require.NoError(w.t, err)
	for _, f := range w.members {
		require.Eventually(w.t, func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.closed > 0 && f.applied == r.Rounds[len(r.Rounds)-1].Number
		}, 10*time.Second, 5*time.Millisecond, f.name)
		got, err := f.machine.Digest()
		require.NoError(w.t, err)
		require.Equal(w.t, want, got, f.name)
	}
	_, err = journal.Verify(w.t.Context(), w.journal)
	require.NoError(w.t, err)
}

func (w *world) approval(name, role, of string, digest release.Digest) []byte {
	w.t.Helper()
	a, err := release.Approve(w.people[name], name, role, digest, time.Now())
	require.NoError(w.t, err)
	b, err := canonical.Marshal(a)
	require.NoError(w.t, err)
	return b
}

func TestWholeRun(t *testing.T) {
	w := newWorld(t, nil)
	p := plan(t)
	w.federate(p)
	r := w.wait(p)
	require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
	require.Len(t, r.Rounds, 6) // every category is listed, so two sums of statistics suffice
	require.Equal(t, uint32(6), r.Steps)
	for _, round := range r.Rounds {
		require.Equal(t, "closed", round.Outcome)
		require.Equal(t, 5, round.Survivors.Len())
		require.NotZero(t, round.Phases["mask"].Up)
	}
	w.agree(p, r)
	for _, f := range w.members {
		require.Empty(t, f.left)
		require.Empty(t, f.refused)
	}
	for _, round := range r.Rounds { // S55: only the last round's masked vectors are still there
		_, err := w.spool.Size(spool.Key{Run: r.ID, Round: round.Number, Member: 1})
		require.Equal(t, round.Number != 6, errors.Is(err, spool.ErrMissing), "round %d: %v", round.Number, err)
	}
	require.Equal(t, "document-risk-1", r.Release)
	w.releases(r)
}

// releases approves, publishes, pulls and revokes what the run gave.
func (w *world) releases(r coordinator.Run) {
	t, anna := w.t, w.admin("anna")
	list, err := anna.Releases(t.Context(), &pb.ReleasesRequest{Name: r.Release})
	require.NoError(t, err)
	one := list.Releases[0]
	require.Equal(t, "waiting", one.State)
	digest := release.StatementDigest(one.StatementBody)
	require.Equal(t, digest[:], one.Statement)

	_, err = anna.ApproveRelease(t.Context(), &pb.ApproveReleaseRequest{Name: r.Release, Approval: w.approval("ben", "data-protection", r.Release, digest)})
	require.ErrorContains(t, err, "sent by anna", "nobody brings another person's approval")
	_, err = anna.ApproveRelease(t.Context(), &pb.ApproveReleaseRequest{Name: r.Release, Approval: w.approval("anna", "data-protection", r.Release, digest)})
	require.Error(t, err, "nobody has two roles")
	_, err = anna.ApproveRelease(t.Context(), &pb.ApproveReleaseRequest{Name: r.Release, Approval: w.approval("anna", "model-owner", r.Release, release.Digest{1})})
	require.ErrorContains(t, err, "another statement")
	reply, err := anna.ApproveRelease(t.Context(), &pb.ApproveReleaseRequest{Name: r.Release, Approval: w.approval("anna", "model-owner", r.Release, digest)})
	require.NoError(t, err)
	require.Equal(t, "waiting", reply.State)
	_, err = anna.ApproveRelease(t.Context(), &pb.ApproveReleaseRequest{Name: r.Release, Approval: w.approval("anna", "model-owner", r.Release, digest)})
	require.ErrorContains(t, err, "already")

	w.restart()
	ben := w.admin("ben")
	planted := w.plant(one)
	_, err = ben.ApproveRelease(t.Context(), &pb.ApproveReleaseRequest{Name: r.Release, Approval: w.approval("ben", "data-protection", r.Release, digest)})
	require.Error(t, err, "another release of that name lies in the store")
	state := func() string {
		one, err := w.c.Book().Release(r.Release)
		require.NoError(t, err)
		return string(one.State)
	}
	require.Equal(t, "waiting", state())
	require.NoError(t, os.RemoveAll(planted))
	w.restart()
	require.Eventually(t, func() bool { return state() == "published" }, 20*time.Second, 20*time.Millisecond)
	ben = w.admin("ben")

	site, err := w.c.Site()
	require.NoError(t, err)
	server := httptest.NewTLSServer(site)
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client := &registry.Client{Roots: roots}
	policy := release.Policy{Keys: []*ecdsa.PublicKey{&w.release.PublicKey}, Approvers: w.c.Book().Approvers()}
	pulled, err := client.Pull(t.Context(), server.URL+"/releases/"+r.Release, policy)
	require.NoError(t, err)
	require.Equal(t, digest, pulled.Digest)
	require.Len(t, pulled.Statement.Rounds, 6)
	require.Equal(t, names, pulled.Statement.Members)
	page, err := server.Client().Get(server.URL + "/releases/" + r.Release)
	require.NoError(t, err)
	defer page.Body.Close()
	text, err := io.ReadAll(page.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Contains(t, string(text), digest.String())
	require.Contains(t, string(text), "model.koinon")

	_, err = ben.RevokeRelease(t.Context(), &pb.RevokeReleaseRequest{Name: r.Release, Mode: "withdraw", Reason: "calibration drifted"})
	require.NoError(t, err)
	list, err = ben.Releases(t.Context(), &pb.ReleasesRequest{})
	require.NoError(t, err)
	require.Equal(t, "revoked", list.Releases[0].State)
	w.withheld(r.Release, client, server.URL, policy)

	// Neither a restart nor a lost index gives it out again.
	require.NoError(t, os.Remove(filepath.Join(w.c.Store().Root(), registry.IndexFile)))
	w.restart()
	site, err = w.c.Site()
	require.NoError(t, err)
	again := httptest.NewTLSServer(site)
	defer again.Close()
	w.withheld(r.Release, client, again.URL, policy)
}

// plant puts a release into the store that is signed and approved as it should be, under the name of a candidate, with
// another statement than that one's.
func (w *world) plant(candidate *pb.ReleaseStatus) (folder string) {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.dir, "artifacts", "candidates", candidate.Name+"*"))
	require.NoError(w.t, err)
	require.Len(w.t, found, 1)
	files, err := release.Read(found[0])
	require.NoError(w.t, err)
	statement, err := release.ParseStatement(candidate.StatementBody)
	require.NoError(w.t, err)
	statement.Code = "other"
	files[release.StatementFile], err = statement.Marshal()
	require.NoError(w.t, err)
	digest := release.StatementDigest(files[release.StatementFile])
	var approvals []release.Approval
	for name, role := range map[string]string{"anna": "model-owner", "ben": "data-protection"} {
		a, err := release.Approve(w.people[name], name, role, digest, time.Now())
		require.NoError(w.t, err)
		approvals = append(approvals, a)
	}
	sealed, err := release.Seal(files, approvals, w.c.Book().Approvers(), w.release)
	require.NoError(w.t, err)
	folder = filepath.Join(w.c.Store().Root(), registry.ReleasesFolder, candidate.Name)
	require.NoError(w.t, release.Write(folder, sealed.Files))
	return folder
}

// withheld holds the site to a revocation.
func (w *world) withheld(name string, client *registry.Client, url string, policy release.Policy) {
	_, err := client.Pull(w.t.Context(), url+"/releases/"+name, policy)
	var revoked *registry.RevokedError
	require.ErrorAs(w.t, err, &revoked)
	require.Equal(w.t, "withdraw", revoked.Mode)
	require.ErrorContains(w.t, err, name+" is revoked (withdraw, ")
	require.ErrorContains(w.t, err, "calibration drifted")
	index, err := client.List(w.t.Context(), url)
	require.NoError(w.t, err)
	require.Equal(w.t, "calibration drifted", index.Releases[0].Revoked.Reason)
}

// A candidate that fails a gate is drawn up, kept back with the reason, and cannot be approved.
func TestGatedCandidate(t *testing.T) {
	w := newWorld(t, nil)
	p := plan(t, "at_least: 0.5", "at_least: 0.9999")
	w.federate(p)
	r := w.wait(p)
	require.Equal(t, coordinator.Evaluated, r.State)
	list, err := w.admin("anna").Releases(t.Context(), &pb.ReleasesRequest{})
	require.NoError(t, err)
	require.Equal(t, "gated", list.Releases[0].State)
	require.Contains(t, list.Releases[0].Reason, "gates not passed")
	_, err = w.admin("anna").ApproveRelease(t.Context(), &pb.ApproveReleaseRequest{
		Name: r.Release, Approval: w.approval("anna", "model-owner", r.Release, release.Digest{1}),
	})
	require.ErrorContains(t, err, "is gated")
}

// A gate that asks for an answer keeps the candidate back until somebody has given it in writing; the answer stands in
// the signed statement. The coordinator may be restarted in between.
func TestGateAnswered(t *testing.T) {
	w := newWorld(t, nil)
	p := plan(t, "gates:", "gates:\n  - {metric: observed_over_expected, group: sex, interval_contains: 1, else: answer}")
	w.federate(p)
	r := w.wait(p)
	w.restart()
	anna := w.admin("anna")
	list, err := anna.Releases(t.Context(), &pb.ReleasesRequest{Name: r.Release})
	require.NoError(t, err)
	require.Equal(t, "gated", list.Releases[0].State)
	require.Equal(t, "answer required", list.Releases[0].Gates[0].Verdict)
	answer := func(gate uint32, text string) (*pb.AnswerGateReply, error) {
		return anna.AnswerGate(t.Context(), &pb.AnswerGateRequest{Name: r.Release, Gate: gate, Answer: text})
	}
	_, err = answer(2, "no")
	require.ErrorContains(t, err, "cannot be answered")
	_, err = answer(3, "no")
	require.Error(t, err)
	_, err = answer(1, "  ")
	require.Error(t, err)
	reply, err := answer(1, "sixty labels were audited, none was wrong")
	require.NoError(t, err)
	require.Equal(t, "waiting", reply.State)
	w.restart()
	for name, role := range map[string]string{"anna": "model-owner", "ben": "data-protection"} {
		list, err = w.admin(name).Releases(t.Context(), &pb.ReleasesRequest{Name: r.Release})
		require.NoError(t, err)
		digest := release.StatementDigest(list.Releases[0].StatementBody)
		_, err = w.admin(name).ApproveRelease(t.Context(), &pb.ApproveReleaseRequest{Name: r.Release, Approval: w.approval(name, role, r.Release, digest)})
		require.NoError(t, err)
	}
	files, err := release.Read(filepath.Join(w.c.Store().Root(), registry.ReleasesFolder, r.Release))
	require.NoError(t, err)
	sealed, err := release.Open(files, release.Policy{Keys: []*ecdsa.PublicKey{&w.release.PublicKey}})
	require.NoError(t, err)
	require.Equal(t, release.Answered, sealed.Statement.Gates[0].Result)
	require.Contains(t, sealed.Statement.Gates[0].Answer, "sixty labels")
}

// A node killed in Mask is a dropout, comes back by itself, catches up and joins the next round.
func TestNodeKilledInMask(t *testing.T) {
	w := newWorld(t, nil)
	p := plan(t, "rounds: 3", "rounds: 6")
	var victim *fake
	w.federate(p, func() {
		victim = w.members["IT"]
		var masks atomic.Int32
		victim.before = func(mt secagg.Type) bool {
			if mt == secagg.TypeMask && masks.Add(1) == 4 {
				victim.vanish()
				return false
			}
			return true
		}
	})
	w.until(p, "a round without IT", func(r coordinator.Run) bool {
		for _, round := range r.Rounds {
			if len(round.Lost) == 1 && round.Outcome == "closed" {
				return true
			}
		}
		return false
	})
	victim.kill()
	victim.connect()
	r := w.wait(p)
	require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
	require.Equal(t, 4, r.Rounds[3].Survivors.Len())
	require.Equal(t, "mask", r.Rounds[3].Lost[0].Phase.String())
	require.Equal(t, 5, r.Rounds[len(r.Rounds)-1].Survivors.Len(), "evaluation waits for the whole cohort: %+v", r.Rounds)
	w.agree(p, r)
}

// The wait for the whole cohort begins when the round before is over: a member lost in a round that took longer than
// that wait is waited for no less than others.
func TestWaitBeginsAfterALongRound(t *testing.T) {
	w := newWorld(t, func(c *coordinator.Config) { c.FullCohort, c.Grace = 100, 105 })
	p := plan(t)
	var victim *fake
	w.federate(p, func() {
		victim = w.members["IT"]
		var masks atomic.Int32
		victim.before = func(mt secagg.Type) bool {
			if mt == secagg.TypeMask && masks.Add(1) == 5 { // in the last round before evaluation
				victim.vanish()
				return false
			}
			return true
		}
	})
	w.until(p, "a round without IT", func(r coordinator.Run) bool {
		return len(r.Rounds) >= 5 && r.Rounds[4].Outcome == "closed"
	})
	victim.kill()
	victim.connect()
	r := w.wait(p)
	require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
	require.Equal(t, "train", r.Rounds[4].Kind)
	require.Equal(t, 4, r.Rounds[4].Survivors.Len())
	require.Equal(t, 5, r.Rounds[5].Survivors.Len())
}

// The end of a session may be told after the beginning of the next one, when the goroutine of the old session is late:
// the member is there, and is waited for as long as its phase lasts.
func TestEndOfSessionToldLate(t *testing.T) {
	w := newWorld(t, nil)
	p := plan(t)
	reached, open := make(chan struct{}), make(chan struct{})
	w.federate(p, func() {
		var masks atomic.Int32
		w.members["IT"].before = func(mt secagg.Type) bool {
			if mt == secagg.TypeMask && masks.Add(1) == 2 {
				close(reached)
				<-open
			}
			return true
		}
	})
	<-reached
	w.c.Gone(w.members["IT"].index)
	time.Sleep(300 * time.Millisecond) // three times the grace
	close(open)
	r := w.wait(p)
	require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
	for _, round := range r.Rounds {
		require.Equal(t, 5, round.Survivors.Len(), "round %d", round.Number)
	}
}

// cut is a journal that dies after a number of appends, as the coordinator does under SIGKILL: what was not appended
// was not sent either.
type cut struct {
	journal.Journal
	left atomic.Int64
}

func (c *cut) Append(ctx context.Context, entries ...journal.Entry) ([]journal.Record, error) {
	if c.left.Add(-1) < 0 {
		return nil, journal.ErrClosed
	}
	return c.Journal.Append(ctx, entries...)
}

// The coordinator is killed after every seventh append of the run, wherever that is, and started again: the run
// completes with the same model at every member, and the journal verifies (S65).
func TestCoordinatorKilledAgainAndAgain(t *testing.T) {
	var breaking *cut
	w := newWorld(t, func(cfg *coordinator.Config) {
		if breaking != nil {
			cfg.Journal = breaking
		}
	})
	p := plan(t)
	w.federate(p)
	kills := 0
	for n := int64(3); n < 60; n += 3 {
		w.stop()
		breaking = &cut{Journal: w.journal}
		breaking.left.Store(n)
		w.start()
		deadline := time.Now().Add(20 * time.Second)
		over := false
		for breaking.left.Load() >= 0 && time.Now().Before(deadline) && !over {
			r, ok := w.c.RunByPlan(p.Digest())
			over = ok && r.Ended != 0
			time.Sleep(2 * time.Millisecond)
		}
		if over {
			break
		}
		kills++
	}
	w.stop()
	breaking = nil
	w.start()
	r := w.wait(p)
	require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
	require.GreaterOrEqual(t, kills, 5)
	closed := 0
	for _, round := range r.Rounds {
		if round.Outcome == "closed" {
			closed++
		}
	}
	require.Equal(t, 6, closed)
	t.Logf("%d kills, %d rounds", kills, len(r.Rounds))
	_, err := journal.Verify(t.Context(), w.journal)
	require.NoError(t, err)
}

// A journal that cannot be written holds the round up and loses nothing.
func TestFullDiskOnJournal(t *testing.T) {
	full := &flaky{}
	w := newWorld(t, func(cfg *coordinator.Config) {
		full.Journal = cfg.Journal
		cfg.Journal = full
	})
	p := plan(t)
	w.federate(p, func() {
		var masks atomic.Int32
		w.members["DE"].before = func(mt secagg.Type) bool {
			if mt == secagg.TypeMask && masks.Add(1) == 2 { // in the middle of the second round
				full.on.Store(true)
			}
			return true
		}
	})
	require.Eventually(t, func() bool { return full.refused.Load() > 1 }, 20*time.Second, time.Millisecond)
	full.on.Store(false)
	r := w.wait(p)
	require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
	for _, round := range r.Rounds {
		require.Equal(t, "closed", round.Outcome)
	}
	w.agree(p, r)
}

type flaky struct {
	journal.Journal
	on      atomic.Bool
	refused atomic.Int64
}

func (f *flaky) Append(ctx context.Context, entries ...journal.Entry) ([]journal.Record, error) {
	if f.on.Load() {
		f.refused.Add(1)
		return nil, &os.PathError{Op: "write", Path: filepath.Join("journal.db"), Err: os.ErrPermission}
	}
	return f.Journal.Append(ctx, entries...)
}

// S35: unmasks arrived, then the round is lost: the step is repeated, and only with the same survivors.
func TestStepRepeatedWithSameSurvivors(t *testing.T) {
	w := newWorld(t, nil)
	p := plan(t, "unmask: 100", "unmask: 10")
	for _, name := range names {
		w.enrol(name)
	}
	body, err := p.Encode()
	require.NoError(t, err)
	_, err = w.admin("anna").SubmitPlan(t.Context(), &pb.SubmitPlanRequest{Plan: body})
	require.NoError(t, err)
	var silent atomic.Bool
	silent.Store(true)
	for _, name := range []string{"PL", "PT"} {
		w.members[name].before = func(mt secagg.Type) bool { return mt != secagg.TypeUnmask || !silent.Load() }
	}
	for _, name := range names {
		w.members[name].approve(p)
		w.members[name].connect()
	}
	w.until(p, "the first round is aborted", func(r coordinator.Run) bool {
		return len(r.Rounds) > 0 && len(r.Rounds[0].Outcome) > 7 && r.Rounds[0].Outcome[:7] == "aborted"
	})
	w.members["DE"].kill()
	silent.Store(false)
	w.until(p, "the run waits for the same survivors", func(r coordinator.Run) bool {
		return r.State == coordinator.Waiting && len(r.Reason) > 0 && r.Reason[:9] == "this step"
	})
	w.members["DE"].connect()
	r := w.wait(p)
	require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
	closed := slices.IndexFunc(r.Rounds, func(one coordinator.Round) bool { return one.Outcome == "closed" })
	require.Equal(t, r.Rounds[0].Step, r.Rounds[closed].Step)
	require.Equal(t, 5, r.Rounds[closed].Survivors.Len())
	w.agree(p, r)
}

// S33, S72: DE signs two agreements, and the step that was released with it is lost. It is repeated without DE, whose
// guilt every node checks itself; DE takes no part in the rest of the run.
func TestReleasedStepRepeatedWithoutTheGuilty(t *testing.T) {
	w := newWorld(t, func(cfg *coordinator.Config) { cfg.FullCohort = 2 })
	p := plan(t, "unmask: 100", "unmask: 10")
	for _, name := range names {
		w.enrol(name)
	}
	guilty := w.members["DE"]
	guilty.also = func(sent []secagg.Frame) []secagg.Frame {
		if sent[0].Type != secagg.TypeAgree {
			return nil
		}
		body := append([]byte(nil), sent[0].Body...)
		body[len(body)-1] ^= 1
		return []secagg.Frame{guilty.forge(sent[0], body)}
	}
	var silent atomic.Bool
	silent.Store(true)
	for _, name := range []string{"PL", "PT"} {
		w.members[name].before = func(mt secagg.Type) bool { return mt != secagg.TypeUnmask || !silent.Load() }
	}
	body, err := p.Encode()
	require.NoError(t, err)
	_, err = w.admin("anna").SubmitPlan(t.Context(), &pb.SubmitPlanRequest{Plan: body})
	require.NoError(t, err)
	for _, name := range names {
		w.members[name].approve(p)
		w.members[name].connect()
	}
	w.until(p, "the first round is aborted", func(r coordinator.Run) bool {
		return len(r.Rounds) > 0 && strings.HasPrefix(r.Rounds[0].Outcome, "aborted")
	})
	silent.Store(false)
	w.restart()
	r := w.wait(p)
	require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
	require.Equal(t, r.Rounds[0].Step, r.Rounds[1].Step)
	for _, round := range r.Rounds[1:] {
		require.Equal(t, secagg.SetOf(2, 3, 4, 5), round.Survivors, "%d: %s", round.Number, round.Outcome)
	}
}

// S33, S35: a node that missed the second release of a step, without the guilty, still holds to the larger set of the
// first. The evidence is sent along with every further repetition, so that it goes on with the others.
func TestEvidenceGoesWithEveryRepetition(t *testing.T) {
	w := newWorld(t, func(cfg *coordinator.Config) { cfg.FullCohort = 2 })
	p := plan(t, "unmask: 100", "unmask: 10")
	for _, name := range names {
		w.enrol(name)
	}
	guilty, late := w.members["DE"], w.members["PT"]
	guilty.also = func(sent []secagg.Frame) []secagg.Frame {
		if sent[0].Type != secagg.TypeAgree {
			return nil
		}
		body := append([]byte(nil), sent[0].Body...)
		body[len(body)-1] ^= 1
		return []secagg.Frame{guilty.forge(sent[0], body)}
	}
	var silent atomic.Int32
	silent.Store(2)
	w.members["PL"].before = func(mt secagg.Type) bool { return mt != secagg.TypeUnmask || silent.Load() < 2 }
	late.before = func(mt secagg.Type) bool { return mt != secagg.TypeUnmask || silent.Load() < 1 }
	body, err := p.Encode()
	require.NoError(t, err)
	_, err = w.admin("anna").SubmitPlan(t.Context(), &pb.SubmitPlanRequest{Plan: body})
	require.NoError(t, err)
	for _, name := range names {
		w.members[name].approve(p)
		w.members[name].connect()
	}
	aborted := func(n int) func(coordinator.Run) bool {
		return func(r coordinator.Run) bool {
			return len(r.Rounds) >= n && strings.HasPrefix(r.Rounds[n-1].Outcome, "aborted")
		}
	}
	w.until(p, "the first round is aborted", aborted(1))
	late.kill()
	first := maps.Clone(late.locks)
	require.Len(t, first, 1)
	silent.Store(1)
	late.connect()
	w.until(p, "the second round is aborted", aborted(2))
	late.kill()
	require.NotEqual(t, first, late.locks)
	late.locks = first // as if it had not seen the certificate
	silent.Store(0)
	late.connect()
	r := w.wait(p)
	require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
	at := slices.IndexFunc(r.Rounds, func(round coordinator.Round) bool { return round.Outcome == "closed" })
	require.Equal(t, r.Rounds[0].Step, r.Rounds[at].Step)
	require.Equal(t, secagg.SetOf(2, 3, 4, 5), r.Rounds[at].Survivors)
}

// S34: a second run of the plan repeats each step with the survivors of the first, the training rounds too, although
// their state and model differ by then; steps that were not released are free.
func TestSecondRunRepeatsSurvivors(t *testing.T) {
	w := newWorld(t, func(cfg *coordinator.Config) { cfg.FullCohort = 2 })
	p := plan(t, "advertise: 100", "advertise: 1000")
	var specs, masks atomic.Int32
	var hold atomic.Bool
	hold.Store(true)
	for _, name := range names {
		w.enrol(name)
	}
	victim := w.members["IT"]
	victim.before = func(mt secagg.Type) bool {
		if hold.Load() && mt == secagg.TypeMask && masks.Add(1) == 3 { // in the first training round
			victim.vanish()
			return false
		}
		return true
	}
	w.members["DE"].before = func(mt secagg.Type) bool { return !hold.Load() || mt != secagg.TypeSpec || specs.Add(1) <= 3 }
	body, err := p.Encode()
	require.NoError(t, err)
	anna := w.admin("anna")
	_, err = anna.SubmitPlan(t.Context(), &pb.SubmitPlanRequest{Plan: body})
	require.NoError(t, err)
	for _, name := range names {
		w.members[name].approve(p)
		w.members[name].connect()
	}
	first := w.until(p, "the first training round is closed without IT", func(r coordinator.Run) bool {
		return len(r.Rounds) >= 4 && r.Rounds[2].Outcome == "closed"
	})
	require.Equal(t, 4, first.Rounds[2].Survivors.Len())
	_, err = anna.StopRun(t.Context(), &pb.StopRunRequest{Run: first.ID[:], Reason: "again"})
	require.NoError(t, err)
	require.Equal(t, coordinator.Stopped, w.wait(p).State)

	for _, name := range names {
		f := w.members[name]
		f.kill()
		f.machine, f.applied, f.joined, f.closed = nil, 0, 0, 0
	}
	hold.Store(false)
	w.restart() // what was released is known from the journal
	for _, name := range names {
		w.members[name].connect()
	}
	_, err = w.admin("anna").StartRun(t.Context(), &pb.StartRunRequest{Plan: first.Plan[:]})
	require.NoError(t, err)
	second := w.wait(p)
	require.Equal(t, coordinator.Evaluated, second.State, second.Reason)
	require.NotEqual(t, first.ID, second.ID)
	for i, round := range second.Rounds {
		want := 5
		if i == 2 {
			want = 4
			require.False(t, round.Survivors.Has(victim.index))
		}
		require.Equal(t, want, round.Survivors.Len(), "round %d: %s", round.Number, round.Outcome)
	}
	w.agree(p, second)
	for _, f := range w.members {
		require.NotContains(t, f.left, secagg.ErrStepReleased.Error())
	}
}

func TestRunStartedStoppedAndFailed(t *testing.T) {
	w := newWorld(t, func(cfg *coordinator.Config) { cfg.MaxAborts = 2; cfg.FullCohort = 2 })
	p := plan(t, "mask: 200", "mask: 3")
	for _, name := range names {
		w.enrol(name)
	}
	body, err := p.Encode()
	require.NoError(t, err)
	anna := w.admin("anna")
	_, err = anna.SubmitPlan(t.Context(), &pb.SubmitPlanRequest{Plan: body})
	require.NoError(t, err)
	digest := p.Digest()
	for _, name := range names[:3] {
		w.members[name].approve(p)
	}
	_, err = anna.StartRun(t.Context(), &pb.StartRunRequest{Plan: digest[:]})
	require.ErrorContains(t, err, "3 of 5 members have approved, 4 needed")
	w.members["PL"].approve(p)
	reply, err := anna.StartRun(t.Context(), &pb.StartRunRequest{Plan: digest[:]})
	require.NoError(t, err)
	_, err = anna.StartRun(t.Context(), &pb.StartRunRequest{Plan: digest[:]})
	require.ErrorContains(t, err, "has run")
	w.until(p, "waits with a reason", func(r coordinator.Run) bool { return r.State == coordinator.Waiting && r.Reason != "" })
	_, err = anna.StopRun(t.Context(), &pb.StopRunRequest{Run: reply.Run, Reason: "wrong schema"})
	require.NoError(t, err)
	require.Equal(t, coordinator.Stopped, w.wait(p).State)

	_, err = anna.StartRun(t.Context(), &pb.StartRunRequest{Plan: digest[:]})
	require.NoError(t, err)
	for _, name := range names[:4] {
		f := w.members[name]
		f.before = func(mt secagg.Type) bool { return mt != secagg.TypeMask }
		f.connect()
	}
	r := w.wait(p)
	require.Equal(t, coordinator.Failed, r.State)
	require.Contains(t, r.Reason, "2 rounds of step 1 were aborted")
	require.Contains(t, r.Reason, "deadline")
}
