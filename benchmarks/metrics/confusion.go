package metrics

import "math"

// Confusion counts rows by flag and label; a row is flagged when its score is
// at or above the threshold. Counts are exact up to 2^53.
type Confusion struct {
	TP float64 `json:"tp"`
	FP float64 `json:"fp"`
	FN float64 `json:"fn"`
	TN float64 `json:"tn"`
}

// Add returns the confusion of two sets of rows together: rates of a federation
// come from summed counts, never from averaged rates.
func (c Confusion) Add(o Confusion) Confusion {
	return Confusion{c.TP + o.TP, c.FP + o.FP, c.FN + o.FN, c.TN + o.TN}
}

// Rows counts all rows.
func (c Confusion) Rows() float64 { return c.TP + c.FP + c.FN + c.TN }

// Positives counts the rows found, label 1.
func (c Confusion) Positives() float64 { return c.TP + c.FN }

// Negatives counts the rows not found, label 0.
func (c Confusion) Negatives() float64 { return c.FP + c.TN }

// Flagged counts the rows at or above the threshold.
func (c Confusion) Flagged() float64 { return c.TP + c.FP }

// Selection is flagged ÷ rows. Like every rate here it is nil over nothing.
func (c Confusion) Selection() *float64 { return ratio(c.Flagged(), c.Rows()) }

// BaseRate is found ÷ rows.
func (c Confusion) BaseRate() *float64 { return ratio(c.Positives(), c.Rows()) }

// Accuracy is rows flagged rightly or left rightly ÷ rows.
func (c Confusion) Accuracy() *float64 { return ratio(c.TP+c.TN, c.Rows()) }

// TPR is the share of those found that is flagged (recall).
func (c Confusion) TPR() *float64 { return ratio(c.TP, c.Positives()) }

// FNR is the share of those found that is missed.
func (c Confusion) FNR() *float64 { return ratio(c.FN, c.Positives()) }

// FPR is the share of those not found that is flagged: false alarms.
func (c Confusion) FPR() *float64 { return ratio(c.FP, c.Negatives()) }

// TNR is the share of those not found that is left.
func (c Confusion) TNR() *float64 { return ratio(c.TN, c.Negatives()) }

// PPV is the share of the flagged that is found (precision).
func (c Confusion) PPV() *float64 { return ratio(c.TP, c.Flagged()) }

// FDR is the share of the flagged that is not found.
func (c Confusion) FDR() *float64 { return ratio(c.FP, c.Flagged()) }

// NPV is the share of those left that is not found.
func (c Confusion) NPV() *float64 { return ratio(c.TN, c.FN+c.TN) }

// FOR is the share of those left that is found.
func (c Confusion) FOR() *float64 { return ratio(c.FN, c.FN+c.TN) }

// F1 is the harmonic mean of precision and recall, nil when both are over nothing.
func (c Confusion) F1() *float64 { return ratio(2*c.TP, 2*c.TP+c.FP+c.FN) }

// BalancedAccuracy is the mean of TPR and TNR; nil with one class.
func (c Confusion) BalancedAccuracy() *float64 {
	a, b := c.TPR(), c.TNR()
	if a == nil || b == nil {
		return nil
	}
	m := (*a + *b) / 2
	return &m
}

// MCC is Matthews' correlation, nil when a margin is empty.
func (c Confusion) MCC() *float64 {
	margins := float64(math.Sqrt(c.Flagged()) * math.Sqrt(c.Positives()))
	margins = float64(margins * float64(math.Sqrt(c.Negatives())*math.Sqrt(c.FN+c.TN)))
	return ratio(float64(c.TP*c.TN)-float64(c.FP*c.FN), margins)
}

// Cost is the mean cost (fp·FP + fn·FN)/rows, nil without rows.
func (c Confusion) Cost(fp, fn float64) *float64 {
	return ratio(float64(fp*c.FP)+float64(fn*c.FN), c.Rows())
}

func ratio(x, of float64) *float64 {
	if of <= 0 {
		return nil
	}
	r := x / of
	return &r
}
