package trees

import (
	"math"

	"github.com/koinon-eu/koinon/models/trees"
)

// chunk is the number of rows of one task of passes over all rows.
const chunk = 16_384

// gradients writes the integers of every row for the step that begins with a
// tree: one word a row, or two arrays of them for wide cells. Rows that judge
// have none (trees 5, 8, 33).
func (g *Grower) gradients(first int) {
	parallel(g.threads, chunks(g.data.rows), func(_, task int) {
		from, to := task*chunk, min(g.data.rows, (task+1)*chunk)
		if g.scale.Stochastic {
			g.byChance(first, from, to)
		} else {
			g.toNearest(from, to)
		}
		for i := from; i < to && g.held != nil; i++ {
			if g.held[i] {
				for _, v := range g.values {
					v[i] = 0
				}
			}
		}
	})
}

func chunks(rows int) int { return (rows + chunk - 1) / chunk }

// magic rounds to the nearest integer when it is added: between 2⁵² and 2⁵³ the
// last bit of a float64 is worth one.
const magic = 3 << 51

// rounded returns the integer nearest to x, ties to even, for |x| < 2⁵¹.
func rounded(x float64) int64 {
	return int64(math.Float64bits(x+magic)) - magicBits
}

var magicBits = int64(math.Float64bits(magic))

func (g *Grower) toNearest(from, to int) {
	scaleG, scaleH := math.Ldexp(1, g.scale.Bits), math.Ldexp(1, g.scale.HessianBits)
	wg := [2]float64{float64(g.weights[0] * scaleG), float64(g.weights[1] * scaleG)}
	wh := [2]float64{float64(g.weights[0] * scaleH), float64(g.weights[1] * scaleH)}
	label, score := g.data.label[from:to], g.score[from:to]
	first, wide := g.values[0][from:to], g.scale.Wide
	for i, z := range score {
		y := label[i] & 1
		p := trees.Sigmoid(z)
		a := rounded(float64(wg[y] * (p - float64(y))))
		b := rounded(float64(wh[y] * float64(p*(1-p))))
		if wide {
			first[i], g.values[1][from+i] = uint64(a), uint64(b)
		} else {
			first[i] = uint64(a)<<32 + uint64(b) // trees 6
		}
	}
}

// byChance rounds up with the probability of the fraction, by the node's own
// key, so that a restarted node makes the same integers.
func (g *Grower) byChance(first, from, to int) {
	d := newDraw(g.key, "rounding", first)
	scaleG, scaleH := math.Ldexp(1, g.scale.Bits), math.Ldexp(1, g.scale.HessianBits)
	for i := from; i < to; i++ {
		y := g.data.label[i]
		p, w := trees.Sigmoid(g.score[i]), g.weights[y]
		u, v := d.pair(g.data.keys[i])
		a := math.Floor(float64(w*(p-float64(y))*scaleG) + u)
		b := math.Floor(float64(w*float64(p*(1-p))*scaleH) + v)
		g.values[0][i] = uint64(int64(a))<<32 + uint64(int64(b))
	}
}

// loss adds up ⌊w·loss·2²⁰⌋ and ⌊w·2²⁰⌋ over the rows that judge (trees 33).
func (g *Grower) loss() (loss, weight uint64) {
	for i, held := range g.held {
		if !held {
			continue
		}
		y, z := g.data.label[i], g.score[i]
		w := g.weights[y]
		l := max(z, 0) - float64(z*float64(y)) + trees.Ln(1+trees.Exp(-math.Abs(z)))
		l = min(max(l, 0), trees.MaxLoss)
		loss += uint64(float64(float64(w*l) * trees.LossUnit))
		weight += uint64(float64(w * trees.LossUnit))
	}
	return loss, weight
}
