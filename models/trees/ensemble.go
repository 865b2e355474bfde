package trees

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
)

// Ensemble is a trained model: the log-odds of a row are Base and, in the order
// of the trees, the value of the leaf it falls into.
type Ensemble struct {
	Bins  *Bins
	Base  float64
	Trees []Tree
}

// Digest is the SHA-256 of the canonical bytes.
func (e *Ensemble) Digest() ([32]byte, error) {
	b, err := e.Marshal()
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(b), nil
}

// Validate says what is wrong with an ensemble.
func (e *Ensemble) Validate() error {
	if e.Bins == nil {
		return errors.New("trees: no cells")
	}
	if err := e.Bins.Validate(); err != nil {
		return err
	}
	if !finite(e.Base) || len(e.Trees) > MaxTrees {
		return fmt.Errorf("trees: base score %v, %d trees", e.Base, len(e.Trees))
	}
	for i, t := range e.Trees {
		if err := t.validate(e.Bins); err != nil {
			return fmt.Errorf("trees: tree %d: %w", i, err)
		}
	}
	return nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// validate checks that a tree is one, in its order, and fits the columns.
func (t Tree) validate(b *Bins) error {
	if len(t) == 0 || len(t) > maxNodes {
		return fmt.Errorf("%d nodes, want 1 to %d", len(t), maxNodes)
	}
	depth, next := make([]uint8, len(t)), int32(1)
	for i := range t {
		n := &t[i]
		if int32(i) >= next {
			return fmt.Errorf("node %d is no child", i)
		}
		if !finite(float64(n.Value)) || !finite(float64(n.Cover)) || !finite(float64(n.Gain)) || n.Cover < 0 {
			return fmt.Errorf("node %d: value %v, cover %v, gain %v", i, n.Value, n.Cover, n.Gain)
		}
		if n.Leaf() {
			if n.Column != -1 || n.Left != 0 || n.Cell != 0 || n.MissingLeft || n.Set != nil || n.Gain != 0 {
				return fmt.Errorf("node %d: a leaf with a split", i)
			}
			continue
		}
		if n.Left != next || int(next)+1 >= len(t) || depth[i] == MaxDepth {
			return fmt.Errorf("node %d: children at %d, depth %d, of %d nodes", i, n.Left, depth[i], len(t))
		}
		depth[next], depth[next+1] = depth[i]+1, depth[i]+1
		next += 2
		if err := n.validateSplit(b); err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
	}
	if int(next) != len(t) {
		return fmt.Errorf("%d nodes, but %d in the tree", len(t), next)
	}
	return nil
}

func (n *Node) validateSplit(b *Bins) error {
	if int(n.Column) >= len(b.Columns) {
		return fmt.Errorf("column %d of %d", n.Column, len(b.Columns))
	}
	c := &b.Columns[n.Column]
	if !c.IsCategory() {
		last := len(c.Cuts) - 1 // the last cell has no cut
		if c.ownMissing() {
			last++ // missing against the rest
		}
		if n.Set != nil || int(n.Cell) > last || n.MissingLeft && (!c.ownMissing() || int(n.Cell) == len(c.Cuts)) {
			return fmt.Errorf("column %s: cut %d of %d, missing left %v", c.Name, n.Cell, len(c.Cuts), n.MissingLeft)
		}
		return nil
	}
	if len(n.Set) != setWords(c.Cells) || n.Cell != 0 || n.MissingLeft {
		return fmt.Errorf("column %s: a set of %d words for %d cells", c.Name, len(n.Set), c.Cells)
	}
	if tail := c.Cells & 63; tail != 0 && n.Set[len(n.Set)-1]>>tail != 0 {
		return fmt.Errorf("column %s: a set of cells that are not there", c.Name)
	}
	return nil
}
