package trees

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrComplete says that no further sum is asked for.
var ErrComplete = errors.New("trees: growth is complete")

// ErrSum refuses a sum that no honest members can have made, or an overflow
// (trees 10).
var ErrSum = errors.New("trees: sum out of range")

// Config is the part of a plan that decides how trees grow, with what the
// statistics found.
type Config struct {
	Params    Params
	Plan      [32]byte // digest; draws columns and validation rows (trees 31, 33)
	Rows      int64    // labelled training rows of the first statistics sum
	Positives int64    // of which positive
	RowsMax   int64    // R, the most rows of the whole cohort (trees 7); 0 means the next power of two from Rows up
	Noise     float64  // σ/Δ of the Gaussian that each member adds to its sum of an epoch (trees 61, 62); 0 for none
	Members   int      // N of the cohort, whose noise adds up; only with Noise
}

// capacity is R.
func (c Config) capacity() int64 {
	if c.RowsMax > 0 {
		return c.RowsMax
	}
	r := int64(1)
	for r < c.Rows && r < MaxRows {
		r <<= 1
	}
	return r
}

// Scale returns how gradients become integers under this configuration.
func (c Config) Scale() (Scale, error) {
	if c.Params.Additive() {
		return additiveScale(c.capacity(), c.Params.WithDefaults().heaviest())
	}
	return NewScale(c.capacity(), c.Params.WithDefaults().heaviest())
}

// Validate says what is wrong with a configuration.
func (c Config) Validate() error {
	if err := c.Params.Validate(); err != nil {
		return err
	}
	if c.Rows < 1 || c.Rows > MaxRows || c.Positives < 0 || c.Positives > c.Rows {
		return fmt.Errorf("trees: %d positives in %d rows", c.Positives, c.Rows)
	}
	if c.RowsMax < 0 || c.RowsMax > 0 && c.RowsMax < c.Rows {
		return fmt.Errorf("trees: %d rows at most, but the statistics counted %d", c.RowsMax, c.Rows)
	}
	if err := c.validateNoise(); err != nil {
		return err
	}
	_, err := c.Scale()
	return err
}

// digest names the configuration, with its defaults, and the cells.
func (c Config) digest(b *Bins) [32]byte {
	c.Params, c.RowsMax = c.Params.WithDefaults(), c.capacity()
	text, err := json.Marshal(struct {
		Params    Params `json:"params"`
		Plan      []byte `json:"plan"`
		Rows      int64  `json:"rows"`
		Positives int64  `json:"positives"`
		RowsMax   int64  `json:"rows_max"`

		Noise   float64 `json:"noise,omitempty"`
		Members int     `json:"members,omitempty"`
	}{c.Params, c.Plan[:], c.Rows, c.Positives, c.RowsMax, c.Noise, c.Members})
	if err != nil { // only NaN or Inf can fail, and Validate refuses both
		panic("trees: configuration does not marshal: " + err.Error())
	}
	h := sha256.New()
	h.Write([]byte("koinon/trees/config/v1"))
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
	h.Write(text)
	h.Write(b.appendTo(nil))
	return [32]byte(h.Sum(nil))
}

// Machine grows an ensemble out of opened sums. Coordinator and members run it
// on the same sums; every query and every split follows from them, so that the
// coordinator chooses only when (trees 1, 50). It serves one goroutine at a
// time.
type Machine struct {
	cfg    Config
	params Params // with defaults
	bins   *Bins
	grow   *growth
	root   [32]byte // digest of configuration and cells

	perStep int // trees that grow on the same gradients
	total   int // trees, if nothing ends growth before

	done   []Tree   // of closed steps
	chain  [32]byte // over all sums so far, and what they made
	losses []float64
	best   int // trees after which the validation loss was lowest
	ended  bool
	shown  Disclosure
	step   *step
}

// step is the growth of some trees on the same gradients (trees 30).
type step struct {
	first int // number of trees before it
	level int
	trees []Tree
	roots []Cell     // root totals, after level 0
	grids []*Grid    // root grids
	pairs []pair     // asked for at level > 0
	sums  [][]uint64 // applied, from which all above follows

	chain  [32]byte // what the machine held before the first of them
	losses int
	best   int
	shown  Disclosure
}

// New returns the machine before its first sum. The bins belong to the encoder
// of the same statistics.
func New(cfg Config, bins *Bins) (*Machine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := bins.Validate(); err != nil {
		return nil, err
	}
	scale, err := cfg.Scale()
	if err != nil {
		return nil, err
	}
	m := &Machine{cfg: cfg, params: cfg.Params.WithDefaults(), bins: bins, root: cfg.digest(bins)}
	m.grow, m.chain = newGrowth(m.params, bins, scale), m.root
	if len(m.eligible()) == 0 {
		return nil, errors.New("trees: every feature column has one cell only, so that nothing can be split")
	}
	m.perStep, m.total = m.params.TreesPerStep, m.params.Trees
	if m.params.Additive() {
		if err := m.checkAdditive(); err != nil {
			return nil, err
		}
		m.perStep = len(m.eligible())
		m.total = m.params.Epochs * m.perStep
	}
	if words := m.maxWords(); words > MaxWords {
		return nil, fmt.Errorf("trees: a sum may have %d words, at most %d: fewer bins, less depth or fewer trees a step", words, MaxWords)
	}
	m.begin()
	return m, nil
}

// Config returns the configuration as it was given.
func (m *Machine) Config() Config { return m.cfg }

// Params returns the parameters with their defaults.
func (m *Machine) Params() Params { return m.params }

