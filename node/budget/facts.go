package budget

import "github.com/koinon-eu/koinon/node/chain"

// Kinds of entries in the file.
const (
	entryRound = "round"
	entrySum   = "sum"
	entryLock  = "lock"
	entryDraw  = "draw" // version 2 only
)

// Sum is one sum this node is about to put its vector into.
type Sum struct {
	Plan  chain.Digest `json:"plan"`
	Run   Run          `json:"run"`
	Round uint32       `json:"round"` // of the sum: the batch's round + k − 1
	Step  uint32       `json:"step"`  // ordinal in the plan
	Kind  Kind         `json:"kind"`
	Sigma chain.Digest `json:"sigma"` // step digest σ
}

// Lock says with which survivors a place of a plan was released (S33).
type Lock struct {
	Name      chain.Digest `json:"name"`      // τ, the same in every run of the plan
	Survivors chain.Digest `json:"survivors"` // the 256-bit member set, as 32 bytes
	Excused   chain.Digest `json:"excused"`   // members whom evidence checked here proves guilty
	H3        chain.Digest `json:"h3"`
	Run       Run          `json:"run"`
	Round     uint32       `json:"round"`
}

// Follows reports whether the place that was released with old may be released
// with l: to the same survivors, or to fewer where only members are missing
// whom the checked evidence proves guilty (S33).
func (l Lock) Follows(old Lock) bool {
	return within(l.Survivors, old.Survivors) && within(old.Survivors, union(l.Survivors, l.Excused))
}

type roundFact struct {
	Run   Run    `json:"run"`
	Round uint32 `json:"round"`
}

// drawFact says that this node takes part in one more draw of a graph under a plan.
type drawFact struct {
	Plan  chain.Digest `json:"plan"`
	Run   Run          `json:"run"`
	Round uint32       `json:"round"`
}

func parse[T any](e chain.Entry) (T, error) {
	var v T
	err := e.Decode(&v)
	return v, err
}

// within reports whether every member of a is in b.
func within(a, b chain.Digest) bool {
	for i := range a {
		if a[i]&^b[i] != 0 {
			return false
		}
	}
	return true
}

func union(a, b chain.Digest) chain.Digest {
	for i := range a {
		a[i] |= b[i]
	}
	return a
}
