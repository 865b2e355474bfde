package train

import "math"

const (
	// tolerance is the relative change of the loss at which training has converged.
	tolerance = 1e-6
	// maxSteps is where training to convergence gives up.
	maxSteps = 1000

	memory     = 10   // pairs that L-BFGS keeps
	armijo     = 1e-4 // share of the predicted decrease a step must reach
	maxHalving = 30
)

// pair is one step and the change of the gradient along it.
type pair struct {
	s, y []float64
	rho  float64
}

// lbfgs minimises f from w (Nocedal and Wright, Numerical Optimization,
// Algorithms 7.4 and 3.1: two-loop recursion, backtracking). It stops when the
// loss changes by less than tolerance, relative, twice in a row, or after
// maxSteps, and returns the point, its loss and the steps taken.
func lbfgs(f func(w, grad []float64) (float64, error), w []float64) ([]float64, float64, int, error) {
	n := len(w)
	grad := make([]float64, n)
	loss, err := f(w, grad)
	if err != nil {
		return nil, 0, 0, err
	}
	var pairs []pair
	calm := 0
	for step := 1; step <= maxSteps; step++ {
		direction := descent(grad, pairs)
		next, nextGrad := make([]float64, n), make([]float64, n)
		nextLoss, moved, err := search(f, w, grad, direction, loss, next, nextGrad, len(pairs) == 0)
		if err != nil {
			return nil, 0, step, err
		}
		if !moved {
			if len(pairs) == 0 {
				return w, loss, step, nil // no descent left within float32
			}
			pairs = nil // start again along the gradient
			continue
		}
		pairs = remember(pairs, w, next, grad, nextGrad)
		if math.Abs(loss-nextLoss) < tolerance*math.Max(math.Abs(loss), 1e-12) {
			calm++
		} else {
			calm = 0
		}
		w, grad, loss = next, nextGrad, nextLoss
		if calm == 2 {
			return w, loss, step, nil
		}
	}
	return w, loss, maxSteps, nil
}

// search halves the step until the loss falls enough.
func search(f func(w, grad []float64) (float64, error), w, grad, direction []float64, loss float64, next, nextGrad []float64, first bool) (float64, bool, error) {
	slope := dot(grad, direction)
	if slope >= 0 {
		return loss, false, nil
	}
	length := 1.0
	if first {
		length = 1 / math.Sqrt(dot(grad, grad))
	}
	for range maxHalving {
		for i := range next {
			next[i] = w[i] + length*direction[i]
		}
		l, err := f(next, nextGrad)
		if err != nil {
			return 0, false, err
		}
		if l <= loss+armijo*length*slope {
			return l, true, nil
		}
		length /= 2
	}
	return loss, false, nil
}

// descent returns −H·grad by the two-loop recursion.
func descent(grad []float64, pairs []pair) []float64 {
	q := make([]float64, len(grad))
	for i, g := range grad {
		q[i] = -g
	}
	alpha := make([]float64, len(pairs))
	for i := len(pairs) - 1; i >= 0; i-- {
		p := pairs[i]
		alpha[i] = p.rho * dot(p.s, q)
		axpy(-alpha[i], p.y, q)
	}
	if len(pairs) > 0 {
		last := pairs[len(pairs)-1]
		scale := 1 / (last.rho * dot(last.y, last.y))
		for i := range q {
			q[i] *= scale
		}
	}
	for i, p := range pairs {
		axpy(alpha[i]-p.rho*dot(p.y, q), p.s, q)
	}
	return q
}

// remember appends a pair if the curvature along it is positive.
func remember(pairs []pair, w, next, grad, nextGrad []float64) []pair {
	p := pair{s: make([]float64, len(w)), y: make([]float64, len(w))}
	for i := range w {
		p.s[i], p.y[i] = next[i]-w[i], nextGrad[i]-grad[i]
	}
	curvature := dot(p.s, p.y)
	if curvature <= 1e-14 {
		return pairs
	}
	p.rho = 1 / curvature
	if len(pairs) == memory {
		pairs = pairs[1:]
	}
	return append(pairs, p)
}

func dot(a, b []float64) float64 {
	s := 0.0
	for i, v := range a {
		s += v * b[i]
	}
	return s
}

func axpy(a float64, x, y []float64) {
	for i, v := range x {
		y[i] += a * v
	}
}
