package federation

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
)

// Plan says what is trained, why, by whom, how and what the result must reach. Its digest is what members approve;
// everything the coordinator may later ask of a node follows from it (S73). Defaults are filled in before the
// digest is taken, so what an operator reads is what runs.
type Plan struct {
	Name         string              `json:"name"`
	Declaration  Declaration         `json:"declaration"`
	Schema       *feature.Schema     `json:"schema"`
	Architecture arch.Spec           `json:"architecture"`
	Algorithm    aggregate.Spec      `json:"algorithm"`
	WarmStart    *WarmStart          `json:"warm_start,omitempty"` // released model to start from instead of the seed
	Search       *schedule.Search    `json:"search,omitempty"`     // settings to choose from
	Seed         uint64              `json:"seed"`
	Cohort       Cohort              `json:"cohort"`
	Privacy      Privacy             `json:"privacy"`
	Operating    Operating           `json:"operating_point"`
	Gates        []fairness.Gate     `json:"gates"`
	Withheld     map[string][]string `json:"withheld,omitempty"`
	Deadlines    Deadlines           `json:"deadlines"`
	Batch        int                 `json:"batch"` // most sums for which keys are agreed on at once (S9); 1: each sum has its own
	Evaluations  int                 `json:"evaluations"`
	MinRows      uint32              `json:"min_rows"`
	RowsMax      uint32              `json:"rows_max,omitempty"` // the most training rows of a member in a plan of trees; 0 sets none
	Shed         int                 `json:"shed,omitempty"`     // plans of trees: fewest members by which two cohorts may differ
}

// Cohort names the members that a plan invites. N, and with it the threshold, counts these names and never those
// who are present (S5).
type Cohort struct {
	Members []string `json:"members" yaml:"members"`
	Minimum int      `json:"minimum" yaml:"minimum"` // fewest survivors the plan wants in any sum
}

// Operating is the point at which the report judges decisions: the threshold with this false-positive rate.
type Operating struct {
	FPR float64 `json:"fpr" yaml:"fpr"`
}

// Deadlines bound each phase, in ticks since it was entered (S67).
type Deadlines struct {
	Advertise uint32 `json:"advertise" yaml:"advertise"`
	Share     uint32 `json:"share" yaml:"share"`
	Mask      uint32 `json:"mask" yaml:"mask"`
	Agree     uint32 `json:"agree" yaml:"agree"`
	Unmask    uint32 `json:"unmask" yaml:"unmask"`
}

// Ticks returns the five deadlines in the order of `spec`.
func (d Deadlines) Ticks() [5]uint32 {
	return [5]uint32{d.Advertise, d.Share, d.Mask, d.Agree, d.Unmask}
}

// defaultDeadlines are those of S67, with ten minutes for local training and upload.
var defaultDeadlines = Deadlines{Advertise: 30, Share: 30, Mask: 600, Agree: 30, Unmask: 30}

// MaxPacketBytes is the most bytes of frames that one packet carries between coordinator and node. The largest is that of
// the Share phase, which grows with the batch.
const MaxPacketBytes = 7 << 20

// defaultBatch makes the key set-up of a batch one sixteenth of each sum. Where MaxBatch is lower, that is the default.
const defaultBatch = 16

