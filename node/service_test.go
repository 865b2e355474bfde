package node_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/deploy/service"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/egress"
)

type randomReader struct{}

func (randomReader) Read(b []byte) (int, error) { return rand.Read(b) }

// onDisk enrols PT into a directory and returns it; the other four are in memory.
func onDisk(t *testing.T) (*federationOfFive, node.Dir) {
	f := &federationOfFive{nodes: map[string]*member{}, planning: parsePlan(t, planYAML)}
	f.fake, f.keys = newFake(t, members[:4])
	f.plan = f.planning
	d := node.Dir(filepath.Join(t.TempDir(), "PT"))
	require.NoError(t, d.Make())
	require.NoError(t, os.WriteFile(d.Path("table.csv"), []byte(csv(4)), 0o400))
	_, err := node.Enroll(t.Context(), d, f.invite(t, "PT"), node.File{Data: node.Data{File: "table.csv"}}, time.Now())
	require.NoError(t, err)
	f.machine, err = schedule.New(f.plan.Learning())
	require.NoError(t, err)
	f.begin()
	for i, name := range members[:4] {
		f.nodes[name] = f.newMember(name, uint64(i), nil)
		f.nodes[name].start(t)
	}
	return f, d
}

// serve runs a node on a directory until the returned function is called.
func serve(t *testing.T, d node.Dir) (stop func()) {
	s, err := node.Open(t.Context(), d, "test", slog.New(slog.NewTextHandler(testWriter{t}, nil)))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, s.Close())
	}
	t.Cleanup(stop)
	return stop
}

// approve is what koinon-node plan approve does.
func approve(t *testing.T, f *federationOfFive, d node.Dir) {
	o, err := node.OpenOperator(d, "test")
	require.NoError(t, err)
	defer func() { require.NoError(t, o.Close()) }()
	offers, err := o.Sync(t.Context())
	require.NoError(t, err)
	require.Len(t, offers.Plans, 1)
	_, err = o.Decide(t.Context(), offers.Plans[0].Plan, true, "", time.Now())
	require.NoError(t, err)
}

// TestForeignRoster: a roster signed by another key than the pinned one is refused, not offered.
func TestForeignRoster(t *testing.T) {
	f, _ := newFake(t, members[:4])
	f.plan = nil
	d := node.Dir(filepath.Join(t.TempDir(), "PT"))
	require.NoError(t, d.Make())
	_, err := node.Enroll(t.Context(), d, f.invite(t, "PT"), node.File{Data: node.Data{File: "table.csv"}}, time.Now())
	require.NoError(t, err)
	public, foreign, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	f.mu.Lock()
	roster := *f.roster
	roster.Version, roster.Coordinator = roster.Version+1, federation.Key(public)
	f.roster, f.key = &roster, foreign
	f.mu.Unlock()
	o, err := node.OpenOperator(d, "test")
	require.NoError(t, err)
	defer func() { require.NoError(t, o.Close()) }()
	_, err = o.Sync(t.Context())
	require.ErrorContains(t, err, "not the pinned one")
	_, _, err = d.Offered()
	require.ErrorIs(t, err, node.ErrUnknown)
	_, err = o.Decide(t.Context(), parsePlan(t, planYAML), false, "a\nb", time.Now())
	require.ErrorContains(t, err, "control character")
}

// TestDirectory runs a plan with one node on a state directory that is stopped and started in the middle, its
// operator deciding beside it; then it holds the records to what the coordinator heard.
func TestDirectory(t *testing.T) {
	f, d := onDisk(t)
	stop := serve(t, d)
	_, err := node.Open(t.Context(), d, "test", slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, service.ErrLocked)
	approve(t, f, d) // while it serves
	f.ready(5)
	require.NoError(t, f.playRound(20*time.Second, nil))
	require.NoError(t, f.playRound(20*time.Second, nil))
	eventually(t, func() bool { return applied(d, f) == 2 }, "PT applies two rounds")
	stop()
	require.NoError(t, f.playRound(20*time.Second, nil)) // without PT
	require.Equal(t, members[:4], f.roster.Names(f.server.Survivors()))
	stop = serve(t, d)
	f.ready(5)
	f.finish()
	require.Equal(t, members, f.roster.Names(f.server.Survivors()))
	eventually(t, func() bool { all, err := d.Figures(); return err == nil && len(all) == 1 }, "PT keeps its figures")
	stop()

	f.holdEgress(t, d)
	accounts, _, _, err := budget.Show(d.BudgetPath(), budget.Privacy{})
	require.NoError(t, err)
	require.Len(t, accounts, 1)
	require.Equal(t, 6, accounts[0].Steps) // seven, one of them without PT
	require.Equal(t, 1, accounts[0].Evaluations)
	noSecrets(t, d)
}

