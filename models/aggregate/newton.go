package aggregate

import (
	"errors"
	"fmt"
	"math"
)

// NewtonScale is the fixed-point unit of the gradient and Hessian words.
const NewtonScale = 1 << 20

// NewtonWords returns the integer words of a sum for d parameters: the
// gradient, then the upper triangle of the Hessian row by row.
func NewtonWords(d int) int { return d + d*(d+1)/2 }

const (
	newtonReach = 8    // longest move of one parameter in one step
	firstRidge  = 1e-6 // added to the diagonal; times ten until a pivot is positive
	ridgeTries  = 8
)

var errPivot = errors.New("pivot is not positive")

// newton is Newton's method for regularised logistic regression, that is
// iteratively reweighted least squares (Hastie, Tibshirani, Friedman, ESL
// §4.4.1): w ← w − rate·(H + l2·I)⁻¹(g + l2·w), by Cholesky. One sum holds the
// exact pooled gradient and Hessian, so a handful of rounds suffices; it also
// holds the weighted counts of pairs of categories.
type newton struct{ Problem }

func (o newton) Apply(params []float32, sum Sum) error {
	d := len(o.Decayed)
	if len(params) != d || len(sum.Ints) != NewtonWords(d) {
		return fmt.Errorf("newton: %d parameters and %d integers, want %d and %d", len(params), len(sum.Ints), d, NewtonWords(d))
	}
	step, err := o.solve(params, sum.Ints)
	if err != nil {
		return err
	}
	longest := 0.0
	for _, v := range step {
		longest = max(longest, math.Abs(v))
	}
	if math.IsNaN(longest) || math.IsInf(longest, 0) {
		return errors.New("newton: step is not finite")
	}
	rate := o.Spec.ServerRate
	if longest > newtonReach {
		rate = float64(rate * (newtonReach / longest))
	}
	for i := range params {
		subtract(&params[i], float64(rate*step[i]))
	}
	return nil
}

// solve returns (H + l2·I + ridge·I)⁻¹(g + l2·w). Counts of a category are
// collinear with the bias, so a pivot may vanish in rounding; the ridge grows
// until none does.
func (o newton) solve(params []float32, ints []int64) ([]float64, error) {
	d := len(params)
	g := make([]float64, d)
	for i := range g {
		g[i] = float64(ints[i]) / NewtonScale
		if o.Decayed[i] {
			g[i] += float64(o.L2 * float64(params[i]))
		}
	}
	ridge := firstRidge
	for range ridgeTries {
		lower, err := factor(o.matrix(ints[d:], ridge), d)
		if err == nil {
			return substitute(lower, g), nil
		}
		ridge *= 10
	}
	return nil, fmt.Errorf("newton: hessian: %w", errPivot)
}

// matrix unpacks the Hessian into the lower triangle of a d×d matrix.
func (o newton) matrix(packed []int64, ridge float64) []float64 {
	d := len(o.Decayed)
	a := make([]float64, d*d)
	for i := range d {
		for j := i; j < d; j++ {
			a[j*d+i] = float64(packed[0]) / NewtonScale
			packed = packed[1:]
		}
		a[i*d+i] += ridge
		if o.Decayed[i] {
			a[i*d+i] += o.L2
		}
	}
	return a
}

// factor computes Cholesky's L in place, row by row, sums in index order.
func factor(a []float64, d int) ([]float64, error) {
	for i := range d {
		row := a[i*d : i*d+i+1]
		for j := 0; j <= i; j++ {
			other := a[j*d : j*d+j+1]
			s := row[j]
			for k, v := range other[:j] {
				s -= float64(row[k] * v)
			}
			if j < i {
				row[j] = s / other[j]
				continue
			}
			if !(s > 0) || math.IsInf(s, 0) {
				return nil, errPivot
			}
			row[j] = math.Sqrt(s)
		}
	}
	return a, nil
}

// substitute solves L·Lᵀ·x = g.
func substitute(lower, g []float64) []float64 {
	d := len(g)
	x := make([]float64, d)
	for i := range d {
		s := g[i]
		for k, v := range lower[i*d : i*d+i] {
			s -= float64(v * x[k])
		}
		x[i] = s / lower[i*d+i]
	}
	for i := d - 1; i >= 0; i-- {
		s := x[i]
		for k := i + 1; k < d; k++ {
			s -= float64(lower[k*d+i] * x[k])
		}
		x[i] = s / lower[i*d+i]
	}
	return x
}

func (newton) AppendState(b []byte) []byte { return b }

func (newton) SetState(b []byte) error {
	if len(b) != 0 {
		return errors.New("newton: optimiser state is not empty")
	}
	return nil
}
