package secagg

import (
	"crypto/sha256"
	"fmt"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/update"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
)

// oneSum is the schedule of a plan that sums once. There is no model: its digest only says whether the sum is in.
type oneSum struct {
	encoding update.Encoding
	applied  int
}

var _ coordinator.Schedule = (*oneSum)(nil)

func newOneSum(l ring.Layout, nodes int) *oneSum {
	return &oneSum{encoding: update.Encoding{Layout: l, ClipL2: 1, ClipInf: 1, WeightCap: weight, Members: nodes}}
}

// Next implements coordinator.Schedule.
func (s *oneSum) Next() (schedule.Step, bool) {
	return schedule.Step{Kind: schedule.Train, Ordinal: 1, Round: 1, MinRows: 1, Encoding: s.encoding}, s.applied == 0
}

// Rounds implements coordinator.Schedule.
func (s *oneSum) Rounds() (applied, planned int) { return s.applied, 1 }

// Apply implements coordinator.Schedule: it judges the sum as a model's schedule does (S48).
func (s *oneSum) Apply(sum []uint64, survivors int) error {
	if err := secagg.CheckSum(s.encoding.Layout, sum, survivors, s.encoding.WeightCap, s.encoding.IntMax); err != nil {
		return err
	}
	s.applied++
	return nil
}

// Digest implements coordinator.Schedule.
func (s *oneSum) Digest() ([32]byte, error) {
	return sha256.Sum256([]byte{byte(s.applied)}), nil
}

const schemaYAML = `
name: bench
label: {column: y, positive: "1"}
columns:
  x: {type: number}
`

// newPlan is a plan of a benchmark: it names the cohort and generous deadlines; what it trains is never asked.
func newPlan(name string, members []string) (*federation.Plan, error) {
	schema, err := feature.ParseSchema([]byte(schemaYAML))
	if err != nil {
		return nil, err
	}
	never := 0.0
	p := &federation.Plan{
		Name: name,
		Declaration: federation.Declaration{
			PurposeCode: "document-risk", Unit: "document", Target: "random vectors", Use: "benchmark; no case is scored",
			Art63: "none", Regime: "GDPR", LegalBasis: "none: random vectors", DecisionRole: "advisory",
			Art5: map[string]string{
				"5(1)(c)": "no score is used", "5(1)(d)": "no person is assessed", "5(1)(g)": "no biometric input",
			},
			Roles: federation.Roles{Provider: "benchmark"}, Oversight: federation.Oversight{Verifiers: 1},
			ValidUntil: "9999-12-31", Lawpack: federation.Lawpack,
		},
		Schema:       schema,
		Architecture: arch.Spec{Kind: "logistic"},
		Algorithm:    aggregate.Spec{Rounds: 1},
		Batch:        1, // a set-up that serves more sums than are made would be charged to one
		Cohort:       federation.Cohort{Members: members},
		Gates:        []fairness.Gate{{Metric: fairness.AUROC, Bound: fairness.Point, AtLeast: &never}},
		Deadlines:    federation.Deadlines{Advertise: ticks, Share: ticks, Mask: ticks, Agree: ticks, Unmask: ticks},
	}
	p.WithDefaults()
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("plan of the benchmark: %w", err)
	}
	return p, nil
}

// ticks bound each phase of a plan, in seconds.
const ticks = 3600