// Bins returns the cells of the columns; callers must not change them.
func (m *Machine) Bins() *Bins { return m.bins }

// Scale returns how gradients become integers.
func (m *Machine) Scale() Scale { return m.grow.scale }

// Base is the log-odds before the first tree (trees 20).
func (m *Machine) Base() float64 {
	return baseScore(m.cfg.Rows, m.cfg.Positives, m.params.weights())
}

// Done reports whether growth is complete.
func (m *Machine) Done() bool { return m.step == nil }

// Losses returns the validation loss a row before each step of trees, as far as
// it was summed; +Inf where no row judged.
func (m *Machine) Losses() []float64 { return m.losses }

// Digest names the state: configuration, cells, every sum applied and every
// split made of them (trees 50).
func (m *Machine) Digest() [32]byte { return m.chain }

// eligible lists the columns that have something to split.
func (m *Machine) eligible() []int {
	var out []int
	for i, c := range m.bins.Columns {
		if c.Cells > 1 {
			out = append(out, i)
		}
	}
	return out
}

// maxWords bounds the words of a sum: at the deepest level sent there are at
// most 2^(D−2) smaller children a tree (trees 22).
func (m *Machine) maxWords() int {
	if m.params.Additive() {
		return len(m.bins.Columns) * maxRanges * m.grow.scale.CellWords()
	}
	cells := 0
	for _, c := range m.bins.Columns {
		cells += c.Cells
	}
	return headWords + cells*m.grow.scale.CellWords()*m.params.TreesPerStep<<max(m.params.Depth-2, 0)
}

// sampled returns the columns drawn for a tree, ascending: those with the
// smallest PRF(plan, tree, column), so that at least one is (trees 31).
func (m *Machine) sampled(tree int) []int {
	all := m.eligible()
	n := int(math.Ceil(float64(float64(len(all)) * m.params.Columns)))
	if n >= len(all) {
		return all
	}
	key := func(c int) []byte {
		b := append([]byte("koinon/trees/columns/v1"), m.cfg.Plan[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(tree))
		h := sha256.Sum256(binary.BigEndian.AppendUint32(b, uint32(c)))
		return h[:]
	}
	slices.SortFunc(all, func(a, b int) int { return bytes.Compare(key(a), key(b)) })
	out := all[:max(n, 1)]
	slices.Sort(out)
	return out
}

// expectedRows is n of a tree: the training rows less those that judge and
// those not drawn. Sums carry no count (trees 45).
func (m *Machine) expectedRows() float64 {
	return float64(float64(float64(m.cfg.Rows)*m.params.Rows) * (1 - m.params.Validation))
}

// begin opens the next step, or ends growth.
func (m *Machine) begin() {
	m.step = nil
	first := len(m.done)
	if m.ended || first >= m.total {
		return
	}
	s := &step{first: first, chain: m.chain, losses: len(m.losses), best: m.best, shown: m.shown}
	for i := range min(m.perStep, m.total-first) {
		s.trees = append(s.trees, addRoot())
		if !m.params.Additive() {
			s.grids = append(s.grids, rootGrid(m.bins, m.sampled(first+i)))
		}
	}
	if m.params.Additive() {
		s.grids = []*Grid{m.ranges(m.epoch(first))}
	}
	m.step = s
}

// Cut ends the trees in progress at their last opened level, where their leaves
// are already known, and closes their step (trees 38). Trees of which no sum
// was opened are not begun. Growth goes on with the next step.
func (m *Machine) Cut() error {
	if m.Done() {
		return ErrComplete
	}
	if m.step.level == 0 {
		return nil
	}
	m.close("koinon/trees/cut/v1")
	return nil
}

// Stop ends growth with the trees that are closed or, if the step in progress
// has an opened level, cut (trees 39).
func (m *Machine) Stop() error {
	if err := m.Cut(); err != nil {
		return err
	}
	m.ended = true
	m.link("koinon/trees/stop/v1", nil)
	m.begin()
	return nil
}

// close takes the trees of the step over and begins the next.
func (m *Machine) close(why string) {
	m.done = append(m.done, m.step.trees...)
	m.link(why, binary.BigEndian.AppendUint32(nil, uint32(len(m.done))))
	m.begin()
}

// link extends the chain.
func (m *Machine) link(label string, b []byte) {
	h := sha256.New()
	h.Write([]byte(label))
	h.Write(m.chain[:])
	h.Write(b)
	m.chain = [32]byte(h.Sum(nil))
}

// Trees returns the trees of closed steps, those in progress not included;
// callers must not change them.
func (m *Machine) Trees() []Tree { return m.done }

// Growing returns the trees in progress and the number of trees before them;
// nil when growth is complete.
func (m *Machine) Growing() (trees []Tree, first int) {
	if m.Done() {
		return nil, len(m.done)
	}
	return m.step.trees, m.step.first
}

// Kept is the number of trees of the model: with a patience those after which
// the validation loss was lowest, else all. The last tree has no sum behind it
// that could judge it; it is kept if all before it are (trees 33).
func (m *Machine) Kept() int {
	if m.params.Patience == 0 || len(m.losses) == 0 {
		return len(m.done)
	}
	if m.index(m.best) == len(m.losses)-1 {
		return len(m.done)
	}
	return m.best
}

// Ensemble returns the model as far as it has grown.
func (m *Machine) Ensemble() *Ensemble {
	return &Ensemble{Bins: m.bins, Base: m.Base(), Trees: slices.Clone(m.done[:m.Kept()])}
}
