package sim

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
)

// additiveSchema declares what a plan with noise must not learn from rows.
var additiveSchema = strings.NewReplacer("family: {type: category}", "family: {type: category, values: [T01, T02, T03]}",
	"role: group}", "role: group, values: [north, south]}").Replace(schemaYAML)

// additivePlan is a plan of additive growth, with a line more.
func additivePlan(t testing.TB, more string) *federation.Plan {
	t.Helper()
	text := strings.NewReplacer("{kind: logistic, l2: 1.0}", "{kind: trees, trees: {growth: additive, epochs: 8}}",
		"{name: fedadam, rounds: 3}", "{name: trees}", "gates:", more+"\ngates:", "mask: 300", "mask: 60").Replace(planYAML)
	p, err := federation.ParsePlan([]byte(text), func(name string) ([]byte, error) {
		switch name {
		case "schema.yaml":
			return []byte(additiveSchema), nil
		case "declaration.yaml":
			return []byte(declarationYAML), nil
		}
		return nil, errors.New("no such file")
	})
	require.NoError(t, err)
	return p
}

// additiveTables gives each of the five members rows under that schema.
func additiveTables(t testing.TB, rows int) []Member {
	t.Helper()
	schema, err := feature.ParseSchema([]byte(additiveSchema))
	require.NoError(t, err)
	members := make([]Member, len(five))
	for i, name := range five {
		r := rand.New(rand.NewPCG(uint64(i), 8))
		var b bytes.Buffer
		b.WriteString("file_number,age,family,chip,sex,office,fraud_found,part\n")
		for row := range rows {
			age, chip, label := 10*r.Float64(), "ok", 0
			if r.IntN(3) == 0 {
				chip = "no_chip"
			}
			if risk := 0.05 + 0.08*age; chip == "no_chip" && r.Float64() < risk || r.IntN(20) == 0 {
				label = 1
			}
			part := "train"
			if row%4 == 3 {
				part = "test"
			}
			fmt.Fprintf(&b, "%d-%d,%.3f,T0%d,%s,%s,%s,%d,%s\n", i, row, age, 1+r.IntN(3), chip, []string{"female", "male"}[r.IntN(2)],
				[]string{"north", "south"}[r.IntN(2)], label, part)
		}
		table, err := feature.ReadCSV(&b, schema, feature.Limits{})
		require.NoError(t, err)
		members[i] = Member{Name: name, Table: table}
	}
	return members
}

// TestAdditiveEqualPooled: additive growth without noise over five nodes is bit
// for bit that over all rows in one place. // trees 2, 58
func TestAdditiveEqualPooled(t *testing.T) {
	members := additiveTables(t, 300)
	r, err := Run(t.Context(), Config{Plan: additivePlan(t, ""), Members: members, Seed: 1, Log: testLog()})
	require.NoError(t, err)
	requirePooled(t, r.Machine, members)
	require.NotNil(t, r.Machine.Tally())
}

// TestAdditiveWithNoise: with the full noise of every node, over the real
// protocol, growth goes on without a node that is lost in the middle, and all
// whole epochs are grown; all who stay have one model, and it is worth something. // trees 41, 58–62
func TestAdditiveWithNoise(t *testing.T) {
	plan := additivePlan(t, "privacy: {dp: record, epsilon: 8}")
	s := setStage(t, plan, additiveTables(t, 1500), soon)
	killed := s.kill("PT", "survivors", 4)
	s.submit()
	s.playAll()
	killed()
	r := s.evaluated()
	sizes := map[int]int{}
	for _, one := range r.Rounds {
		if one.Outcome == "closed" && one.Kind == schedule.Grow.String() {
			sizes[one.Survivors.Len()]++
		}
	}
	require.NotZero(t, sizes[5])
	require.NotZero(t, sizes[4])
	require.Equal(t, 8, sizes[4]+sizes[5])
	m := s.machineOf(r, "DE", "FR", "IT", "PL")
	require.Len(t, m.Forest().Ensemble().Trees, 8*3)
	require.Greater(t, m.Tally().AUROC().Value, 0.7)
	require.Zero(t, m.Forest().Disclosure())
	_, report, err := s.simulation.coordinator.Candidate(r.ID)
	require.NoError(t, err)
	require.Nil(t, report.Histograms, "noise covers what was opened")
}

// TestAdditiveDrowned: rows in which nothing would show end the run with the
// reason, before a tree. // trees 64
func TestAdditiveDrowned(t *testing.T) {
	s := setStage(t, additivePlan(t, "privacy: {dp: record, epsilon: 8, noise: 200, statistics_noise: 10}"), additiveTables(t, 300), func(c *coordinator.Config) { soon(c); c.MaxAborts = 1 })
	s.submit()
	s.playAll()
	r := s.finish()
	require.Contains(t, r.Reason, "too few rows for so much noise")
}
