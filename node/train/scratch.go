package train

import (
	"errors"

	"github.com/koinon-eu/koinon/models/feature"
)

// Scratch lends memory for encoded rows, all zero, that need not be on the heap:
// so many floats and codes, until release. dataset.NewScratch makes it of a file.
type Scratch func(floats, codes int) (x []float32, c []int32, release func() error, err error)

// SetScratch says where encoded rows lie; nil, the default, is the heap. Matrices
// that TrainRows and TestRows return then end with Close.
func (m *Member) SetScratch(s Scratch) { m.scratch = s }

// encodeRows encodes a selection; one without rows gives an empty matrix.
func (m *Member) encodeRows(e *feature.Encoder, sel feature.Selection) (*feature.Matrix, error) {
	rows := m.table.Select(sel)
	if len(rows) == 0 {
		return &feature.Matrix{
			Numbers: e.Numbers(), Cards: e.Categories(),
			Label: []int8{}, Groups: make([][]int16, len(e.Group)),
		}, nil
	}
	if m.scratch == nil {
		return e.EncodeRows(m.table, rows)
	}
	x, c, release, err := m.scratch(len(rows)*e.Numbers(), len(rows)*len(e.Categories()))
	if err != nil {
		return nil, err
	}
	m.lent = append(m.lent, release)
	return e.EncodeInto(m.table, rows, x, c)
}

// release gives back what was lent, and the rows encoded in it.
func (m *Member) release() (err error) {
	if len(m.lent) == 0 {
		return nil
	}
	m.encoder, m.train, m.test = nil, nil, nil
	for _, release := range m.lent {
		err = errors.Join(err, release())
	}
	m.lent = nil
	return err
}
