package trees

import "math"

const (
	ln2 = 0.6931471805599453

	// ln 2 / 32 in two parts, the first with 24 zeros at its end, so that its
	// product with a whole number of up to 24 bits is exact.
	stepHigh = 0.021660849335603416
	stepLow  = 5.689487495325457e-11
	perStep  = 46.16624130844683 // 32 / ln 2

	expRange = 700 // beyond it exp is taken at the edge: far past any score
	toWhole  = 3 << 51
)

// powers are 2^(i/32).
var powers = [32]float64{
	1.0, 1.0218971486541166, 1.0442737824274138, 1.0671404006768237,
	1.0905077326652577, 1.1143867425958924, 1.1387886347566916, 1.1637248587775775,
	1.189207115002721, 1.215247359980469, 1.241857812073484, 1.2690509571917332,
	1.2968395546510096, 1.3252366431597413, 1.3542555469368927, 1.383909881963832,
	1.4142135623730951, 1.4451808069770467, 1.4768261459394993, 1.5091644275934228,
	1.5422108254079407, 1.5759808451078865, 1.6104903319492543, 1.645755478153965,
	1.681792830507429, 1.718619298122478, 1.7562521603732995, 1.7947090750031072,
	1.8340080864093424, 1.8741676341103, 1.9152065613971474, 1.9571441241754002,
}

// Exp returns eˣ to about 1e-15, from + − × each rounded on its own: math.Exp
// is assembly on some processors and has other last bits there (trees 49).
// Arguments beyond ±700 give the value there.
func Exp(x float64) float64 {
	if x > expRange {
		x = expRange
	}
	if x < -expRange {
		x = -expRange
	}
	whole := float64(x*perStep) + toWhole // the nearest integer stands in its last bits
	k := whole - toWhole
	r := (x - float64(k*stepHigh)) - float64(k*stepLow) // |r| ≤ ln 2 / 64
	square := float64(r * r)
	high := (1.0 / 24) + float64(r*(1.0/120)) + float64(square*(1.0/720))
	low := 0.5 + float64(r*(1.0/6))
	p := r + float64(square*(low+float64(square*high)))
	i := int64(k)
	v := powers[i&31]
	v += float64(v * p)
	return float64(v * math.Float64frombits(uint64(i>>5+1023)<<52))
}

// Sigmoid returns the probability of log-odds, with the same bits on every
// processor (trees 49).
func Sigmoid(z float64) float64 { return 1 / (1 + Exp(-z)) }

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
