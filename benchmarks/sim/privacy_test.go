package sim

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/chain"

	"github.com/stretchr/testify/require"
)

// privateSchema is schemaYAML with everything declared that noise would hide.
var privateSchema = strings.NewReplacer(
	"family: {type: category}", "family: {type: category, values: [T01, T02, T03]}",
	"office: {type: category, role: group}", "office: {type: category, role: group, values: [north, south]}",
).Replace(schemaYAML)

func privatePlan(t testing.TB, replace ...string) *federation.Plan {
	t.Helper()
	text := strings.NewReplacer(replace...).Replace(planYAML + "privacy: {dp: record, epsilon: 8}\n")
	p, err := federation.ParsePlan([]byte(text), func(name string) ([]byte, error) {
		switch name {
		case "schema.yaml":
			return []byte(privateSchema), nil
		case "declaration.yaml":
			return []byte(declarationYAML), nil
		}
		return nil, errors.New("no such file")
	})
	require.NoError(t, err)
	return p
}

func privateTables(t testing.TB) []Member {
	t.Helper()
	schema, err := feature.ParseSchema([]byte(privateSchema))
	require.NoError(t, err)
	var members []Member
	for i, name := range five {
		r := rand.New(rand.NewPCG(uint64(i), 7))
		var b bytes.Buffer
		b.WriteString("file_number,age,family,chip,sex,office,fraud_found,part\n")
		for row := range 700 + 50*i {
			age, chip, label := 10*r.Float64(), []string{"ok", "no_chip"}[r.IntN(2)], 0
			if r.Float64() < 0.08*age || chip == "no_chip" && r.IntN(4) == 0 {
				label = 1
			}
			fmt.Fprintf(&b, "%d,%.3f,T0%d,%s,%s,%s,%d,%s\n", row, age, 1+r.IntN(3), chip,
				[]string{"female", "male"}[r.IntN(2)], []string{"north", "south"}[r.IntN(2)], label, []string{"train", "train", "test"}[r.IntN(3)])
		}
		table, err := feature.ReadCSV(&b, schema, feature.Limits{})
		require.NoError(t, err)
		members = append(members, Member{Name: name, Table: table})
	}
	return members
}

// fileLedger gives the actor a ledger that is a file, and returns its path.
func (a *actor) fileLedger() string {
	path := filepath.Join(a.t.TempDir(), "budget.log")
	a.openLedger(path)
	return path
}

func (a *actor) openLedger(path string) *budget.Ledger {
	l, err := budget.Open(path, slog.New(slog.DiscardHandler))
	require.NoError(a.t, err)
	a.t.Cleanup(func() { _ = l.Close() })
	a.config.Ledger = l
	return l
}

func costs(t testing.TB, path string) budget.PrivacyReport {
	t.Helper()
	_, report, _, err := budget.Show(path, budget.Privacy{Epsilon: 10, Delta: 1e-6})
	require.NoError(t, err)
	_, err = budget.Verify(path)
	require.NoError(t, err)
	return report
}

// TestPrivateRun goes through a plan with record-level privacy over the real
// stack, in both shapes of training: the model is learnt, is the same
// everywhere, and each node's ledger says that it cost what the plan promises.
func TestPrivateRun(t *testing.T) {
	for name, replace := range map[string][]string{
		"gradients":   nil,
		"local steps": {"{name: fedadam, rounds: 3}", "{name: fedavgm, local: mini-batch, rounds: 3}", "epsilon: 8", "epsilon: 8, rate: 0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			plan := privatePlan(t, replace...)
			s := setStage(t, plan, privateTables(t), nil)
			path := s.actors["IT"].fileLedger()
			s.submit()
			s.playAll()
			r := s.evaluated()
			require.Len(t, r.Rounds, 5, "one sum of statistics, three of training, one of evaluation")
			var digest [32]byte
			for _, a := range s.actors {
				eventually(t, "the end", func() bool {
					run, _, err := a.store.Run(r.ID, plan.Learning())
					return err == nil && run.Done
				})
				_, machine, err := a.store.Run(r.ID, plan.Learning())
				require.NoError(t, err)
				if digest == ([32]byte{}) {
					digest = digestOf(t, machine)
				}
				require.Equal(t, digest, digestOf(t, machine))
				require.Zero(t, machine.Tally().Gain.Defined)
			}
			files, _, err := s.simulation.coordinator.Candidate(r.ID)
			require.NoError(t, err)
			v, training := plan.Privacy, plan.Mechanisms()[1]
			for _, file := range []string{release.CardTextFile, release.ReportTextFile} {
				require.Contains(t, string(files[file]), fmt.Sprintf("epsilon %v at delta 1e-06: noise %v and rate %v over %d training steps, noise %v on the statistics, clip 1",
					v.Epsilon, v.Noise, v.Rate, training.Steps, v.StatisticsNoise), file)
				require.Contains(t, string(files[file]), "does not cover test rows", file)
			}
			require.Contains(t, string(files[release.CardTextFile]), "How these were counted:** with noise")
			report := costs(t, path)
			require.Len(t, report.Plans, 1)
			require.Equal(t, chain.Digest(plan.Digest()), report.Plans[0].Plan)
			require.Equal(t, 4, report.Plans[0].Answers)
			require.Equal(t, plan.Mechanisms(), []dp.Mechanism(report.Mechanisms))
			require.LessOrEqual(t, report.Epsilon, 8.0)
			require.Greater(t, report.Epsilon, 7.9)
			require.Less(t, report.PLD, report.Epsilon)
		})
	}
}