// WithDefaults fills every field that was left out.
func (p *Plan) WithDefaults() {
	p.Architecture = p.Architecture.WithDefaults()
	p.Algorithm = p.Algorithm.WithDefaults(p.Architecture)
	p.privacyDefaults()
	setDefault(&p.Cohort.Minimum, secagg.Threshold(len(p.Cohort.Members)))
	setDefault(&p.Operating.FPR, 0.05)
	setDefault(&p.Deadlines.Advertise, defaultDeadlines.Advertise)
	setDefault(&p.Deadlines.Share, defaultDeadlines.Share)
	setDefault(&p.Deadlines.Mask, defaultDeadlines.Mask)
	setDefault(&p.Deadlines.Agree, defaultDeadlines.Agree)
	setDefault(&p.Deadlines.Unmask, defaultDeadlines.Unmask)
	setDefault(&p.Batch, min(defaultBatch, MaxBatch(len(p.Cohort.Members))))
	if p.Search != nil {
		search := p.Search.WithDefaults()
		p.Search = &search
	}
	setDefault(&p.Evaluations, 1)
	setDefault(&p.MinRows, 1)
	if p.Together() {
		setDefault(&p.Shed, DefaultShed)
	}
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Validate checks the plan without regard to a roster or a day. Legal refusals wrap ErrLaw.
func (p *Plan) Validate() error {
	if !ValidName(p.Name) {
		return fmt.Errorf("plan: name %.40q is not valid", p.Name)
	}
	if err := p.Declaration.Validate(); err != nil {
		return err
	}
	if p.Schema == nil {
		return errors.New("plan: no schema")
	}
	if err := p.Schema.Validate(); err != nil {
		return err
	}
	if err := p.checkFeatures(); err != nil {
		return err
	}
	if err := p.Architecture.Validate(); err != nil {
		return err
	}
	if err := p.Algorithm.Validate(p.Architecture); err != nil {
		return err
	}
	if err := p.checkCohort(); err != nil {
		return err
	}
	if err := p.checkLearning(); err != nil {
		return err
	}
	if p.Privacy.SecureAggregation != "required" {
		return errors.New("plan: privacy.secure_aggregation must be required: there is no other way to send an update")
	}
	if err := p.checkTrees(); err != nil {
		return err
	}
	if err := p.checkCounts(); err != nil {
		return err
	}
	if err := p.checkPrivacy(); err != nil {
		return err
	}
	if !(p.Operating.FPR > 0 && p.Operating.FPR < 1) {
		return fmt.Errorf("plan: operating_point.fpr %v must lie between 0 and 1", p.Operating.FPR)
	}
	if p.Evaluations != 1 {
		return fmt.Errorf("plan: evaluations %d: tallies are summed once, at the end, because two would show the difference of their survivors", p.Evaluations)
	}
	if most := MaxBatch(len(p.Cohort.Members)); p.Batch < 1 || p.Batch > most {
		return fmt.Errorf("plan: batch %d, with %d members it must be 1 to %d (S9, S42)", p.Batch, len(p.Cohort.Members), most)
	}
	if p.MinRows < 1 {
		return errors.New("plan: min_rows must be at least 1")
	}
	for i, ticks := range p.Deadlines.Ticks() {
		if ticks < 1 || ticks > 7*24*3600 {
			return fmt.Errorf("plan: deadline %d of %d ticks, want 1 to a week of seconds", i+1, ticks)
		}
	}
	return p.checkGates()
}

// MaxBatch returns the most sums that one batch of n members may have: within S9, and so that every packet of its set-up
// fits MaxPacketBytes whatever the members' indexes are (S42). It needs no roster, so that a plan is refused when it is
// checked and not in a round. At most secagg.MaxCohort members.
func MaxBatch(n int) int {
	n = max(1, min(n, secagg.MaxCohort))
	var cohort secagg.Set // indexes even while there are any: the member with the highest deals every pair it is in (S14)
	for i := range n {
		index := 2 * (i + 1)
		if index > secagg.MaxCohort {
			index = 2*(n-i) - 1
		}
		cohort = cohort.With(uint8(index))
	}
	most := min(secagg.MaxSums, secagg.MaxSecrets/n)
	return sort.Search(most, func(m int) bool {
		up, down := secagg.SetupBytes(cohort, m+1)
		return max(up, down) > MaxPacketBytes
	})
}

// checkCohort holds the cohort to S6 and S7.
func (p *Plan) checkCohort() error {
	n := len(p.Cohort.Members)
	if n < secagg.MinCohort || n > secagg.MaxCohort {
		return fmt.Errorf("plan: cohort of %d members, want %d to %d (S6)", n, secagg.MinCohort, secagg.MaxCohort)
	}
	if p.Algorithm.Bits == 15 && n > secagg.MaxComplete {
		return fmt.Errorf("plan: algorithm.bits 15 with %d members, it carries sums of %d (V3)", n, secagg.MaxComplete)
	}
	for i, name := range p.Cohort.Members {
		if !ValidName(name) || slices.Contains(p.Cohort.Members[:i], name) {
			return fmt.Errorf("plan: cohort member %.40q is not valid or named twice", name)
		}
	}
	if t := secagg.Threshold(n); p.Cohort.Minimum < t || p.Cohort.Minimum > n {
		return fmt.Errorf("plan: cohort.minimum %d, with %d members it must be %d to %d (S5)", p.Cohort.Minimum, n, t, n)
	}
	return nil
}

// checkFeatures refuses groups and denied columns as features.
func (p *Plan) checkFeatures() error {
	for _, column := range p.Schema.Features() {
		if slices.Contains(p.Declaration.Features.Deny, column.Name) {
			return fmt.Errorf("%w: column %s is a feature in the schema and denied in the declaration", ErrLaw, column.Name)
		}
	}
	for _, name := range p.Declaration.AffectedGroups {
		if !p.hasGroup(name) {
			return fmt.Errorf("plan: affected group %s is not a group column of the schema", name)
		}
	}
	return nil
}

// hasGroup reports whether the schema has a group column of that name.
func (p *Plan) hasGroup(name string) bool {
	return slices.ContainsFunc(p.Schema.Groups(), func(c feature.Column) bool { return c.Name == name })
}

func (p *Plan) checkGates() error {
	if len(p.Gates) == 0 {
		return errors.New("plan: no gates: say what a candidate must reach before anyone sees its figures")
	}
	for i := range p.Gates {
		if err := p.Gates[i].Validate(); err != nil {
			return fmt.Errorf("plan: gate %d: %w", i+1, err)
		}
		if g := p.Gates[i].Group; g != "" && !p.hasGroup(g) {
			return fmt.Errorf("plan: gate %d: %s is not a group column of the schema", i+1, g)
		}
	}
	return nil
}

// Check is Validate plus the day (YYYY-MM-DD): what the coordinator asks at submission and before each run, and
// each node again by itself.
func (p *Plan) Check(today string) error {
	if err := p.Validate(); err != nil {
		return err
	}
	return p.CheckDay(today)
}

// CheckDay is what Check asks of the day alone, for a plan that was checked before.
func (p *Plan) CheckDay(today string) error { return p.Declaration.checkDay(today) }

// Encode returns the canonical bytes of a valid plan.
func (p *Plan) Encode() ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(p)
	if err == nil && len(b) > MaxPlanBytes {
		return nil, fmt.Errorf("plan: %d bytes, at most %d", len(b), MaxPlanBytes)
	}
	return b, err
}

