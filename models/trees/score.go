package trees

import "fmt"

// hop is a node as scoring reads it. A number goes right where its cell less
// from is below span, modulo 2¹⁶; a category where its bit is not in the set. A
// leaf leads to itself, so that rows can walk in step.
type hop struct {
	column     int32
	left       int32 // of its children, or of itself
	set        int32 // first word in sets, -1 for a number
	from, span uint16
	value      float32
}

// Scorer scores rows with one ensemble. It keeps scratch space, so that a row
// costs no allocation, and serves one goroutine at a time.
type Scorer struct {
	base   float64
	width  int // columns
	hops   []hop
	sets   []uint64
	trees  []span
	refs   []uint16 // reference cells
	limits []int    // cells of each column
	at     [block]int32
	row    []uint16
	parted []int // of each column: the last tree in which its reference leads elsewhere
}

// span is where a tree stands among the hops, and its depth.
type span struct {
	root  int32
	depth int
}

// block is how many rows walk through a tree in step.
const block = 64

// NewScorer prepares an ensemble for scoring.
func (e *Ensemble) NewScorer() (*Scorer, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	width := len(e.Bins.Columns)
	s := &Scorer{base: e.Base, width: width, row: make([]uint16, width), parted: make([]int, width)}
	for _, c := range e.Bins.Columns {
		s.refs, s.limits = append(s.refs, c.Reference), append(s.limits, c.Cells)
	}
	for _, t := range e.Trees {
		s.add(e.Bins, t)
	}
	return s, nil
}

func (s *Scorer) add(b *Bins, t Tree) {
	root := int32(len(s.hops))
	depth := make([]int, len(t))
	most := 0
	for i := range t {
		n := &t[i]
		h := hop{left: root + int32(i), set: -1, value: n.Value}
		if !n.Leaf() {
			depth[n.Left], depth[n.Left+1] = depth[i]+1, depth[i]+1
			most = max(most, depth[i]+1)
			h.column, h.left = n.Column, root+n.Left
			s.route(&h, n, &b.Columns[n.Column])
		}
		s.hops = append(s.hops, h)
	}
	s.trees = append(s.trees, span{root, most})
}

// route writes the test of a split.
func (s *Scorer) route(h *hop, n *Node, c *Column) {
	if n.Set != nil {
		h.set = int32(len(s.sets))
		s.sets = append(s.sets, n.Set...)
		return
	}
	h.from = n.Cell + 1
	h.span = uint16(c.Cells) - h.from // missing, the last cell, goes right
	if n.MissingLeft {
		h.span--
	}
}

// next returns where a cell goes from a hop.
func (s *Scorer) next(h *hop, cell uint16) int32 {
	if h.set < 0 {
		right := int32(0)
		if cell-h.from < h.span {
			right = 1
		}
		return h.left + right
	}
	return h.left + 1 - int32(s.sets[h.set+int32(cell>>6)]>>(cell&63)&1)
}

// Logits writes the log-odds of rows of cells (Bins.Cells) into out, which has
// a place for each.
func (s *Scorer) Logits(cells []uint16, out []float64) error {
	if len(cells) != len(out)*s.width {
		return fmt.Errorf("trees: %d cells for %d rows of %d columns", len(cells), len(out), s.width)
	}
	for i, c := range cells {
		if int(c) >= s.limits[i%s.width] {
			return fmt.Errorf("trees: row %d: column %d has no cell %d", i/s.width, i%s.width, c)
		}
	}
	for len(out) > 0 {
		n := min(block, len(out))
		s.walk(cells[:n*s.width], out[:n])
		cells, out = cells[n*s.width:], out[n:]
	}
	return nil
}

// walk scores at most block rows.
func (s *Scorer) walk(cells []uint16, out []float64) {
	for i := range out {
		out[i] = s.base
	}
	at := s.at[:len(out)]
	for _, t := range s.trees {
		for i := range at {
			at[i] = t.root
		}
		for range t.depth {
			from := 0
			for i, a := range at {
				h := &s.hops[a]
				at[i] = s.next(h, cells[from+int(h.column)])
				from += s.width
			}
		}
		for i, a := range at {
			out[i] += float64(s.hops[a].value)
		}
	}
}

// Effects writes, for each column, how far it moves the log-odds of one row of
// cells: the log-odds as they are, less those with the column at its reference
// cell. Positive raises the score.
func (s *Scorer) Effects(row []uint16, out []float64) error {
	if len(row) != s.width || len(out) != s.width {
		return fmt.Errorf("trees: a row of %d cells and %d effects, want %d", len(row), len(out), s.width)
	}
	for c := range out {
		out[c], s.parted[c] = 0, -1
		if int(row[c]) >= s.limits[c] {
			return fmt.Errorf("trees: column %d has no cell %d", c, row[c])
		}
	}
	copy(s.row, row)
	for t := range s.trees {
		s.effects(t, row, out)
	}
	return nil
}

// effects adds those of one tree: a column has one only where, on the way of the
// row, its reference cell leads elsewhere.
func (s *Scorer) effects(tree int, row []uint16, out []float64) {
	t := s.trees[tree]
	value := s.leaf(t.root, t.depth, row)
	at := t.root
	for level := range t.depth {
		h := &s.hops[at]
		c := h.column
		at = s.next(h, row[c])
		if other := s.next(h, s.refs[c]); other != at && s.parted[c] != tree {
			s.parted[c] = tree
			s.row[c] = s.refs[c]
			out[c] += value - s.leaf(other, t.depth-level-1, s.row)
			s.row[c] = row[c]
		}
	}
}

// leaf returns the value of the leaf that a row reaches from a hop, at most
// depth levels below it.
func (s *Scorer) leaf(at int32, depth int, row []uint16) float64 {
	for range depth {
		h := &s.hops[at]
		at = s.next(h, row[h.column])
	}
	return float64(s.hops[at].value)
}
