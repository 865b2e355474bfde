package sim

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/card"
	"github.com/koinon-eu/koinon/models/release"
)

// TestSearch: settings are chosen over the real stack, with networks of different sizes in one batch of sums, a node
// that dies in the middle and a coordinator that is started again. The candidate is the network of the chosen settings,
// and its card says what was tried.
func TestSearch(t *testing.T) {
	s := setStage(t, testPlan(t, "{name: fedadam, rounds: 3}",
		"{name: fedavgm, rounds: 4, stop: {patience: 4, validation: 0.2}}\nsearch: {candidates: 3, grid: {hidden: [[4], [8, 4]], local_rate: [0.0001, 0.01]}}",
		"{kind: logistic, l2: 1.0}", "{kind: mlp, hidden: [4]}"), fiveTables(t), nil)
	it := s.actors["IT"]
	dead := it.dieOn("sum", 6)
	s.submit()
	s.playAll()
	select {
	case <-dead:
	case <-t.Context().Done():
		t.Fatal("IT never saw the sum of round 6")
	}
	it.stop()
	it.play()
	s.reboot()
	r := s.evaluated()
	s.checkSums(r)
	files, _, err := s.simulation.coordinator.Candidate(r.ID)
	require.NoError(t, err)
	var record card.Record
	require.NoError(t, json.Unmarshal(files[release.CardFile], &record))
	require.Len(t, record.Model.Tried, 3)
	chosen := 0
	for _, one := range record.Model.Tried {
		require.NotNil(t, one.Loss)
		if one.Chosen {
			chosen++
		}
	}
	require.Equal(t, 1, chosen)
	text := string(files[release.CardTextFile])
	require.Contains(t, text, "| as in the plan |")
	for _, one := range record.Model.Tried[1:] {
		require.Contains(t, text, strings.NewReplacer("[", `\[`, "]", `\]`, "_", `\_`).Replace(one.Settings))
	}
}
