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
	nets  []*Net
	grads [][]float64
}

// NewEngine makes an engine of so many shards, each with batches of so many rows.
func NewEngine(spec arch.Spec, shape arch.Shape, shards, batch int) (*Engine, error) {
	e := &Engine{}
	total, err := spec.Params(shape)
	if err != nil {
		return nil, err
	}
	for range shards {
		n, err := NewNet(spec, shape, batch)
		if err != nil {
			return nil, errors.Join(err, e.Close())
		}
		e.nets, e.grads = append(e.nets, n), append(e.grads, make([]float64, total))
	}
	return e, nil
}

// Close stops the engine's graphs.
func (e *Engine) Close() error {
	var errs []error
	for _, n := range e.nets {
		errs = append(errs, n.Close())
	}
	return errors.Join(errs...)
}

// Gradient writes Σ over rows of ∂loss/∂params into grad and returns the sum of
// the losses. rows nil means all rows of data. The shards are contiguous.
func (e *Engine) Gradient(params []float32, data arch.Batch, labels []int8, rows Rows, grad []float64) (float64, error) {
	count := data.Rows
	if rows != nil {
		count = len(rows)
	}
	shards := len(e.nets)
	losses, errs := make([]float64, shards), make([]error, shards)
	var wait sync.WaitGroup
	for s := range shards {
		from, to := count*s/shards, count*(s+1)/shards
		work := func() { losses[s], errs[s] = e.shard(s, params, data, labels, rows, from, to) }
		if s == shards-1 {
			work()
			continue
		}
		wait.Go(work)
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	clear(grad)
	loss := 0.0
	for s, l := range losses {
		loss += l
		for i, v := range e.grads[s] {
			grad[i] += v
		}
	}
	return loss, nil
}

func (e *Engine) shard(s int, params []float32, data arch.Batch, labels []int8, rows Rows, from, to int) (float64, error) {
	n, grad := e.nets[s], e.grads[s]
	clear(grad)
	if err := n.SetParams(params); err != nil {
		return 0, err
	}
	loss := 0.0
	for ; from < to; from += n.batch {
		l, err := n.Add(data, labels, rows, from, min(from+n.batch, to), grad)
		if err != nil {
			return 0, err
		}
		loss += l
	}
	return loss, nil
}
