package train

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/crypto/update"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
)

// Vector is what a member puts into a sum, to be encoded and masked.
type Vector struct {
	X    []float32 // parameters' coordinates, empty outside training
	Ints []int64
	Rows uint32 // the member's weight before it is made coarse
}

// Member computes one member's vectors over one table. It keeps the encoded
// rows, the graph and the model it has trained alone between steps, and serves
// one goroutine at a time.
type Member struct {
	table       *feature.Table
	encoder     *feature.Encoder
	train, test *feature.Matrix
	divided     divided
	objective   *objective
	built       string // what the objective was built for
	alone       *Fit
	noAlone     error // ErrOneClass once found
	figures     *Figures
	variate     variate // scaffold
	forest      *forest // of a plan of trees
	runKey      [32]byte
	scratch     Scratch // nil: encoded rows are on the heap
	lent        []func() error
}

// NewMember starts a member's work on its table.
func NewMember(table *feature.Table) *Member { return &Member{table: table} }

// Close releases the graph, and encoded rows that are not on the heap. The
// member can still be used; it builds them anew.
func (m *Member) Close() error { return errors.Join(m.release(), m.closeGraph()) }

func (m *Member) closeGraph() error {
	if m.objective == nil {
		return nil
	}
	err := m.objective.close()
	m.objective = nil
	return err
}

// Local computes the member's vector for a step of the machine. rnd gives the
// order of rows in local epochs; a full-batch step draws nothing. Under privacy
// it gives batches and noise, and must be the operating system's. The machine is
// only read.
func (m *Member) Local(machine *schedule.Machine, step schedule.Step, rnd io.Reader) (Vector, error) {
	v, err := m.local(machine, step, rnd)
	if err != nil {
		return Vector{}, fmt.Errorf("step %d, %s: %w", step.Ordinal, step.Kind, err)
	}
	return v, nil
}

func (m *Member) local(machine *schedule.Machine, step schedule.Step, rnd io.Reader) (Vector, error) {
	switch step.Kind {
	case schedule.Statistics:
		rows, _ := m.table.Count(feature.SelectTrain)
		ints, err := machine.Statistics().Count(m.table)
		if err == nil && machine.Config().Privacy != nil {
			return privateStatistics(machine, ints, rnd)
		}
		return Vector{Ints: ints, Rows: uint32(rows)}, err
	case schedule.Train:
		if err := m.encode(machine.Encoder()); err != nil {
			return Vector{}, err
		}
		v, err := m.trainVector(machine, step, rnd)
		if err == nil && step.Judges && machine.Config().Privacy == nil {
			err = m.judge(&v, machine, step)
		}
		return v, err
	case schedule.Grow:
		return m.growVector(machine, step)
	case schedule.Evaluate:
		if err := m.encode(machine.Encoder()); err != nil {
			return Vector{}, err
		}
		return m.evaluateVector(machine)
	}
	return Vector{}, errors.New("kind is not trained here")
}

// Rows returns the member's training rows: what min_rows is compared with.
func (m *Member) Rows() int {
	rows, _ := m.table.Count(feature.SelectTrain)
	return rows
}

// TrainRows returns the encoded training rows.
func (m *Member) TrainRows(e *feature.Encoder) (*feature.Matrix, error) {
	err := m.encode(e)
	return m.train, err
}

// TestRows returns the encoded test rows.
func (m *Member) TestRows(e *feature.Encoder) (*feature.Matrix, error) {
	err := m.encode(e)
	return m.test, err
}

// encode prepares the table for an encoder, once.
func (m *Member) encode(e *feature.Encoder) error {
	if e == nil {
		return errors.New("encoder is not built yet")
	}
	if m.encoder == e || m.encoder != nil && m.encoder.Digest() == e.Digest() {
		return nil
	}
	if err := m.Close(); err != nil {
		return err
	}
	train, err := m.encodeRows(e, feature.SelectTrain)
	if err != nil {
		return err
	}
	test, err := m.encodeRows(e, feature.SelectTest)
	if err != nil {
		return err
	}
	m.encoder, m.train, m.test, m.alone, m.noAlone, m.figures, m.divided = e, train, test, nil, nil, nil, divided{}
	return nil
}