// TestBudgetEndsInTheMiddleOfARun: a node that has spent on other plans leaves
// this one when its budget is gone, before it trains for nothing, and says why;
// the others go on without it. Started again, it does not forget.
func TestBudgetEndsInTheMiddleOfARun(t *testing.T) {
	plan := privatePlan(t, "rounds: 3", "rounds: 12")
	s := setStage(t, plan, privateTables(t), nil)
	it := s.actors["IT"]
	path := it.fileLedger()
	it.config.Policy.Privacy.Epsilon = 8.05
	earlier := budget.Spend{Plan: chain.Digest{9}, Run: budget.Run{9}, Round: 1, Step: 1, Draw: chain.Digest{9}}
	earlier.Mechanism = dp.Mechanism{Rate: 1, Noise: plan.Privacy.Noise, Steps: 6}
	require.NoError(t, it.config.Ledger.Spend(1, earlier, budget.Privacy{}))
	s.submit()
	s.playAll()
	eventually(t, "IT leaves", func() bool { return len(it.left()) > 0 })
	require.ErrorIs(t, it.left()[0], secagg.ErrBudget)
	require.ErrorIs(t, it.left()[0], budget.ErrSpent)
	spent := costs(t, path)
	require.LessOrEqual(t, spent.Epsilon, 8.05)
	require.Equal(t, uint64(12), spent.Mechanisms[0].Steps, "six steps before, and six of this plan")

	it.stop()
	require.NoError(t, it.config.Ledger.(*budget.Ledger).Close())
	it.openLedger(path)
	before := len(it.left())
	it.play()
	r := s.evaluated()
	for _, err := range it.left()[before:] {
		require.ErrorIs(t, err, secagg.ErrBudget)
	}
	require.Equal(t, spent, costs(t, path), "nothing more left")
	index := uint8(3)
	for _, round := range r.Rounds {
		if round.Outcome == "closed" && round.Step > 1+6 && round.Kind != "evaluate" {
			require.False(t, round.Survivors.Has(index), "round %d", round.Number)
		}
	}
}

// TestRepeatedStepIsCountedForWhomItWasMadeAnew: a round ends after everybody's
// vector has left. Who still has the vector sends the very same again, which
// costs nothing; who was started again makes one anew, which counts.
func TestRepeatedStepIsCountedForWhomItWasMadeAnew(t *testing.T) {
	plan := privatePlan(t, "rounds: 3", "rounds: 4")
	s := setStage(t, plan, privateTables(t), func(c *coordinator.Config) { c.Grace = 20 })
	paths := map[string]string{}
	for name, a := range s.actors {
		paths[name] = a.fileLedger()
	}
	de, fr := s.actors["DE"], s.actors["FR"]
	first, second := de.dieOn("survivors", 3), fr.dieOn("survivors", 3)
	s.submit()
	s.playAll()
	for _, dead := range []<-chan struct{}{first, second} {
		select {
		case <-dead:
		case <-time.After(60 * time.Second):
			t.Fatal("nobody died")
		}
	}
	for _, a := range []*actor{de, fr} {
		a.stop()
		require.NoError(t, a.config.Ledger.(*budget.Ledger).Close())
		a.openLedger(paths[map[*actor]string{de: "DE", fr: "FR"}[a]])
		a.play()
	}
	r := s.evaluated()
	repeated := 0
	for _, round := range r.Rounds {
		if round.Outcome != "closed" {
			repeated++
		}
	}
	require.Positive(t, repeated)
	for name, path := range paths {
		answers := costs(t, path).Plans[0].Answers
		if name == "DE" || name == "FR" {
			require.Greater(t, answers, 5, name)
		} else {
			require.Equal(t, 5, answers, name)
		}
	}
}

// TestPlanBeyondTheBudgetIsNotApproved: the policy of a node refuses a plan that
// alone is more than it allows.
func TestPlanBeyondTheBudgetIsNotApproved(t *testing.T) {
	policy := federation.DefaultPolicy()
	policy.MinCohort = 3
	require.NoError(t, policy.Allows(privatePlan(t)))
	policy.Privacy.Epsilon = 5
	require.ErrorContains(t, policy.Allows(privatePlan(t)), "allows 5 to all plans together")
	require.NoError(t, policy.Allows(testPlan(t)), "a plan without noise is not counted")
	policy.Privacy.Epsilon = 0
	require.Error(t, policy.Validate())
}
