package train_test

import (
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/models/trees"
)

// declared is a public table whose schema declares what a plan with noise must
// not learn: ranges of numbers as its documentation has them, and all codes of
// categories, which here are read from the file in its place.
type declared struct {
	file, node string // node empty: ten nodes, Dirichlet(0.5) on the label
	numbers    map[string]string
	categories []string
}

var declaredTables = map[string]declared{
	"acs": {
		file: "acs_income_16states.csv.gz", node: "ST",
		numbers:    map[string]string{"AGEP": "0, 99", "SCHL": "1, 24", "WKHP": "1, 99"},
		categories: []string{"COW", "MAR", "OCCP", "POBP", "RELP", "SEX", "RAC1P"},
	},
	"adult": {
		file: "adult.csv.gz",
		numbers: map[string]string{
			"age": "17, 90", "fnlwgt": "0, 1500000", "education_num": "1, 16", "capital_gain": "0, 99999", "capital_loss": "0, 4356",
			"hours_per_week": "1, 99",
		},
		categories: []string{"workclass", "education", "marital_status", "occupation", "relationship", "race", "sex", "native_country"},
	},
}

// load returns the schema and the nodes' tables.
func (d declared) load(t *testing.T, seed uint64) (*feature.Schema, []*feature.Table) {
	folder := os.Getenv("KOINON_TEST_DATA")
	if folder == "" {
		t.Skip("KOINON_TEST_DATA does not name the folder of public data sets")
	}
	f, err := os.Open(filepath.Join(folder, d.file))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	records, err := csv.NewReader(z).ReadAll()
	require.NoError(t, err)
	header := records[0]
	schema, err := feature.ParseSchema([]byte(d.schema(header, records[1:])))
	require.NoError(t, err)
	text, node := new(strings.Builder), d.node
	w := csv.NewWriter(text)
	if node == "" {
		node = "node"
		label := slices.Index(header, "income_gt_50k")
		share := dirichlet(seed, 10, 2, 0.5)
		rnd := rand.New(rand.NewPCG(seed, 77))
		records[0] = append(header, node)
		for i, r := range records[1:] {
			y := 0
			if r[label] == "1" {
				y = 1
			}
			u, at := rnd.Float64(), 0
			for ; at < 9 && u > share[y][at]; at++ {
				u -= share[y][at]
			}
			records[i+1] = append(r, fmt.Sprint(at))
		}
	}
	require.NoError(t, w.WriteAll(records))
	table, err := feature.ReadCSV(strings.NewReader(text.String()), schema, feature.Limits{}, node, "split")
	require.NoError(t, err)
	table, err = table.SplitBy("split", "test")
	require.NoError(t, err)
	_, parts, err := table.Partition(node)
	require.NoError(t, err)
	return schema, parts
}

func (d declared) schema(header []string, rows [][]string) string {
	s := new(strings.Builder)
	s.WriteString("name: declared\nlabel: {column: income_gt_50k, positive: \"1\"}\ncolumns:\n")
	for _, c := range header {
		if r := d.numbers[c]; r != "" {
			fmt.Fprintf(s, "  %s: {type: number, range: [%s]}\n", c, r)
		}
		if !slices.Contains(d.categories, c) {
			continue
		}
		at := slices.Index(header, c)
		var values []string
		for _, r := range rows {
			if r[at] != "" {
				values = append(values, r[at])
			}
		}
		slices.SortFunc(values, func(a, b string) int { // codes in their own order
			return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
		})
		fmt.Fprintf(s, "  %s: {type: category, values: [", c)
		for i, v := range slices.Compact(values) {
			if i > 0 {
				s.WriteString(", ")
			}
			fmt.Fprintf(s, "%q", v)
		}
		s.WriteString("]}\n")
	}
	return s.String()
}