// trainVector computes the answer to a training step.
func (m *Member) trainVector(machine *schedule.Machine, step schedule.Step, rnd io.Reader) (Vector, error) {
	cfg := machine.Config()
	if cfg.Privacy != nil {
		return m.privateVector(machine, step, rnd)
	}
	if m.train.Rows == 0 {
		return Vector{}, errors.New("no training rows")
	}
	rows := m.divide(machine)
	mini := cfg.Algorithm.Local == aggregate.MiniBatch
	shards, batch := fullShards, fullBatch
	if mini {
		shards, batch = miniShards(cfg.Algorithm.Batch), miniBatch(cfg.Algorithm.Batch)
	}
	err := m.prepare(cfg.Architecture, rows.learn, shards, batch)
	if err != nil {
		return Vector{}, err
	}
	v := Vector{Rows: uint32(rows.learn.Rows)}
	if cfg.Algorithm.Name == aggregate.Scaffold {
		v.X, err = m.scaffold(machine, step, rnd)
		return v, err
	}
	if mini {
		v.X, err = m.change(machine, rnd)
		return v, err
	}
	grad := make([]float64, len(machine.Params()))
	if _, err = m.objective.sum(machine.Params(), grad); err != nil {
		return v, err
	}
	if cfg.Algorithm.Name == aggregate.Newton {
		v.Ints, err = newtonWords(cfg.Architecture, machine.Params(), rows.learn, grad)
		return v, err
	}
	// Divided by the same coarse weight that the sum multiplies by, so that
	// ΣW·x is the pooled gradient itself and coarse weights cost nothing.
	weight := float64(update.Weight(v.Rows, step.Encoding.WeightCap, step.Encoding.WeightBits))
	v.X = make([]float32, len(grad))
	for i, g := range grad {
		v.X[i] = float32(g / weight)
	}
	return v, nil
}

// prepare builds the graph of an architecture, once for rounds in a row. In a
// search the candidates take turns, each for some rounds.
func (m *Member) prepare(spec arch.Spec, rows *feature.Matrix, shards, batch int) error {
	built := fmt.Sprintf("%+v, %d shards of %d", spec, shards, batch)
	if m.objective != nil && m.built == built {
		return nil
	}
	if err := m.closeGraph(); err != nil {
		return err
	}
	o, err := newObjective(spec, rows, shards, batch)
	m.objective, m.built = o, built
	return err
}

// change runs the local epochs and returns how the parameters moved.
func (m *Member) change(machine *schedule.Machine, rnd io.Reader) ([]float32, error) {
	algorithm := machine.Config().Algorithm
	start := machine.Params()
	params := append([]float32(nil), start...)
	a := newAdam(len(params), algorithm.LocalRate)
	rows := allRows(m.objective.data.Rows)
	var near *proximal
	if algorithm.Proximal > 0 {
		near = &proximal{mu: algorithm.Proximal, start: start}
	}
	for range algorithm.LocalEpochs {
		if _, err := m.objective.epoch(a, params, rows, algorithm.Batch, float64(m.encoder.Rows), near, rnd); err != nil {
			return nil, err
		}
	}
	for i := range params {
		params[i] -= start[i]
	}
	return params, nil
}

// settings are those of the yardsticks for a machine.
func settings(machine *schedule.Machine) Settings {
	cfg := machine.Config()
	rate := cfg.Algorithm.LocalRate
	if cfg.Algorithm.Name == aggregate.Scaffold { // of plain steps, ten times too long for Adam
		rate = aggregate.Spec{}.WithDefaults(cfg.Architecture).LocalRate
	}
	return Settings{
		Architecture: cfg.Architecture, Rate: rate,
		Batch: cfg.Algorithm.Batch, Seed: cfg.Seed,
	}
}

// Alone trains a model on this member's rows only, to convergence, with the
// federation's encoder. It is trained once. A table of one class gives ErrOneClass.
func (m *Member) Alone(machine *schedule.Machine) (*Fit, error) {
	if err := m.encode(machine.Encoder()); err != nil {
		return nil, err
	}
	if m.alone == nil && m.noAlone == nil {
		fit, err := Converge(m.aloneSettings(machine), m.train)
		if errors.Is(err, ErrOneClass) {
			m.noAlone = err
		} else if err != nil {
			return nil, err
		}
		m.alone = fit
	}
	return m.alone, m.noAlone
}

