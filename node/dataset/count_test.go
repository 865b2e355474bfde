package dataset

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/synth"
	"github.com/koinon-eu/koinon/models/feature"
)

func travel(t *testing.T) string {
	var b bytes.Buffer
	require.NoError(t, synth.GenerateTravel(&b, "RO", 1))
	return b.String()
}

func TestCheckCounts(t *testing.T) {
	r, err := Check(file(t, "ro.csv", []byte(travel(t))), synth.TravelSchema(), Options{})
	require.NoError(t, err)
	require.True(t, r.OK(), "%v %v", r.Errors, r.Wrong)
	c := r.Label.Count
	require.NotNil(t, c)
	require.Equal(t, int64(10), c.MinCell)
	require.Greater(t, c.Cases, int64(10_000))
	require.Greater(t, c.Dispersion, 0.5)
	require.Equal(t, 48, c.Months)
	require.NotContains(t, strings.Join(r.Notes, " "), "months")
	var text bytes.Buffer
	require.NoError(t, r.WriteText(&text))
	require.Contains(t, text.String(), "cases in")
	require.Contains(t, text.String(), "above zero")
}

// TestCheckWantsTwoYears: with less to train on the report says so.
func TestCheckWantsTwoYears(t *testing.T) {
	s := *synth.TravelSchema()
	s.Split = &feature.SplitRule{Column: "month_start", TrainUntil: "2022-06-30"}
	r, err := Check(file(t, "ro.csv", []byte(travel(t))), &s, Options{})
	require.NoError(t, err)
	require.Equal(t, 18, r.Label.Count.Months)
	require.Contains(t, strings.Join(r.Notes, " "), "18 months train")
}

// TestCheckRefusesSmallCells: a row about fewer than ten people is an error of the table, with its line.
func TestCheckRefusesSmallCells(t *testing.T) {
	lines := strings.Split(travel(t), "\n")
	cells := strings.Split(lines[2], ",")
	cells[len(cells)-1], cells[len(cells)-2] = "7", "9"
	lines[2] = strings.Join(cells, ",")
	r, err := Check(file(t, "ro.csv", []byte(strings.Join(lines, "\n"))), synth.TravelSchema(), Options{})
	require.NoError(t, err)
	require.False(t, r.OK())
	require.Len(t, r.Errors, 2)
	for _, e := range r.Errors {
		require.Equal(t, 3, e.Line)
		require.Contains(t, e.Reason, "counts fewer than 10 people")
	}
}
