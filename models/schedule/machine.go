package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/crypto/update"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
)

// ErrComplete says that the plan has no further step.
var ErrComplete = errors.New("plan is complete")

// maxWeightCap is used where the pooled rows are not known or beyond it.
const maxWeightCap = 1 << 31

// Machine is the state of a plan: what the sums so far have made of it. It
// reads no clock, draws no randomness and serves one goroutine at a time.
type Machine struct {
	cfg     Config
	ordinal uint32 // steps applied
	round   int    // training rounds applied

	statistics *feature.Statistics // until it is done
	encoder    *feature.Encoder    // after that
	shape      arch.Shape
	params     []float32
	optimizer  aggregate.Optimizer
	forest     *trees.Machine // instead of params and optimizer

	words []int64 // the evaluate sum
	tally *metrics.Tally
}

// New returns the machine before its first step.
func New(cfg Config) (*Machine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Machine{cfg: cfg.WithDefaults(), statistics: newStatistics(cfg)}, nil
}

// Config returns the configuration with its defaults filled in.
func (m *Machine) Config() Config { return m.cfg }

// Statistics returns the state of the statistics steps, nil after them.
func (m *Machine) Statistics() *feature.Statistics { return m.statistics }

// Encoder returns the encoder, nil while statistics steps are to come.
func (m *Machine) Encoder() *feature.Encoder { return m.encoder }

// Shape returns the encoder's width.
func (m *Machine) Shape() arch.Shape { return m.shape }

// Params returns the model's parameters; callers must not change them.
func (m *Machine) Params() []float32 { return m.params }

// Control returns the control variate that scaffold's local steps need, nil
// under other algorithms; callers must not change it.
func (m *Machine) Control() []float64 { return aggregate.Control(m.optimizer) }

// Rounds returns the training rounds applied and planned.
func (m *Machine) Rounds() (applied, planned int) { return m.round, m.cfg.Algorithm.Rounds }

// Tally returns the summed evaluation, nil before the evaluate step.
func (m *Machine) Tally() *metrics.Tally { return m.tally }

// Done reports whether the plan is complete.
func (m *Machine) Done() bool { return m.tally != nil }

// TallySchema returns the order of the evaluate step's words (S52).
func (m *Machine) TallySchema() metrics.TallySchema {
	s := metrics.TallySchema{Bins: m.cfg.Bins}
	if m.encoder == nil {
		return s
	}
	for _, g := range m.encoder.Group {
		// A column without a learnt value has nothing to be reported by.
		if len(g.Values) > 0 {
			s.Groups = append(s.Groups, metrics.GroupColumn{Name: g.Column, Values: g.Values})
		}
	}
	return s
}

// kind returns what the next step sums.
func (m *Machine) kind() Kind {
	switch {
	case m.statistics != nil:
		return Statistics
	case m.forest != nil && !m.forest.Done():
		return Grow
	case m.forest == nil && m.round < m.cfg.Algorithm.Rounds:
		return Train
	}
	return Evaluate
}

// Next returns the step that follows; false when the plan is complete.
func (m *Machine) Next() (Step, bool) {
	if m.Done() {
		return Step{}, false
	}
	step := Step{Kind: m.kind(), Ordinal: m.ordinal + 1, MinRows: m.cfg.MinRows}
	step.Encoding = update.Encoding{
		Members:    m.cfg.Members,
		WeightBits: uint8(m.cfg.Algorithm.WeightBits),
		WeightCap:  maxWeightCap,
	}
	switch step.Kind {
	case Statistics:
		step.Query = m.statistics.Query()
		step.Encoding.Layout.Ints = m.statistics.Words()
		step.Encoding.IntMax = m.intLimit()
	case Train:
		step.Round = m.round + 1
		step.Query = m.trainQuery(step.Round)
		m.trainEncoding(&step.Encoding)
	case Grow:
		m.growStep(&step)
	case Evaluate:
		schema := m.TallySchema()
		step.Query = schema.Digest()
		step.Encoding.Layout.Ints = schema.Words()
		step.Encoding.IntMax = min(metrics.IntMax, m.intLimit())
		step.MinRows = 1
	}
	m.fixWeight(step.Kind, &step.Encoding)
	return step, true
}

// intLimit is the largest int_max the cohort allows: N·int_max < 2^63 (S46).
func (m *Machine) intLimit() uint64 { return (1<<63 - 1) / uint64(m.cfg.Members) }

// trainEncoding lays out a training sum. The weight cap is the next power of
// two at or above the pooled training rows, so that no member is cut.
func (m *Machine) trainEncoding(e *update.Encoding) {
	e.WeightCap = weightCap(m.encoder.Rows)
	if m.cfg.Algorithm.Name == aggregate.Newton {
		e.Layout.Ints = aggregate.NewtonWords(len(m.params))
		e.IntMax = m.intLimit()
		return
	}
	e.Layout.Params, e.Layout.Bits = m.cfg.Algorithm.Values(len(m.params)), m.cfg.Algorithm.Bits
	e.Layout.Lanes = 2
	if e.Layout.Bits == 15 {
		e.Layout.Lanes = 3
	}
	e.ClipL2, e.ClipInf = m.cfg.Algorithm.Clip.L2, m.cfg.Algorithm.Clip.Inf
}

