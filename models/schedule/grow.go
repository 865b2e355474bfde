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

// growth is the configuration of the trees. R is taken N times as large as the
// pooled rows, because a member's words must be within 1/N of what a sum holds
// (S46) however unequal members are.
func (m *Machine) growth(e *feature.Encoder) trees.Config {
	rows := int64(weightCap(e.Rows)) * int64(m.cfg.Members)
	return trees.Config{
		Params: *m.cfg.Architecture.Trees, Plan: m.cfg.Digest(), Rows: e.Rows, Positives: e.Positives, RowsMax: min(rows, trees.MaxRows),
	}
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
