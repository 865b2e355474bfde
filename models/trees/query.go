package trees

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// headWords is what a level-0 vector with a patience begins with: Σ⌊w·loss·2²⁰⌋
// and Σ⌊w·2²⁰⌋ over the validation rows, before the step's trees (trees 33).
const headWords = 2

// LossUnit is the unit of the two words of a validation sum, and MaxLoss the
// most that one row puts in: R·w_max·64·2²⁰ < 2⁶³.
const (
	LossUnit = 1 << 20
	MaxLoss  = 64
)

// Part is one histogram of a vector: that of a tree node, on a grid.
type Part struct {
	Tree int // index into the trees of the step
	Node int32
	Grid *Grid
}

// Query is what the next sum asks of each member: the head, if any, and then
// the histograms of the parts in order, each column by column and group by
// group, CellWords words a cell: ĝ·2³² + ĥ, or ĝ and then ĥ (trees 6, 21).
type Query struct {
	First  int // number of the step's first tree
	Level  int // 0 asks for roots
	Head   int // words before the parts
	Parts  []Part
	Words  int
	Digest [32]byte // of all that, and of the state it follows from
}

// Query returns what the next sum asks; false when growth is complete.
func (m *Machine) Query() (Query, bool) {
	if m.Done() {
		return Query{}, false
	}
	s := m.step
	q := Query{First: s.first, Level: s.level}
	if s.level == 0 {
		if m.params.Patience > 0 {
			q.Head = headWords
		}
		for i, g := range s.grids {
			q.Parts = append(q.Parts, Part{i, 0, g})
		}
	}
	for _, p := range s.pairs {
		q.Parts = append(q.Parts, Part{p.parent.tree, p.small, p.grid})
	}
	q.Words = q.Head
	for _, p := range q.Parts {
		q.Words += p.Grid.Cells * m.grow.scale.CellWords()
	}
	q.Digest = m.queryDigest(&q)
	return q, true
}

func (m *Machine) queryDigest(q *Query) [32]byte {
	h := sha256.New()
	h.Write([]byte("koinon/trees/query/v1"))
	h.Write(m.chain[:])
	b := make([]byte, 0, 1024)
	for _, v := range []int{q.First, q.Level, q.Head, len(q.Parts), q.Words} {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	for _, p := range q.Parts {
		b = binary.BigEndian.AppendUint32(b, uint32(p.Tree))
		b = binary.BigEndian.AppendUint32(b, uint32(p.Node))
		for _, c := range p.Grid.Columns {
			b = binary.BigEndian.AppendUint16(b, uint16(c.Column))
			b = binary.BigEndian.AppendUint16(b, uint16(c.Groups))
			for _, g := range c.Map {
				b = binary.BigEndian.AppendUint16(b, g)
			}
		}
		h.Write(b)
		b = b[:0]
	}
	return [32]byte(h.Sum(nil))
}

// Apply takes the opened sum of the query over the whole cohort. A sum that
// breaks a check of trees 10 is ErrSum and leaves the state as it was.
func (m *Machine) Apply(sum []uint64) error {
	q, ok := m.Query()
	if !ok {
		return ErrComplete
	}
	if len(sum) != q.Words {
		return fmt.Errorf("tree %d, level %d: sum has %d words, want %d: %w", q.First, q.Level, len(sum), q.Words, ErrSum)
	}
	if m.params.Additive() {
		return m.applyEpoch(&q, sum)
	}
	opened, err := m.decode(&q, sum)
	if err != nil {
		return fmt.Errorf("tree %d, level %d: %w", q.First, q.Level, err)
	}
	if q.Head > 0 && m.judge(sum) {
		m.link("koinon/trees/sum/v1", sumDigest(sum))
		m.begin()
		return nil
	}
	m.advance(&q, sum, opened)
	return nil
}

// advance splits what was opened and goes to the next level or step.
func (m *Machine) advance(q *Query, sum []uint64, opened []open) {
	s := m.step
	if q.Level == 0 {
		for _, o := range opened {
			s.roots = append(s.roots, o.cell)
			m.settle(o.tree, 0, o.cell)
		}
	}
	before := make([]int, len(s.trees))
	for i, t := range s.trees {
		before[i] = len(t)
	}
	s.pairs = nil
	best := m.grow.search(opened)
	for i, o := range opened {
		if p, ask := m.split(o, best[i], q.Level); ask {
			s.pairs = append(s.pairs, p)
		}
	}
	s.level++
	s.sums = append(s.sums, slices.Clone(sum))
	b := sumDigest(sum)
	for i, t := range s.trees {
		b = binary.BigEndian.AppendUint32(b, uint32(before[i]))
		b = m.bins.appendTree(b, t)
	}
	m.link("koinon/trees/sum/v1", b)
	if len(s.pairs) == 0 {
		m.close("koinon/trees/closed/v1")
	}
}

// sumDigest is the SHA-256 of the words, big-endian.
func sumDigest(sum []uint64) []byte {
	h := sha256.New()
	b := make([]byte, 0, 4096)
	for len(sum) > 0 {
		n := min(len(sum), 512)
		for _, w := range sum[:n] {
			b = binary.BigEndian.AppendUint64(b, w)
		}
		h.Write(b)
		sum, b = sum[n:], b[:0]
	}
	return h.Sum(nil)
}

// judge takes the validation words of a level-0 sum and reports whether growth
// ends: no improvement for patience trees (trees 33). The trees just asked for
// are then not begun.
func (m *Machine) judge(sum []uint64) bool {
	loss, weight := int64(sum[0]), int64(sum[1])
	figure := math.Inf(1) // where no row judges, and every tree is kept
	if weight > 0 {
		figure = float64(loss) / float64(weight)
	}
	trees := m.step.first
	if n := len(m.losses); n == 0 || weight == 0 || figure < m.losses[m.index(m.best)] {
		m.best = trees
	}
	m.losses = append(m.losses, figure)
	m.ended = weight > 0 && trees-m.best >= m.params.Patience
	return m.ended
}

// index is the place of the validation loss after so many trees.
func (m *Machine) index(trees int) int { return trees / m.perStep }
