package autograd

import (
	"errors"
	"fmt"
	"math"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/kernel"
)

// Units is how many units of CountClipped the clip has: the norm of what one
// row adds to the sum is at most Units.
const Units = 1 << 18

// CountRows is the largest batch of a net for CountClipped. Each number of a row
// is at most Units, so sums over these rows stay within 2²⁴, up to which every
// integer is a float32 and every sum of them exact, in any order.
const CountRows = 64

// Both factors of a derivative are whole multiples of 1/factorUnits of their
// largest size, so that their products are whole units.
const factorUnits = 512

// aim is what a row's norm is scaled down to, as a share of the clip, so that
// the last digits of float32 do not take the integers beyond it.
const aim = 1 - 1.0/(1<<14)

// inexact bounds by how much a float32 norm of so many numbers is short: each
// addition by 2⁻²⁴ of the sum of squares, so half that of its root, and the other
// half is to spare.
func inexact(numbers int) float64 { return float64(numbers) / (1 << 24) }

// magic is 1.5·2²³: a float32 of at most 2²² is rounded to a whole number by adding it.
const magic = 3 << 22

var (
	errCountBatch = fmt.Errorf("sum of integers: want batches of at most %d rows", CountRows)
	errTooWide    = errors.New("sum of integers: layers are too wide")
)

// counter is the scratch of a net's sums of integers.
type counter struct {
	magic, ones []float32   // constants
	one         []float32   // the factor of the bias as whole numbers
	left        [][]float32 // of each factor and row: ‖x‖²
	scale       []float64   // of each row; 0 leaves it out
	part        []float64   // of a factor's rows, scratch
	shares      []float64   // of each factor, for the rounding of x
	limit       float64     // of a row's norm, as a share of the clip
}

// newCounter says how much smaller than the clip a row has to be for the
// rounding. Half a unit in each number of x changes its norm by at most
// √numbers/2, and so for d; the triangle inequality does the rest.
func (n *Net) newCounter() (*counter, error) {
	if n.batch > CountRows {
		return nil, errCountBatch
	}
	c := &counter{limit: aim, scale: make([]float64, n.batch), part: make([]float64, n.batch), one: make([]float32, n.batch)}
	widest, outputs := 1, 0.0
	for _, f := range n.factors {
		share := 1.0
		widest = max(widest, f.in, f.width)
		if f.bias.length > 0 {
			share -= math.Sqrt(float64(f.in)+float64(f.ones)) / (2 * factorUnits)
			outputs += float64(f.width)
		} else { // in units of 1/Units
			outputs += float64(f.width) / (factorUnits * factorUnits)
		}
		if share < 0.5 {
			return nil, errTooWide
		}
		c.shares = append(c.shares, share)
		c.left = append(c.left, make([]float32, n.batch))
		c.limit = min(c.limit, aim*share)
	}
	c.limit *= 1 - inexact(widest)
	if c.limit -= math.Sqrt(outputs) / (2 * factorUnits); c.limit < 0.25 {
		return nil, errTooWide
	}
	length := n.batch * widest
	c.magic, c.ones = make([]float32, length), make([]float32, length)
	for i := range c.magic {
		c.magic[i], c.ones[i] = magic, 1
	}
	return c, nil
}

// addCounted adds the rows' clipped derivatives as whole numbers of units. The
// batch is filled up with copies of a row that count for nothing, so that what a
// row adds does not depend on the rows beside it.
func (n *Net) addCounted(data arch.Batch, labels []int8, rows Rows, from, to int, clip float64) error {
	if n.counter == nil {
		c, err := n.newCounter()
		if err != nil {
			return err
		}
		n.counter = c
	}
	if to-from > n.batch {
		return fmt.Errorf("net: %d rows for a batch of %d", to-from, n.batch)
	}
	n.load(data, labels, rows, from, to)
	n.fill(n.live)
	real := n.live
	n.live = n.batch
	n.plan[:n.forward].run()
	n.runOnly(false)
	n.rowScales(real, clip)
	for i := range n.factors {
		n.count(&n.factors[i], i, clip)
	}
	return nil
}

// fill copies the first row behind the others.
func (n *Net) fill(from int) {
	k, cats := n.shape.Numbers, len(n.spans)
	for i := from; i < n.batch; i++ {
		copy(n.x[i*k:(i+1)*k], n.x[:k])
		copy(n.c[i*cats:(i+1)*cats], n.c[:cats])
		n.y[i] = n.y[0]
	}
}

