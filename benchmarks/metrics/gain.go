package metrics

import (
	"errors"
	"math"
)

// GainWords is the number of words at the end of a tally that carry what the
// federated model gained over the node's own: members that gained, Σ gain·One,
// Σ gain²·One, members with a defined gain, Σ variance(gain)·VarianceOne.
const GainWords = 5

// VarianceOne is the fixed-point scale of the summed variances of the gains.
const VarianceOne = 1 << 30

// SetGain fills the gain words of one node's tally from the scores of the same
// rows by the federated model and by the node's own: gain = AUROC(federated) −
// AUROC(alone), with the variance of this paired difference (DeLong). With
// fewer than two rows of each class the gain is not defined and nothing is set.
func (s TallySchema) SetGain(words []int64, federated, alone []float64, labels []int8) error {
	if len(words) != s.Words() {
		return errors.New("tally: gain for a vector of another schema")
	}
	gain, variance, err := PairedGain(federated, alone, labels)
	if err != nil {
		return err
	}
	if gain == nil {
		return nil
	}
	w := words[len(words)-GainWords:]
	w[1], w[2], w[3] = fixed(*gain), fixed(*gain**gain), 1
	if w[1] > 0 {
		w[0] = 1
	}
	w[4] = int64(math.RoundToEven(*variance * VarianceOne))
	return nil
}

// Gain is what the members of a sum gained over their own models.
type Gain struct {
	// Defined counts the members whose gain is defined, Gained those above zero.
	Defined, Gained int64
	sum, squares    int64
	variances       int64
}

// Mean is the mean gain in AUROC with a 95 % interval. The interval is about
// these members and the chance in their test rows: √Σ variance / n, from the
// paired DeLong variances. It is nil when no member has a defined gain.
func (g Gain) Mean() *Estimate {
	if g.Defined == 0 {
		return nil
	}
	n := float64(g.Defined)
	mean := float64(g.sum) / One / n
	half := float64(Z95*math.Sqrt(float64(g.variances)/VarianceOne)) / n
	return &Estimate{Value: mean, Low: max(mean-half, -1), High: min(mean+half, 1)}
}

// Spread is the standard deviation of the gains between members, nil below two.
func (g Gain) Spread() *float64 {
	if g.Defined < 2 {
		return nil
	}
	n := float64(g.Defined)
	sum := float64(g.sum) / One
	v := (float64(g.squares)/One - float64(sum*sum)/n) / (n - 1)
	sd := math.Sqrt(max(v, 0))
	return &sd
}
