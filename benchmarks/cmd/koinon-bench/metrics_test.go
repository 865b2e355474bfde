package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/deploy/cli"
)

func bench(t *testing.T, stdin string, args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	std := cli.Streams{In: strings.NewReader(stdin), Out: &o, Err: &e}
	code = cli.Run(t.Context(), std, args, "koinon-bench", "test", &grammar{}, cli.Description(description))
	return code, o.String(), e.String()
}

const small = "id,y,p,g\n1,1,0.9,a\n2,0,0.8,a\n3,1,0.7,b\n4,0,0.1,b\n5,,0.5,b\n6,0,0.2,\n"

func TestMetricsJSON(t *testing.T) {
	code, out, errs := bench(t, small, "metrics", "--input", "-", "--label", "y", "--score", "p", "--group", "g", "--json")
	require.Zero(t, code, errs)
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, []string{"auprc", "auroc", "brier", "confusion", "ece", "gaps", "groups", "log_loss", "threshold", "tpr_at_fpr"}, slices.Sorted(maps.Keys(got)))
	require.Equal(t, map[string]any{"tp": 2., "fp": 1., "fn": 0., "tn": 2.}, got["confusion"])
	require.InDelta(t, 5./6, got["auroc"], 1e-12)
	groups := got["groups"].(map[string]any)["g"].(map[string]any)
	require.Equal(t, []string{"(missing)", "a", "b"}, slices.Sorted(maps.Keys(groups)))
	require.Equal(t, []string{"auroc", "ece", "fnr", "fpr", "n", "positives", "ppv", "selection_rate", "tpr"}, slices.Sorted(maps.Keys(groups["a"].(map[string]any))))
	require.Nil(t, groups["(missing)"].(map[string]any)["tpr"])
	gaps := got["gaps"].(map[string]any)["g"].(map[string]any)
	require.Equal(t, []string{"equalized_odds", "fnr", "fpr", "selection_rate", "tpr"}, slices.Sorted(maps.Keys(gaps)))
	require.Equal(t, map[string]any{"difference": 0., "ratio": 1.}, gaps["tpr"])

	_, out, _ = bench(t, small, "metrics", "--input", "-", "--label", "y", "--score", "p", "--group", "g", "--convention", "fairlearn", "--json")
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, map[string]any{"difference": 1., "ratio": 0.}, got["gaps"].(map[string]any)["g"].(map[string]any)["tpr"])
}

// TestMetricsVectors runs the shared vectors through the command.
func TestMetricsVectors(t *testing.T) {
	raw, err := os.ReadFile("../../metrics/testdata/binary_metrics.json")
	require.NoError(t, err)
	var f struct {
		Cases []struct {
			Name     string
			YTrue    []int `json:"y_true"`
			Score    []float64
			Weight   []float64 `json:"sample_weight"`
			Expected struct {
				AUROC   *float64
				AUPRC   *float64 `json:"auprc_average_precision"`
				Brier   *float64
				LogLoss *float64            `json:"log_loss"`
				ECE     *float64            `json:"ece_equal_width_10"`
				TPR     map[string]*float64 `json:"tpr_at_fpr"`
			}
		}
	}
	require.NoError(t, json.Unmarshal(raw, &f))
	for _, c := range f.Cases {
		if c.Weight != nil {
			continue // the command takes no weights
		}
		var in strings.Builder
		in.WriteString("y,p\n")
		for i, y := range c.YTrue {
			fmt.Fprintf(&in, "%d,%v\n", y, c.Score[i])
		}
		code, out, errs := bench(t, in.String(), "metrics", "--input", "-", "--label", "y", "--score", "p", "--json")
		require.Zero(t, code, errs)
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(out), &got))
		for key, want := range map[string]*float64{"auroc": c.Expected.AUROC, "auprc": c.Expected.AUPRC, "brier": c.Expected.Brier, "log_loss": c.Expected.LogLoss, "ece": c.Expected.ECE} {
			if want == nil {
				require.Nil(t, got[key], "%s %s", c.Name, key)
				continue
			}
			require.InDelta(t, *want, got[key], 1e-9, "%s %s", c.Name, key)
		}
		for key, want := range c.Expected.TPR {
			require.InDelta(t, *want, got["tpr_at_fpr"].(map[string]any)[key], 1e-9, "%s %s", c.Name, key)
		}
	}
}

