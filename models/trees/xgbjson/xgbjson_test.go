package xgbjson_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
	"github.com/koinon-eu/koinon/models/trees/treestest"
	"github.com/koinon-eu/koinon/models/trees/xgbjson"
)

const schema = `
name: toy
label: {column: y, positive: "1"}
columns:
  a: {type: number}
  "b[m/s]": {type: number}
  c: {type: category}
  d: {type: number}
`

// grown returns an ensemble with missing numbers (own cell and folded) and
// categories, and its table.
func grown(t testing.TB) (*trees.Ensemble, *feature.Encoder, *feature.Table) {
	r := rand.New(rand.NewPCG(1, 4))
	var b strings.Builder
	b.WriteString("y,a,b[m/s],c,d\n")
	for i := range 2500 {
		x, z, c := r.NormFloat64(), r.IntN(50), r.IntN(9)*r.IntN(9)
		q := x*float64(z-25)/10 + float64(c%4)
		bb, d := fmt.Sprint(z), fmt.Sprint(r.IntN(4))
		if r.IntN(3) == 0 {
			bb, q = "", q+2
		}
		if i < 7 {
			d = ""
		}
		y := 0
		if q+r.NormFloat64() > 2 {
			y = 1
		}
		fmt.Fprintf(&b, "%d,%.4f,%s,c%d,%s\n", y, x, bb, c, d)
	}
	s, err := feature.ParseSchema([]byte(schema))
	require.NoError(t, err)
	table, err := feature.ReadCSV(strings.NewReader(b.String()), s, feature.Limits{})
	require.NoError(t, err)
	stat := feature.NewStatistics(s)
	for !stat.Done() {
		counts, err := stat.Count(table)
		require.NoError(t, err)
		require.NoError(t, stat.Apply(counts))
	}
	e, err := stat.Encoder()
	require.NoError(t, err)
	bins, err := trees.NewBins(stat, e, 64, 20)
	require.NoError(t, err)
	least := 1.0
	m, err := trees.New(trees.Config{Params: trees.Params{Trees: 25, Depth: 5, MinHessian: &least}, Rows: e.Rows, Positives: e.Positives}, bins)
	require.NoError(t, err)
	member, err := treestest.New(bins, e, table)
	require.NoError(t, err)
	for !m.Done() {
		require.NoError(t, m.Apply(treestest.Sum(m, member)))
	}
	return m.Ensemble(), e, table
}

// inputs returns rows as XGBoost takes them, NaN as null, and our log-odds.
func inputs(t testing.TB, e *trees.Ensemble, encoder *feature.Encoder, table *feature.Table) ([][]*float64, []float64) {
	rows := table.Select(feature.SelectAll)
	cells, err := e.Bins.Cells(encoder, table, rows)
	require.NoError(t, err)
	scorer, err := e.NewScorer()
	require.NoError(t, err)
	want := make([]float64, len(rows))
	require.NoError(t, scorer.Logits(cells, want))
	out := make([][]*float64, len(rows))
	for i, r := range rows {
		for c := range e.Bins.Columns {
			v := float64(cells[i*len(e.Bins.Columns)+c])
			if !e.Bins.Columns[c].IsCategory() {
				v = float64(table.Number(e.Bins.Columns[c].Name)[r])
			}
			if math.IsNaN(v) {
				out[i] = append(out[i], nil)
			} else {
				out[i] = append(out[i], &v)
			}
		}
	}
	return out, want
}

const script = `
import json, sys, numpy as np, xgboost as xgb
d = json.load(open(sys.argv[2]))
X = np.array([[np.nan if v is None else v for v in r] for r in d["rows"]], dtype=np.float32)
b = xgb.Booster(); b.load_model(sys.argv[1])
m = xgb.DMatrix(X, feature_names=b.feature_names, feature_types=b.feature_types, enable_categorical=True)
assert b.attr("koinon.notice") == "A human decides."
p = b.predict(m, output_margin=True)
print(float(np.abs(p - np.array(d["want"])).max()), xgb.__version__)
`

// TestInXGBoost loads the file in Debian's python3-xgboost: margins are equal to
// 1e-5, NaN and categories included. // trees 65, 67
func TestInXGBoost(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's, whatever stands before it in PATH
	if out, err := exec.Command(python, "-c", "import xgboost").CombinedOutput(); err != nil {
		if strings.Contains(os.Getenv("KOINON_REQUIRE"), "xgboost") {
			t.Fatalf("python3-xgboost is required: %v: %s", err, out)
		}
		t.Skip("python3-xgboost is not installed")
	}
	e, encoder, table := grown(t)
	rows, want := inputs(t, e, encoder, table)
	model, err := xgbjson.Marshal(e, map[string]string{"koinon.notice": "A human decides."})
	require.NoError(t, err)
	dir := t.TempDir()
	data, err := json.Marshal(map[string]any{"rows": rows, "want": want})
	require.NoError(t, err)
	for name, b := range map[string][]byte{"model.json": model, "rows.json": data, "check.py": []byte(script)} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	cmd := exec.Command(python, "check.py", "model.json", "rows.json")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	var worst float64
	var version string
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	_, err = fmt.Sscan(lines[len(lines)-1], &worst, &version)
	require.NoError(t, err, string(out))
	t.Logf("xgboost %s: largest difference %g over %d rows", version, worst, len(rows))
	require.Less(t, worst, 1e-5)
}

