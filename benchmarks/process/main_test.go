package process_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/process"
	"github.com/koinon-eu/koinon/benchmarks/synth"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/node"

	"github.com/stretchr/testify/require"
)

var bin string // folder of the programs

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "koinon-process-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// build builds the programs once, with the flags of every other build, so that most of it is in the cache.
var build = sync.OnceValue(func() error {
	const module = "github.com/koinon-eu/koinon/"
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", bin+string(filepath.Separator),
		module+"coordinator/cmd/koinon-coordinator", module+"node/cmd/koinon-node", module+"models/cmd/koinon")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
})

// world is a federation of the demo's five states with small tables.
type world struct {
	*process.Federation
	t    *testing.T
	ctx  context.Context
	dir  string
	plan string // file
	name string // of the plan
}

// gates that a model of few rows can pass.
const gates = `
gates:
  - {metric: auroc, bound: point, at_least: 0.5}
  - {metric: fpr_difference, group: sex, bound: point, at_most: 0.9}
`

// newWorld enrols everybody and starts everything; the plan is written and nobody has approved it.
func newWorld(t *testing.T, rows, rounds int) *world {
	t.Helper()
	if testing.Short() {
		t.Skip(t.Name() + " starts real processes")
	}
	require.NoError(t, build())
	ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Minute, fmt.Errorf("%s takes too long", t.Name()))
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, dir: t.TempDir(), name: "document-risk-2026-1"}
	var err error
	w.Federation, err = process.New(process.Config{
		Bin: bin, Dir: w.dir, Name: "test", Tick: 100 * time.Millisecond, Grace: 2,
		Admins: []process.Admin{{Name: "anna", Role: "model-owner"}, {Name: "ben", Role: "data-protection"}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	w.write(rounds)
	_, err = w.Init(ctx)
	require.NoError(t, err)
	require.NoError(t, w.StartCoordinator(ctx))
	sizes, err := synth.Sizes(rows, members(), synth.DemoExponent)
	require.NoError(t, err)
	for i, m := range members() {
		path := filepath.Join(w.dir, m+".csv")
		var b bytes.Buffer
		require.NoError(t, synth.Generate(&b, "demo", m, sizes[i], 7))
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
		_, err := w.Enrol(ctx, m, path)
		require.NoError(t, err)
	}
	for _, m := range members() {
		_, err := w.AcceptRoster(ctx, m)
		require.NoError(t, err)
	}
	require.NoError(t, w.StartNodes(ctx, members()...))
	return w
}

func members() []string { return synth.Demo5() }

// write writes the plan of the pack with fewer rounds and other gates.
func (w *world) write(rounds int) {
	pack := synth.Pack()
	before, after, ok := strings.Cut(string(pack.Plan), "gates:")
	require.True(w.t, ok)
	_, after, ok = strings.Cut(after, "withheld:")
	require.True(w.t, ok)
	before, rest, ok := strings.Cut(before, "rounds: ")
	require.True(w.t, ok)
	rest = strings.TrimLeft(rest, "0123456789")
	text := fmt.Sprintf("%srounds: %d%s%swithheld:%s", before, rounds, rest, gates, after)
	w.plan = filepath.Join(w.dir, "plan.yaml")
	for name, body := range map[string][]byte{"plan.yaml": []byte(text), "schema.yaml": pack.Schema, "declaration.yaml": pack.Declaration} {
		require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, name), body, 0o600))
	}
}

// begin submits the plan and has everybody approve it.
func (w *world) begin() process.Plan {
	w.t.Helper()
	p, err := w.SubmitPlan(w.ctx, w.plan)
	require.NoError(w.t, err)
	for _, m := range members() {
		require.NoError(w.t, w.ApprovePlan(w.ctx, m, p.Digest))
	}
	return p
}

// finished waits for the run's end at the coordinator and at every node.
func (w *world) finished() process.Run {
	w.t.Helper()
	r, err := w.WaitRun(w.ctx, w.name)
	require.NoError(w.t, err)
	for _, m := range members() {
		_, err := w.Node(m).FromStart().Next(w.ctx, "the end of the run at "+m, func(e process.Entry) bool {
			return e.Message == "run finished; own figures are kept here"
		})
		require.NoError(w.t, err)
	}
	return r
}

// models returns the digest of the model that each node has at the end, by its own state directory.
func (w *world) models(r process.Run) map[string][32]byte {
	w.t.Helper()
	text, err := os.ReadFile(w.plan)
	require.NoError(w.t, err)
	plan, err := federation.ParsePlan(text, func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(w.dir, name)) })
	require.NoError(w.t, err)
	id, err := hex.DecodeString(r.ID)
	require.NoError(w.t, err)
	out := map[string][32]byte{}
	for _, m := range members() {
		kept, machine, err := node.Dir(w.NodeDir(m)).Run(node.RunID(id), plan.Learning())
		require.NoError(w.t, err)
		require.True(w.t, kept.Done, m)
		require.Empty(w.t, kept.Stopped, m)
		out[m], err = machine.Digest()
		require.NoError(w.t, err)
	}
	return out
}

// oneModel checks that every node ended with the same model.
func (w *world) oneModel(r process.Run) {
	w.t.Helper()
	models := w.models(r)
	for _, m := range members() {
		require.Equal(w.t, models[members()[0]], models[m], "%s ended with another model than %s", m, members()[0])
	}
}

// recordsHold checks the journal and every node's chains.
func (w *world) recordsHold() {
	w.t.Helper()
	j, err := w.VerifyJournal(w.ctx)
	require.NoError(w.t, err)
	require.Positive(w.t, j.Records)
	for _, m := range members() {
		require.NoError(w.t, w.VerifyRecords(w.ctx, m))
	}
}

// get reads a page of a program's monitor.
func (w *world) get(program, path string) (code int, body string) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.ctx, http.MethodGet, "http://"+w.Metrics(program)+path, nil)
	require.NoError(w.t, err)
	reply, err := http.DefaultClient.Do(request)
	require.NoError(w.t, err)
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	require.NoError(w.t, err)
	return reply.StatusCode, string(text)
}
