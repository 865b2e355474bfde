package autograd

import (
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/kernel"
)

// dense says whether a part's whole derivative is moved after so many rows, or
// only what they touched. Moving all is so much faster a number that a few
// untouched ones do not matter; both give the same bits.
func (n *Net) dense(p part, rows int) bool {
	return !p.table || p.length <= 8*rows*len(n.spans)
}

// take adds the derivatives of the last batch to grad, in float64.
func (n *Net) take(grad []float64) {
	n.added = false
	for _, p := range n.parts {
		d, target := n.derivative(p), grad[p.offset:]
		if n.dense(p, n.live) {
			kernel.Widen(target, d)
			p.reset(d)
			continue
		}
		n.eachSlot(n.c[:n.live*len(n.spans)], func(from, to int) {
			for l := from; l < to; l++ {
				target[l] += float64(d[l])
				d[l] = 0
			}
		})
	}
}

// takeRows adds the derivatives of the rows from…to, which are all that were
// added since the last call, to grad. With first nothing but zeros is in grad.
func (n *Net) takeRows(data arch.Batch, rows Rows, from, to int, grad []float32, first bool) {
	if !n.added {
		return
	}
	n.added = false
	cats := len(n.spans)
	for _, p := range n.parts {
		d, target := n.derivative(p), grad[p.offset:]
		if n.dense(p, to-from) {
			if first {
				copy(target, d)
			} else {
				kernel.Axpy(1, d, target)
			}
			p.reset(d)
			continue
		}
		move := func(from, to int) {
			for l := from; l < to; l++ {
				target[l] += d[l]
				d[l] = 0
			}
		}
		if rows == nil {
			n.eachSlot(data.C[from*cats:to*cats], move)
			continue
		}
		for _, row := range rows[from:to] {
			n.eachSlot(data.C[int(row)*cats:(int(row)+1)*cats], move)
		}
	}
}

// reset readies a part's derivative for the next batch: those of tables are
// added to, others begin with a batch.
func (p part) reset(d []float32) {
	if p.table {
		clear(d)
	}
}

// eachSlot calls f with the place of each slot's vector in the table: what a
// batch has touched, so that the cost does not grow with the number of slots.
func (n *Net) eachSlot(slots []int32, f func(from, to int)) {
	for len(slots) > 0 {
		for j, s := range n.spans {
			from := s.offset + int(slots[j])*s.length
			f(from, from+s.length)
		}
		slots = slots[len(n.spans):]
	}
}