// DecodePlan reads canonical bytes and validates the plan; ErrMalformed when they are anything else.
func DecodePlan(b []byte) (*Plan, error) {
	var p Plan
	if err := decodeCanonical(b, MaxPlanBytes, &p); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return &p, p.Validate()
}

// Digest names the plan: what members approve, and the `plan` of a round's spec.
func (p *Plan) Digest() Digest {
	b, err := json.Marshal(p)
	if err != nil {
		return Digest{} // not a valid plan; Encode says why
	}
	return Hash("koinon/plan/v1", b)
}

// Set returns the cohort as a set of roster indexes. A name that the roster lacks is an error; a suspended member
// stays in the cohort, because N never shrinks (S5).
func (p *Plan) Set(r *Roster) (secagg.Set, error) {
	var set secagg.Set
	for _, name := range p.Cohort.Members {
		m, ok := r.Member(name)
		if !ok {
			return set, fmt.Errorf("plan %s: member %s is not in roster version %d", p.Name, name, r.Version)
		}
		set = set.With(m.Index)
	}
	return set, nil
}

// Learning returns what the deterministic machine of a run is built from.
func (p *Plan) Learning() schedule.Config {
	return schedule.Config{
		Schema:       p.Schema,
		Architecture: p.Architecture,
		Algorithm:    p.Algorithm,
		Seed:         p.Seed,
		Members:      len(p.Cohort.Members),
		MinRows:      p.MinRows,
		RowsMax:      p.RowsMax,
		Start:        p.WarmStart.start(),
		Search:       p.Search,
		Privacy:      p.Privacy.learning(),
	}
}

// TrainRounds bounds the plan's training sums: its rounds and, in a search, those of the candidates that are given up.
func (p *Plan) TrainRounds() int { return p.Learning().WithDefaults().TrainRounds() }

// Sum builds the `sum` message of a step. The coordinator sends it and each node builds it again from its own plan
// and state, so nothing in it can be chosen (S73).
func (p *Plan) Sum(step schedule.Step, run [16]byte, round uint32, state, model [32]byte) secagg.Sum {
	e := step.Encoding
	return secagg.Sum{
		Run: run, Round: round, K: 1,
		Kind: uint8(step.Kind), Step: step.Ordinal, Query: step.Query, State: state, Model: model,
		Params: uint32(e.Layout.Params), Lanes: uint8(e.Layout.Lanes), Bits: uint8(e.Layout.Bits),
		ClipL2: e.ClipL2, ClipInf: e.ClipInf, WeightCap: e.WeightCap, WeightBits: e.WeightBits,
		MinRows: step.MinRows, Ints: uint32(e.Layout.Ints), IntMax: uint64(e.IntMax),
	}
}

// Spec builds the `spec` message of a batch of one sum; for more, Sums is set on it (S9).
func (p *Plan) Spec(r *Roster, sum secagg.Sum, nonce [32]byte) (secagg.Spec, error) {
	cohort, err := p.Set(r)
	n := len(p.Cohort.Members)
	return secagg.Spec{
		Federation: r.ID, Roster: r.Digest(), Plan: p.Digest(), Run: sum.Run, Round: sum.Round, Nonce: nonce,
		Cohort: cohort, N: uint8(n), T: uint8(secagg.Threshold(n)), Sums: 1,
		Deadlines: p.Deadlines.Ticks(), First: sum.Digest(),
	}, err
}
