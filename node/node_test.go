package node_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// TestWholePlan runs statistics, training and evaluation over five nodes and looks at what each keeps and says.
func TestWholePlan(t *testing.T) {
	f := newFive(t, nil)
	f.finish()
	for _, name := range members {
		m := f.nodes[name]
		eventually(t, func() bool { return len(m.store.Figures()) == 1 }, name+" keeps its figures")
		fig := m.store.Figures()[0]
		require.Equal(t, name, fig.Member)
		require.NotNil(t, fig.Federated.AUROC)
		require.NotNil(t, fig.Alone)
		require.Empty(t, m.left())
		run, machine, err := m.store.Run(f.run, f.plan.Learning())
		require.NoError(t, err)
		require.True(t, run.Done)
		require.Equal(t, f.state, run.State)
		want, err := f.machine.Digest()
		require.NoError(t, err)
		got, err := machine.Digest()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	phases := f.nodes["DE"].phases
	require.Equal(t, []string{"advertise", "share", "train", "mask", "agree", "unmask", "closed"}, phases[:7])
}

// TestPacketTruth: nothing that leaves holds a value of the table, and masked vectors look uniform.
func TestPacketTruth(t *testing.T) {
	f := newFive(t, nil)
	f.finish()
	m := f.nodes["DE"]
	for _, secret := range []string{rareFamily, "family-", "no_chip", "female", "fraud_found", "doc_age_years"} {
		for _, message := range m.capture.Find([]byte(secret)) {
			require.Equal(t, "none", message.Type, "%q leaves in clear", secret)
		}
	}
	require.NotEmpty(t, m.capture.Sent())
	ones, bits := 0, 0
	for _, message := range m.capture.Sent() {
		if message.Type == "chunk" && len(message.Bytes) > 10_000 {
			for _, b := range message.Bytes[100:] {
				bits += 8
				for ; b != 0; b &= b - 1 {
					ones++
				}
			}
		}
	}
	require.Greater(t, bits, 500_000)
	require.InDelta(t, 0.5, float64(ones)/float64(bits), 0.003)
}

// TestDropoutComesBack: a node that dies in Mask is a dropout, comes back, catches up and joins again (S62, S64).
func TestDropoutComesBack(t *testing.T) {
	f := newFive(t, nil)
	killed := false
	require.NoError(t, f.playRound(20e9, func(p secagg.Phase) {
		if p == secagg.PhaseShare {
			f.nodes["PT"].kill()
			killed = true
		}
	}))
	require.True(t, killed)
	require.Equal(t, []string{"DE", "FR", "IT", "PL"}, f.roster.Names(f.server.Survivors()))
	f.nodes["PT"].start(t)
	f.ready(5)
	f.finish()
	require.Equal(t, members, f.roster.Names(f.server.Survivors()))
	eventually(t, func() bool { return len(f.nodes["PT"].store.Figures()) == 1 }, "PT keeps its figures")
}
