package trees

// Node is a place in a tree. Its children stand side by side: Left and Left+1.
type Node struct {
	Column      int32    // of the bins; -1 for a leaf
	Left        int32    // left child; 0 for a leaf
	Cell        uint16   // number: cells up to this one go left
	MissingLeft bool     // number whose column has a cell for missing: where that goes
	Set         []uint64 // category: the cells that go left, one bit each; others go right
	Value       float32  // −η·T_α(G)/(H+λ): what a leaf adds to the log-odds (trees 27)
	Cover       float32  // Σh behind it
	Gain        float32  // of its split
}

// Leaf reports whether the node ends the tree.
func (n *Node) Leaf() bool { return n.Column < 0 }

// GoesLeft reports where a cell of the node's column goes (trees 26).
func (n *Node) GoesLeft(c *Column, cell uint16) bool {
	if n.Set != nil {
		return n.Set[cell>>6]>>(cell&63)&1 == 1
	}
	if cell == c.Missing && c.ownMissing() {
		return n.MissingLeft
	}
	return cell <= n.Cell
}

// Tree is grown by levels: a node stands behind all nodes of lesser depth, and
// the children of splits follow in the order of the splits. Node 0 is the root.
type Tree []Node

// open is a tree node whose histogram is known.
type open struct {
	tree int // of the step
	node int32
	cell Cell // total
	grid *Grid
	hist []Cell
}

// pair is a split whose smaller child is asked for; the larger follows by
// subtraction (trees 21).
type pair struct {
	parent       open
	small, large int32 // nodes
	smallTotal   Cell
	grid         *Grid  // of both children
	folded       []Cell // the parent's histogram on that grid
}

// addRoot begins a tree of which nothing is known.
func addRoot() Tree { return Tree{{Column: -1}} }

// settle writes value and cover of a node from its total.
func (m *Machine) settle(tree int, node int32, total Cell) {
	n := &m.step.trees[tree][node]
	n.Value = m.grow.value(total, m.params.rate(m.step.first+tree))
	n.Cover = float32(m.grow.scale.H(total.H))
}

// split takes the best split of an open node and appends its children. It
// returns the pair to ask for, if a child may be split again: it is neither on
// the last level nor are both of less than twice min_hessian (trees 22).
func (m *Machine) split(o open, best candidate, level int) (pair, bool) {
	if best.column < 0 {
		m.grow.release(o.hist)
		return pair{}, false
	}
	tree := &m.step.trees[o.tree]
	left := int32(len(*tree))
	*tree = append(*tree, Node{Column: -1}, Node{Column: -1})
	n := &(*tree)[o.node]
	n.Column, n.Left, n.Gain = int32(best.column), left, float32(best.gain)
	n.Cell, n.MissingLeft, n.Set = best.cell, best.missingLeft, best.set
	right := o.cell.minus(best.left)
	m.settle(o.tree, left, best.left)
	m.settle(o.tree, left+1, right)
	if level+1 >= m.params.Depth || !m.grow.splittable(best.left) && !m.grow.splittable(right) {
		m.grow.release(o.hist)
		return pair{}, false
	}
	p := pair{parent: o, small: left, large: left + 1, smallTotal: best.left}
	if right.H < best.left.H { // the smaller ĥ; a tie goes left
		p.small, p.large, p.smallTotal = left+1, left, right
	}
	root := m.step.roots[o.tree]
	share := float64(p.smallTotal.H) / float64(o.cell.H)
	p.grid, p.folded = m.grow.coarser(o.grid, o.hist, share, m.grow.expected(root.H, m.expectedRows()))
	p.parent.hist = nil
	return p, true
}