// weightCap returns the smallest power of two that is at least rows.
func weightCap(rows int64) uint32 {
	limit := uint32(1)
	for int64(limit) < rows && limit < maxWeightCap {
		limit <<= 1
	}
	return limit
}

// trainQuery digests what a training step asks: the round and every setting
// that decides a member's answer.
func (m *Machine) trainQuery(round int) [32]byte {
	text, err := json.Marshal(struct {
		Round        int            `json:"round"`
		Architecture arch.Spec      `json:"architecture"`
		Algorithm    aggregate.Spec `json:"algorithm"`
		Rows         int64          `json:"rows"`
		Privacy      *Privacy       `json:"privacy,omitempty"`
	}{round, m.cfg.Architecture, m.cfg.Algorithm, m.encoder.Rows, m.cfg.Privacy})
	if err != nil { // only NaN or Inf can fail, and Validate refuses both
		panic("schedule: train query does not marshal: " + err.Error())
	}
	return sha256.Sum256(append([]byte("koinon/schedule/train/v1"), text...))
}

// Apply takes the opened sum of the next step and moves on. It checks the sum
// (S48) and is deterministic (S61); on an error the state is unchanged.
func (m *Machine) Apply(sum []uint64, survivors int) error {
	step, ok := m.Next()
	if !ok {
		return ErrComplete
	}
	mean, err := step.Encoding.Decode(sum, survivors)
	if err == nil {
		err = m.apply(step.Kind, mean, survivors)
	}
	if err != nil {
		return fmt.Errorf("step %d, %s: %w", step.Ordinal, step.Kind, err)
	}
	m.ordinal++
	return nil
}

func (m *Machine) apply(kind Kind, mean update.Mean, survivors int) error {
	switch kind {
	case Statistics:
		return m.applyStatistics(mean.Ints)
	case Train:
		err := m.optimizer.Apply(m.params, aggregate.Sum{Values: mean.Values, Ints: mean.Ints, Weight: m.weight(mean.Weight, survivors), Survivors: survivors})
		if err == nil {
			m.round++
		}
		return err
	case Grow:
		return m.grow(mean.Ints)
	}
	tally, err := m.TallySchema().Parse(mean.Ints)
	if err == nil {
		m.tally, m.words = tally, mean.Ints
	}
	return err
}

// applyStatistics refines the statistics; after the last sum it builds the
// encoder and the initial model.
func (m *Machine) applyStatistics(ints []int64) error {
	before, err := m.statistics.MarshalBinary()
	if err != nil {
		return err
	}
	if err = m.refine(ints); err != nil {
		restored, failed := unmarshalStatistics(m.cfg, before)
		if failed != nil {
			return errors.Join(err, failed)
		}
		m.statistics = restored
	}
	return err
}

func (m *Machine) refine(ints []int64) error {
	if err := m.statistics.Apply(ints); err != nil {
		return err
	}
	if !m.statistics.Done() {
		return nil
	}
	encoder, err := m.statistics.Encoder()
	if err != nil {
		return err
	}
	if m.cfg.Architecture.Kind == arch.Trees {
		return m.plant(encoder)
	}
	return m.begin(encoder)
}

// begin sets the encoder, the initial parameters (S59) and a fresh optimiser. The last parameter of every
// architecture is the output's bias; it starts at the base rate that the statistics found.
func (m *Machine) begin(encoder *feature.Encoder) error {
	shape := arch.Shape{Numbers: encoder.Numbers(), Cards: encoder.Categories()}
	params, err := m.cfg.Architecture.InitialParameters(shape, m.cfg.Seed)
	if err != nil {
		return err
	}
	params[len(params)-1] = baseLogit(encoder.Rows, encoder.Positives)
	optimizer, err := aggregate.New(aggregate.Problem{
		Spec: m.cfg.Algorithm, L2: m.cfg.Architecture.L2, Decayed: m.cfg.Architecture.Decayed(shape),
		Members: m.cfg.Members,
	})
	if err != nil {
		return err
	}
	m.encoder, m.shape, m.params, m.optimizer, m.statistics = encoder, shape, params, optimizer, nil
	return nil
}

// Digest names the state: the configuration and everything the sums have made
// of it (encoder, parameters, optimiser memory, tally). It is `model` in the
// sum message and the digest of what was computed in S58.
func (m *Machine) Digest() ([32]byte, error) {
	state, err := m.MarshalBinary()
	if err != nil {
		return [32]byte{}, err
	}
	h := sha256.New()
	config := m.cfg.Digest()
	h.Write([]byte("koinon/schedule/state/v1"))
	h.Write(config[:])
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(state))))
	h.Write(state)
	return [32]byte(h.Sum(nil)), nil
}
