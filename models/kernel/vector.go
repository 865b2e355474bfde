package kernel

import "math"

// ReLUBack is dz = dy where y, the output of a ReLU, is above zero, and 0
// elsewhere. dz may be dy.
func ReLUBack(dz, dy, y []float32) { active.reluBack(dz, dy[:len(dz)], y[:len(dz)]) }

// Squares is y[i] = the sum of the squares of row i of x, k numbers.
func Squares(y, x []float32, k int) { active.squares(y, x, k) }

// Gather copies the named rows of src, k numbers each, to dst, one after the other.
func Gather(dst, src []float32, rows []int32, k int) { active.gather(dst, src, rows, k) }

// CrossEntropy writes σ(z) − y of each logit z with label y, 0 or 1, into d,
// and log(1+e^z) − y·z, without overflow, into loss. It returns the sum of
// the losses. |error| of both is below 3e-7·max(1, |z|).
func CrossEntropy(d, loss, z, y []float32) float64 {
	n := len(z)
	active.entropy(z, y[:n], d[:n], loss[:n])
	sum := 0.0
	for _, l := range loss[:n] {
		sum += float64(l)
	}
	return sum
}

// Axpy is y += a·x. A step of SGD is Axpy(-rate, grad, w).
func Axpy(a float32, x, y []float32) { active.axpy(a, x, y[:len(x)]) }

// Blend is grad = scale·grad + decay·w + pull·(w − start): the mean of a sum of
// derivatives, with those of ½·decay·‖w‖² and ½·pull·‖w − start‖² beside it.
func Blend(grad, w, start []float32, scale, decay, pull float32) {
	active.blend(grad, w[:len(grad)], start[:len(grad)], scale, decay, pull)
}

// Widen is dst += src in float64.
func Widen(dst []float64, src []float32) { active.widen(dst[:len(src)], src) }

// AdamStep says how Adam moves (Kingma and Ba 2015, Algorithm 1).
type AdamStep struct {
	Rate, Beta1, Beta2, Epsilon float64
	Step                        int // t, from 1
}

// Adam moves w against grad and keeps the moments m and v, all of one length,
// for one step: m += (1−β₁)(g−m), v += (1−β₂)(g²−v),
// w −= rate/(1−β₁^t)·m/(√(v/(1−β₂^t))+ε).
func Adam(w, grad, m, v []float32, s AdamStep) {
	n, t := len(w), float64(s.Step)
	active.adam(w, grad[:n], m[:n], v[:n], &[5]float32{
		float32(1 - s.Beta1), float32(1 - s.Beta2), float32(s.Rate / (1 - math.Pow(s.Beta1, t))),
		float32(1 / (1 - math.Pow(s.Beta2, t))), float32(s.Epsilon),
	})
}

// entropyTable holds the constants of the assembly: 1; the largest |z| whose
// e^−|z| is told from zero; log₂e; log 2 in two parts; Cephes' polynomial for
// (e^r − 1 − r)/r²; and the odd coefficients of artanh but the first.
var entropyTable = [17]float32{
	1, 86, math.Log2E, 0.693359375, -2.12194440e-4,
	1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
	1. / 13, 1. / 11, 1. / 9, 1. / 7, 1. / 5, 1. / 3,
}