// aloneSettings are those by which a member trains alone. An MLP's penalty is chosen for the rows of all members and
// would keep one of few rows from learning anything, while the same penalty a row would let it learn them by heart:
// the geometric mean of the two makes the strongest models over ten public tables (docs/benchmarks.md).
func (m *Member) aloneSettings(machine *schedule.Machine) Settings {
	s := settings(machine)
	if s.Architecture.Kind == arch.MLP && m.encoder.Rows > 0 {
		s.Architecture.L2 *= math.Sqrt(min(float64(m.train.Rows)/float64(m.encoder.Rows), 1))
	}
	return s
}

// Pooled trains a model on the training rows of all members put together, to
// convergence. Only who owns all tables can call it: benchmarks and demo.
func Pooled(machine *schedule.Machine, members []*Member) (*Fit, error) {
	var parts []*feature.Matrix
	for _, m := range members {
		if err := m.encode(machine.Encoder()); err != nil {
			return nil, err
		}
		parts = append(parts, m.train)
	}
	pool, err := Pool(parts...)
	if err != nil {
		return nil, err
	}
	return Converge(settings(machine), pool)
}

// Figures are one member's scores of its own test rows, for its own eyes.
type Figures struct {
	Labels    []int8
	Groups    [][]int16 // per column of the tally schema
	Federated []float64
	Alone     []float64 // nil when the training rows are of one class
	// Forecasts are the same of a plan of counts, with what the counts were; nil otherwise.
	Forecasts *metrics.Forecasts
}

// Figures returns what the evaluate step found; nil before it.
func (m *Member) Figures() *Figures { return m.figures }

// Evaluate scores the member's test rows with the machine's model and with its
// own. Outside an evaluate step it serves benchmarks.
func (m *Member) Evaluate(machine *schedule.Machine) (*Figures, error) {
	if err := m.encode(machine.Encoder()); err != nil {
		return nil, err
	}
	f := &Figures{Labels: m.test.Label}
	for g, column := range m.encoder.Group {
		if len(column.Values) > 0 { // as in the tally schema
			f.Groups = append(f.Groups, m.test.Groups[g])
		}
	}
	if machine.Forest() != nil {
		return f, m.evaluateTrees(machine, f)
	}
	spec := machine.Config().Architecture
	if spec.Counts() {
		return f, m.evaluateCounts(machine, f)
	}
	var err error
	params, _ := machine.Chosen()
	if f.Federated, err = Scores(spec, params, m.test); err != nil {
		return nil, err
	}
	f.Alone, err = m.aloneScores(machine)
	return f, err
}

// aloneScores are those of the test rows under the member's own model; nil
// where it has none.
func (m *Member) aloneScores(machine *schedule.Machine) ([]float64, error) {
	fit, err := m.Alone(machine)
	switch {
	case errors.Is(err, ErrOneClass):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return Scores(machine.Config().Architecture, fit.Params, m.test)
}

// evaluateVector tallies the member's test rows (S52), gain words included.
func (m *Member) evaluateVector(machine *schedule.Machine) (Vector, error) {
	f, err := m.Evaluate(machine)
	if err != nil {
		return Vector{}, err
	}
	if f.Forecasts != nil {
		ints, err := machine.CountSchema().Count(*f.Forecasts)
		m.figures = f
		return Vector{Ints: ints, Rows: uint32(len(f.Labels))}, err
	}
	schema := machine.TallySchema()
	ints, err := schema.Count(f.Federated, f.Labels, f.Groups)
	if err != nil {
		return Vector{}, err
	}
	// Gains follow from models that members train alone, without noise.
	if f.Alone != nil && machine.Config().Privacy == nil {
		if err := schema.SetGain(ints, f.Federated, f.Alone, f.Labels); err != nil {
			return Vector{}, err
		}
	}
	m.figures = f
	return Vector{Ints: ints, Rows: uint32(len(f.Labels))}, nil
}
