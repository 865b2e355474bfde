package main

import (
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
	local "github.com/koinon-eu/koinon/node/train/trees"
)

// treesEngine grows trees on one table with the machine of a federation.
type treesEngine struct{ *trainCommand }

func (e *treesEngine) train(table *feature.Table, t *stopwatch) ([]float64, error) {
	p := trees.Params{Trees: e.Trees, Depth: e.Depth, Cell: &e.Cell}.WithDefaults()
	s := feature.NewStatistics(table.Schema())
	for !s.Done() {
		counts, err := s.Count(table)
		if err != nil {
			return nil, err
		}
		if err := s.Apply(counts); err != nil {
			return nil, err
		}
	}
	encoder, err := s.Encoder()
	if err != nil {
		return nil, err
	}
	bins, err := trees.NewBins(s, encoder, p.Bins, p.Floor)
	if err != nil {
		return nil, err
	}
	t.phase("statistics")
	data, err := local.NewData(bins, encoder, table, table.Select(feature.SelectTrain), e.Threads)
	if err != nil {
		return nil, err
	}
	t.phase("cells")
	m, err := trees.New(trees.Config{Params: p, Rows: encoder.Rows, Positives: encoder.Positives}, bins)
	if err != nil {
		return nil, err
	}
	ensemble, err := local.Grow(m, data, local.Options{Threads: e.Threads})
	if err != nil {
		return nil, err
	}
	t.phase("trees")
	return scoreRows(ensemble, encoder, table, table.Select(feature.SelectTest))
}

// scoreRows returns the probability of each of the given rows.
func scoreRows(ensemble *trees.Ensemble, encoder *feature.Encoder, table *feature.Table, rows []int32) ([]float64, error) {
	scores, err := treeLogits(ensemble, encoder, table, rows)
	for i, z := range scores {
		scores[i] = trees.Sigmoid(z)
	}
	return scores, err
}

// treeLogits returns the log-odds of each of the given rows.
func treeLogits(ensemble *trees.Ensemble, encoder *feature.Encoder, table *feature.Table, rows []int32) ([]float64, error) {
	cells, err := ensemble.Bins.Cells(encoder, table, rows)
	if err != nil {
		return nil, err
	}
	scorer, err := ensemble.NewScorer()
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(rows))
	return out, scorer.Logits(cells, out)
}
