package sim

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/koinon-eu/koinon/benchmarks/direct"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/chain"

	"github.com/stretchr/testify/require"
)

// large is a federation of more than 64 members.
func large(t *testing.T) (*federation.Plan, []Member) {
	t.Helper()
	if os.Getenv("KOINON_LONG") == "" {
		t.Skip("takes a minute; KOINON_LONG is not set")
	}
	var names []string
	var members []Member
	for i := range secagg.MaxComplete + 2 {
		names = append(names, fmt.Sprintf("M%d", i+1))
		members = append(members, Member{Name: names[i], Table: csvTable(t, uint64(i), 60, nil)})
	}
	return testPlan(t, "DE, FR, IT, PL, PT", strings.Join(names, ", "),
		"minimum: 4", fmt.Sprintf("minimum: %d", secagg.Threshold(len(names))), "rounds: 3", "rounds: 2", "name: document-risk\ndeclaration", "name: document-risk\nbatch: 1\ndeclaration"), members
}

// TestLargeFederation: with more than 64 members version 2 of the protocol runs over the whole stack, and the model is
// bit for bit that of the plain sums (V1, V6).
func TestLargeFederation(t *testing.T) {
	plan, members := large(t)
	want := digestOf(t, plainRun(t, plan, members, 1, nil))
	require.Equal(t, want, runDigest(t, plan, members, 1))
}

// withholding cannot store the first draw, so its node leaves before it reveals.
type withholding struct {
	node.Ledger
	refused bool
}

func (l *withholding) Draw(now int64, plan chain.Digest, run budget.Run, round uint32) error {
	if !l.refused {
		l.refused = true
		return errors.New("disk full")
	}
	return l.Ledger.Draw(now, plan, run, round)
}

// TestLargeFederationWithheld: who does not reveal costs one round, is not in the next one, and is in those after it (V7).
func TestLargeFederationWithheld(t *testing.T) {
	plan, members := large(t)
	const absent = "M9"
	want := plainRun(t, plan, members, 1, func(v direct.Vector) bool { return v.Step.Ordinal != 1 || v.Member != absent })
	ledgers := map[string]node.Ledger{}
	r, err := Run(t.Context(), Config{Plan: plan, Members: members, Seed: 1, Log: testLog(), tuneNode: func(member string, c *node.Config) {
		if member == absent {
			c.Ledger = &withholding{Ledger: c.Ledger}
		}
		ledgers[member] = c.Ledger
	}})
	require.NoError(t, err)
	require.Equal(t, digestOf(t, want), digestOf(t, r.Machine))
	require.Equal(t, r.Rounds, ledgers["M1"].Draws(chain.Digest(plan.Digest())))
	require.Equal(t, r.Rounds-2, ledgers[absent].Draws(chain.Digest(plan.Digest())))
}
