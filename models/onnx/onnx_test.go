package onnx_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/onnx"
	"github.com/koinon-eu/koinon/models/trees"
)

// cases are models of every kind.
func cases(t testing.TB) map[string]*artifact.Model {
	small := 1.0
	forest := func(depth, n int) arch.Spec {
		return arch.Spec{Kind: arch.Trees, Trees: &trees.Params{Trees: n, Depth: depth, MinHessian: &small}}
	}
	all := map[string]*artifact.Model{
		"logistic":            model(t, schemaText, arch.Spec{Kind: arch.Logistic}),
		"logistic numbers":    model(t, numbersText, arch.Spec{Kind: arch.Logistic}),
		"logistic categories": model(t, categoriesText, arch.Spec{Kind: arch.Logistic}),
		"mlp":                 model(t, schemaText, arch.Spec{Kind: arch.MLP}),
		"mlp numbers":         model(t, numbersText, arch.Spec{Kind: arch.MLP, Hidden: []int{7, 5, 3}}),
		"mlp categories":      model(t, categoriesText, arch.Spec{Kind: arch.MLP, Embedding: "3"}),
		"trees":               model(t, schemaText, forest(6, 25)),
		"trees numbers":       model(t, numbersText, forest(4, 10)),
		"trees categories":    model(t, categoriesText, forest(5, 10)),
		"trees depth 3":       model(t, schemaText, forest(3, 25)),
	}
	stump := model(t, schemaText, forest(3, 1))
	stump.Ensemble.Trees = nil
	all["no trees"] = stump
	return all
}

// golden has the first 8 bytes of the digest of each file.
var golden = map[string]string{
	"logistic categories": "ef3d3ef007b27fe4",
	"logistic numbers":    "60c06c100bff5177",
	"logistic":            "6690f8c6bdf65971",
	"mlp categories":      "d9267891a4aab0e8",
	"mlp numbers":         "a47c0b178f9bbbac",
	"mlp":                 "05e9bdf726c411c8",
	"no trees":            "04c6bda5c671581c",
	"trees categories":    "92099dab0f045d8f",
	"trees depth 3":       "5e9f7672941f044f",
	"trees numbers":       "dcb85a020e5d586c",
	"trees":               "c230343a7a4ede50",
}

// TestGolden pins the bytes of every kind.
func TestGolden(t *testing.T) {
	for name, m := range cases(t) {
		p, err := m.Properties("A human decides.")
		require.NoError(t, err)
		b, err := onnx.Marshal(m, p)
		require.NoError(t, err)
		again, err := onnx.Marshal(m, p)
		require.NoError(t, err)
		require.Equal(t, b, again)
		d := sha256.Sum256(b)
		require.Equal(t, golden[name], hex.EncodeToString(d[:8]), name)
	}
}

// splits counts what the ensemble must have for the test below to mean
// something.
func splits(e *trees.Ensemble) (set, missingLeft, missingRest int) {
	for _, t := range e.Trees {
		for i := range t {
			n := &t[i]
			switch {
			case n.Leaf():
			case n.Set != nil:
				set++
			case int(n.Cell) == len(e.Bins.Columns[n.Column].Cuts):
				missingRest++
			case n.MissingLeft:
				missingLeft++
			}
		}
	}
	return set, missingLeft, missingRest
}

// result is what testdata/score.js prints.
type result struct {
	Inputs  []string  `json:"inputs"`
	Outputs []string  `json:"outputs"`
	Dims    []int     `json:"dims"`
	Score   []float64 `json:"score"`
	LogOdds []float64 `json:"log_odds"`
	Version string    `json:"version"`
}

