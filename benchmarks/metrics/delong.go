package metrics

import (
	"fmt"
	"math"
	"slices"
)

// DeLong is the variance of AUROC from placement values (n−1 denominators);
// nil with fewer than two rows of a class. Levels must hold counts.
func (c Curve) DeLong() *float64 {
	n, p := c.Totals()
	if n < 2 || p < 2 {
		return nil
	}
	a := *c.AUROC()
	var v10, v01, above float64
	below := n
	for _, l := range c {
		below -= l.Negative
		d := (below+l.Negative/2)/n - a
		v10 += float64(l.Positive * float64(d*d))
		d = (above+l.Positive/2)/p - a
		v01 += float64(l.Negative * float64(d*d))
		above += l.Positive
	}
	v := v10/(p-1)/p + v01/(n-1)/n
	return &v
}

// AUROCInterval is AUROC with its 95 % interval, cut to [0, 1]: Wald on the
// DeLong variance, or, where that is zero or not defined (perfect order, one
// row of a class), the score interval on the Hanley–McNeil variance (Newcombe
// 2006, method 5). Nil with one class.
func (c Curve) AUROCInterval() *Estimate {
	a := c.AUROC()
	if a == nil {
		return nil
	}
	if v := c.DeLong(); v != nil && *v > 0 {
		half := float64(Z95 * math.Sqrt(*v))
		return &Estimate{Value: *a, Low: max(*a-half, 0), High: min(*a+half, 1)}
	}
	n, p := c.Totals()
	return &Estimate{Value: *a, Low: scoreEnd(*a, 0, n, p), High: scoreEnd(*a, 1, n, p)}
}

// scoreEnd finds between a and end the θ with |θ − a| = z·√V(θ), by bisection:
// the left side grows and the right side shrinks towards the end.
func scoreEnd(a, end, n, p float64) float64 {
	half := (n+p)/2 - 1
	near, far := a, end
	for range 60 {
		t := (near + far) / 2
		v := float64(t*(1-t)) * (1 + float64(half*((1-t)/(2-t))) + float64(half*(t/(1+t)))) / n / p
		if math.Abs(t-a) < float64(Z95*math.Sqrt(v)) {
			near = t
		} else {
			far = t
		}
	}
	return far
}

// PairedGain is AUROC(a) − AUROC(b) of two scores of the same rows, with the
// DeLong variance of that difference. Rows with label −1 are left out. Both
// results are nil with fewer than two rows of a class.
func PairedGain(a, b []float64, labels []int8) (gain, variance *float64, err error) {
	if len(a) != len(labels) || len(b) != len(labels) {
		return nil, nil, fmt.Errorf("gain: %d and %d scores for %d labels", len(a), len(b), len(labels))
	}
	for row, y := range labels {
		if y >= 0 && (math.IsNaN(a[row]) || math.IsNaN(b[row])) {
			return nil, nil, fmt.Errorf("gain: row %d: score is not a number", row)
		}
	}
	pa, na := placements(a, labels)
	pb, nb := placements(b, labels)
	if len(pa) < 2 || len(na) < 2 {
		return nil, nil, nil
	}
	dp, mean := differences(pa, pb)
	dn, _ := differences(na, nb)
	v := squareMean(dp, mean)/float64(len(dp)) + squareMean(dn, mean)/float64(len(dn))
	return &mean, &v, nil
}

// placements gives each positive the share of negatives it beats and each
// negative the share of positives that beat it, ties ½, in row order.
func placements(scores []float64, labels []int8) (positive, negative []float64) {
	var sorted [2][]float64
	for row, y := range labels {
		if y >= 0 {
			sorted[y] = append(sorted[y], scores[row])
		}
	}
	slices.Sort(sorted[0])
	slices.Sort(sorted[1])
	for row, y := range labels {
		if y < 0 {
			continue
		}
		others := sorted[1-y]
		first, _ := slices.BinarySearch(others, scores[row])
		ties, n := 0, float64(len(others))
		for first+ties < len(others) && others[first+ties] == scores[row] {
			ties++
		}
		below := float64(first) + float64(ties)/2
		if y == 1 {
			positive = append(positive, below/n)
		} else {
			negative = append(negative, 1-below/n)
		}
	}
	return positive, negative
}

func differences(a, b []float64) (d []float64, mean float64) {
	d = make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
		mean += d[i]
	}
	return d, mean / float64(len(a))
}

func squareMean(x []float64, mean float64) (v float64) {
	for _, d := range x {
		d -= mean
		v += float64(d * d)
	}
	return v / float64(len(x)-1)
}