func applied(d node.Dir, f *federationOfFive) uint32 {
	runs, err := d.Runs(f.plan.Digest())
	if err != nil || len(runs) != 1 {
		return 0
	}
	return runs[0].Step
}

// holdEgress: everything the coordinator heard from PT is in PT's egress records. What it heard from the others is
// in their captures.
func (f *federationOfFive) holdEgress(t *testing.T, d node.Dir) {
	recorded := map[[32]byte]bool{}
	nodePath, operatorPath := d.EgressPaths()
	for _, path := range []string{nodePath, operatorPath} {
		_, err := egress.List(path, func(e egress.Entry) error { recorded[e.SHA256] = true; return nil })
		require.NoError(t, err)
	}
	for _, m := range f.nodes {
		for _, s := range m.capture.Sent() {
			recorded[sha(s.Bytes)] = true
		}
	}
	f.hearingMu.Lock()
	defer f.hearingMu.Unlock()
	require.Greater(t, len(f.heard), 100)
	for _, digest := range f.heard {
		require.True(t, recorded[digest], "a message left that is in no record")
	}
}

// noSecrets: round secrets never touch a disk. Whatever the node wrote, no file but keys and table may hold the table
// or a key, and there are no files that nobody expects.
func noSecrets(t *testing.T, d node.Dir) {
	known := map[string]bool{"node.yaml": true, "table.csv": true, "roster.json": true, "budget.log": true, "egress.log": true, "lock": true}
	require.NoError(t, filepath.WalkDir(string(d), func(path string, e os.DirEntry, err error) error {
		require.NoError(t, err)
		name, _ := filepath.Rel(string(d), path)
		if e.IsDir() {
			require.Contains(t, []string{".", "keys", "certs", "plans", "runs", "figures", "evidence", "drift", "operator"}, name)
			return nil
		}
		if filepath.Dir(name) == "." {
			require.True(t, known[name], name)
		}
		return nil
	}))
}

// TestRenew trades a certificate for another one while the old is valid.
func TestRenew(t *testing.T) {
	_, d := onDisk(t)
	before, err := os.ReadFile(d.Path("certs/node.pem"))
	require.NoError(t, err)
	o, err := node.OpenOperator(d, "test")
	require.NoError(t, err)
	require.NoError(t, o.Renew(t.Context()))
	require.NoError(t, o.Close())
	after, err := os.ReadFile(d.Path("certs/node.pem"))
	require.NoError(t, err)
	require.NotEqual(t, before, after)
	serve(t, d)()
}

// TestTamperedDirectory: files that were changed by hand are refused with a word about which.
// TestRunOfTreesIsKept: cohort, data and key of a run are in its file again (S74, S75, S79).
func TestRunOfTreesIsKept(t *testing.T) {
	f, d := onDisk(t)
	machine, err := schedule.New(f.plan.Learning())
	require.NoError(t, err)
	run := node.Run{
		ID: node.RunID{9}, Plan: f.plan.Digest(), Closed: 3, Step: 3, State: [32]byte{1}, Cohort: secagg.SetOf(1, 2, 5), Data: [32]byte{2}, Key: [32]byte{3},
	}
	require.NoError(t, d.SaveRun(run, machine))
	kept, _, err := d.Run(run.ID, f.plan.Learning())
	require.NoError(t, err)
	require.Equal(t, run, kept)
}

func TestTamperedDirectory(t *testing.T) {
	for name, c := range map[string]struct{ file, old, new, want string }{
		"roster":         {"roster.json", `"version":`, `"version":1`, "roster"},
		"unknown key":    {"node.yaml", "member:", "mamber:", "mamber"},
		"another member": {"node.yaml", "member: PT", "member: DE", "certificate names"},
	} {
		t.Run(name, func(t *testing.T) {
			_, d := onDisk(t)
			b, err := os.ReadFile(d.Path(c.file))
			require.NoError(t, err)
			require.Contains(t, string(b), c.old)
			require.NoError(t, os.WriteFile(d.Path(c.file), []byte(replace(string(b), c.old, c.new)), 0o600))
			if c.file == "roster.json" {
				_, err = d.Roster()
			} else {
				_, err = node.Open(t.Context(), d, "test", slog.New(slog.DiscardHandler))
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}
