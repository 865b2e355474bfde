package node_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node"
)

// TestRefusedSpotBeforeGrowthEnds: who is refused the uploads of a level takes it over once others have gone on, also
// where the coordinator ended growth in between, so that the round which proves it is of another step than would have
// followed (S56, S62, S76). A round that follows from nothing proves nothing.
func TestRefusedSpotBeforeGrowthEnds(t *testing.T) {
	for name, honest := range map[string]bool{"growth ended": true, "another model": false} {
		t.Run(name, func(t *testing.T) {
			plan := replace(planYAML, "{kind: logistic, l2: 1.0}", "{kind: trees, trees: {trees: 3, depth: 3, bins: 16, cell: 5, min_hessian: 1}}")
			f := newFiveOf(t, replace(plan, "{name: fedadam, rounds: 3}", "{name: trees}"), nil)
			for step, _ := f.machine.Next(); step.Kind != schedule.Grow; step, _ = f.machine.Next() {
				require.NoError(t, f.playRound(20*time.Second, nil))
			}
			level := f.round + 1
			f.refuse = func(member uint8, round, _ uint32) error {
				if member == 5 && round == level {
					return status.Error(codes.NotFound, "no longer served")
				}
				return nil
			}
			m := f.nodes["PT"]
			run := func() node.Run {
				r, _, err := m.store.Run(f.run, f.plan.Learning())
				require.NoError(t, err)
				return r
			}
			require.NoError(t, f.playRound(20*time.Second, nil))
			eventually(t, func() bool { return len(m.left()) == 1 }, "PT leaves")
			require.Equal(t, level-1, run().Closed)
			if honest {
				f.mu.Lock()
				require.NoError(t, f.machine.Stop())
				f.mu.Unlock()
				require.NoError(t, f.playRound(20*time.Second, nil))
				eventually(t, func() bool { return run().Closed == level+1 && run().Done }, "PT catches up over the end of growth")
				_, machine, err := m.store.Run(f.run, f.plan.Learning())
				require.NoError(t, err)
				require.Len(t, machine.Forest().Ensemble().Trees, 1, "the tree in progress, as far as it was open")
				return
			}
			f.mu.Lock()
			f.closed[level+1] = f.closed[level-1] // a round that t members signed, of another place
			f.round++
			f.mu.Unlock()
			require.ErrorIs(t, f.playRound(5*time.Second, nil), errAborted)
			require.Equal(t, level-1, run().Closed)
		})
	}
}
