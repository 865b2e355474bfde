package artifact

import (
	"errors"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
)

// validateEnsemble checks that trees have an ensemble of this encoder, and
// others none.
func (m *Model) validateEnsemble() error {
	if (m.Header.Architecture.Kind == arch.Trees) != (m.Ensemble != nil) {
		return errors.New("an ensemble belongs to architecture trees, and to no other")
	}
	if m.Ensemble == nil {
		return nil
	}
	if err := m.Ensemble.Validate(); err != nil {
		return err
	}
	return m.Ensemble.Bins.Match(m.Encoder)
}

// Parameters is the number of learnt figures: parameters, or the leaves of trees.
func (m *Model) Parameters() int {
	if m.Ensemble == nil {
		return len(m.Params)
	}
	n := 0
	for _, t := range m.Ensemble.Trees {
		for i := range t {
			if t[i].Leaf() {
				n++
			}
		}
	}
	return n
}

// treeScorer scores with an ensemble. Its rows are cells, not matrices.
type treeScorer struct {
	bins    *trees.Bins
	scorer  *trees.Scorer
	effects []float64
}

func newTreeScorer(e *trees.Ensemble) (*treeScorer, error) {
	scorer, err := e.NewScorer()
	if err != nil {
		return nil, err
	}
	return &treeScorer{e.Bins, scorer, make([]float64, len(e.Bins.Columns))}, nil
}

// errMatrix refuses what only a table has: the values before they are standardised.
var errMatrix = errors.New("artifact: trees score tables, not matrices")

// rows returns the log-odds of every row of a table, and what explains them.
func (s *treeScorer) rows(e *feature.Encoder, t *feature.Table) ([]float64, func(row, k int, dst []Factor) []Factor, error) {
	cells, err := s.bins.Cells(e, t, t.Select(feature.SelectAll))
	if err != nil {
		return nil, nil, err
	}
	logits := make([]float64, t.Rows())
	if err := s.scorer.Logits(cells, logits); err != nil {
		return nil, nil, err
	}
	width := len(s.effects)
	explain := func(row, k int, dst []Factor) []Factor {
		// Logits has checked every cell, so that Effects has nothing to refuse.
		if err := s.scorer.Effects(cells[row*width:(row+1)*width], s.effects); err != nil {
			panic("artifact: " + err.Error())
		}
		first := len(dst)
		for c, effect := range s.effects {
			if effect != 0 {
				dst = insert(dst, first, k, Factor{Column: s.bins.Columns[c].Name, Effect: effect})
			}
		}
		return dst
	}
	return logits, explain, nil
}
