package metrics

import "math"

// Level is every row of one score, or of one bin: how many have label 0 and
// label 1 (or their weights).
type Level struct{ Score, Negative, Positive float64 }

// Curve lists levels by falling score; rows of a level are ties. All figures
// that depend on order alone are taken from it, exact ones and binned ones.
type Curve []Level

// Totals returns the weight of label 0 and of label 1.
func (c Curve) Totals() (negative, positive float64) {
	for _, l := range c {
		negative += l.Negative
		positive += l.Positive
	}
	return negative, positive
}

// Point is a place on the receiver operating characteristic, reached by
// flagging scores ≥ Threshold.
type Point struct{ Threshold, FPR, TPR float64 }

// ROC returns the curve's points from (0, 0), where the threshold is +Inf, to
// (1, 1); nil with one class.
func (c Curve) ROC() []Point {
	n, p := c.Totals()
	if n == 0 || p == 0 {
		return nil
	}
	points := []Point{{Threshold: math.Inf(1)}}
	var fp, tp float64
	for _, l := range c {
		if l.Negative == 0 && l.Positive == 0 {
			continue
		}
		fp += l.Negative
		tp += l.Positive
		points = append(points, Point{Threshold: l.Score, FPR: fp / n, TPR: tp / p})
	}
	return points
}

// AUROC is the Mann–Whitney estimate with ties counted ½; nil with one class.
func (c Curve) AUROC() *float64 {
	n, p := c.Totals()
	if n == 0 || p == 0 {
		return nil
	}
	var won, above float64 // above: label 1 at higher scores
	for _, l := range c {
		won += float64(l.Negative * (above + l.Positive/2))
		above += l.Positive
	}
	a := won / n / p
	return &a
}

// BinningError bounds |AUROC of the levels − AUROC of the scores behind them|:
// Σ positive·negative / (2·P·N). It is 0 when levels are single scores.
func (c Curve) BinningError() *float64 {
	n, p := c.Totals()
	if n == 0 || p == 0 {
		return nil
	}
	var tied float64
	for _, l := range c {
		tied += float64(l.Negative * l.Positive)
	}
	e := tied / 2 / n / p
	return &e
}

// AveragePrecision is Σ (R_k − R_(k−1))·P_k, without interpolation; nil with
// one class.
func (c Curve) AveragePrecision() *float64 {
	n, p := c.Totals()
	if n == 0 || p == 0 {
		return nil
	}
	var ap, fp, tp float64
	for _, l := range c {
		fp += l.Negative
		tp += l.Positive
		if l.Positive > 0 {
			ap += float64(l.Positive / p * (tp / (tp + fp)))
		}
	}
	return &ap
}

// TPRAtFPR is the largest TPR over thresholds whose FPR is at most limit (a
// step, no interpolation); nil with one class.
func (c Curve) TPRAtFPR(limit float64) *float64 {
	roc := c.ROC()
	if roc == nil {
		return nil
	}
	best := 0.0
	for _, pt := range roc {
		if pt.FPR <= limit {
			best = max(best, pt.TPR)
		}
	}
	return &best
}

// PartialAUROC is the area up to FPR ≤ limit (0 < limit ≤ 1), standardised
// after McClish so that chance is ½; nil with one class.
func (c Curve) PartialAUROC(limit float64) *float64 {
	roc := c.ROC()
	if roc == nil || !(limit > 0 && limit <= 1) {
		return nil
	}
	var area float64
	for i, b := range roc[1:] {
		a := roc[i]
		if a.FPR >= limit {
			break
		}
		if b.FPR > limit {
			b.TPR = a.TPR + float64((b.TPR-a.TPR)*((limit-a.FPR)/(b.FPR-a.FPR)))
			b.FPR = limit
		}
		area += float64((b.FPR - a.FPR) * ((a.TPR + b.TPR) / 2))
	}
	least := float64(limit * limit / 2)
	s := (1 + (area-least)/(limit-least)) / 2
	return &s
}

// KS is the largest TPR − FPR; nil with one class.
func (c Curve) KS() *float64 {
	roc := c.ROC()
	if roc == nil {
		return nil
	}
	best := 0.0
	for _, pt := range roc {
		best = max(best, pt.TPR-pt.FPR)
	}
	return &best
}

// LeastCost is the least (fp·FP + fn·FN)/rows over all thresholds, flagging
// none and all included; nil without rows.
func (c Curve) LeastCost(fp, fn float64) *float64 {
	n, p := c.Totals()
	if n+p == 0 {
		return nil
	}
	missed, alarms := p, 0.0
	best := float64(fn * missed)
	for _, l := range c {
		missed -= l.Positive
		alarms += l.Negative
		best = min(best, float64(fp*alarms)+float64(fn*missed))
	}
	best /= n + p
	return &best
}
