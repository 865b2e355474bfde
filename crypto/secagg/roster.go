package secagg

import (
	"crypto/ed25519"
	"fmt"
)

// Member is one line of the roster (S10).
type Member struct {
	Name  string
	Index uint8             // 1…255, given once (S2)
	Key   ed25519.PublicKey // identity key, not the TLS key (S12)
}

// Roster lists who may sign: the coordinator and the members (S10).
type Roster struct {
	Coordinator ed25519.PublicKey
	Members     []Member

	// verified, when not nil, answers in place of ed25519.Verify. Only tests of
	// this package can set it: a simulation of many members remembers answers.
	verified func(key ed25519.PublicKey, message, signature []byte) bool
}

// Validate checks that names, indexes and keys are present and pairwise
// distinct, and that each key is one only its owner can sign with (S10). Errors
// wrap ErrRoster.
func (r Roster) Validate() error {
	if len(r.Coordinator) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: coordinator's key has %d bytes", ErrRoster, len(r.Coordinator))
	}
	if weakKey(r.Coordinator) {
		return fmt.Errorf("%w: coordinator's key is of small order", ErrRoster)
	}
	names, keys := map[string]bool{}, map[string]bool{string(r.Coordinator): true}
	var indexes Set
	for _, m := range r.Members {
		switch {
		case m.Name == "" || names[m.Name]:
			return fmt.Errorf("%w: name %q is empty or taken", ErrRoster, m.Name)
		case m.Index == 0 || indexes.Has(m.Index):
			return fmt.Errorf("%w: index %d of %s is zero or taken", ErrRoster, m.Index, m.Name)
		case len(m.Key) != ed25519.PublicKeySize:
			return fmt.Errorf("%w: key of %s has %d bytes", ErrRoster, m.Name, len(m.Key))
		case weakKey(m.Key):
			return fmt.Errorf("%w: key of %s is of small order", ErrRoster, m.Name)
		case keys[string(m.Key)]:
			return fmt.Errorf("%w: key of %s is taken", ErrRoster, m.Name)
		}
		names[m.Name], keys[string(m.Key)] = true, true
		indexes = indexes.With(m.Index)
	}
	return nil
}

// Set returns the indexes of all members.
func (r Roster) Set() (s Set) {
	for _, m := range r.Members {
		s = s.With(m.Index)
	}
	return s
}

// key returns the identity key of a member, or the coordinator's for 0.
func (r Roster) key(i uint8) (ed25519.PublicKey, bool) {
	if i == 0 {
		return r.Coordinator, true
	}
	for _, m := range r.Members {
		if m.Index == i {
			return m.Key, true
		}
	}
	return nil, false
}

// Threshold returns t = ⌊2n/3⌋ + 1 for a cohort of n (S5).
func Threshold(n int) int { return 2*n/3 + 1 }

// Smallest and largest cohort (S6), and the least a member's own limits may be (S7).
const (
	MinCohort = 3
	MaxCohort = 255
)
