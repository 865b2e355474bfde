package feature

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const countYAML = `
name: crossings
label: {column: refused, kind: count, max: 5000, min_cell: 10, exposure: travellers, baseline: year_before, empty: skip}
split: {column: part, test: test}
columns:
  section: {type: category, values: [land, air]}
  year_before: {type: number}
`

func countSchema(t testing.TB) *Schema {
	t.Helper()
	s, err := ParseSchema([]byte(countYAML))
	require.NoError(t, err)
	return s
}

func countTable(t testing.TB, rows int) *Table {
	t.Helper()
	var b strings.Builder
	b.WriteString("section,year_before,refused,travellers,part\n")
	for i := range rows {
		before, part := fmt.Sprint(20+i), "train"
		if i%5 == 0 {
			before, part = "", "test"
		}
		fmt.Fprintf(&b, "%s,%s,%d.0,%.1f,%s\n", []string{"land", "air"}[i%2], before, 30+i, 1.5+float64(i), part)
	}
	table, err := ReadCSV(strings.NewReader(b.String()), countSchema(t), Limits{})
	require.NoError(t, err)
	return table
}

func TestCountSchema(t *testing.T) {
	s := countSchema(t)
	require.Equal(t, Label{
		Column: "refused", Kind: KindCount, Max: 5000, MinCell: 10, Exposure: "travellers", Baseline: "year_before", Empty: EmptySkip,
	}, s.Label)
	again, err := ParseSchemaJSON(s.Canonical())
	require.NoError(t, err)
	require.Equal(t, s.Digest(), again.Digest())
	for want, label := range map[string]string{
		"unknown kind":        "{column: y, kind: number}",
		"say the most":        "{column: y, kind: count}",
		"max 1048577":         "{column: y, kind: count, max: 1048577}",
		"no positive":         "{column: y, kind: count, max: 5, positive: 1}",
		"min_cell -1":         "{column: y, kind: count, max: 5, min_cell: -1}",
		"belong to kind":      "{column: y, positive: 1, baseline: b}",
		"label itself":        "{column: y, kind: count, max: 5, exposure: y}",
		"must be a number":    "{column: y, kind: count, max: 5, exposure: c}",
		"feature or ignored":  "{column: y, kind: count, max: 5, baseline: s}",
		"not a whole number":  "{column: y, kind: count, max: 2.5}",
		"label positive is e": "{column: y}",
	} {
		_, err := ParseSchema([]byte("name: x\nlabel: " + label +
			"\nsplit: {column: s, test: a}\ncolumns:\n  a: {type: number}\n  c: {type: category}\n  s: {type: number, role: split}\n"))
		require.ErrorContains(t, err, want)
	}
}

func TestCountsAreRead(t *testing.T) {
	table := countTable(t, 40)
	require.Equal(t, []int32{30, 31, 32}, table.Counts()[:3])
	require.Equal(t, []int8{1, 1, 1}, table.Label()[:3])
	require.True(t, isMissing(table.Baseline()[0]))
	require.Equal(t, float32(21), table.Baseline()[1])
	part := table.Subset([]int32{7, 3})
	require.Equal(t, []int32{37, 33}, part.Counts())
	require.Equal(t, []float32{8.5, 4.5}, part.exposure)
}

func TestCountErrors(t *testing.T) {
	for want, row := range map[string]string{
		`label "many" is not a number`: "land,20,many,1",
		"label -3 is negative":         "land,20,-3,1",
		"not a whole number":           "land,20,12.5,1",
		"above max 5000":               "land,20,5001,1",
		"label counts fewer than 10":   "land,20,9,1",
		"baseline counts fewer":        "land,9,20,1",
		"baseline -1 is not":           "land,-1,20,1",
		"exposure is empty":            "land,20,20,",
		"exposure 0 is not between":    "land,20,20,0",
		"label is blank":               "land,20, ,1",
	} {
		_, err := ReadCSV(strings.NewReader("section,year_before,refused,travellers,part\n"+row+",train\n"), countSchema(t), Limits{})
		require.ErrorContains(t, err, want)
	}
	table, err := ReadCSV(strings.NewReader("section,year_before,refused,travellers,part\nland,,0,1,train\nland,,,1,train\n"), countSchema(t), Limits{})
	require.NoError(t, err, "nobody is no small cell, and an empty label is skipped")
	require.Equal(t, []int8{0, Unlabelled}, table.Label())
	table, err = ReadCSV(strings.NewReader("section,travellers,year_before\nland,2,\n"), countSchema(t), Limits{Scoring: true})
	require.NoError(t, err, "rows to be scored need the exposure only")
	require.Nil(t, table.Counts())
	_, err = ReadCSV(strings.NewReader("section,year_before\nland,2\n"), countSchema(t), Limits{Scoring: true})
	require.ErrorContains(t, err, "no column travellers")
}

