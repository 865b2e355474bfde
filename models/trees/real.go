package trees

import "math"

// Constants of exp: ln 2 in two parts, the first with zeros at its end so that
// k·ln2High is exact, and the polynomial of the reduced argument.
const (
	ln2     = 0.6931471805599453
	ln2High = 6.93147180369123816490e-01
	ln2Low  = 1.90821492927058770002e-10
	log2e   = 1.4426950408889634

	exp1 = 1.66666666666666657415e-01
	exp2 = -2.77777777770155933842e-03
	exp3 = 6.61375632143793436117e-05
	exp4 = -1.65339022054652515390e-06
	exp5 = 4.13813679705723846039e-08

	expRange = 700 // beyond it exp is taken at the edge: far past any score
)

// Exp returns eˣ to about 1e-16, from + − × ÷ each rounded on its own: math.Exp
// is assembly on some processors and has other last bits there (trees 49).
// Arguments beyond ±700 give the value there.
func Exp(x float64) float64 {
	x = max(min(x, expRange), -expRange)
	k := math.Floor(float64(x*log2e) + 0.5)
	high := x - float64(k*ln2High)
	low := float64(k * ln2Low)
	r := high - low // |r| ≤ ½ ln 2
	t := float64(r * r)
	p := exp4 + float64(t*exp5)
	p = exp3 + float64(t*p)
	p = exp2 + float64(t*p)
	p = exp1 + float64(t*p)
	c := r - float64(t*p)
	y := 1 - ((low - float64(r*c)/(2-c)) - high)
	return float64(y * math.Float64frombits(uint64(int64(k)+1023)<<52))
}

// Sigmoid returns the probability of log-odds, with the same bits on every
// processor (trees 49).
func Sigmoid(z float64) float64 {
	e := Exp(-math.Abs(z))
	p := 1 / (1 + e)
	if z < 0 {
		return float64(e * p)
	}
	return p
}

// Ln returns the natural logarithm of a positive, finite number to about 1e-15.
// It takes an exact power of two off and sums ln m = 2·atanh((m−1)/(m+1)), each
// operation rounded on its own.
func Ln(x float64) float64 {
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

// baseScore is the log-odds a model starts from, from the first statistics sum
// and the class weights: logit((Σwy+½)/(Σw−Σwy+½)) (trees 20).
func baseScore(rows, positives int64, weights [2]float64) float64 {
	w1 := float64(float64(positives) * weights[1])
	w0 := float64(float64(rows-positives) * weights[0])
	return Ln(w1+0.5) - Ln(w0+0.5)
}
