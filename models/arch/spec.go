package arch

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/koinon-eu/koinon/models/trees"
)

// Kinds of architecture.
const (
	Logistic = "logistic"
	Linear   = "linear" // logistic's layout for counts: a log-linear model
	MLP      = "mlp"
	Trees    = "trees" // boosted trees: no parameters, an ensemble (models/trees)
)

// Limits of an architecture, compiled in: what a plan may ask of a node.
const (
	MaxHidden    = 4       // hidden layers
	MaxWidth     = 1024    // units of one hidden layer
	MaxEmbedding = 64      // numbers per category value
	MaxParams    = 1 << 24 // parameters in all
	MaxColumns   = 4096    // numbers, and likewise categories
)

// Auto is the embedding rule that takes the size from the cardinality.
const Auto = "auto"

// Spec is the plan's `architecture` block. A zero field means the documented
// default, which WithDefaults fills in; digests are taken after that.
type Spec struct {
	// Kind is logistic, linear, mlp or trees.
	Kind string `yaml:"kind" json:"kind"`
	// L2 is the coefficient of ½·l2·‖w‖² beside the *sum* of the rows' losses
	// (scikit-learn's 1/C). Biases are left alone. 0 means 1, for an MLP 10: with
	// 1 it learns the rows of tables of some thousand by heart in sixty rounds.
	L2 float64 `yaml:"l2,omitempty" json:"l2"`
	// Hidden lists the widths of an MLP's ReLU layers. Empty means [64, 32].
	Hidden []int `yaml:"hidden,omitempty,flow" json:"hidden,omitempty"`
	// Embedding is the length of a category's vector in an MLP: a number, or
	// `auto`: min(16, ⌈√cardinality⌉). Empty means auto.
	Embedding string `yaml:"embedding,omitempty" json:"embedding,omitempty"`
	// Loss is poisson or negative-binomial for a label that counts; empty, under
	// linear, means negative-binomial, otherwise cross-entropy.
	Loss string `yaml:"loss,omitempty" json:"loss,omitempty"`
	// Dispersion is k of negative-binomial: the smaller, the more counts scatter
	// around their mean. 0 means 8.
	Dispersion float64 `yaml:"dispersion,omitempty" json:"dispersion,omitempty"`
	// Trees says how trees grow. The penalties of trees are in it, not in L2.
	Trees *trees.Params `yaml:"trees,omitempty" json:"trees,omitempty"`
}

// WithDefaults returns the specification with every zero field filled in.
func (s Spec) WithDefaults() Spec {
	s.Hidden = slices.Clone(s.Hidden)
	if s.Kind == Trees {
		return s.withTrees()
	}
	if s.L2 == 0 {
		s.L2 = 1
		if s.Kind == MLP && s.Loss == "" {
			s.L2 = 10
		}
	}
	s = s.withCounts()
	if s.Kind == MLP && len(s.Hidden) == 0 {
		s.Hidden = []int{64, 32}
	}
	if s.Kind == MLP && s.Embedding == "" {
		s.Embedding = Auto
	}
	return s
}

// Validate says what is wrong with a specification, before or after defaults.
func (s Spec) Validate() error {
	s = s.WithDefaults()
	if err := s.validateCounts(); err != nil {
		return err
	}
	if s.Kind == Trees {
		return s.validateTrees()
	}
	if !s.Flat() && s.Kind != MLP {
		return fmt.Errorf("architecture: kind %q is not known: want %s, %s, %s or %s", s.Kind, Logistic, Linear, MLP, Trees)
	}
	if s.Trees != nil {
		return fmt.Errorf("architecture: %s has no trees", s.Kind)
	}
	if math.IsNaN(s.L2) || s.L2 < 0 || s.L2 > 1e9 {
		return fmt.Errorf("architecture: l2 %v is not between 0 and 1e9", s.L2)
	}
	if s.Flat() {
		if len(s.Hidden) > 0 || s.Embedding != "" {
			return fmt.Errorf("architecture: %s has neither hidden layers nor embeddings", s.Kind)
		}
		return nil
	}
	if len(s.Hidden) > MaxHidden {
		return fmt.Errorf("architecture: %d hidden layers, at most %d", len(s.Hidden), MaxHidden)
	}
	for _, width := range s.Hidden {
		if width < 1 || width > MaxWidth {
			return fmt.Errorf("architecture: hidden layer of %d units, want 1 to %d", width, MaxWidth)
		}
	}
	_, err := s.embedding()
	return err
}

// embedding returns the fixed length of a category's vector, 0 for auto.
func (s Spec) embedding() (int, error) {
	if s.Embedding == Auto || s.Embedding == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s.Embedding)
	if err != nil || n < 1 || n > MaxEmbedding || strconv.Itoa(n) != s.Embedding {
		return 0, fmt.Errorf("architecture: embedding %q is neither auto nor a number from 1 to %d", s.Embedding, MaxEmbedding)
	}
	return n, nil
}

// EmbeddingLen returns the length of the vector of a category with card values.
func (s Spec) EmbeddingLen(card int) int {
	if n, err := s.embedding(); err == nil && n > 0 {
		return n
	}
	for n := 1; n < 16; n++ {
		if n*n >= card {
			return n
		}
	}
	return 16
}
