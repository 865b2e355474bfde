package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/finetune"
	"github.com/koinon-eu/koinon/node/train"
)

// tuneTable is a member's table. Where against is set, old documents are the
// good ones: what the others have learnt is wrong there.
func tuneTable(seed uint64, rows int, against bool) []byte {
	r := rand.New(rand.NewPCG(seed, 5))
	var b bytes.Buffer
	b.WriteString("file_number,doc_age_years,chip_auth,sex,fraud_found,part\n")
	for i := range rows {
		age := 10 * r.Float64()
		risk := age / 10
		if against {
			risk = 1 - risk
		}
		label := 0
		if r.Float64() < risk {
			label = 1
		}
		fmt.Fprintf(&b, "%d-%d,%.3f,%s,%s,%d,%s\n", seed, i, age, []string{"ok", "no_chip"}[r.IntN(2)], []string{"female", "male"}[r.IntN(2)], label,
			[]string{"train", "train", "test"}[r.IntN(3)])
	}
	return b.Bytes()
}

// tuneNode is a directory whose run of a plan is over.
func tuneNode(t *testing.T, architecture, algorithm string) (node.Dir, [32]byte) {
	d := enrolled(t)
	schema := strings.NewReplacer("label:", "id: file_number\nsplit: {column: part, test: test}\nlabel:").Replace(schemaYAML)
	text := strings.NewReplacer("{kind: logistic, l2: 1.0}", architecture, "{name: fedadam, rounds: 60}", algorithm, "document-risk-2026-1", "tune").Replace(planYAML)
	plan, err := federation.ParsePlan([]byte(text), func(name string) ([]byte, error) {
		switch name {
		case "schema.yaml":
			return []byte(schema), nil
		case "declaration.yaml":
			return []byte(declarationYAML), nil
		}
		return nil, errors.New("no such file")
	})
	require.NoError(t, err)
	require.NoError(t, d.KeepPlan(plan))
	own := tuneTable(1, 900, true)
	require.NoError(t, os.WriteFile(d.Path("table.csv"), own, 0o600))
	machine, err := schedule.New(plan.Learning())
	require.NoError(t, err)
	var members []*train.Member
	for i := range 5 {
		csv := own
		if i > 0 {
			csv = tuneTable(uint64(i+1), 400, false)
		}
		table, err := feature.ReadCSV(bytes.NewReader(csv), plan.Schema, feature.Limits{})
		require.NoError(t, err)
		members = append(members, train.NewMember(table))
	}
	for {
		step, more := machine.Next()
		if !more {
			break
		}
		sum := make([]uint64, step.Encoding.Layout.Words())
		for i, m := range members {
			rnd := rand.NewChaCha8([32]byte{byte(i), byte(step.Ordinal)})
			v, err := m.Local(machine, step, rnd)
			require.NoError(t, err)
			words, err := step.Encoding.Encode(v.X, v.Ints, v.Rows, rnd)
			require.NoError(t, err)
			ring.Add(sum, words)
		}
		require.NoError(t, machine.Apply(sum, len(members)))
	}
	require.NoError(t, d.SaveRun(node.Run{ID: node.RunID{0xab, 0xcd, 0xef}, Plan: plan.Digest(), Done: true}, machine))
	state, err := machine.Digest()
	require.NoError(t, err)
	return d, state
}

