package sim

import (
	"crypto"
	"crypto/ecdsa"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/direct"
	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/crypto/keystore"
	"github.com/koinon-eu/koinon/crypto/sign"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/card"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/release/canonical"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/models/start"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/finetune"

	"github.com/stretchr/testify/require"
)

// stopText makes a run end before its forty rounds: a judgement must better the best by two in a thousand.
const stopText = "{name: fedadam, rounds: 40, stop: {patience: 2, tolerance: 0.002}}"

// publisher is a coordinator's release key and the two people who approve.
type publisher struct {
	dir    string
	signer crypto.Signer
	people map[string]crypto.Signer // by role
}

func newPublisher(t testing.TB) *publisher {
	return &publisher{
		dir: t.TempDir(), signer: newSigner(t),
		people: map[string]crypto.Signer{"model-owner": newSigner(t), "data-protection": newSigner(t)},
	}
}

func (p *publisher) tune(c *coordinator.Config) {
	c.Releases, c.Release, c.FullCohort = p.dir, p.signer, 50
	for role, key := range p.people {
		c.People = append(c.People, admin.Person{Name: role, Role: role, Key: key.Public()})
	}
}

// keys are whom a node trusts that trusts this publisher.
func (p *publisher) keys() *release.Policy {
	return &release.Policy{Keys: []*ecdsa.PublicKey{p.signer.Public().(*ecdsa.PublicKey)}}
}

// publish approves a candidate for both people.
func (p *publisher) publish(s *stage, name string) admin.Release {
	s.t.Helper()
	book := s.simulation.coordinator.Book()
	r, err := book.Release(name)
	require.NoError(s.t, err)
	require.Equal(s.t, admin.Waiting, r.State, r.Reason)
	for role, key := range p.people {
		a, err := release.Approve(key, role, role, r.Digest(), time.Now())
		require.NoError(s.t, err)
		body, err := canonical.Marshal(a)
		require.NoError(s.t, err)
		_, err = s.simulation.coordinator.ApproveRelease(s.t.Context(), role, name, body)
		require.NoError(s.t, err)
	}
	r, err = book.Release(name)
	require.NoError(s.t, err)
	require.Equal(s.t, admin.Published, r.State)
	return r
}

// artifactIn reads an artifact below the releases directory.
func (p *publisher) artifactIn(t testing.TB, path ...string) *artifact.Model {
	files, err := release.Read(filepath.Join(append([]string{p.dir}, path...)...))
	require.NoError(t, err)
	m, err := artifact.Parse(files[release.ArtifactFile])
	require.NoError(t, err)
	return m
}

// TestLifecycle: a run ends early over the real stack, with a coordinator that is killed twice on the way; the best
// model is the candidate and the final one is kept; once it is published a second run starts from it, without
// statistics, also with a coordinator that is killed; a node that trusts another release key takes no part in that; and
// after the release is revoked no plan starts from it.
func TestLifecycle(t *testing.T) {
	p := newPublisher(t)
	s := setStage(t, testPlan(t, "{name: fedadam, rounds: 3}", stopText), fiveTables(t), p.tune)
	for _, a := range s.actors {
		a.config.Releases = p.keys()
	}
	s.submit()
	s.playAll()
	for _, step := range []uint32{6, 9} {
		s.until(fmt.Sprintf("step %d", step), func(r coordinator.Run) bool { return r.Step >= step })
		s.reboot()
	}
	r := s.evaluated()
	s.checkSums(r)
	m := s.machineOf(r, five...)
	require.True(t, m.Stopped())
	rounds, planned := m.Rounds()
	best, chosen := m.Chosen()
	t.Logf("%d of %d rounds, chosen after %d, losses %.4f", rounds, planned, chosen, m.Losses())
	require.Less(t, rounds, planned)
	require.Equal(t, rounds-2, chosen+1, "two judgements after the best, and each is of the round before")

	run := r.ID
	status, err := s.simulation.coordinator.Runs(&run, false)
	require.NoError(t, err)
	stopping := status[0].Stopping
	require.Equal(t, []uint32{uint32(rounds), uint32(planned), uint32(chosen)}, []uint32{stopping.Rounds, stopping.Planned, stopping.Chosen})
	require.InDelta(t, m.Losses()[chosen], stopping.Loss, 1e-12)
	candidate := p.artifactIn(t, "candidates", r.Release)
	require.Equal(t, best, candidate.Params)
	final := p.artifactIn(t, filepath.Dir(stopping.Path))
	require.Equal(t, m.Params(), final.Params)
	require.Equal(t, 2.0, final.Header.Threshold, "nobody evaluated it")
	digest, err := final.Digest()
	require.NoError(t, err)
	require.Equal(t, digest[:], stopping.Final)
	published := p.publish(s, r.Release)

	p.fineTunes(t, published.Name)
	body, err := candidate.Marshal()
	require.NoError(t, err)
	digest, err = candidate.Digest()
	require.NoError(t, err)
	name := fmt.Sprintf("%s@%x", published.Name, digest)
	s.goOn(t, p, name, body)

	_, err = s.simulation.coordinator.Book().Submit(t.Context(), "bench", encoded(t, "name: document-risk", "name: wider", "kind: logistic", "kind: mlp", "cohort:", "warm_start: {release: "+name+"}\ncohort:"))
	require.ErrorIs(t, err, admin.ErrInvalid)
	require.ErrorContains(t, err, "the release is logistic")
	_, err = s.simulation.coordinator.Book().Submit(t.Context(), "bench", encoded(t, "name: document-risk", "name: none", "cohort:", "warm_start: {release: 00"+name[len(name)-62:]+"}\ncohort:"))
	require.ErrorContains(t, err, "no release")
	require.NoError(t, s.simulation.coordinator.RevokeRelease(t.Context(), "model-owner", published.Name, "recall", "wrong labels"))
	_, err = s.simulation.coordinator.Book().Submit(t.Context(), "bench", encoded(t, "name: document-risk", "name: again", "cohort:", "warm_start: {release: "+name+"}\ncohort:"))
	require.ErrorContains(t, err, "revoked (recall): wrong labels")
	require.ErrorIs(t, err, admin.ErrInvalid)
}

