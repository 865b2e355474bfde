package process_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/koinon-eu/koinon/benchmarks/process"
	"github.com/koinon-eu/koinon/node"

	"github.com/stretchr/testify/require"
)

// TestFederation goes the whole road, from enrolment to a score by a verified
// model, with one node killed in Mask on the way.
func TestFederation(t *testing.T) {
	w := newWorld(t, 6000, 20)
	plan := w.begin()
	require.Equal(t, 4, plan.Needed)

	lost, err := w.LoseInMask(w.ctx, w.name, "PL", 6, nil)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"DE", "FR", "IT", "PT"}, lost.Round.Survivors)
	require.Equal(t, "mask", lost.Round.Lost("PL"))
	w.monitored()

	run := w.finished()
	last := run.Rounds[len(run.Rounds)-1]
	require.Equal(t, "evaluate", last.Kind)
	require.ElementsMatch(t, members(), last.Survivors, "evaluation is summed once, with everybody")
	w.oneModel(run)
	w.recordsHold()
	w.figures()
	w.released(run)
}

// monitored looks at metrics and health of all programs while they run.
func (w *world) monitored() {
	w.t.Helper()
	for _, program := range append(members(), "coordinator") {
		code, _ := w.get(program, "/healthz")
		require.Equal(w.t, 200, code, program)
		code, text := w.get(program, "/metrics")
		require.Equal(w.t, 200, code, program)
		require.Contains(w.t, text, "koinon_build_info{", program)
	}
	code, text := w.get("coordinator", "/readyz")
	require.Equal(w.t, 200, code, text)
	_, text = w.get("coordinator", "/metrics")
	require.Contains(w.t, text, `koinon_rounds_total{kind="train",outcome="closed"}`)
	require.Contains(w.t, text, "koinon_members_connected 5")
	_, text = w.get("DE", "/metrics")
	require.Contains(w.t, text, "koinon_node_connected 1")
}

// figures looks at what each node keeps for its operator.
func (w *world) figures() {
	w.t.Helper()
	for _, m := range members() {
		var kept []node.Figures
		require.NoError(w.t, w.Figures(w.ctx, m, &kept))
		require.Len(w.t, kept, 1, m)
		require.Equal(w.t, m, kept[0].Member)
		require.Positive(w.t, kept[0].TestRows)
		_, sent, err := w.Sent(w.ctx, m)
		require.NoError(w.t, err)
		require.Positive(w.t, sent)
	}
}

// released approves, pulls, verifies, scores and tampers.
func (w *world) released(run process.Run) {
	t := w.t
	t.Helper()
	candidate, err := w.Release(w.ctx, run.Release)
	require.NoError(t, err)
	require.Equal(t, "waiting", candidate.State, candidate.Reason)
	for _, g := range candidate.Gates {
		require.Equal(t, "pass", g.Verdict, g.Text)
	}
	state, err := w.Approve(w.ctx, "anna", candidate.Name)
	require.NoError(t, err)
	require.Equal(t, "waiting", state, "one approval is not enough")
	state, err = w.Approve(w.ctx, "ben", candidate.Name)
	require.NoError(t, err)
	require.Equal(t, "published", state)
	published, err := w.Release(w.ctx, candidate.Name)
	require.NoError(t, err)

	trust, err := w.Trust(filepath.Join(w.dir, "engineer"))
	require.NoError(t, err)
	dir := filepath.Join(w.dir, "engineer", published.Name)
	pulled, err := w.Pull(w.ctx, published.URL, trust, dir)
	require.NoError(t, err)
	require.True(t, pulled.Pinned)
	require.Len(t, pulled.Approvals, 2)
	_, err = w.Verify(w.ctx, trust, dir)
	require.NoError(t, err)
	table := filepath.Join(w.dir, "PL.csv")
	advisories, err := w.Score(w.ctx, trust, dir, table)
	require.NoError(t, err)
	require.NotEmpty(t, advisories)
	for _, a := range advisories {
		require.True(t, a.Score >= 0 && a.Score <= 1)
		require.NotEmpty(t, a.Notice)
	}
	w.tampered(trust, dir, table)
}

// tampered changes one bit of each file in turn: every command refuses, and changed back all is well.
func (w *world) tampered(trust, dir, table string) {
	t := w.t
	t.Helper()
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	var refusal *process.CommandError
	for _, f := range files {
		undo, err := process.Tamper(filepath.Join(dir, f.Name()))
		require.NoError(t, err)
		_, err = w.Verify(w.ctx, trust, dir)
		require.True(t, errors.As(err, &refusal), "%s was changed and accepted: %v", f.Name(), err)
		require.Equal(t, 1, refusal.Code)
		require.Contains(t, refusal.Stderr, "error: ")
		require.NoError(t, undo())
	}
	undo, err := process.Tamper(filepath.Join(dir, "model.koinon"))
	require.NoError(t, err)
	_, err = w.Score(w.ctx, trust, dir, table)
	require.True(t, errors.As(err, &refusal), "a changed model was used: %v", err)
	require.NoError(t, undo())
	_, err = w.Verify(w.ctx, trust, dir)
	require.NoError(t, err)
}