// TestFineTune: the whole command, on a network whose federation has learnt the
// opposite of what is true here.
func TestFineTune(t *testing.T) {
	d, state := tuneNode(t, "{kind: mlp, hidden: [8]}", "{rounds: 12}")
	dir, out := "--dir="+string(d), filepath.Join(t.TempDir(), "out")
	code, text, problems := run(t, "", "fine-tune", dir, "--run", "abcdef", "--out", out, "--rate", "0.01")
	require.Zero(t, code, problems)
	require.Contains(t, text, finetune.Notice)
	require.Contains(t, text, "Fine-tuning helps on this member's test rows")
	require.Contains(t, text, "run abcdef0000")
	require.Contains(t, text, "| sex = female |")
	t.Logf("%s", text)

	names, err := os.ReadDir(out)
	require.NoError(t, err)
	var files []string
	for _, n := range names {
		files = append(files, n.Name())
		info, err := n.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	require.Equal(t, []string{"fine-tune.html", "fine-tune.json", "fine-tune.md", "fine-tuned.koinon"}, files)
	body, err := os.ReadFile(filepath.Join(out, "fine-tune.json"))
	require.NoError(t, err)
	var report finetune.Report
	require.NoError(t, json.Unmarshal(body, &report))
	require.Positive(t, report.OverFederated.Low)
	require.Positive(t, report.Epochs)
	require.Equal(t, hex.EncodeToString(state[:]), report.From)
	page, err := os.ReadFile(filepath.Join(out, "fine-tune.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), "not comparable")
	for _, part := range [][]byte{body, page, []byte(text)} {
		require.NotContains(t, string(part), "1-17", "no record of the table is in a report")
	}

	body, err = os.ReadFile(filepath.Join(out, "fine-tuned.koinon"))
	require.NoError(t, err)
	model, err := artifact.Parse(body)
	require.NoError(t, err)
	require.Equal(t, report.From, model.Header.FineTuned)
	digest, err := model.Digest()
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(digest[:]), report.Artifact)
	require.Equal(t, report.Tuned.Threshold, model.Header.Threshold)
	_, err = release.Read(out)
	require.NoError(t, err)
	code, _, problems = run(t, "", "fine-tune", dir, "--release", out, "--out", out+"2")
	require.Equal(t, 1, code, "what was fine-tuned is no release: %s", problems)

	code, _, problems = run(t, "", "fine-tune", dir, "--run", "tune", "--out", out)
	require.Equal(t, 1, code)
	require.Contains(t, problems, "exists already")
	code, text, problems = run(t, "", "fine-tune", dir, "--run", "tune", "--out", out+"3", "--freeze-embeddings", "--json")
	require.Zero(t, code, problems)
	require.True(t, json.Valid([]byte(text)))
	require.Contains(t, text, `"freeze_embeddings": true`)
}

// TestFineTuneFindsNothingBetter: where no epoch is better no model is written.
func TestFineTuneFindsNothingBetter(t *testing.T) {
	d, _ := tuneNode(t, "{kind: logistic}", "{name: newton, rounds: 6}")
	out := filepath.Join(t.TempDir(), "out")
	code, text, problems := run(t, "", "fine-tune", "--dir="+string(d), "--run", "tune", "--out", out, "--rate", "1e-9", "--epochs", "1")
	require.Zero(t, code, problems)
	require.Contains(t, text, "keep the federated model")
	_, err := os.Stat(filepath.Join(out, "fine-tuned.koinon"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestFineTuneRefuses says why, and what to do instead.
func TestFineTuneRefuses(t *testing.T) {
	d, _ := tuneNode(t, "{kind: trees, trees: {trees: 2, depth: 2, bins: 8}}", "{}")
	out := filepath.Join(t.TempDir(), "out")
	for want, args := range map[string][]string{
		"trees are not fine-tuned":         {"--run", "tune"},
		`"other": run has no evaluated`:    {"--run", "other"},
		"missing flags: --run=RUN or --re": {},
	} {
		code, _, problems := run(t, "", append([]string{"fine-tune", "--dir=" + string(d), "--out", out}, args...)...)
		require.NotZero(t, code)
		require.Contains(t, problems, want)
		require.Contains(t, problems, "hint: ")
	}
	code, _, problems := run(t, "", "fine-tune", "--dir="+string(d), "--out", out, "--run", "tune", "--epochs", "0")
	require.Equal(t, 2, code)
	require.Contains(t, problems, "must be at least 1")
	d, _ = tuneNode(t, "{kind: logistic}", "{name: newton, rounds: 3}")
	require.NoError(t, os.WriteFile(d.Path("table.csv"), tuneTable(1, 60, true), 0o600))
	code, _, problems = run(t, "", "fine-tune", "--dir="+string(d), "--run", "tune", "--out", out)
	require.Equal(t, 1, code)
	require.Contains(t, problems, "too few rows")
	code, _, problems = run(t, "", "fine-tune", "--dir="+string(d), "--run", "tune", "--out", out, "--freeze-embeddings")
	require.Equal(t, 1, code)
	require.Contains(t, problems, "no embeddings to freeze")
	_, err := os.Stat(out)
	require.ErrorIs(t, err, os.ErrNotExist)
}