// fineTunes fits the published release to DE's rows, where it verifies.
func (p *publisher) fineTunes(t *testing.T, name string) {
	d, store := node.Dir(t.TempDir()), filepath.Join(p.dir, "store", "releases", name)
	write := func(name string, data []byte) { require.NoError(t, os.WriteFile(d.Path(name), data, 0o600)) }
	key, err := keystore.EncodePublic(p.signer.Public())
	require.NoError(t, err)
	write("release.pub", key)
	write("table.csv", csvText(1, 600, nil))
	write("node.yaml", []byte("federation: bench\nmember: DE\ncoordinator: 127.0.0.1:1\ndata: table.csv\nrelease_keys: [release.pub]\n"))
	in, err := d.TuneRelease(t.Context(), store)
	require.NoError(t, err)
	require.Contains(t, in.Source, "(verified)")
	result, err := finetune.Run(in)
	require.NoError(t, err)
	require.Equal(t, "DE", result.Report.Member)
	require.NotNil(t, result.Report.OverFederated)
	require.Len(t, result.Report.Groups, 4)

	other, err := keystore.EncodePublic(newSigner(t).Public())
	require.NoError(t, err)
	write("release.pub", other)
	_, err = d.TuneRelease(t.Context(), store)
	require.ErrorIs(t, err, sign.ErrKey)
}

func encoded(t testing.TB, replace ...string) []byte {
	body, err := testPlan(t, replace...).Encode()
	require.NoError(t, err)
	return body
}

// goOn runs a second plan from the published model.
func (s *stage) goOn(t *testing.T, p *publisher, name string, body []byte) {
	pt := s.actors["PT"]
	pt.stop()
	pt.config.Releases = newPublisher(t).keys()
	pt.play()
	s.plan = testPlan(t, "name: document-risk", "name: document-risk-2", "rounds: 3", "rounds: 6", "cohort:", "warm_start: {release: "+name+"}\ncohort:")
	s.submit()
	var id [16]byte
	eventually(t, "four of five have approved", func() bool {
		var err error
		id, err = s.simulation.coordinator.StartRun(t.Context(), "bench", s.plan.Digest())
		return err == nil
	})
	s.until("step 3", func(r coordinator.Run) bool { return r.Step >= 3 })
	s.reboot()
	r := s.evaluated()
	require.Equal(t, id, r.ID)
	for _, one := range r.Rounds {
		require.NotEqual(t, schedule.Statistics.String(), one.Kind)
		require.LessOrEqual(t, one.Survivors.Len(), 4)
	}
	m := s.machineOf(r, "DE", "FR", "IT", "PL")
	cfg, err := start.Open(body, s.plan.Learning())
	require.NoError(t, err)
	first, err := schedule.New(cfg)
	require.NoError(t, err)
	require.Equal(t, first.Encoder().Digest(), m.Encoder().Digest())
	plain := plainRest(t, s.plan, first, s.cfg.Members, s.cfg.Seed, func(v direct.Vector) bool { return v.Member != "PT" })
	require.Equal(t, digestOf(t, plain), digestOf(t, m))
	decision, err := pt.store.Decision(s.plan.Digest())
	require.NoError(t, err)
	require.False(t, decision.Made(), "PT trusts another key")
	_, err = pt.store.Start(s.plan.WarmStart.Artifact())
	require.ErrorIs(t, err, node.ErrUnknown)
	files, _, err := s.simulation.coordinator.Candidate(r.ID)
	require.NoError(t, err)
	record, err := card.Parse(files[release.CardFile])
	require.NoError(t, err)
	require.Equal(t, name, record.Model.From)
}
