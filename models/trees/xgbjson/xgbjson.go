// Package xgbjson writes an ensemble in the JSON model format of XGBoost, so
// that it can be loaded and scored there (trees 65–67; read by 1.7.4).
//
// A model so written takes numbers as they are, NaN for missing, and categories
// as the cell of their value (Columns). Its margin is our log-odds up to float32
// rounding of the sum over trees.
package xgbjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
)

// real is a number that XGBoost's reader takes for one: a bare integer is
// refused where a float is expected (trees 67).
type real float32

func (x real) MarshalJSON() ([]byte, error) {
	v := float64(x)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, errors.New("xgbjson: a value is not finite")
	}
	return []byte(strconv.FormatFloat(v, 'E', -1, 32)), nil
}

type document struct {
	Version [3]int  `json:"version"`
	Learner learner `json:"learner"`
}

type learner struct {
	Attributes      map[string]string `json:"attributes"`
	FeatureNames    []string          `json:"feature_names"`
	FeatureTypes    []string          `json:"feature_types"`
	GradientBooster booster           `json:"gradient_booster"`
	ModelParam      map[string]string `json:"learner_model_param"`
	Objective       objective         `json:"objective"`
}

type objective struct {
	Name      string            `json:"name"`
	LossParam map[string]string `json:"reg_loss_param"`
}

type booster struct {
	Name  string `json:"name"`
	Model struct {
		Param map[string]string `json:"gbtree_model_param"`
		Info  []int             `json:"tree_info"`
		Trees []tree            `json:"trees"`
	} `json:"model"`
}

// tree has one entry a node in most lists (trees 66).
type tree struct {
	BaseWeights     []real            `json:"base_weights"`
	Categories      []int             `json:"categories"`
	CategoryNodes   []int             `json:"categories_nodes"`
	CategorySegment []int             `json:"categories_segments"`
	CategorySizes   []int             `json:"categories_sizes"`
	DefaultLeft     []int             `json:"default_left"`
	ID              int               `json:"id"`
	Left            []int32           `json:"left_children"`
	LossChanges     []real            `json:"loss_changes"`
	Parents         []int32           `json:"parents"`
	Right           []int32           `json:"right_children"`
	Conditions      []real            `json:"split_conditions"`
	Indices         []int32           `json:"split_indices"`
	SplitType       []int             `json:"split_type"`
	Hessian         []real            `json:"sum_hessian"`
	Param           map[string]string `json:"tree_param"`
}

// Marshal returns the model file with these attributes, which Booster.attr
// reads. It fails if the ensemble is not valid, or if two columns would have the
// same name there.
func Marshal(e *trees.Ensemble, attributes map[string]string) ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	var d document
	d.Version = [3]int{1, 7, 4}
	l := &d.Learner
	if l.Attributes = attributes; attributes == nil {
		l.Attributes = map[string]string{}
	}
	if err := l.features(e.Bins); err != nil {
		return nil, err
	}
	// The base score is a first tree of one leaf: base_score itself is silently
	// read as 0.5 with more than 9 digits, and a list since 3.1 (trees 67).
	l.ModelParam = map[string]string{
		"base_score": "5E-1", "boost_from_average": "0", "num_class": "0",
		"num_feature": strconv.Itoa(len(e.Bins.Columns)), "num_target": "1",
	}
	l.Objective = objective{"binary:logistic", map[string]string{"scale_pos_weight": "1"}}
	l.GradientBooster.Name = "gbtree"
	m := &l.GradientBooster.Model
	all := append([]trees.Tree{{{Column: -1, Value: float32(e.Base)}}}, e.Trees...)
	m.Param = map[string]string{"num_trees": strconv.Itoa(len(all)), "num_parallel_tree": "1", "size_leaf_vector": "0"}
	m.Info = make([]int, len(all))
	for i, t := range all {
		m.Trees = append(m.Trees, convert(e.Bins, i, t))
	}
	return json.Marshal(d)
}

// features names the columns.
func (l *learner) features(b *trees.Bins) error {
	seen := map[string]bool{}
	for i := range b.Columns {
		c := &b.Columns[i]
		name := featureName(c.Name)
		if seen[name] {
			return fmt.Errorf("xgbjson: two columns would be called %s", name)
		}
		seen[name] = true
		kind := "q"
		if c.IsCategory() {
			kind = "c"
		}
		l.FeatureNames, l.FeatureTypes = append(l.FeatureNames, name), append(l.FeatureTypes, kind)
	}
	return nil
}

