package sim

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/models/feature"
)

// realSchema: refusals of entry in a year by state and citizenship, Eurostat migr_eirfs 2012 to 2016, rounded to five
// by Eurostat. Zeros are true ones; single figures do not occur beside 5.
const realSchema = `
name: refused-entry
unit: aggregate
label: {column: refused, kind: count, max: 300000, min_cell: 10, exposure: last_year, baseline: last_year, empty: skip}
split: {column: part, test: test}
columns:
  log_last_year: {type: number}
  log_ratio: {type: number, missing: fewer than 10}
  log_others: {type: number, unit: log of the same citizenship's refusals elsewhere last year}
  log_state: {type: number, unit: log of the state's refusals last year}
  last_year: {type: number, role: ignore}
  size: {type: category, role: group, values: [small, middle, large]}
`

// refusedEntry makes a table for each state with enough cells: a row for each citizenship with at least ten refusals in
// the year before, 2014 and 2015 to train on and 2016 to test.
func refusedEntry(t testing.TB) []Member {
	t.Helper()
	dir := os.Getenv("KOINON_TEST_DATA")
	if dir == "" {
		t.Skip("KOINON_TEST_DATA is not set")
	}
	f, err := os.Open(filepath.Join(dir, "eurostat_refused_entry_2012_2016.csv.gz"))
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	all, err := csv.NewReader(z).ReadAll()
	require.NoError(t, err)
	type cell struct {
		geo, citizen string
		year         int
	}
	count, states, elsewhere := map[cell]float64{}, map[cell]float64{}, map[cell]float64{}
	var geos, citizens []string
	for _, row := range all[1:] {
		year, err := strconv.Atoi(row[0])
		require.NoError(t, err)
		n, err := strconv.ParseFloat(row[4], 64)
		if err != nil || strings.HasPrefix(row[1], "European Union") || row[3] == "Total" {
			continue
		}
		count[cell{row[1], row[3], year}] = n
		states[cell{row[1], "", year}] += n
		elsewhere[cell{"", row[3], year}] += n
		if !slices.Contains(geos, row[1]) {
			geos = append(geos, row[1])
		}
		if !slices.Contains(citizens, row[3]) {
			citizens = append(citizens, row[3])
		}
	}
	log := func(n float64) string {
		if n < 1 {
			return ""
		}
		return strconv.FormatFloat(math.Log(n), 'f', 5, 64)
	}
	schema, err := feature.ParseSchema([]byte(realSchema))
	require.NoError(t, err)
	var members []Member
	for _, geo := range geos {
		var b strings.Builder
		b.WriteString("log_last_year,log_ratio,log_others,log_state,last_year,size,refused,part\n")
		rows, tests := 0, 0
		for year := 2014; year <= 2016; year++ {
			for _, citizen := range citizens {
				n, ok := count[cell{geo, citizen, year}]
				last := count[cell{geo, citizen, year - 1}]
				if !ok || last < 10 {
					continue
				}
				y, ratio, size, part := "", "", "small", "train"
				if n == 0 || n >= 10 {
					y = strconv.FormatFloat(n, 'f', 0, 64)
				}
				if before := count[cell{geo, citizen, year - 2}]; before >= 10 {
					ratio = strconv.FormatFloat(math.Log(last/before), 'f', 5, 64)
				}
				if last >= 500 {
					size = "large"
				} else if last >= 50 {
					size = "middle"
				}
				if year == 2016 {
					part = "test"
					tests++
				}
				others := elsewhere[cell{"", citizen, year - 1}] - last
				fmt.Fprintf(&b, "%s,%s,%s,%s,%.0f,%s,%s,%s\n", log(last), ratio, log(others), log(states[cell{geo, "", year - 1}]), last, size, y, part)
				rows++
			}
		}
		if tests < 15 {
			continue
		}
		table, err := feature.ReadCSV(strings.NewReader(b.String()), schema, feature.Limits{})
		require.NoError(t, err)
		name := strings.ReplaceAll(strings.Split(geo, " (")[0], " ", "-")
		members = append(members, Member{Name: name, Table: table})
	}
	return members
}

// TestRefusedEntryOfEurostat says what the forecast is worth on real yearly aggregates, whether or not it beats the year
// before. A year is another matter than a month: the gates of the pack are shown, not demanded.
func TestRefusedEntryOfEurostat(t *testing.T) {
	members := refusedEntry(t)
	plan := travelPlan(t)
	plan.Schema, plan.Declaration.AffectedGroups = members[0].Table.Schema(), []string{"size"}
	plan.Architecture.Dispersion = 2 // a year scatters more than a month
	plan.Cohort = federation.Cohort{}
	for _, m := range members {
		plan.Cohort.Members = append(plan.Cohort.Members, m.Name)
	}
	plan.WithDefaults()
	require.NoError(t, plan.Validate())
	r, err := Run(t.Context(), Config{Plan: plan, Members: members, Seed: 1, Log: testLog()})
	require.NoError(t, err)
	tally := r.Machine.Counts()
	t.Logf("%d rows in %d nodes, deviance %.2f, baseline %.2f, gain %+.3f, nodes that gain %v of %d, mean %+.3f, "+
		"coverage %.3f, observed/expected %.3f, k %.2f, over alone %v of %d",
		tally.Rows(), len(members), *tally.Deviance(), *tally.BaseDeviance(), *tally.BaseGain(), tally.Base.AtLeast, tally.Base.Defined,
		*tally.Base.Mean(), tally.Coverage().Value, *tally.Ratio(), *tally.Dispersion(), tally.Alone.AtLeast, tally.Alone.Defined)
	for _, g := range fairness.JudgeForecasts(tally, plan.Gates) {
		t.Logf("  %s: %s (%s)", g.Gate.Metric, g.Outcome, g.Reason)
	}
	for _, size := range []string{"small", "middle", "large"} {
		s, _ := tally.Group("size", size)
		t.Logf("  %s: %d rows, gain %+.3f, coverage %.3f", size, s.Rows(), *s.BaseGain(), s.Coverage().Value)
	}
	require.Greater(t, tally.Rows(), int64(300))
	require.InDelta(t, 1, *tally.Ratio(), 0.5)
}