// runtime returns a function that runs a script in node with onnxruntime-node,
// found below KOINON_ONNXRUNTIME_JS (a folder with node_modules). Where it is
// absent the test is skipped, or fails if KOINON_REQUIRE contains
// "onnxruntime".
func runtime(t *testing.T) func(stdin []byte, script string) []byte {
	modules := filepath.Join(os.Getenv("KOINON_ONNXRUNTIME_JS"), "node_modules")
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(modules, "onnxruntime-node"))
	}
	if err != nil {
		const reason = "onnxruntime: needs node and the npm package onnxruntime-node below KOINON_ONNXRUNTIME_JS"
		if strings.Contains(os.Getenv("KOINON_REQUIRE"), "onnxruntime") {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	return func(stdin []byte, script string) []byte {
		cmd := exec.Command(node, script)
		cmd.Env, cmd.Stdin = append(os.Environ(), "NODE_PATH="+modules), bytes.NewReader(stdin)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		require.NoError(t, err, errs.String())
		return out
	}
}

// column is one input as the script takes it.
type column struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Values []any  `json:"values"`
}

// TestInRuntime scores the same raw rows here and in onnxruntime, with missing
// values, unseen categories and extreme numbers. // trees 68, 69
func TestInRuntime(t *testing.T) {
	run := runtime(t)
	for name, m := range cases(t) {
		t.Run(name, func(t *testing.T) {
			rows, cells := table(t, text(m), 4000, true)
			scorer, err := m.NewScorer()
			require.NoError(t, err)
			want, err := scorer.Score(rows, 0)
			require.NoError(t, err)
			b, err := onnx.Marshal(m, nil)
			require.NoError(t, err)
			path := filepath.Join(t.TempDir(), "model.onnx")
			require.NoError(t, os.WriteFile(path, b, 0o600))

			names := strings.Split(strings.TrimSpace(header), ",")
			var inputs []column
			var wanted []string
			for _, in := range onnx.InputsOf(m.Encoder) {
				c := column{Name: in.Name, Type: in.Type}
				wanted = append(wanted, in.Name)
				place := slices.Index(names, in.Name)
				for i, row := range cells {
					switch {
					case in.Type == onnx.String:
						c.Values = append(c.Values, row[place])
					case math.IsNaN(float64(rows.Number(in.Name)[i])):
						c.Values = append(c.Values, nil)
					default:
						c.Values = append(c.Values, rows.Number(in.Name)[i])
					}
				}
				inputs = append(inputs, c)
			}
			stdin, err := json.Marshal(map[string]any{"model": path, "inputs": inputs})
			require.NoError(t, err)
			var got result
			require.NoError(t, json.Unmarshal(run(stdin, filepath.Join("testdata", "score.js")), &got))
			require.Equal(t, wanted, got.Inputs)
			require.Equal(t, []int{len(cells), 1}, got.Dims)
			if slices.Contains(wanted, "score") {
				require.Equal(t, []string{"score_", "log_odds"}, got.Outputs)
			} else {
				require.Equal(t, []string{"score", "log_odds"}, got.Outputs)
			}
			worst, distinct := 0.0, map[float64]bool{}
			for i, a := range want {
				worst = max(worst, math.Abs(a.Score-got.Score[i]))
				distinct[a.Score] = true
				require.InDelta(t, a.Score, got.Score[i], 1e-5, "row %d: %v", i, cells[i])
				require.InDelta(t, a.Score, arch.Sigmoid(got.LogOdds[i]), 1e-5, "row %d", i)
			}
			t.Logf("onnxruntime %s: largest difference %.2g over %d rows, %d distinct scores, %d bytes", got.Version, worst, len(want), len(distinct), len(b))
			if name == "trees" {
				set, left, rest := splits(m.Ensemble)
				require.Positive(t, min(set, left, rest), "sets %d, missing left %d, missing against the rest %d", set, left, rest)
			}
		})
	}
}

// text returns the schema text of a model.
func text(m *artifact.Model) string {
	for _, s := range []string{schemaText, numbersText, categoriesText} {
		if strings.Contains(s, "name: "+m.Encoder.Schema.Name+"\n") {
			return s
		}
	}
	return ""
}
