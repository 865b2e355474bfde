package metrics

import "math"

// Cell is one equal-width cell of the score: its rows, how many were found,
// and the sum of their scores in units of 1/One.
type Cell struct{ Rows, Found, Score int64 }

// Stratum is the tally of one set of rows: counts by score bin and label, and
// fixed-point sums.
type Stratum struct {
	// Negative and Positive count rows with label 0 and 1 by bin; read only.
	Negative, Positive []int64
	Cells              [CalibrationCells]Cell

	schema               TallySchema
	negatives, positives int64
	squared, logLoss     int64
}

// Rows counts the rows.
func (s Stratum) Rows() int64 { return s.negatives + s.positives }

// Positives counts the rows found, label 1.
func (s Stratum) Positives() int64 { return s.positives }

// Negatives counts the rows not found, label 0.
func (s Stratum) Negatives() int64 { return s.negatives }

// Curve is the stratum's bins by falling score, empty ones left out; rows of
// one bin are ties.
func (s Stratum) Curve() Curve {
	var c Curve
	for b := len(s.Negative) - 1; b >= 0; b-- {
		if s.Negative[b] != 0 || s.Positive[b] != 0 {
			c = append(c, Level{Score: s.schema.Cut(b), Negative: float64(s.Negative[b]), Positive: float64(s.Positive[b])})
		}
	}
	return c
}

// AUROC is the binned AUROC with its 95 % interval; nil with one class. It is
// off the exact one by at most AUROCError.
func (s Stratum) AUROC() *Estimate { return s.Curve().AUROCInterval() }

// AUROCError bounds the error of binning; nil with one class.
func (s Stratum) AUROCError() *float64 { return s.Curve().BinningError() }

// AUPRC is the average precision with bins as ties; nil with one class.
func (s Stratum) AUPRC() *float64 { return s.Curve().AveragePrecision() }

// TPRAtFPR is the TPR at the lowest bin edge whose FPR is at most limit, with
// Wilson's interval; nil with one class.
func (s Stratum) TPRAtFPR(limit float64) *Estimate {
	if s.positives == 0 || s.negatives == 0 {
		return nil
	}
	c := s.confusion(s.cutAt(limit))
	return Wilson(c.TP, c.Positives())
}

// Threshold is the lowest bin edge at which the FPR is at most limit: the
// operating point. It is not defined (false) without rows of label 0, or when
// only flagging nothing keeps the limit.
func (s Stratum) Threshold(limit float64) (float64, bool) {
	cut := s.cutAt(limit)
	if s.negatives == 0 || cut == len(s.Negative) {
		return 0, false
	}
	return s.schema.Cut(cut), true
}

func (s Stratum) cutAt(limit float64) int {
	var fp int64
	for b := len(s.Negative) - 1; b >= 0; b-- {
		fp += s.Negative[b]
		if float64(fp)/float64(s.negatives) > limit {
			return b + 1
		}
	}
	return 0
}

// Confusion counts rows at a threshold; exact at a bin edge such as Threshold
// gives, else at the next edge above.
func (s Stratum) Confusion(threshold float64) Confusion {
	return s.confusion(s.schema.cutBin(threshold))
}

func (s Stratum) confusion(cut int) Confusion {
	tp, fp := sum(s.Positive[cut:]), sum(s.Negative[cut:])
	return Confusion{
		TP: float64(tp), FP: float64(fp),
		FN: float64(s.positives - tp), TN: float64(s.negatives - fp),
	}
}

// Brier is the mean squared distance of score and label, off by at most 2^-21;
// nil without rows.
func (s Stratum) Brier() *float64 { return ratio(float64(s.squared)/One, float64(s.Rows())) }

// LogLoss is the mean negative log likelihood, off by at most 2^-21; nil
// without rows.
func (s Stratum) LogLoss() *float64 { return ratio(float64(s.logLoss)/One, float64(s.Rows())) }

// ECE is the expected calibration error over ten equal-width cells, off by at
// most 2^-21; nil without rows.
func (s Stratum) ECE() *float64 {
	var gap float64
	for _, c := range s.Cells {
		gap += math.Abs(float64(c.Found) - float64(c.Score)/One)
	}
	return ratio(gap, float64(s.Rows()))
}

// Expected is the sum of the scores: how many should be found if the scores
// are probabilities.
func (s Stratum) Expected() float64 {
	var total int64
	for _, c := range s.Cells {
		total += c.Score
	}
	return float64(total) / One
}