// featureName is the name of a column in XGBoost, which refuses [, ] and <.
func featureName(column string) string {
	return strings.NewReplacer("[", "(", "]", ")", "<", "_").Replace(column)
}

// noParent is the parent of a root.
const noParent = math.MaxInt32

func convert(b *trees.Bins, id int, t trees.Tree) tree {
	n := len(t)
	out := tree{
		ID: id, Parents: make([]int32, n), Categories: []int{}, CategoryNodes: []int{}, CategorySegment: []int{}, CategorySizes: []int{},
		Param: map[string]string{
			"num_deleted": "0", "num_feature": strconv.Itoa(len(b.Columns)), "num_nodes": strconv.Itoa(n), "size_leaf_vector": "0",
		},
	}
	out.Parents[0] = noParent
	for i := range t {
		node := &t[i]
		out.BaseWeights, out.Hessian = append(out.BaseWeights, real(node.Value)), append(out.Hessian, real(node.Cover))
		out.LossChanges = append(out.LossChanges, real(node.Gain))
		if node.Leaf() {
			out.add(-1, -1, 0, 0, false, node.Value)
			continue
		}
		out.Parents[node.Left], out.Parents[node.Left+1] = int32(i), int32(i)
		c := &b.Columns[node.Column]
		missingLeft := node.GoesLeft(c, c.Missing)
		if node.Set != nil {
			out.set(i, node, c)
			out.add(node.Left, node.Left+1, node.Column, 1, missingLeft, 0)
			continue
		}
		// x < condition goes left there, x ≤ cut here.
		condition := float32(math.MaxFloat32) // missing against the rest
		if int(node.Cell) < len(c.Cuts) {
			condition = math.Nextafter32(c.Cuts[node.Cell], math.MaxFloat32)
		}
		out.add(node.Left, node.Left+1, node.Column, 0, missingLeft, condition)
	}
	return out
}

func (t *tree) add(left, right, column int32, kind int, missingLeft bool, condition float32) {
	t.Left, t.Right = append(t.Left, left), append(t.Right, right)
	t.Indices, t.SplitType = append(t.Indices, column), append(t.SplitType, kind)
	t.Conditions = append(t.Conditions, real(condition))
	to := 0
	if missingLeft {
		to = 1
	}
	t.DefaultLeft = append(t.DefaultLeft, to)
}

// set lists the cells that go right.
func (t *tree) set(node int, n *trees.Node, c *trees.Column) {
	t.CategoryNodes = append(t.CategoryNodes, node)
	t.CategorySegment = append(t.CategorySegment, len(t.Categories))
	first := len(t.Categories)
	for cell := range c.Cells {
		if !n.GoesLeft(c, uint16(cell)) {
			t.Categories = append(t.Categories, cell)
		}
	}
	t.CategorySizes = append(t.CategorySizes, len(t.Categories)-first)
}

// Column says how a column of a table becomes a feature.
type Column struct {
	Name    string `json:"name"`    // in the table
	Feature string `json:"feature"` // in XGBoost
	// Codes are, of a category, the numbers by which its texts are known to the
	// model; nil of a number, which is taken as it is, NaN if missing.
	Codes map[string]int `json:"codes"`
	// Other is the code of a text that is not listed, and of an empty one:
	// XGBoost would send it left everywhere (trees 67).
	Other int `json:"other"`
}

// Columns returns the columns of an ensemble, in the order of its features,
// from the encoder it was grown with.
func Columns(e *trees.Ensemble, encoder *feature.Encoder) ([]Column, error) {
	if err := e.Bins.Match(encoder); err != nil {
		return nil, err
	}
	out := make([]Column, len(e.Bins.Columns))
	for i, in := range encoder.Inputs() {
		c := &e.Bins.Columns[i]
		out[i] = Column{Name: c.Name, Feature: featureName(c.Name)}
		if in.Category < 0 {
			continue
		}
		texts, values := encoder.Spellings(in.Category)
		codes := make(map[string]int, len(texts))
		for k, text := range texts {
			codes[text] = int(c.Slots[values[k]])
		}
		out[i].Codes, out[i].Other = codes, int(c.Missing)
	}
	return out, nil
}
