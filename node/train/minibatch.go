package train

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/koinon-eu/koinon/node/train/autograd"
)

// adam is a member's own optimiser (Kingma and Ba 2015). Its memory lasts one
// round in a federation, one training otherwise.
type adam struct {
	rate       float64
	c1, c2     float64 // β1^t, β2^t
	m, v, grad []float64
}

const (
	adamBeta1   = 0.9
	adamBeta2   = 0.999
	adamEpsilon = 1e-8
)

func newAdam(params int, rate float64) *adam {
	return &adam{
		rate: rate, c1: 1, c2: 1,
		m: make([]float64, params), v: make([]float64, params), grad: make([]float64, params),
	}
}

// step moves params against a.grad.
func (a *adam) step(params []float32) {
	a.c1 *= adamBeta1
	a.c2 *= adamBeta2
	rate, scale := a.rate/(1-a.c1), 1/(1-a.c2)
	m, v := a.m[:len(params)], a.v[:len(params)]
	for i, g := range a.grad[:len(params)] {
		m[i] += (1 - adamBeta1) * (g - m[i])
		v[i] += (1 - adamBeta2) * (g*g - v[i])
		params[i] -= float32(rate * m[i] / (math.Sqrt(v[i]*scale) + adamEpsilon))
	}
}

// epoch goes once through the rows in a new order from rnd, in batches, and
// returns the mean loss seen on the way. weight is the number of rows l2 is
// shared over: those of the objective, which in a federation are the pooled ones.
// near draws the steps back to where the round began; nil draws nowhere.
func (o *objective) epoch(a *adam, params []float32, rows []int32, batch int, weight float64, near *proximal, rnd io.Reader) (float64, error) {
	if err := shuffle(rows, rnd); err != nil {
		return 0, err
	}
	decay := o.l2 / weight
	total := 0.0
	for start := 0; start < len(rows); start += batch {
		part := rows[start:min(start+batch, len(rows))]
		loss, err := o.engine.Gradient(params, o.data, o.labels, autograd.Rows(part), a.grad)
		if err != nil {
			return 0, err
		}
		total += loss
		scale := 1 / float64(len(part))
		for i := range a.grad {
			a.grad[i] *= scale
			if o.decayed[i] {
				a.grad[i] += decay * float64(params[i])
			}
		}
		near.add(a.grad, params)
		a.step(params)
	}
	return total / float64(max(len(rows), 1)), nil
}

// proximal is the term ½·μ·‖w − start‖² of FedProx (Li et al. 2020, Algorithm 2),
// which keeps members with unlike tables from drifting apart in their local steps.
type proximal struct {
	mu    float64
	start []float32
}

// add adds the term's gradient. A nil term adds nothing.
func (p *proximal) add(grad []float64, params []float32) {
	if p == nil {
		return
	}
	for i, w := range params {
		grad[i] += p.mu * (float64(w) - float64(p.start[i]))
	}
}

// shuffle permutes rows (Fisher–Yates) with eight bytes of rnd a row.
func shuffle(rows []int32, rnd io.Reader) error {
	source := bufio.NewReaderSize(rnd, min(8*len(rows)+16, 1<<16))
	var b [8]byte
	for i := len(rows) - 1; i > 0; i-- {
		if _, err := io.ReadFull(source, b[:]); err != nil {
			return fmt.Errorf("shuffle: %w", err)
		}
		// 64 random bits modulo at most 2^31: the bias is below 2^-33.
		j := int(binary.LittleEndian.Uint64(b[:]) % uint64(i+1))
		rows[i], rows[j] = rows[j], rows[i]
	}
	return nil
}

// allRows returns 0 … n−1.
func allRows(n int) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i)
	}
	return rows
}