func TestMetricsTable(t *testing.T) {
	code, out, errs := bench(t, strings.ReplaceAll(small, "0.9", "9.5"), "metrics", "--input", "-", "--label", "y", "--score", "p", "--group", "g")
	require.Zero(t, code, errs)
	for _, want := range []string{"5 rows, 2 found; 1 rows without a label left out", "Brier, ECE and log loss are not defined", "equalized odds", "(missing)", "tp 2  fp 1"} {
		require.Contains(t, out, want)
	}
}

func TestMetricsGzipAndBOM(t *testing.T) {
	name := filepath.Join(t.TempDir(), "s.csv.gz")
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte("\xef\xbb\xbf" + strings.TrimPrefix(small, "id,")))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, os.WriteFile(name, b.Bytes(), 0o600))
	code, _, errs := bench(t, "", "metrics", "--input", name, "--label", "y", "--score", "p", "--json")
	require.Equal(t, 1, code, "rows have one field more than the header")
	require.Contains(t, errs, "line 2")
	code, _, errs = bench(t, "\xef\xbb\xbf"+"y,p\n1,1\n0,0\n", "metrics", "--input", "-", "--label", "y", "--score", "p", "--json")
	require.Zero(t, code, errs)
}

func TestMetricsBadInput(t *testing.T) {
	for name, c := range map[string]struct {
		in, want string
		args     []string
		code     int
	}{
		"empty":       {in: "", want: "is empty", code: 1},
		"no rows":     {in: "y,p\n", want: "no rows", code: 1},
		"column":      {in: "x,p\n1,1\n", want: `line 1: no column "y"`, code: 1},
		"twice":       {in: "y,y,p\n1,1,1\n", want: `column "y" twice`, code: 1},
		"label":       {in: "y,p\n1,1\nmaybe,1\n", want: `line 3, column 1 (y): label "maybe"`, code: 1},
		"score":       {in: "y,p\n1,1\n0,high\n", want: `line 3, column 3 (p): score "high"`, code: 1},
		"score NaN":   {in: "y,p\n1,NaN\n", want: "line 2", code: 1},
		"no score":    {in: "y,p\n1,\n", want: "line 2", code: 1},
		"ragged":      {in: "y,p\n1,1\n0\n", want: "line 3", code: 1},
		"quote":       {in: "y,p\n1,\"1\n", want: "line 2", code: 1},
		"not UTF-8":   {in: "y,p,g\n1,1,\xff\n", want: "not UTF-8", code: 1, args: []string{"--group", "g"}},
		"long field":  {in: "y,p,g\n1,1," + strings.Repeat("x", 1_000_000) + "\n", want: "line 2, column 5 (g): field of 1000000 bytes", code: 1, args: []string{"--group", "g"}},
		"group twice": {in: "y,p,g\n1,1,a\n", want: "named twice", code: 2, args: []string{"--group", "g,g"}},
		"threshold":   {in: "y,p\n1,1\n", want: "not a number", code: 2, args: []string{"--threshold", "NaN"}},
		"convention":  {in: "y,p\n1,1\n", want: "convention", code: 2, args: []string{"--convention", "lax"}},
		"no file":     {want: "no such file", code: 1, args: []string{"--input", "/nowhere.csv"}},
	} {
		args := append([]string{"metrics", "--input", "-", "--label", "y", "--score", "p", "--json"}, c.args...)
		code, out, errs := bench(t, c.in, args...)
		require.Equal(t, c.code, code, "%s: %s", name, errs)
		require.Contains(t, errs, "error: ", name)
		require.Contains(t, errs, c.want, name)
		require.Empty(t, out, name)
		require.Less(t, len(errs), 1000, name)
	}
}

func TestCommandsShowExamples(t *testing.T) {
	missing, err := cli.WithoutExample("koinon-bench", &grammar{})
	require.NoError(t, err)
	require.Empty(t, missing)
}
