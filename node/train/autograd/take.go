package autograd

import (
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/kernel"
)

// take adds the derivatives of the last batch to grad, in float64, and leaves
// zeros behind.
func (n *Net) take(grad []float64) {
	for _, p := range n.parts {
		d := n.derivative(p)
		if p.table {
			n.eachSlot(n.c[:n.live*len(n.spans)], func(from, to int) {
				target := grad[p.offset:]
				for l := from; l < to; l++ {
					target[l] += float64(d[l])
					d[l] = 0
				}
			})
			continue
		}
		kernel.Widen(grad[p.offset:], d)
		clear(d)
	}
}

// takeRows adds the derivatives of the rows from…to, which are all that were
// added since the last call, to grad and leaves zeros behind.
func (n *Net) takeRows(data arch.Batch, rows Rows, from, to int, grad []float32) {
	for _, p := range n.parts {
		d := n.derivative(p)
		if !p.table {
			kernel.Axpy(1, d, grad[p.offset:])
			clear(d)
			continue
		}
		target, cats := grad[p.offset:], len(n.spans)
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
