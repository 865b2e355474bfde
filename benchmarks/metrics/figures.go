package metrics

// Figures are the figures of one model on one set of rows. An undefined figure
// is null in JSON.
type Figures struct {
	AUROC     *float64  `json:"auroc"`
	AUPRC     *float64  `json:"auprc"`
	Brier     *float64  `json:"brier"`
	ECE       *float64  `json:"ece"`
	LogLoss   *float64  `json:"log_loss"`
	TPRAtFPR  TPRAtFPR  `json:"tpr_at_fpr"`
	Threshold float64   `json:"threshold"`
	Confusion Confusion `json:"confusion"`
}

// TPRAtFPR is the TPR at three limits of the FPR.
type TPRAtFPR struct {
	At1  *float64 `json:"0.01"`
	At5  *float64 `json:"0.05"`
	At10 *float64 `json:"0.1"`
}

// Exact computes Figures from scores and labels; rows with label −1 are left
// out. Brier, ECE and log loss are nil when scores are not probabilities.
func Exact(scores []float64, labels []int8, threshold float64) (Figures, error) {
	x := Sample{Scores: scores, Labels: labels}
	if len(scores) == len(labels) {
		x = x.Only(func(row int) bool { return labels[row] != -1 })
	}
	if err := x.Validate(); err != nil {
		return Figures{}, err
	}
	return x.Figures(threshold), nil
}

// Figures computes the figures of a valid sample.
func (x Sample) Figures(threshold float64) Figures {
	c := x.Curve()
	return Figures{
		AUROC: c.AUROC(), AUPRC: c.AveragePrecision(),
		Brier: x.Brier(), ECE: x.ECE(), LogLoss: x.LogLoss(),
		TPRAtFPR:  TPRAtFPR{At1: c.TPRAtFPR(.01), At5: c.TPRAtFPR(.05), At10: c.TPRAtFPR(.1)},
		Threshold: threshold,
		Confusion: x.Confusion(threshold),
	}
}
