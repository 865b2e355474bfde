package metrics

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Sample is scored rows: labels 0 or 1, scores any numbers of which higher
// means riskier, weights nil (each row counts once) or one positive weight a row.
type Sample struct {
	Scores  []float64
	Labels  []int8
	Weights []float64
}

// Validate refuses lengths that differ, labels other than 0 and 1, scores that
// are not numbers and weights that are not positive and finite.
func (x Sample) Validate() error {
	if len(x.Labels) != len(x.Scores) {
		return fmt.Errorf("sample: %d labels for %d scores", len(x.Labels), len(x.Scores))
	}
	if x.Weights != nil && len(x.Weights) != len(x.Scores) {
		return fmt.Errorf("sample: %d weights for %d scores", len(x.Weights), len(x.Scores))
	}
	for row, s := range x.Scores {
		if s-s != 0 {
			return fmt.Errorf("sample: row %d: score %v is not finite", row, s)
		}
		if y := x.Labels[row]; y != 0 && y != 1 {
			return fmt.Errorf("sample: row %d: label %d, want 0 or 1", row, y)
		}
		if w := x.weight(row); !(w > 0 && w <= math.MaxFloat64) {
			return fmt.Errorf("sample: row %d: weight %v", row, w)
		}
	}
	return nil
}

// Only returns the rows for which keep holds.
func (x Sample) Only(keep func(row int) bool) Sample {
	var out Sample
	for row := range x.Scores {
		if !keep(row) {
			continue
		}
		out.Scores = append(out.Scores, x.Scores[row])
		out.Labels = append(out.Labels, x.Labels[row])
		if x.Weights != nil {
			out.Weights = append(out.Weights, x.Weights[row])
		}
	}
	return out
}

// Probabilities reports whether every score is in [0, 1]; without that Brier,
// log loss and ECE are not defined.
func (x Sample) Probabilities() bool {
	return !slices.ContainsFunc(x.Scores, func(s float64) bool { return s < 0 || s > 1 })
}

// Curve sorts the rows and merges equal scores.
func (x Sample) Curve() Curve {
	order := x.order(func(a, b float64) int { return cmp.Compare(b, a) })
	var c Curve
	for _, row := range order {
		if len(c) == 0 || c[len(c)-1].Score != x.Scores[row] {
			c = append(c, Level{Score: x.Scores[row]})
		}
		l := &c[len(c)-1]
		if x.Labels[row] == 1 {
			l.Positive += x.weight(row)
		} else {
			l.Negative += x.weight(row)
		}
	}
	return c
}

// Confusion counts the rows at a threshold.
func (x Sample) Confusion(threshold float64) (c Confusion) {
	for row, s := range x.Scores {
		w := x.weight(row)
		switch flagged := s >= threshold; {
		case flagged && x.Labels[row] == 1:
			c.TP += w
		case flagged:
			c.FP += w
		case x.Labels[row] == 1:
			c.FN += w
		default:
			c.TN += w
		}
	}
	return c
}

// Brier is the mean squared distance of score and label; nil without rows or
// when scores are not probabilities.
func (x Sample) Brier() *float64 {
	return x.mean(func(row int) float64 {
		d := x.Scores[row] - float64(x.Labels[row])
		return float64(d * d)
	})
}

// LogLoss is the mean negative log likelihood, scores kept 2^-52 away from 0
// and 1; nil as Brier.
func (x Sample) LogLoss() *float64 {
	return x.mean(func(row int) float64 { return logLoss(x.Scores[row], x.Labels[row]) })
}

// MeanScore is the mean of the scores; nil as Brier.
func (x Sample) MeanScore() *float64 {
	return x.mean(func(row int) float64 { return x.Scores[row] })
}

func (x Sample) mean(f func(row int) float64) *float64 {
	if !x.Probabilities() {
		return nil
	}
	var total, weight float64
	for row := range x.Scores {
		total += float64(x.weight(row) * f(row))
		weight += x.weight(row)
	}
	return ratio(total, weight)
}

// ECE is the expected calibration error over ten cells of equal width,
// [i/10, (i+1)/10) with 1 in the last: Σ n/N·|found rate − mean score|; nil as Brier.
func (x Sample) ECE() *float64 {
	cells := make([][]int, CalibrationCells)
	if !x.Probabilities() {
		return nil
	}
	for row, s := range x.Scores {
		i := calibrationCell(s)
		cells[i] = append(cells[i], row)
	}
	return x.calibration(cells)
}

// ECEEqualMass is the same over ten cells of equal size by rising score (the
// first cells take the remainder, ties keep input order); nil as Brier.
func (x Sample) ECEEqualMass() *float64 {
	if !x.Probabilities() {
		return nil
	}
	order := x.order(cmp.Compare[float64])
	cells := make([][]int, CalibrationCells)
	size, extra := len(order)/CalibrationCells, len(order)%CalibrationCells
	for i := range cells {
		n := size
		if i < extra {
			n++
		}
		cells[i], order = order[:n], order[n:]
	}
	return x.calibration(cells)
}

func (x Sample) calibration(cells [][]int) *float64 {
	var gap, weight float64
	for _, rows := range cells {
		var found, score float64
		for _, row := range rows {
			w := x.weight(row)
			found += float64(w * float64(x.Labels[row]))
			score += float64(w * x.Scores[row])
			weight += w
		}
		gap += math.Abs(found - score)
	}
	return ratio(gap, weight)
}

// PrecisionAt is the share found among the k highest scores; ties keep input
// order, weights are ignored. Nil with fewer than k rows.
func (x Sample) PrecisionAt(k int) *float64 {
	if k < 1 || k > len(x.Scores) {
		return nil
	}
	return ratio(x.foundAmong(k), float64(k))
}

// RecallAt is the share of all found that is among the k highest scores; as
// PrecisionAt, and nil with nothing to find.
func (x Sample) RecallAt(k int) *float64 {
	if k < 1 || k > len(x.Scores) {
		return nil
	}
	return ratio(x.foundAmong(k), x.foundAmong(len(x.Scores)))
}

func (x Sample) foundAmong(k int) (found float64) {
	for _, row := range x.order(func(a, b float64) int { return cmp.Compare(b, a) })[:k] {
		found += float64(x.Labels[row])
	}
	return found
}

func (x Sample) order(compare func(a, b float64) int) []int {
	order := make([]int, len(x.Scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return compare(x.Scores[a], x.Scores[b]) })
	return order
}

func (x Sample) weight(row int) float64 {
	if x.Weights == nil {
		return 1
	}
	return x.Weights[row]
}
