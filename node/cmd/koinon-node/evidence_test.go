package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node"
)

// accused is a batch of another federation, as rosters and commands know it: its coordinator announced a state that does
// not follow from its sum.
func accused(t *testing.T) (roster string, e federation.Evidence) {
	t.Helper()
	b := secaggtest.New(t, secaggtest.Options{})
	require.NoError(t, b.Run(nil))
	r := &federation.Roster{Federation: "demo", ID: secaggtest.Digest("federation"), Version: 1, Coordinator: federation.Key(b.Roster.Coordinator)}
	for _, m := range b.Roster.Members {
		r.Members = append(r.Members, federation.Member{Name: m.Name, Index: m.Index, Key: federation.Key(m.Key)})
	}
	signed, err := federation.SignRoster(r, b.Sign(0))
	require.NoError(t, err)
	d := node.Dir(t.TempDir())
	require.NoError(t, d.AcceptRoster(signed))
	return d.Path("roster.json"), federation.Evidence{
		Federation: "demo", Keeper: "M1", Time: time.Date(2026, 11, 24, 13, 0, 0, 0, time.UTC), Plan: secaggtest.Digest("plan"),
		Run: "00000000000000000000000000000000", Round: 1, Reason: "recomputed another state than was announced",
		Proof: secagg.FalseModel(b.Server.Published(), 1, 1, secaggtest.Digest("own"), b.Result),
	}
}

func write(t *testing.T, path string, e federation.Evidence) string {
	t.Helper()
	b, err := e.Encode()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

func TestEvidence(t *testing.T) {
	d := enrolled(t)
	dir := "--dir=" + string(d)
	roster, e := accused(t)
	kept := "00000001-00000000-false-model-coordinator.evidence"
	write(t, d.Path("evidence", kept), e)
	from := write(t, filepath.Join(t.TempDir(), "from-m1"), e)
	bare := e
	bare.Proof = nil
	reason := write(t, filepath.Join(t.TempDir(), "reason"), bare)
	require.NoError(t, os.WriteFile(d.Path("evidence", "00000002-x.evidence"), []byte("?"), 0o600))

	for name, c := range map[string]struct {
		args []string
		code int
		out  []string
		err  []string
	}{
		"list":        {[]string{"list", dir}, 0, []string{kept, "false-model", "no", "cannot be read"}, nil},
		"show":        {[]string{"show", dir, from, "--roster", roster}, 0, []string{"kept by     M1, 2026-11-24", "against     coordinator", "round 1", "hold, 0 do not", "proves it   yes: what it announced does not follow", "piece of the sum"}, nil},
		"check":       {[]string{"check", dir, from, "--roster", roster}, 0, []string{"proves it   yes"}, nil},
		"check kept":  {[]string{"check", dir, kept, "--roster", roster}, 0, []string{"proves it   yes"}, nil},
		"own roster":  {[]string{"check", dir, kept}, 1, []string{"proves it   no", "against     nobody"}, []string{"proves nothing: it is of another federation", "hint: "}},
		"reason only": {[]string{"check", dir, reason, "--roster", roster}, 1, []string{"kind        reason only"}, []string{"there is no proof in it", "hint: compare its reason"}},
		"missing":     {[]string{"check", dir, "nothing"}, 1, nil, []string{"there is no evidence nothing", "evidence list"}},
		"not a file":  {[]string{"show", dir, "00000002-x.evidence"}, 1, nil, []string{"not a file of evidence"}},
		"no roster":   {[]string{"check", "--dir=" + t.TempDir(), from}, 1, nil, []string{"roster.json", "--roster"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, problems := run(t, "", append([]string{"evidence"}, c.args...)...)
			require.Equal(t, c.code, code, "%s%s", out, problems)
			for _, s := range c.out {
				require.Contains(t, out, s)
			}
			for _, s := range c.err {
				require.Contains(t, problems, s)
			}
		})
	}
	for _, args := range [][]string{{"list", dir}, {"show", dir, kept}, {"check", dir, kept, "--roster", roster}} {
		code, out, problems := run(t, "", append(append([]string{"evidence"}, args...), "--json")...)
		require.Zero(t, code, problems)
		require.True(t, json.Valid([]byte(out)), out)
	}
	code, out, _ := run(t, "", "evidence", "check", dir, kept, "--json")
	require.Equal(t, 1, code)
	var v evidenceView
	require.NoError(t, json.NewDecoder(bytes.NewBufferString(out)).Decode(&v))
	require.False(t, v.Proven)
	require.Equal(t, uint32(1), v.Round)
}

// TestModelIsComputedAgain: a model that does not follow from the sum shows to nobody who cannot compute it again, and check
// says so (S68 kind 6').
func TestModelIsComputedAgain(t *testing.T) {
	d := enrolled(t)
	b := secaggtest.New(t, secaggtest.Options{})
	require.NoError(t, b.Run(nil))
	frames, sum, spec := b.Server.Published(), b.Server.Sum(), b.Server.Spec()
	n := len(frames)
	body := bytes.Clone(frames[n-2].Body) // k 2 · h3 32 · sum_root 32 · words 4 · state 32 · model 32 · openings_root 32
	root := secagg.SumRoot(b.Result)
	copy(body[34:], root[:])
	sigma := secagg.StepDigest(spec.Federation, spec.Plan, sum)
	state := secagg.NextState(sum.State, sigma, [32]byte(body[2:34]), root, [32]byte(body[102:134]))
	copy(body[70:], state[:])
	frames[n-2] = b.Resign(secagg.Frame{Type: secagg.TypeResult, Body: body}, spec.Digest(), "koinon/secagg/v1/result")
	roster, e := accused(t)
	e.Proof = secagg.FalseModel(frames, 1, 1, secaggtest.Digest("own"), b.Result)
	file := write(t, filepath.Join(t.TempDir(), "model"), e)
	code, out, problems := run(t, "", "evidence", "check", "--dir="+string(d), file, "--roster", roster)
	require.Equal(t, 1, code)
	require.Contains(t, out, "against     coordinator")
	require.Contains(t, out, "shows only to who has the model before this round and computes again; not computed again: the plan: ")
	require.Contains(t, problems, "hint: ask the other members that stopped the run to check it on their nodes")
}

// TestStoppedRunIsShown: a run that this node has stopped stands in plan show and in doctor, with the file that shows why
// (S56).
func TestStoppedRunIsShown(t *testing.T) {
	d := enrolled(t)
	plan := parsePlan(t)
	machine, err := schedule.New(plan.Learning())
	require.NoError(t, err)
	require.NoError(t, d.SaveRun(node.Run{
		ID: node.RunID{7}, Plan: plan.Digest(), Closed: 3, Stopped: "the sum is false", StoppedAt: time.Now(),
		Evidence: "00000004-07000000-false-sum-coordinator.evidence",
	}, machine))
	_, out, _ := run(t, "", "plan", "show", "--dir="+string(d), plan.Name)
	require.Contains(t, out, "stopped here   run 07000000, round 4: the sum is false; see evidence/00000004-07000000-false-sum-coordinator.evidence")
	_, out, _ = run(t, "", "doctor", "--dir="+string(d))
	require.Contains(t, out, "1 stopped here; plan document-risk-2026-1, round 4: the sum is false")
	require.Contains(t, out, "koinon-node evidence check 00000004-07000000-false-sum-coordinator.evidence")
}
