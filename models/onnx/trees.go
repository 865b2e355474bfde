package onnx

import (
	"fmt"
	"math"

	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
)

// maxNodes bounds what the sets of categories with many values can become: a
// file of some 400 MB. A protobuf message ends at 2 GB.
var maxNodes = 1 << 23

// trees adds an ensemble; it returns the log-odds. Numbers stay as they are,
// NaN included; a category is the number of its cell.
func (g *graph) trees(m *artifact.Model) (string, error) {
	columns := make([]string, len(m.Ensemble.Bins.Columns))
	for i, in := range m.Encoder.Inputs() { // Bins.Match: the same order
		columns[i] = in.Column
		if in.Category >= 0 {
			columns[i] = g.cells(m.Encoder, in.Category, &m.Ensemble.Bins.Columns[i])
		}
	}
	x := g.concat(columns)
	var e ensemble
	// The base score is a first tree of one leaf, so that there is a tree always.
	e.add(m.Ensemble.Bins, trees.Tree{{Column: -1, Value: float32(m.Ensemble.Base)}})
	for _, t := range m.Ensemble.Trees {
		e.add(m.Ensemble.Bins, t)
		if len(e.id) > maxNodes {
			return "", fmt.Errorf("onnx: more than %d nodes: the categories have too many values for this format", maxNodes)
		}
	}
	return g.node(domainML, "TreeEnsembleRegressor", []string{x}, e.attributes()...), nil
}

// cells adds the look-up of a category's cells: float [rows, 1]. Unknown and
// missing share one.
func (g *graph) cells(e *feature.Encoder, category int, column *trees.Column) string {
	keys, values := e.Spellings(category)
	cells := make([]float32, len(values))
	for i, v := range values {
		cells[i] = float32(column.Slots[v])
	}
	if len(keys) == 0 { // runtimes refuse an empty list
		keys, cells = []string{""}, []float32{float32(column.Missing)}
	}
	return g.node(domainML, "LabelEncoder", []string{column.Name},
		attributeStrings("keys_strings", keys), attributeFloats("values_floats", cells), attributeFloat("default_float", float32(column.Missing)))
}

// Modes of a node.
const (
	modeLeaf   = "LEAF"
	modeAtMost = "BRANCH_LEQ"
	modeEqual  = "BRANCH_EQ"
)

// ensemble is the attributes of TreeEnsembleRegressor (ai.onnx.ml 3): one entry
// a node, then one entry a leaf (trees 68).
type ensemble struct {
	count                       int64 // of trees
	tree, id, feature, yes, no  []int64
	missingYes                  []int64
	value                       []float32
	mode                        []string
	leafTree, leafID, leafZeros []int64
	weight                      []float32
}

// branch adds a node that splits. yes and no are nodes of the same tree.
func (e *ensemble) branch(id, feature int64, mode string, value float32, missingYes bool, yes, no int64) {
	tracks := int64(0)
	if missingYes {
		tracks = 1
	}
	e.tree, e.id, e.feature = append(e.tree, e.count), append(e.id, id), append(e.feature, feature)
	e.mode, e.value, e.missingYes = append(e.mode, mode), append(e.value, value), append(e.missingYes, tracks)
	e.yes, e.no = append(e.yes, yes), append(e.no, no)
}

func (e *ensemble) leaf(id int64, weight float32) {
	e.branch(id, 0, modeLeaf, 0, false, 0, 0)
	e.leafTree, e.leafID, e.leafZeros = append(e.leafTree, e.count), append(e.leafID, id), append(e.leafZeros, 0)
	e.weight = append(e.weight, weight)
}

func (e *ensemble) add(b *trees.Bins, t trees.Tree) {
	next := int64(len(t)) // of the nodes that chains need
	for i := range t {
		n := &t[i]
		if n.Leaf() {
			e.leaf(int64(i), n.Value)
			continue
		}
		c := &b.Columns[n.Column]
		if n.Set != nil {
			next = e.chain(int64(i), next, n, c)
			continue
		}
		cut := float32(math.Inf(1)) // missing against the rest
		if int(n.Cell) < len(c.Cuts) {
			cut = c.Cuts[n.Cell]
		}
		e.branch(int64(i), int64(n.Column), modeAtMost, cut, n.GoesLeft(c, c.Missing), int64(n.Left), int64(n.Left)+1)
	}
	e.count++
}

// chain adds a split by a set as questions for one cell after the other, those
// of the smaller side; every yes leads to the same node (trees 69).
func (e *ensemble) chain(id, next int64, n *trees.Node, c *trees.Column) int64 {
	var side [2][]float32 // right, left
	for cell := range c.Cells {
		to := 0
		if n.GoesLeft(c, uint16(cell)) {
			to = 1
		}
		side[to] = append(side[to], float32(cell))
	}
	asked, yes, no := side[1], int64(n.Left), int64(n.Left)+1
	if len(side[0]) < len(asked) {
		asked, yes, no = side[0], no, yes
	}
	if len(asked) == 0 { // the other side has all cells
		e.branch(id, int64(n.Column), modeAtMost, float32(math.Inf(1)), true, no, yes)
		return next
	}
	for i, cell := range asked {
		otherwise := next
		if i == len(asked)-1 {
			otherwise = no
		} else {
			next++
		}
		e.branch(id, int64(n.Column), modeEqual, cell, false, yes, otherwise)
		id = otherwise
	}
	return next
}

func (e *ensemble) attributes() []message {
	return []message{
		attributeString("aggregate_function", "SUM"),
		attributeInt("n_targets", 1),
		attributeInts("nodes_falsenodeids", e.no),
		attributeInts("nodes_featureids", e.feature),
		attributeInts("nodes_missing_value_tracks_true", e.missingYes),
		attributeStrings("nodes_modes", e.mode),
		attributeInts("nodes_nodeids", e.id),
		attributeInts("nodes_treeids", e.tree),
		attributeInts("nodes_truenodeids", e.yes),
		attributeFloats("nodes_values", e.value),
		attributeString("post_transform", "NONE"),
		attributeInts("target_ids", e.leafZeros),
		attributeInts("target_nodeids", e.leafID),
		attributeInts("target_treeids", e.leafTree),
		attributeFloats("target_weights", e.weight),
	}
}
