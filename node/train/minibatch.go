package train

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/koinon-eu/koinon/models/kernel"
	"github.com/koinon-eu/koinon/node/train/autograd"
)

// adam is a member's own optimiser (Kingma and Ba 2015). Its memory lasts one
// round in a federation, one training otherwise.
type adam struct {
	rate       float64
	step       int
	m, v, grad []float32
}

const (
	adamBeta1   = 0.9
	adamBeta2   = 0.999
	adamEpsilon = 1e-8
)

func newAdam(params int, rate float64) *adam {
	return &adam{rate: rate, m: make([]float32, params), v: make([]float32, params), grad: make([]float32, params)}
}

// move moves params against a.grad.
func (a *adam) move(params []float32) {
	a.step++
	kernel.Adam(params, a.grad, a.m, a.v, kernel.AdamStep{
		Rate: a.rate, Beta1: adamBeta1, Beta2: adamBeta2, Epsilon: adamEpsilon, Step: a.step,
	})
}

// miniShards is the number of parts of a mini-batch that may run on cores of
// their own. It follows from the batch alone, since bits follow from it. A
// smaller part would not be worth the start of a goroutine.
func miniShards(batch int) int { return min(max(batch/128, 1), 8) }

// miniBatch is the rows of one pass through the graph: a shard of a batch, as
// long as its layers stay in a second-level cache.
func miniBatch(batch int) int {
	shards := miniShards(batch)
	return min((batch+shards-1)/shards, 256)
}

// epoch goes once through the rows in a new order from rnd, in batches, and
// returns the mean loss seen on the way. weight is the number of rows l2 is
// shared over: those of the objective, which in a federation are the pooled ones.
// near draws the steps back to where the round began; nil draws nowhere.
func (o *objective) epoch(a *adam, params []float32, rows []int32, batch int, weight float64, near *proximal, rnd io.Reader) (float64, error) {
	if err := shuffle(rows, rnd); err != nil {
		return 0, err
	}
	w := o.engine.Params()
	copy(w, params)
	defer func() { copy(params, w) }()
	total := 0.0
	for start := 0; start < len(rows); start += batch {
		part := rows[start:min(start+batch, len(rows))]
		loss, err := o.engine.Sum(o.data, o.labels, autograd.Rows(part), a.grad)
		if err != nil {
			return 0, err
		}
		total += loss
		o.regularise(a.grad, w, 1/float64(len(part)), o.l2/weight, near)
		for _, f := range o.frozen {
			clear(a.grad[f.from:f.to]) // Adam does not move what never had a gradient
		}
		a.move(w)
	}
	return total / float64(max(len(rows), 1)), nil
}

// regularise turns a sum of derivatives into a mean and adds those of ½·decay·‖w‖²
// over the weights it applies to, and of the proximal term.
func (o *objective) regularise(grad, w []float32, scale, decay float64, near *proximal) {
	start, pull := w, float32(0)
	if near != nil {
		start, pull = near.start, float32(near.mu)
	}
	for _, r := range o.runs {
		d := float32(0)
		if r.decayed {
			d = float32(decay)
		}
		kernel.Blend(grad[r.from:r.to], w[r.from:r.to], start[r.from:r.to], float32(scale), d, pull)
	}
}

// proximal is the term ½·μ·‖w − start‖² of FedProx (Li et al. 2020, Algorithm 2),
// which keeps members with unlike tables from drifting apart in their local steps.
type proximal struct {
	mu    float64
	start []float32
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
