package trees

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Additive growth (trees, section 10): an epoch divides the cells of every
// column into at most eight ranges at cuts that no data have a say in, sums
// (g, 2h) of each range in one vector, and adds one tree for each column, all at
// once. What a sum shows of one row is bounded, so that noise can cover it.

// Additive is the value of Params.Growth for that, and greedy the one that a
// plan may write for the other.
const (
	Additive = "additive"
	greedy   = "greedy"
)

const (
	maxRanges     = 8 // of a column in an epoch: a tree of depth 3
	rangeDepth    = 3
	additiveBits  = 20  // s, in cells of two words: noise would borrow from a packed word's other half (trees 61)
	largestStep   = 0.5 // by which an epoch moves the log-odds of a range
	maxNoise      = 1e6 // largest σ/Δ
	maxSigma      = 1 << 40
	noiseTail     = 64 // standard deviations beyond which no sum of honest noise is, to 1 in e²⁰⁰⁰
	defaultEpochs = 30
)

// NoiseWarns and NoiseRefuses are the shares of NoiseShare at which a plan is
// warned of, and refused: there is little left to learn (trees 64).
const (
	NoiseWarns   = 0.05
	NoiseRefuses = 0.5
)

// ErrNoise says that so much noise leaves nothing to learn.
var ErrNoise = errors.New("trees: too few rows for so much noise")

// Additive reports whether growth is additive.
func (p Params) Additive() bool { return p.Growth == Additive }

// additive is WithDefaults for additive growth. What steers the search for
// splits has no meaning in it and is zero.
func (p Params) additive() Params {
	fill(&p.Epochs, defaultEpochs)
	fill(&p.Depth, rangeDepth)
	fill(&p.Bins, 32)
	fill(&p.Floor, 20)
	fill(&p.Columns, 1)
	fill(&p.Rows, 1)
	fill(&p.TreesPerStep, 1)
	p.fillLists()
	p.L2 = orElse(p.L2, 1)
	p.Cell, p.MinHessian = orElse(p.Cell, 0), orElse(p.MinHessian, 0)
	p.CategoryL2, p.CategorySmooth = orElse(p.CategoryL2, 0), orElse(p.CategorySmooth, 0)
	return p
}

// validateAdditive is Validate for any growth but greedy, after defaults.
func (p Params) validateAdditive() error {
	if !p.Additive() {
		return fmt.Errorf("trees: growth %.40q is neither %s nor %s", p.Growth, greedy, Additive)
	}
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"trees", p.Trees != 0},
		{"depth", p.Depth != rangeDepth},
		{"cell", *p.Cell != 0},
		{"min_hessian", *p.MinHessian != 0},
		{"l1", p.L1 != 0},
		{"gain", p.Gain != 0},
		{"category_l2", *p.CategoryL2 != 0},
		{"category_smooth", *p.CategorySmooth != 0},
		{"columns", p.Columns != 1},
		{"rows", p.Rows != 1},
		{"trees_per_step", p.TreesPerStep != 1},
		{"patience", p.Patience != 0},
		{"validation", p.Validation != 0},
	} {
		if f.set {
			return fmt.Errorf("trees: %s has no meaning with growth: %s, whose keys are epochs, rate, bins, floor, l2 and weights", f.name, Additive)
		}
	}
	switch {
	case p.Epochs < 1 || p.Epochs > MaxTrees:
		return fmt.Errorf("trees: epochs %d is not between 1 and %d", p.Epochs, MaxTrees)
	case p.Bins < 2 || p.Bins > MaxBins:
		return fmt.Errorf("trees: bins %d is not between 2 and %d", p.Bins, MaxBins)
	case p.Floor < 20 || p.Floor > MaxRows:
		return fmt.Errorf("trees: floor %d is not between 20 and %d", p.Floor, MaxRows)
	case !(*p.L2 >= 0 && *p.L2 <= maxPenal):
		return fmt.Errorf("trees: l2 %v is not between 0 and %d", *p.L2, maxPenal)
	}
	return p.checkLists()
}

// Sums is how many sums growth takes at most.
func (p Params) Sums() int {
	p = p.WithDefaults()
	if p.Additive() {
		return p.Epochs
	}
	return (p.Trees + p.TreesPerStep - 1) / p.TreesPerStep * p.Depth
}

// additiveScale is NewScale for sums of (g, 2h): always 20 bits, in wide cells,
// which hold any number of rows that a federation may have.
func additiveScale(rows int64, heaviest float64) (Scale, error) {
	if _, err := NewScale(rows, heaviest); err != nil {
		return Scale{}, err
	}
	limit := bound(rows, heaviest, additiveBits)
	return scaled(Scale{Bits: additiveBits, HessianBits: additiveBits + 1, Wide: true, limit: int64(limit)}), nil
}

