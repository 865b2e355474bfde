package budget

import "github.com/koinon-eu/koinon/node/chain"

// Kinds of entries in the file.
const (
	entryRound = "round"
	entrySum   = "sum"
	entryLock  = "lock"
	entrySkip  = "skip"
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

// Lock says with which survivors a step was released (S33).
type Lock struct {
	Sigma     chain.Digest `json:"sigma"`
	Survivors chain.Digest `json:"survivors"` // the 256-bit member set, as 32 bytes
	H3        chain.Digest `json:"h3"`
	Run       Run          `json:"run"`
	Round     uint32       `json:"round"`
}

// Skip says that a training step was passed over (S35).
type Skip struct {
	Plan chain.Digest `json:"plan"`
	Step uint32       `json:"step"`
	Kind Kind         `json:"kind"`
}

type roundFact struct {
	Run   Run    `json:"run"`
	Round uint32 `json:"round"`
}

func parse[T any](e chain.Entry) (T, error) {
	var v T
	err := e.Decode(&v)
	return v, err
}

// shrinks reports whether every member of a is in b.
func shrinks(a, b chain.Digest) bool {
	for i := range a {
		if a[i]&^b[i] != 0 {
			return false
		}
	}
	return true
}