func TestCountStatistics(t *testing.T) {
	s, table := countSchema(t), countTable(t, 60)
	st := NewStatistics(s)
	for !st.Done() {
		require.NoError(t, st.Apply(sumOf(t, st, table)))
		state, err := st.MarshalBinary()
		require.NoError(t, err)
		st, err = UnmarshalStatistics(s, state)
		require.NoError(t, err)
	}
	e, err := st.Encoder()
	require.NoError(t, err)
	counts, exposures := 0, 0.0
	for _, r := range table.Select(SelectTrain) {
		counts, exposures = counts+30+int(r), exposures+1.5+float64(r)
	}
	require.Equal(t, int64(48), e.Rows)
	require.Equal(t, int64(counts), e.Positives)
	require.Equal(t, int64(exposures*ExposureOne), e.Exposure)
	require.InDelta(t, float64(counts)/48, e.CountMean(), 0.02)
	require.InDelta(t, exposures/48, e.ExposureMean(), 1e-9)
	again, err := ParseEncoder(e.Canonical())
	require.NoError(t, err)
	require.Equal(t, e.Digest(), again.Digest())
	_, err = ParseEncoder(bytes.Replace(e.Canonical(), []byte(`"positives":`), []byte(`"positives":999`), 1))
	require.ErrorContains(t, err, "positives")

	m, err := e.Encode(table, SelectTest)
	require.NoError(t, err)
	require.Equal(t, []int32{30, 35}, m.Slice(0, 2).Count)
	require.Equal(t, []float32{1.5, 6.5}, m.Exposure[:2])
	require.Equal(t, e.CountMean(), m.Slice(1, 2).CountMean)
}

func TestCountStatisticsRefuse(t *testing.T) {
	s, table := countSchema(t), countTable(t, 60)
	for want, edit := range map[string]func([]int64){
		"positives": func(sum []int64) { sum[1] = sum[0]*5000 + 1 },
		"exposures": func(sum []int64) { sum[2] = sum[0] - 1 },
		"at least":  func(sum []int64) { sum[0] = 19; sum[1] = 1 },
	} {
		st := NewStatistics(s)
		sum := sumOf(t, st, table)
		edit(sum)
		require.ErrorContains(t, st.Apply(sum), want)
	}
}

// FuzzCounts: whatever is read as a count keeps to what the schema declares.
func FuzzCounts(f *testing.F) {
	f.Add("12", "1.5", "13")
	f.Add("-1", "1e9", "NaN")
	f.Add("1048577", "", "9")
	s := countSchema(f)
	f.Fuzz(func(t *testing.T, count, exposure, baseline string) {
		table, err := FromRecords([]string{"section", "year_before", "refused", "travellers", "part"},
			[][]string{{"land", baseline, count, exposure, "train"}}, s, Limits{})
		if err != nil {
			return
		}
		if n := table.Counts()[0]; n < 0 || n > 5000 || n > 0 && n < 10 {
			t.Fatalf("count %q read as %d", count, n)
		}
		if e := table.exposure[0]; !(e >= 1./ExposureOne && e <= MaxExposure) {
			t.Fatalf("exposure %q read as %v", exposure, e)
		}
		if b := table.Baseline()[0]; b < 0 || b > MaxCount || b > 0 && b < 10 {
			t.Fatalf("baseline %q read as %v", baseline, b)
		}
	})
}
