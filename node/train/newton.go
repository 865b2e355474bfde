package train

import (
	"fmt"
	"math"
	"sync"

	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

// newtonWords returns the member's gradient and Hessian of logistic regression,
// Σ (p−y)·x and Σ p(1−p)·x·xᵀ over the rows, as fixed-point integers in the
// order of aggregate.NewtonWords.
func newtonWords(spec arch.Spec, params []float32, m *feature.Matrix, grad []float64) ([]int64, error) {
	d := len(params)
	model, err := arch.NewModel(spec, Shape(m), params)
	if err != nil {
		return nil, err
	}
	logits := make([]float64, m.Rows)
	model.Logits(batchOf(m), logits)
	hessian := hessianSum(d, logits, m)
	words := make([]int64, 0, aggregate.NewtonWords(d))
	for _, values := range [][]float64{grad, hessian} {
		for _, v := range values {
			scaled := math.RoundToEven(v * aggregate.NewtonScale)
			if !(math.Abs(scaled) < 1<<62) {
				return nil, fmt.Errorf("newton: sum %v does not fit", v)
			}
			words = append(words, int64(scaled))
		}
	}
	return words, nil
}

// hessianSum adds the rows up in a fixed number of shards.
func hessianSum(d int, logits []float64, m *feature.Matrix) []float64 {
	var sums [fullShards][]float64
	var wait sync.WaitGroup
	for s := range sums {
		sums[s] = make([]float64, d*(d+1)/2)
		wait.Go(func() { addHessian(sums[s], d, logits, m, m.Rows*s/fullShards, m.Rows*(s+1)/fullShards) })
	}
	wait.Wait()
	for _, other := range sums[1:] {
		for i, v := range other {
			sums[0][i] += v
		}
	}
	return sums[0]
}

// addHessian adds rows from…to. A row touches its numbers, one slot of each
// category and the bias, in ascending order, so only those pairs are visited.
func addHessian(sum []float64, d int, logits []float64, m *feature.Matrix, from, to int) {
	cats := len(m.Cards)
	at := make([]int, m.Numbers+cats+1)
	value := make([]float64, len(at))
	for j := range m.Numbers {
		at[j] = j
	}
	for j := m.Numbers; j < len(value); j++ {
		value[j] = 1
	}
	at[len(at)-1] = d - 1
	for row := from; row < to; row++ {
		for j, x := range m.X[row*m.Numbers : (row+1)*m.Numbers] {
			value[j] = float64(x)
		}
		base := m.Numbers
		for j, slot := range m.C[row*cats : (row+1)*cats] {
			at[m.Numbers+j] = base + int(slot)
			base += m.Cards[j]
		}
		p := arch.Sigmoid(logits[row])
		weight := p * (1 - p)
		for a, i := range at {
			line := i*d - i*(i-1)/2 - i // index of (i, 0) in the packed triangle
			wa := weight * value[a]
			for b := a; b < len(at); b++ {
				sum[line+at[b]] += wa * value[b]
			}
		}
	}
}