// dirichlet draws, for each class, how its rows fall to the nodes.
func dirichlet(seed uint64, nodes, classes int, alpha float64) [][]float64 {
	rnd := rand.New(rand.NewPCG(seed, 5))
	gamma := func() float64 { // Marsaglia and Tsang 2000, for alpha + 1, brought down to alpha
		d := alpha + 1 - 1.0/3
		for {
			x := rnd.NormFloat64()
			v := math.Pow(1+x/math.Sqrt(9*d), 3)
			if v > 0 && math.Log(rnd.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
				return d * v * math.Pow(rnd.Float64(), 1/alpha)
			}
		}
	}
	out := make([][]float64, classes)
	for c := range out {
		total := 0.0
		for range nodes {
			g := gamma()
			out[c], total = append(out[c], g), total+g
		}
		for i := range out[c] {
			out[c][i] /= total
		}
	}
	return out
}

// promised is the noise with which epochs of trees and one sum of statistics,
// which has 7 % of ρ, keep a promise (trees 60).
func promised(t testing.TB, epsilon float64, epochs int) *schedule.Privacy {
	const delta = 1e-6
	one, err := dp.NoiseFor(epsilon, delta, 1, 1)
	require.NoError(t, err)
	p := &schedule.Privacy{Epsilon: epsilon, Delta: delta, StatisticsNoise: one / math.Sqrt(0.07)}
	p.Noise, err = dp.NoiseFor(epsilon, delta, 1, uint64(epochs), dp.Mechanism{Rate: 1, Noise: p.StatisticsNoise, Steps: 1})
	require.NoError(t, err)
	return p
}

// ensembleFigure is the AUROC of the grown trees over the test rows of all tables.
func ensembleFigure(t testing.TB, machine *schedule.Machine, tables []*feature.Table) float64 {
	e := machine.Forest().Ensemble()
	scorer, err := e.NewScorer()
	require.NoError(t, err)
	var scores []float64
	var labels []int8
	for _, table := range tables {
		rows := table.Select(feature.SelectTest)
		cells, err := e.Bins.Cells(machine.Encoder(), table, rows)
		require.NoError(t, err)
		own := make([]float64, len(rows))
		require.NoError(t, scorer.Logits(cells, own))
		for i, r := range rows {
			scores, labels = append(scores, trees.Sigmoid(own[i])), append(labels, table.Label()[r])
		}
	}
	return *auroc(t, scores, labels)
}

// TestAdditivePublic: what additive growth reaches on public data with the full
// noise at each node, statistics included. // trees 58–64
func TestAdditivePublic(t *testing.T) {
	for _, c := range []struct {
		table string
		least map[float64]float64 // by ε; 0 has no noise
	}{
		{"acs", map[float64]float64{0: 0.868, 1: 0.865, 3: 0.869, 8: 0.870}},
		{"adult", map[float64]float64{0: 0.915, 1: 0.892, 3: 0.902, 8: 0.910}},
	} {
		schema, tables := declaredTables[c.table].load(t, 1)
		for _, epsilon := range []float64{0, 1, 3, 8} {
			t.Run(fmt.Sprintf("%s, epsilon %v", c.table, epsilon), func(t *testing.T) {
				seeds, mean, start, noise := uint64(1), 0.0, time.Now(), "no noise"
				if epsilon > 0 {
					seeds = 3
				}
				for seed := range seeds {
					cfg := schedule.Config{
						Schema: schema, Seed: seed, Architecture: arch.Spec{Kind: arch.Trees, Trees: &trees.Params{Growth: trees.Additive}},
					}
					if epsilon > 0 {
						cfg.Privacy = promised(t, epsilon, 30)
						noise = fmt.Sprintf("noise %v, of statistics %.4g", cfg.Privacy.Noise, cfg.Privacy.StatisticsNoise)
					}
					f := newFederation(t, cfg, tables)
					for i, m := range f.members {
						m.SetRunKey([32]byte{byte(seed + 1), byte(i)})
					}
					f.run(t, false)
					figure := ensembleFigure(t, f.machine, tables)
					mean += figure / float64(seeds)
					t.Logf("seed %d: AUROC %.4f", seed, figure)
				}
				t.Logf("%s, %d nodes, epsilon %v, %v: AUROC %.4f (%.1f s)", c.table, len(tables), epsilon, noise, mean, time.Since(start).Seconds())
				require.GreaterOrEqual(t, mean, c.least[epsilon])
			})
		}
	}
}
