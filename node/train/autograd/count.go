package autograd

import (
	"math"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/kernel"
)

// rowLoss returns the losses of a batch of outputs z with targets y and writes
// their derivatives into d.
type rowLoss func(d, loss, z, y []float32) float64

// lossOf is the loss of the architecture.
func (n *Net) lossOf() (string, rowLoss) {
	if !n.spec.Counts() {
		return "cross-entropy", kernel.CrossEntropy
	}
	k := n.spec.K()
	return n.spec.Loss, func(d, loss, z, y []float32) float64 {
		sum := 0.0
		for i, v := range z {
			l, slope := CountLoss(float64(y[i]), float64(v)+float64(n.offset[i]), k)
			d[i], loss[i] = float32(slope)*n.scale, float32(l)*n.scale
			sum += float64(loss[i])
		}
		return sum
	}
}

// CountLoss is half the deviance of a count y from the expected one, μ = e^z, and
// its slope by z; k is the dispersion, 0 for Poisson:
//
//	Poisson (k = 0):     y·ln(y/μ) − (y − μ),                      slope μ − y
//	negative binomial k: y·ln(y/μ) − (y+k)·ln((y+k)/(μ+k)),        slope (μ − y)·k/(μ+k)
//
// which differs from −log likelihood by what no parameter changes. Beyond
// ±arch.MaxLogMean it goes on in a straight line, so that it stays convex where
// it was and its slope stays bounded.
func CountLoss(y, z, k float64) (loss, slope float64) {
	e := min(max(z, -arch.MaxLogMean), arch.MaxLogMean)
	mean := math.Exp(e)
	slope = mean - y
	if k == 0 {
		loss = slope
	} else {
		slope *= k / (mean + k)
		loss = (y + k) * math.Log((mean+k)/(y+k))
	}
	if y > 0 {
		loss += y * (math.Log(y) - e)
	}
	return loss + slope*(z-e), slope
}

// target copies what the rows' outputs are compared with.
func (n *Net) target(data arch.Batch, labels []int8, rows Rows, from, to int) {
	counts := n.spec.Counts()
	if counts {
		n.scale = data.Scale
		if n.scale == 0 {
			n.scale = 1
		}
	}
	for i := range to - from {
		row := from + i
		if rows != nil {
			row = int(rows[row])
		}
		if !counts {
			n.y[i] = float32(labels[row])
			continue
		}
		n.y[i] = float32(data.Count[row])
		if data.Offset != nil {
			n.offset[i] = data.Offset[row]
		}
	}
}
