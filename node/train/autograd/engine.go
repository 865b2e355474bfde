package autograd

import (
	"errors"
	"sync"

	"github.com/koinon-eu/koinon/models/arch"
)

// Engine sums gradients over many rows on several cores. The number of shards
// is fixed and shards are added in order, so the bits do not depend on how many
// cores there are.
type Engine struct {
	params []float32
	nets   []*Net
	wide   [][]float64 // of each shard, for sums over many batches
	losses []float64
	errs   []error
}

// NewEngine makes an engine of so many shards, each with batches of so many rows.
func NewEngine(spec arch.Spec, shape arch.Shape, shards, batch int) (*Engine, error) {
	total, err := spec.Params(shape)
	if err != nil {
		return nil, err
	}
	e := &Engine{params: make([]float32, total), losses: make([]float64, shards), errs: make([]error, shards)}
	for range shards {
		n, err := NewNet(spec, shape, batch, e.params)
		if err != nil {
			return nil, errors.Join(err, e.Close())
		}
		e.nets = append(e.nets, n)
	}
	return e, nil
}

// UseTape makes Gorgonia's tape machine run every shard; see Net.UseTape.
func (e *Engine) UseTape() {
	for _, n := range e.nets {
		n.UseTape()
	}
}

// Close stops the engine's graphs.
func (e *Engine) Close() error {
	var errs []error
	for _, n := range e.nets {
		errs = append(errs, n.Close())
	}
	return errors.Join(errs...)
}

// Params returns the parameters that every shard reads. They start at zero, and
// the caller may change them between calls.
func (e *Engine) Params() []float32 { return e.params }

// Sum writes Σ over rows of ∂loss/∂Params into grad and returns the sum of the
// losses, for as many rows as a mini-batch has: they are added in float32. rows
// nil means all rows of data. The shards are contiguous.
func (e *Engine) Sum(data arch.Batch, labels []int8, rows Rows, grad []float32) (float64, error) {
	return e.sum(data, rows, grad, func(n *Net, from, to int) (float64, error) {
		return n.Add(data, labels, rows, from, to)
	})
}

// sum adds up what add leaves in the nets.
func (e *Engine) sum(data arch.Batch, rows Rows, grad []float32, add func(n *Net, from, to int) (float64, error)) (float64, error) {
	loss, err := e.each(count(data, rows), func(s, from, to int) (float64, error) {
		return e.nets[s].batches(from, to, func(from, to int) (float64, error) { return add(e.nets[s], from, to) })
	})
	if err != nil {
		for _, n := range e.nets { // what other shards have added belongs to no sum
			n.added = false
			clear(n.grad)
		}
		return 0, err
	}
	clear(grad)
	for s, n := range e.nets {
		from, to := e.shard(s, count(data, rows))
		n.takeRows(data, rows, from, to, grad, s == 0)
	}
	return loss, nil
}

// Gradient writes Σ over rows of ∂loss/∂params into grad and returns the sum of
// the losses, for any number of rows: batches are added in float64. It sets
// Params to params.
func (e *Engine) Gradient(params []float32, data arch.Batch, labels []int8, rows Rows, grad []float64) (float64, error) {
	copy(e.params, params)
	for len(e.wide) < len(e.nets) {
		e.wide = append(e.wide, make([]float64, len(e.params)))
	}
	loss, err := e.each(count(data, rows), func(s, from, to int) (float64, error) {
		n := e.nets[s]
		clear(e.wide[s])
		return n.batches(from, to, func(from, to int) (float64, error) {
			loss, err := n.Add(data, labels, rows, from, to)
			n.take(e.wide[s])
			return loss, err
		})
	})
	if err != nil {
		return 0, err
	}
	clear(grad)
	for _, shard := range e.wide {
		for i, v := range shard {
			grad[i] += v
		}
	}
	return loss, nil
}

// Loss returns the sum of the losses at Params.
func (e *Engine) Loss(data arch.Batch, labels []int8, rows Rows) (float64, error) {
	return e.each(count(data, rows), func(s, from, to int) (float64, error) {
		return e.nets[s].batches(from, to, func(from, to int) (float64, error) {
			return e.nets[s].Loss(data, labels, rows, from, to)
		})
	})
}

func count(data arch.Batch, rows Rows) int {
	if rows != nil {
		return len(rows)
	}
	return data.Rows
}

// shard is the part of so many rows that a shard takes.
func (e *Engine) shard(s, rows int) (from, to int) {
	return rows * s / len(e.nets), rows * (s + 1) / len(e.nets)
}

// each runs f for every shard at once, the last one here, and adds up what they
// return in the order of the shards.
func (e *Engine) each(rows int, f func(s, from, to int) (float64, error)) (float64, error) {
	last := len(e.nets) - 1
	var wait sync.WaitGroup
	for s := range e.nets {
		from, to := e.shard(s, rows)
		if s == last {
			e.losses[s], e.errs[s] = f(s, from, to)
			continue
		}
		wait.Go(func() { e.losses[s], e.errs[s] = f(s, from, to) })
	}
	wait.Wait()
	if err := errors.Join(e.errs...); err != nil {
		return 0, err
	}
	loss := 0.0
	for _, l := range e.losses {
		loss += l
	}
	return loss, nil
}

// batches calls f for one batch after the other and adds up what it returns.
func (n *Net) batches(from, to int, f func(from, to int) (float64, error)) (float64, error) {
	sum := 0.0
	for ; from < to; from += n.batch {
		l, err := f(from, min(from+n.batch, to))
		if err != nil {
			return 0, err
		}
		sum += l
	}
	return sum, nil
}
