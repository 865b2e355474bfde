package schedule

import "github.com/koinon-eu/koinon/models/trees"

// baseLogit is the logit of the label's rate in the statistics sums, with half a row added to either side so that a
// table of one class has one too. A model starts from it: where positives are rare, an output that begins at one
// half spends most of its rounds on walking to the base rate.
func baseLogit(rows, positives int64) float32 {
	return float32(trees.Ln(float64(positives)+0.5) - trees.Ln(float64(rows-positives)+0.5))
}
