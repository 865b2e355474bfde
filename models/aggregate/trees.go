package aggregate

import (
	"fmt"

	"github.com/koinon-eu/koinon/models/arch"
)

// Trees is the algorithm of the architecture of that name, and of no other:
// one sum of histograms a level (trees 21). All its settings are in the
// architecture.
const Trees = "trees"

// growing is WithDefaults for trees. Rounds is the most sums that growth takes.
func (s Spec) growing(a arch.Spec) Spec {
	if s.Name == "" {
		s.Name = Trees
	}
	p := a.WithDefaults().Trees
	setInt(&s.Rounds, p.Sums())
	return s
}

// validateGrowing is Validate for trees, after defaults.
func (s Spec) validateGrowing(a arch.Spec) error {
	if s.Stop.On() && a.WithDefaults().Trees.Additive() {
		return fmt.Errorf("algorithm: %s that grow additively have no stop: name fewer epochs", Trees)
	}
	if s.Stop.On() {
		return fmt.Errorf("algorithm: %s have no stop: set architecture.trees.patience", Trees)
	}
	if want := (Spec{}).growing(a); s != want {
		return fmt.Errorf("algorithm: %s have no settings but those of the architecture, and take up to %d rounds", Trees, want.Rounds)
	}
	return nil
}
