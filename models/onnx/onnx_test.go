package onnx_test

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
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
		"mlp":                 model(t, schemaText, arch.Spec{Kind: arch.MLP, L2: 1}),
		"mlp numbers":         model(t, numbersText, arch.Spec{Kind: arch.MLP, L2: 1, Hidden: []int{7, 5, 3}}),
		"mlp categories":      model(t, categoriesText, arch.Spec{Kind: arch.MLP, L2: 1, Embedding: "3"}),
		"trees":               model(t, schemaText, forest(6, 25)),
		"trees numbers":       model(t, numbersText, forest(4, 10)),
		"trees categories":    model(t, categoriesText, forest(5, 10)),
		"trees depth 3":       model(t, schemaText, forest(3, 25)),
		"trees additive":      model(t, schemaText, arch.Spec{Kind: arch.Trees, Trees: &trees.Params{Growth: trees.Additive, Epochs: 4}}),
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
	"trees additive":      "9d9d9d1a7979b230",
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

func TestRefuses(t *testing.T) {
	small := 1.0
	m := model(t, categoriesText, arch.Spec{Kind: arch.Trees, Trees: &trees.Params{Trees: 3, Depth: 4, MinHessian: &small}})
	defer onnx.SetMaxNodes(60)()
	_, err := onnx.Marshal(m, nil)
	require.ErrorContains(t, err, "more than 60 nodes")
	m.Ensemble = nil
	_, err = onnx.Marshal(m, nil)
	require.Error(t, err)
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

			inputs := inputsOf(m, rows)
			var wanted []string
			for _, in := range inputs {
				wanted = append(wanted, in.Name)
				if in.Type == onnx.String { // as spelled
					place := slices.Index(strings.Split(strings.TrimSpace(header), ","), in.Name)
					for i := range in.Values {
						in.Values[i] = cells[i][place]
					}
				}
			}
			got := run(t, m, inputs, 0)
			require.Equal(t, wanted, got.Inputs)
			require.Equal(t, []int{len(cells), 1}, got.Dims)
			require.Equal(t, []string{onnx.ScoreName(m.Encoder), "log_odds"}, got.Outputs)
			require.Equal(t, slices.Contains(wanted, "score"), got.Outputs[0] == "score_")
			worst, distinct := 0.0, map[float64]bool{}
			for i, a := range want {
				worst = max(worst, math.Abs(a.Score-got.Score[i]))
				distinct[a.Score] = true
				require.InDelta(t, a.Score, got.Score[i], 1e-5, "row %d: %v", i, cells[i])
				require.InDelta(t, a.Score, arch.Sigmoid(got.LogOdds[i]), 1e-5, "row %d", i)
			}
			t.Logf("onnxruntime %s: largest difference %.2g over %d rows, %d distinct scores", got.Version, worst, len(want), len(distinct))
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
