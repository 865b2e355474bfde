package dataset

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
)

const driftSchema = `name: d
label: {column: y, positive: "1", empty: skip}
columns:
  x: {type: number}
  n: {type: number}
  k: {type: category}
  e: {type: number}
`

// shape says how rows are drawn.
type shape struct {
	rows  int
	shift float64 // of x, in standard deviations
	empty float64 // share of n
	rate  float64 // of the label
	third float64 // share of the category c
	fresh float64 // share of the category z
	seed  uint64
}

func drawn(t *testing.T, o shape) *feature.Table {
	r := rand.New(rand.NewPCG(o.seed, 1))
	var b strings.Builder
	b.WriteString("x,n,k,e,y\n")
	for range o.rows {
		n, k, y := fmt.Sprint(r.IntN(4)), "a", 0
		if r.Float64() < o.empty {
			n = ""
		}
		switch u := r.Float64(); {
		case u < o.third:
			k = "c"
		case u < o.third+o.fresh:
			k = "z"
		case u < .6:
			k = "b"
		}
		if r.Float64() < o.rate {
			y = 1
		}
		fmt.Fprintf(&b, "%.4f,%s,%s,,%d\n", r.NormFloat64()+o.shift, n, k, y)
	}
	table, err := Open(file(t, "d.csv", []byte(b.String())), schema(t, driftSchema))
	require.NoError(t, err)
	return table
}

// TestDrift: a shift of a number by ½ σ is watched (PSI is about shift² for two
// normal distributions of the same width), one by 1 σ acted on; so is a rise of
// the missing share, of a category, and of the label rate. The same rows drawn
// again are stable.
func TestDrift(t *testing.T) {
	base := shape{rows: 20_000, rate: .05, empty: .02, third: .1, seed: 1}
	last := Summarize(drawn(t, base), "r", time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC))
	text, err := json.Marshal(last)
	require.NoError(t, err)
	last = new(Summary)
	require.NoError(t, json.Unmarshal(text, last), "as it is kept")
	for name, c := range map[string]struct {
		change func(*shape)
		want   []Verdict // label, x, n, k, e
	}{
		"drawn again":     {func(*shape) {}, []Verdict{Stable, Stable, Stable, Stable, Stable}},
		"x a little":      {func(s *shape) { s.shift = .4 }, []Verdict{Stable, Watch, Stable, Stable, Stable}},
		"x much":          {func(s *shape) { s.shift = 1 }, []Verdict{Stable, Act, Stable, Stable, Stable}},
		"n missing":       {func(s *shape) { s.empty = .4 }, []Verdict{Stable, Stable, Act, Stable, Stable}},
		"k more":          {func(s *shape) { s.third = .25 }, []Verdict{Stable, Stable, Stable, Watch, Stable}},
		"k unseen":        {func(s *shape) { s.fresh = .1 }, []Verdict{Stable, Stable, Stable, Act, Stable}},
		"label a little":  {func(s *shape) { s.rate = .06 }, []Verdict{Watch, Stable, Stable, Stable, Stable}},
		"label much":      {func(s *shape) { s.rate = .1 }, []Verdict{Act, Stable, Stable, Stable, Stable}},
		"few, all chance": {func(s *shape) { s.rows, s.rate = 60, .1 }, []Verdict{Stable, Stable, Stable, Stable, Stable}},
	} {
		t.Run(name, func(t *testing.T) {
			s := base
			s.seed = 2
			c.change(&s)
			d := last.Compare(drawn(t, s))
			got := []Verdict{d.Label.Verdict}
			for _, column := range d.Columns {
				got = append(got, column.Verdict)
			}
			require.Equal(t, c.want, got, "%+v", d)
			for i, name := range []string{"label", "x", "n", "k", "e"} {
				require.Equal(t, c.want[i] == Act, contains(d.Acts(), name), name)
			}
		})
	}
}

func contains(all []string, x string) bool {
	return strings.Contains(" "+strings.Join(all, " ")+" ", " "+x+" ")
}

// TestPSI: the figure itself, by hand: two bins of 50 and 50 rows against 80
// and 20 give 0.3·ln(1.6) − 0.3·ln(0.4) = 0.4159.
func TestPSI(t *testing.T) {
	table := func(twos int) *feature.Table {
		text := "x,n,k,e,y\n" + strings.Repeat("1,1,a,,0\n", 100-twos) + strings.Repeat("2,1,a,,0\n", twos)
		out, err := Open(file(t, "d.csv", []byte(text)), schema(t, driftSchema))
		require.NoError(t, err)
		return out
	}
	d := Summarize(table(50), "r", time.Time{}).Compare(table(20))
	require.InDelta(t, .4159, d.Columns[0].PSI, 1e-4)
	require.InDelta(t, 10.828/50, d.Columns[0].Noise, .01, "99.9 %% of χ² with one degree of freedom")
	require.Equal(t, Act, d.Columns[0].Verdict)
	require.Equal(t, Stable, d.Label.Verdict)
}

// TestCheckPrintsDrift: in words and as JSON, and nothing where there is
// nothing to compare with.
func TestCheckPrintsDrift(t *testing.T) {
	last := Summarize(drawn(t, shape{rows: 3000, rate: .05, third: .1, seed: 1}), "r", time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC))
	text := "x,n,k,e,y\n" + strings.Repeat("9,1,q,,1\n9,,q,,0\n", 500)
	path := file(t, "d.csv", []byte(text))
	r, err := Check(path, schema(t, driftSchema), Options{Last: last})
	require.NoError(t, err)
	var out, data strings.Builder
	require.NoError(t, r.WriteText(&out))
	for _, want := range []string{"drift since the run of 2026-11-02 (3000 rows)", "PSI", "missing 0.00 % → 50.00 %", "100.00 % of rows hold values not seen before", "act"} {
		require.Contains(t, out.String(), want)
	}
	require.NoError(t, r.WriteJSON(&data))
	require.Contains(t, data.String(), `"verdict": "act"`)

	r, err = Check(path, schema(t, driftSchema), Options{})
	require.NoError(t, err)
	require.Nil(t, r.Drift)
	out.Reset()
	require.NoError(t, r.WriteText(&out))
	require.NotContains(t, out.String(), "drift")
}
