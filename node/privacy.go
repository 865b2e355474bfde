package node

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/chain"
	"github.com/koinon-eu/koinon/node/train"
)

// A vector under privacy is made once for a step and kept as long as the step is
// open: a round that is repeated sends the same noisy numbers, which say nothing
// more. A node that was started again has lost them and makes new ones, which
// are counted again. Noise is never kept by itself, so it is never used with
// other rows.

// limit is what the operator allows all plans together to cost a record.
func (n *Node) limit() budget.Privacy { return PrivacyLimit(n.cfg.Policy) }

// PrivacyLimit is what a policy says of the budget of each training record.
func PrivacyLimit(p federation.Policy) budget.Privacy {
	limit := budget.Privacy{Epsilon: p.Privacy.Epsilon, Delta: p.Privacy.Delta}
	if limit.Epsilon >= federation.NoLimit {
		limit.Epsilon = 0
	}
	return limit
}

// private reports whether what this node says of its training rows is noisy.
func (a *actor) private() bool { return a.plan.Privacy.DP == federation.DPRecord }

// affordable refuses a step that the budget has no room for, before any work is
// done for it.
func (a *actor) affordable(step schedule.Step) error {
	m, ok := a.plan.Learning().Mechanism(step.Kind)
	if !ok {
		return nil
	}
	if a.cached.vector.Rows > 0 && a.cached.sigma == a.sigma && a.step.Ordinal == step.Ordinal {
		return nil // perhaps it is the very same again; Spend decides
	}
	return overBudget(a.n.cfg.Ledger.CheckPrivacy(m, a.n.limit()))
}

// spend reserves what the answer that is about to be masked costs each record.
func (a *actor) spend(now int64, round uint32) error {
	m, ok := a.plan.Learning().Mechanism(a.step.Kind)
	if !ok {
		return nil
	}
	if a.draw == ([32]byte{}) {
		return fmt.Errorf("%w: a vector of step %d without its noise", secagg.ErrBudget, a.step.Ordinal)
	}
	return overBudget(a.n.cfg.Ledger.Spend(now, budget.Spend{
		Plan: chain.Digest(a.digest), Run: budget.Run(a.run.ID), Round: round, Step: a.step.Ordinal, Draw: a.draw, Mechanism: m,
	}, a.n.limit()))
}

func overBudget(err error) error {
	if errors.Is(err, budget.ErrSpent) {
		return fmt.Errorf("%w: %w", secagg.ErrBudget, err)
	}
	return err
}

// order is the randomness of local training. Batches and noise of a private plan
// are always the operating system's, also where a benchmark seeds the rest.
func (a *actor) order(step schedule.Step) io.Reader {
	if seeded := a.n.cfg.Random; seeded != nil && !a.private() {
		return seeded(a.run.ID, step.Ordinal, UseOrder)
	}
	return rand.Reader
}

// drawOf names a vector.
func drawOf(v train.Vector) chain.Digest {
	h := sha256.New()
	h.Write([]byte("koinon/node/draw/v1"))
	var b []byte
	for _, x := range v.X {
		b = binary.BigEndian.AppendUint32(b[:0], math.Float32bits(x))
		h.Write(b)
	}
	for _, x := range v.Ints {
		b = binary.BigEndian.AppendUint64(b[:0], uint64(x))
		h.Write(b)
	}
	return chain.Digest(h.Sum(nil))
}