// validateNoise refuses noise where nothing bounds what it must cover (trees 57).
func (c Config) validateNoise() error {
	if c.Noise == 0 && c.Members == 0 {
		return nil
	}
	if !c.Params.Additive() {
		return errors.New("trees: histogram trees publish every feature at every level; use `growth: additive`")
	}
	if !(c.Noise > 0 && c.Noise <= maxNoise) || c.Members < 1 || c.Members > 255 {
		return fmt.Errorf("trees: noise %v of %d members", c.Noise, c.Members)
	}
	return nil
}

// checkAdditive is the part of New that knows the columns.
func (m *Machine) checkAdditive() error {
	columns := len(m.eligible())
	if n := m.params.Epochs * columns; n > MaxTrees {
		return fmt.Errorf("trees: %d epochs of %d columns are %d trees, at most %d", m.params.Epochs, columns, n, MaxTrees)
	}
	if s := m.Sigma(); s > maxSigma {
		return fmt.Errorf("trees: noise of σ %.3g in units of 2^-%d, at most %d", s, additiveBits, int64(maxSigma))
	}
	if share := m.cfg.NoiseShare(columns); share >= NoiseRefuses {
		return fmt.Errorf("%w: %d positives of %d; the noise of a sum is %.2g of what they vary by, %v is too much: raise epsilon, or train on more rows",
			ErrNoise, m.cfg.Positives, m.cfg.Rows, share, NoiseRefuses)
	}
	return nil
}

// Sensitivity is Δ, the most by which one row changes the integers of an epoch's
// sum, in the Euclidean norm, where columns many are in it (trees 59). A row
// stands in one range of each and adds (ĝ, ĥ) there, w·(g, 2h)·2^s rounded. With
// y = 0, g = p and h = p(1−p): g² + 4h² = p² + 4p²(1−p)² ≤ 1, because
// 4p²(1−p) ≤ 16/27 < 1+p; y = 1 is the same with 1−p. Rounding adds at most √½
// to the length, for which 1 is taken.
func (c Config) Sensitivity(columns int) float64 {
	row := math.Ldexp(c.Params.WithDefaults().heaviest(), additiveBits) + 1
	return float64(math.Sqrt(float64(columns)) * row)
}

// NoiseShare is κσ/(n·p̄(1−p̄)): the standard deviation of the noise in a sum of
// g over all rows, against the sum of h before the first tree. columns counts
// those that are split. Where rows and positives are only bounds, half of the
// rows positive is the best case. 0 without noise (trees 64).
func (c Config) NoiseShare(columns int) float64 {
	if c.Noise == 0 {
		return 0
	}
	n, pos := float64(c.Rows), float64(c.Positives)
	h := float64(pos*(n-pos)) / n
	if !(h > 0) {
		return math.Inf(1)
	}
	sigma := float64(c.Noise*c.Sensitivity(columns)) * math.Sqrt(float64(c.Members))
	return float64(sigma*math.Ldexp(1, -additiveBits)) / float64(h*c.Params.WithDefaults().heaviest())
}

// Sigma is the standard deviation of the noise that each member adds to every
// integer of its vector; 0 without noise. The noise is the discrete Gaussian, the
// whole of it at each member, so that the protection of a row rests on nobody
// else (trees 61, 62).
func (m *Machine) Sigma() float64 {
	if m.cfg.Noise == 0 {
		return 0
	}
	return float64(m.cfg.Noise * m.cfg.Sensitivity(len(m.eligible())))
}

// sumSigma is the standard deviation of a sum's noise if every member is in it.
func (m *Machine) sumSigma() float64 {
	return float64(m.Sigma() * math.Sqrt(float64(m.cfg.Members)))
}

// epoch is the number of the epoch that begins after so many trees.
func (m *Machine) epoch(first int) int { return first / m.perStep }

// ranges divides the cells of every column for an epoch, by PRF(plan, epoch,
// column) and nothing that data have a say in (trees 58): into intervals, or a
// category in every other epoch into groups without order. The order of a
// category's listed values counts as one, because nomenclatures put like beside
// like; groups tell apart what it does not.
func (m *Machine) ranges(epoch int) *Grid {
	g := &Grid{}
	for _, c := range m.eligible() {
		col := &m.bins.Columns[c]
		gc := GridColumn{Column: c, Groups: min(col.Cells, maxRanges)}
		switch {
		case col.Cells <= maxRanges:
		case col.IsCategory() && epoch%2 == 0:
			gc.Map = m.groups(epoch, c)
		default:
			gc.Map = m.intervals(epoch, c)
		}
		g.Columns = append(g.Columns, gc)
		g.Cells += gc.Groups
	}
	return g
}

// groups puts cells into maxRanges groups of about the same size.
func (m *Machine) groups(epoch, column int) []uint16 {
	out := make([]uint16, m.bins.Columns[column].Cells)
	for i, cell := range m.shuffled(epoch, column, len(out)) {
		out[cell] = uint16(i % maxRanges)
	}
	return out
}