// node is what our own reading of the file needs of a tree.
type node struct {
	Left    []int32   `json:"left_children"`
	Right   []int32   `json:"right_children"`
	Parents []int32   `json:"parents"`
	Index   []int     `json:"split_indices"`
	Cond    []float32 `json:"split_conditions"`
	Type    []int     `json:"split_type"`
	Default []int     `json:"default_left"`
	Cats    []int     `json:"categories"`
	Nodes   []int     `json:"categories_nodes"`
	Segment []int     `json:"categories_segments"`
	Sizes   []int     `json:"categories_sizes"`
}

func (n *node) value(row []*float64) float32 {
	at := int32(0)
	for n.Left[at] >= 0 {
		v := row[n.Index[at]]
		left := false
		switch {
		case v == nil:
			left = n.Default[at] == 1
		case n.Type[at] == 1:
			left = true
			for i, of := range n.Nodes {
				for _, c := range n.Cats[n.Segment[i] : n.Segment[i]+n.Sizes[i]] {
					if int32(of) == at && float64(c) == *v {
						left = false
					}
				}
			}
		default:
			left = float32(*v) < n.Cond[at]
		}
		if left {
			at = n.Left[at]
		} else {
			at = n.Right[at]
		}
	}
	return n.Cond[at]
}

// TestFormat reads the file by its rules and finds our scores; numbers are
// written as floats. // trees 65, 66, 67
func TestFormat(t *testing.T) {
	e, encoder, table := grown(t)
	rows, want := inputs(t, e, encoder, table)
	text, err := xgbjson.Marshal(e, map[string]string{"koinon.notice": "A human decides."})
	require.NoError(t, err)
	var d struct {
		Learner struct {
			Names   []string          `json:"feature_names"`
			Types   []string          `json:"feature_types"`
			Param   map[string]string `json:"learner_model_param"`
			Booster struct {
				Model struct {
					Trees []node `json:"trees"`
				} `json:"model"`
			} `json:"gradient_booster"`
		} `json:"learner"`
	}
	require.NoError(t, json.Unmarshal(text, &d))
	require.Equal(t, []string{"a", "b(m/s)", "c", "d"}, d.Learner.Names)
	require.Equal(t, []string{"q", "q", "c", "q"}, d.Learner.Types)
	require.Equal(t, "5E-1", d.Learner.Param["base_score"])
	require.Len(t, d.Learner.Booster.Model.Trees, len(e.Trees)+1)
	for i, row := range rows {
		var sum float64
		for k := range d.Learner.Booster.Model.Trees {
			sum += float64(d.Learner.Booster.Model.Trees[k].value(row))
		}
		require.InDelta(t, want[i], sum, 1e-5)
	}
	floats := regexp.MustCompile(`"(?:split_conditions|base_weights|loss_changes|sum_hessian)":\[([^\]]*)\]`)
	lists := floats.FindAllStringSubmatch(string(text), -1)
	require.Len(t, lists, 4*(len(e.Trees)+1))
	for _, list := range lists {
		for token := range strings.SplitSeq(list[1], ",") {
			require.Contains(t, token, "E")
		}
	}

	columns, err := xgbjson.Columns(e, encoder)
	require.NoError(t, err)
	require.Len(t, columns, 4)
	require.Equal(t, xgbjson.Column{Name: "b[m/s]", Feature: "b(m/s)"}, columns[1])
	codes, names := table.Category("c")
	require.NotEmpty(t, columns[2].Codes)
	for i, code := range codes {
		cell, ok := columns[2].Codes[names[code]]
		if !ok {
			cell = columns[2].Other
		}
		require.Equal(t, float64(cell), *rows[i][2])
	}
}

func TestRefuses(t *testing.T) {
	e, _, _ := grown(t)
	e.Bins.Columns[0].Name = "b(m/s)"
	_, err := xgbjson.Marshal(e, map[string]string{"koinon.notice": "A human decides."})
	require.ErrorContains(t, err, "two columns")
	e.Base = math.NaN()
	_, err = xgbjson.Marshal(e, map[string]string{"koinon.notice": "A human decides."})
	require.Error(t, err)
}
