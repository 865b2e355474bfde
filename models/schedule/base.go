package schedule

import "math"

// baseLogit is the logit of the label's rate in the statistics sums, with half a row added to either side so that a
// table of one class has one too. A model starts from it: where positives are rare, an output that begins at one
// half spends most of its rounds on walking to the base rate.
func baseLogit(rows, positives int64) float32 {
	return float32(ln(float64(positives)+0.5) - ln(float64(rows-positives)+0.5))
}

// ln2 is the float64 nearest to the natural logarithm of 2.
const ln2 = 0.6931471805599453

// ln is the natural logarithm of a positive number to about 1e-15. math.Log has other last bits on other processors
// (S61), so this takes an exact power of two off and sums ln m = 2·atanh((m−1)/(m+1)), each operation rounded on its
// own.
func ln(x float64) float64 {
	m, exponent := math.Frexp(x) // x = m·2^exponent exactly, ½ ≤ m < 1
	t := (m - 1) / (m + 1)       // −⅓ ≤ t < 0
	square := float64(t * t)
	power, sum := t, t
	for k := 3.0; k < 41; k += 2 { // (1/9)^20 is below the last bit
		power = float64(power * square)
		sum += power / k
	}
	return float64(float64(exponent)*ln2) + float64(2*sum)
}
