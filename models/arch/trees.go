package arch

import (
	"fmt"

	"github.com/koinon-eu/koinon/models/trees"
)

// withTrees is WithDefaults for trees.
func (s Spec) withTrees() Spec {
	var p trees.Params
	if s.Trees != nil {
		p = *s.Trees
	}
	p = p.WithDefaults()
	s.Trees = &p
	return s
}

// validateTrees is Validate for trees, after defaults.
func (s Spec) validateTrees() error {
	if s.L2 != 0 || len(s.Hidden) > 0 || s.Embedding != "" {
		return fmt.Errorf("architecture: %s has neither l2, hidden layers nor embeddings of its own", Trees)
	}
	if err := s.Trees.Validate(); err != nil {
		return fmt.Errorf("architecture: %w", err)
	}
	return nil
}