// intervals puts cells between cuts; the missing cell of a number is alone.
func (m *Machine) intervals(epoch, column int) []uint16 {
	c := &m.bins.Columns[column]
	out, values, ranges := make([]uint16, c.Cells), c.Cells, maxRanges
	if c.ownMissing() {
		values, ranges = values-1, ranges-1
		out[values] = uint16(ranges)
	}
	cuts := m.shuffled(epoch, column, values-1)[:ranges-1]
	slices.Sort(cuts)
	group := 0
	for cell := range values {
		out[cell] = uint16(group)
		if group < len(cuts) && cell == cuts[group] {
			group++
		}
	}
	return out
}

// shuffled returns 0 to n−1 in the order of PRF(plan, epoch, column, i).
func (m *Machine) shuffled(epoch, column, n int) []int {
	b := append([]byte("koinon/trees/ranges/v1"), m.cfg.Plan[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(epoch))
	b = binary.BigEndian.AppendUint32(b, uint32(column))
	keys, out := make([][32]byte, n), make([]int, n)
	for i := range out {
		keys[i], out[i] = sha256.Sum256(binary.BigEndian.AppendUint32(b, uint32(i))), i
	}
	slices.SortFunc(out, func(a, b int) int { return bytes.Compare(keys[a][:], keys[b][:]) })
	return out
}

// applyEpoch takes the opened sum of an epoch.
func (m *Machine) applyEpoch(q *Query, sum []uint64) error {
	all, err := m.openEpoch(q, sum)
	if err != nil {
		return fmt.Errorf("epoch %d: %w", m.epoch(q.First), err)
	}
	s := m.step
	hist := all.hist
	for i := range all.grid.Columns {
		gc := &all.grid.Columns[i]
		s.trees[i] = m.shape(gc, hist[:gc.Groups], m.params.rate(m.epoch(q.First)))
		hist = hist[gc.Groups:]
	}
	m.grow.release(all.hist)
	b := sumDigest(sum)
	for _, t := range s.trees {
		b = m.bins.appendTree(b, t)
	}
	m.link("koinon/trees/epoch/v1", b)
	m.close("koinon/trees/closed/v1")
	return nil
}

// openEpoch decodes a sum. Without noise it holds it to all that trees 10 says;
// with noise only to what rows and noise together can give.
func (m *Machine) openEpoch(q *Query, sum []uint64) (open, error) {
	o := open{grid: q.Parts[0].Grid, hist: m.grow.cells(q.Parts[0].Grid.Cells)}
	if m.cfg.Noise == 0 {
		err := m.histogram(&o, sum)
		if err == nil {
			m.expose([]open{o})
		}
		return o, err
	}
	m.unpack(o.hist, sum)
	most := float64(m.grow.scale.limit) + float64(noiseTail*m.sumSigma())
	for _, c := range o.hist {
		if math.Abs(float64(c.G)) > most || math.Abs(float64(c.H)) > most {
			return o, fmt.Errorf("a range of ĝ %d and ĥ %d: %w", c.G, c.H, ErrSum)
		}
	}
	return o, nil
}

// shape makes the tree of one column: halves of the ranges, and of those, until
// each is a leaf. Nodes follow by levels.
func (m *Machine) shape(gc *GridColumn, cells []Cell, rate float64) Tree {
	type span struct{ from, to int }
	t, spans := addRoot(), []span{{0, gc.Groups}}
	for i := 0; i < len(t); i++ {
		s := spans[i]
		t[i].Cover = m.cover(cells[s.from:s.to])
		if s.to-s.from == 1 {
			t[i].Value = m.move(cells[s.from], rate)
			continue
		}
		middle := (s.from + s.to + 1) / 2
		t[i].Column, t[i].Left = int32(gc.Column), int32(len(t))
		m.test(&t[i], gc, s.from, middle)
		t = append(t, Node{Column: -1}, Node{Column: -1})
		spans = append(spans, span{s.from, middle}, span{middle, s.to})
	}
	return t
}

// test sends the ranges from ≤ r < to left. All of a number's lower ranges go
// left as well: those that stand in the node are not below from.
func (m *Machine) test(n *Node, gc *GridColumn, from, to int) {
	c := &m.bins.Columns[gc.Column]
	if !c.IsCategory() {
		n.Cell = lastCell(gc, to-1, c.Cells)
		return
	}
	n.Set = make([]uint64, setWords(c.Cells))
	for cell := range c.Cells {
		if r := gc.group(cell); r >= from && r < to {
			n.Set[cell>>6] |= 1 << (cell & 63)
		}
	}
}

// cover is Σh behind ranges, of which noise leaves no less than 0.
func (m *Machine) cover(cells []Cell) float32 {
	var sum Cell
	for _, c := range cells {
		sum = sum.plus(c)
	}
	return float32(max(m.grow.scale.H(sum.H), 0))
}

// move is a range's value, clamp(−η·G/(max(H, 2σ_h+1)+λ), ±½), σ_h the noise of
// the sum in units of h (trees 58).
func (m *Machine) move(c Cell, rate float64) float32 {
	least := float64(2*float64(m.sumSigma()*m.grow.scale.unitH)) + 1
	h := max(m.grow.scale.H(c.H), least) + m.grow.l2
	v := -float64(rate*m.grow.scale.G(c.G)) / h
	return float32(min(max(v, -largestStep), largestStep))
}
