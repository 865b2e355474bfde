package schedule

import (
	"encoding/binary"
	"fmt"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
)

// Forest returns the machine that grows trees; nil before the encoder and for
// other models. Callers only read it.
func (m *Machine) Forest() *trees.Machine { return m.forest }

// growth is the configuration of the trees. R is Σ rows_max; without one it is
// taken N times as large as the pooled rows, because a member's words must be
// within 1/N of what a sum holds (S46) however unequal members are.
func (m *Machine) growth(e *feature.Encoder) trees.Config {
	rows := int64(weightCap(e.Rows)) * int64(m.cfg.Members)
	if m.cfg.RowsMax > 0 {
		rows = int64(m.cfg.RowsMax) * int64(m.cfg.Members)
	}
	c := trees.Config{
		Params: *m.cfg.Architecture.Trees, Plan: m.cfg.Digest(), Rows: e.Rows, Positives: e.Positives, RowsMax: min(rows, trees.MaxRows),
	}
	m.noisy(&c)
	return c
}

// CellBits returns s, the bits of a gradient in a cell, and whether cells are two
// words wide, where rows_max fixes them before any sum (trees 7, 8).
func (c Config) CellBits() (bits int, wide, ok bool) {
	c = c.WithDefaults()
	if c.RowsMax == 0 || c.Architecture.Trees == nil {
		return 0, false, false
	}
	scale, err := trees.Config{Params: *c.Architecture.Trees, RowsMax: int64(c.RowsMax) * int64(c.Members)}.Scale()
	return scale.Bits, scale.Wide, err == nil
}

// plant makes the cells of the last statistics sum and the machine that grows
// trees over them.
func (m *Machine) plant(e *feature.Encoder) error {
	bins, err := trees.NewBins(m.statistics, e, m.cfg.Architecture.Trees.Bins, m.cfg.Architecture.Trees.Floor)
	if err != nil {
		return err
	}
	forest, err := trees.New(m.growth(e), bins)
	if err != nil {
		return err
	}
	m.settle(e, forest)
	return nil
}

func (m *Machine) settle(e *feature.Encoder, forest *trees.Machine) {
	m.encoder, m.forest, m.statistics = e, forest, nil
	m.shape = arch.Shape{Numbers: e.Numbers(), Cards: e.Categories()}
}

// growStep asks for the histograms of one level.
func (m *Machine) growStep(step *Step) {
	q, _ := m.forest.Query()
	step.Query, step.Place = q.Digest, uint32(q.First*trees.MaxDepth+q.Level+1)
	step.Encoding.Layout.Ints = q.Words
	step.Encoding.IntMax = m.intLimit()
}

// grow takes the words of a sum, two's complement as they came (trees 6).
func (m *Machine) grow(ints []int64) error {
	sum := make([]uint64, len(ints))
	for i, v := range ints {
		sum[i] = uint64(v)
	}
	err := m.forest.Apply(sum)
	if err == nil {
		m.round++
	}
	return err
}

// Cut ends the trees in progress at their last opened level, so that the next
// tree may have another cohort (trees 38). Like a sum it changes the state, but
// not the ordinal of the next step. Outside of growth it is ErrComplete.
func (m *Machine) Cut() error {
	if m.kind() != Grow {
		return ErrComplete
	}
	return m.forest.Cut()
}

// Stop ends growth with the trees there are (trees 39); the evaluation follows.
// Without a tree, or outside of growth, it is ErrComplete.
func (m *Machine) Stop() error {
	if m.kind() != Grow || m.Trees() == 0 {
		return ErrComplete
	}
	return m.forest.Stop()
}

// Level is the level of the trees in progress that the next sum opens; 0 begins
// trees, and stands for every other step too.
func (m *Machine) Level() int {
	if m.kind() != Grow {
		return 0
	}
	q, _ := m.forest.Query()
	return q.Level
}

// Trees counts the trees that a model would have if growth ended here: those of
// closed steps, and those in progress of which a level was opened.
func (m *Machine) Trees() int {
	if m.forest == nil {
		return 0
	}
	n := len(m.forest.Trees())
	if m.Level() > 0 {
		growing, _ := m.forest.Growing()
		n += len(growing)
	}
	return n
}

// storedForest returns u32 length and bytes of the cells, then the state of the
// trees' machine.
func (m *Machine) storedForest() ([]byte, error) {
	bins, err := m.forest.Bins().Marshal()
	if err != nil {
		return nil, err
	}
	state, err := m.forest.MarshalBinary()
	if err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(bins)))
	return append(append(b, bins...), state...), nil
}

func (m *Machine) restoreForest(e *feature.Encoder, b []byte) error {
	if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
		return errState
	}
	n := 4 + binary.BigEndian.Uint32(b)
	bins, err := trees.ParseBins(b[4:n])
	if err != nil {
		return fmt.Errorf("%w: %w", errState, err)
	}
	if err := bins.Match(e); err != nil {
		return fmt.Errorf("%w: %w", errState, err)
	}
	forest, err := trees.Unmarshal(m.growth(e), bins, b[n:])
	if err != nil {
		return fmt.Errorf("%w: %w", errState, err)
	}
	m.settle(e, forest)
	return nil
}