// rowScales sets how much of each row counts: min(1, limit·clip/norm), and
// nothing of one whose derivative is not finite, because refusing it would tell
// of the row.
func (n *Net) rowScales(real int, clip float64) {
	total := n.squares(n.counter.left)
	for i := range n.counter.scale {
		norm := math.Sqrt(float64(total[i]))
		switch {
		case i >= real || math.IsNaN(norm) || math.IsInf(norm, 0):
			n.counter.scale[i] = 0
		case norm <= n.counter.limit*clip:
			n.counter.scale[i] = 1
		default:
			n.counter.scale[i] = n.counter.limit * clip / norm
		}
	}
}

// count writes the derivatives of a factor's parameters, summed over the batch.
// With a bias, x and the ones beside it are brought to a common norm below
// factorUnits and d to what is left, so that both keep their precision. Both are
// overwritten: nothing reads them after this.
func (n *Net) count(f *factor, k int, clip float64) {
	c := n.counter
	if f.bias.length == 0 {
		for i, scale := range c.scale {
			c.part[i] = scale * Units / clip
		}
		n.whole(f.d, f.width)
		n.scatter(n.derivative(f.table), n.c, f.d, f.width)
		return
	}
	for i, scale := range c.scale {
		c.part[i] = 0
		if scale > 0 {
			c.part[i] = factorUnits * c.shares[k] / math.Sqrt(float64(c.left[k][i])+float64(f.ones))
		}
		c.one[i] = float32(math.RoundToEven(c.part[i]))
	}
	if f.x != nil {
		n.whole(f.x, f.in)
	}
	for i, scale := range c.scale {
		if scale > 0 {
			c.part[i] = scale * factorUnits * factorUnits / (c.part[i] * clip)
		}
	}
	n.whole(f.d, f.width)
	if f.x != nil {
		kernel.Weights(n.derivative(f.weights), f.x, f.d, n.batch, f.in, f.width, false)
	}
	kernel.Weights(n.derivative(f.bias), c.one, f.d, n.batch, 1, f.width, false)
	if f.table.length > 0 {
		n.countSlots(n.derivative(f.table), f.d)
	}
}

// countSlots adds to the weight of each row's slots what it adds to the bias.
func (n *Net) countSlots(table, d []float32) {
	cats := len(n.spans)
	for i := range n.batch {
		v := n.counter.one[i] * d[i]
		for j, slot := range n.c[i*cats : (i+1)*cats] {
			table[n.spans[j].offset+int(slot)] += v
		}
	}
}

// whole rounds each row of v times its part to whole numbers; a part of 0 gives
// zeros whatever is in the row.
func (n *Net) whole(v []float32, width int) {
	c := n.counter
	for i, part := range c.part {
		row := v[i*width : (i+1)*width]
		if part == 0 {
			copy(row, c.magic)
			continue
		}
		kernel.Blend(row, c.ones, c.ones, float32(part), magic, 0)
	}
	kernel.Axpy(-1, c.magic[:n.batch*width], v[:n.batch*width])
}

// CountClipped writes the sum over rows of ∂loss/∂Params, each row's scaled down
// to the norm clip and rounded to whole units of clip/Units, into sum. The sum is
// exact: it is that of what each row gives alone, in any order and company, and
// what one row gives has a norm of at most Units. So adding or removing a row
// moves sum by at most Units, which is the sensitivity that the noise of
// DP-SGD (Abadi et al. 2016, Algorithm 1) is measured in. A row whose derivative
// is not finite adds nothing. The engine's batches are of at most CountRows rows.
func (e *Engine) CountClipped(data arch.Batch, labels []int8, rows Rows, clip float64, sum []int64) error {
	if !(clip > 0) || math.IsInf(clip, 0) {
		return fmt.Errorf("sum of integers: clip %v is not positive and finite", clip)
	}
	for len(e.wide) < len(e.nets) {
		e.wide = append(e.wide, make([]float64, len(e.params)))
	}
	clear(sum)
	if count(data, rows) == 0 {
		return nil
	}
	_, err := e.each(count(data, rows), func(s, from, to int) (float64, error) {
		n := e.nets[s]
		clear(e.wide[s])
		return n.batches(from, to, func(from, to int) (float64, error) {
			err := n.addCounted(data, labels, rows, from, to, clip)
			if err == nil {
				n.take(e.wide[s])
			}
			return 0, err
		})
	})
	if err != nil {
		return err
	}
	for _, shard := range e.wide {
		for i, v := range shard {
			sum[i] += int64(v)
		}
	}
	return nil
}
