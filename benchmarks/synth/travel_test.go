package synth

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
)

// TestTravelTables: every table fits its schema, is the same twice, and has no cell about fewer than ten people anywhere.
func TestTravelTables(t *testing.T) {
	for _, state := range TravelStates() {
		var b, again, other bytes.Buffer
		require.NoError(t, GenerateTravel(&b, state, 1))
		require.NoError(t, GenerateTravel(&again, state, 1))
		require.NoError(t, GenerateTravel(&other, state, 2))
		require.True(t, bytes.Equal(b.Bytes(), again.Bytes()))
		require.False(t, bytes.Equal(b.Bytes(), other.Bytes()))
		table, err := feature.ReadCSV(&b, TravelSchema(), feature.Limits{})
		require.NoError(t, err, state)
		require.Equal(t, 60*12, table.Rows())
		rows, _ := table.Count(feature.SelectTest)
		require.Greater(t, rows, 130, "%s: a year of twelve series, but for what is too small", state)
		for i, n := range table.Counts() {
			require.True(t, n >= 10 || table.Label()[i] == feature.Unlabelled)
		}
	}
	require.ErrorContains(t, GenerateTravel(&bytes.Buffer{}, "UK", 1), "no figure")
}

// TestTravelFollowsItsSource: a state's refusals in a year are of the order of the public figure.
func TestTravelFollowsItsSource(t *testing.T) {
	for _, state := range []string{"FR", "PL"} {
		var b bytes.Buffer
		require.NoError(t, GenerateTravel(&b, state, 3))
		table, err := feature.ReadCSV(&b, TravelSchema(), feature.Limits{})
		require.NoError(t, err)
		cases := 0.0
		for _, n := range table.Counts() {
			cases += float64(n) / 5
		}
		require.InEpsilon(t, refused[state], cases, 0.6)
	}
}
