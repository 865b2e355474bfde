package onnx_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/onnx"
)

// column is one input as testdata/score.js takes it.
type column struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Values []any  `json:"values"`
}

// inputsOf returns the values of a table: null where a number is missing, an
// empty text where a category is.
func inputsOf(m *artifact.Model, rows *feature.Table) []column {
	var out []column
	for _, in := range onnx.InputsOf(m.Encoder) {
		c := column{Name: in.Name, Type: in.Type}
		numbers := rows.Number(in.Name)
		codes, texts := rows.Category(in.Name)
		for i := range rows.Rows() {
			switch {
			case in.Type == onnx.String && codes[i] == feature.Missing:
				c.Values = append(c.Values, "")
			case in.Type == onnx.String:
				c.Values = append(c.Values, texts[codes[i]])
			case math.IsNaN(float64(numbers[i])):
				c.Values = append(c.Values, nil)
			default:
				c.Values = append(c.Values, numbers[i])
			}
		}
		out = append(out, c)
	}
	return out
}

// result is what testdata/score.js prints.
type result struct {
	Inputs  []string  `json:"inputs"`
	Outputs []string  `json:"outputs"`
	Dims    []int     `json:"dims"`
	Score   []float64 `json:"score"`
	LogOdds []float64 `json:"log_odds"`
	Version string    `json:"version"`
	Seconds float64   `json:"seconds"` // shortest of repeat runs
}

// runtime returns a function that scores in node with onnxruntime-node, found
// below KOINON_ONNXRUNTIME_JS (a folder with node_modules). Where it is absent
// the test is skipped, or fails if KOINON_REQUIRE contains "onnxruntime".
func runtime(t testing.TB) func(t testing.TB, m *artifact.Model, inputs []column, repeat int) result {
	modules := filepath.Join(os.Getenv("KOINON_ONNXRUNTIME_JS"), "node_modules")
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(modules, "onnxruntime-node"))
	}
	if err != nil {
		const reason = "onnxruntime: needs node and the npm package onnxruntime-node below KOINON_ONNXRUNTIME_JS (.ci/onnx after npm ci --ignore-scripts)"
		if strings.Contains(os.Getenv("KOINON_REQUIRE"), "onnxruntime") {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	return func(t testing.TB, m *artifact.Model, inputs []column, repeat int) result {
		b, err := onnx.Marshal(m, nil)
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "model.onnx")
		require.NoError(t, os.WriteFile(path, b, 0o600))
		stdin, err := json.Marshal(map[string]any{"model": path, "inputs": inputs, "repeat": repeat})
		require.NoError(t, err)
		cmd := exec.Command(node, filepath.Join("testdata", "score.js"))
		cmd.Env, cmd.Stdin = append(os.Environ(), "NODE_PATH="+modules), bytes.NewReader(stdin)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		require.NoError(t, err, errs.String())
		var got result
		require.NoError(t, json.Unmarshal(out, &got))
		return got
	}
}
