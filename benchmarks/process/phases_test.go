package process_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/process"

	"github.com/stretchr/testify/require"
)

// TestNodeKilledInEachPhase kills a node with SIGKILL each time its log says
// that it enters a phase, in one run: every round closes without it or with it,
// and the node comes back and ends with everybody's model.
func TestNodeKilledInEachPhase(t *testing.T) {
	w := newWorld(t, 3000, 60)
	w.begin()
	first := 4
	var killed []int
	for _, phase := range []string{"advertise", "share", "train", "mask", "agree", "unmask"} {
		e, err := w.Node("FR").Follow().Next(w.ctx, "phase "+phase, func(e process.Entry) bool {
			return e.Is("phase", "kind", "train", "phase", phase) && e.Number("round") >= first
		})
		require.NoError(t, err)
		require.NoError(t, w.Node("FR").Kill())
		killed = append(killed, e.Number("round"))
		require.NoError(t, w.StartNodes(w.ctx, "FR"))
		first = e.Number("round") + 2
	}
	run := w.finished()
	require.Len(t, run.Rounds, run.Steps, "no round had to be repeated for one lost node")
	lost := ""
	for _, number := range killed {
		round := run.Round(number)
		require.True(t, round.Closed(), "round %d: %s", number, round.Outcome)
		require.GreaterOrEqual(t, len(round.Survivors), 4)
		lost += fmt.Sprintf(" %d:%q", number, round.Lost("FR"))
	}
	t.Logf("rounds and where FR was lost:%s", lost)
	w.oneModel(run)
	w.recordsHold()
}

// TestProgramThatEnds tells why a program is not there, with its last lines.
func TestProgramThatEnds(t *testing.T) {
	w := newWorld(t, 3000, 4)
	require.NoError(t, w.Node("PT").Stop())
	begun := time.Now()
	require.NoError(t, w.StartNodes(w.ctx, "PT"), "a node that was stopped starts again")
	err := w.StartNodes(w.ctx, "PT")
	require.ErrorContains(t, err, "runs already")
	_, err = w.Run(w.ctx, "nothing")
	var refusal *process.CommandError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, 1, refusal.Code)
	require.Contains(t, refusal.Stderr, "error: no run nothing")
	require.Contains(t, refusal.Stderr, "hint: ")
	require.Less(t, time.Since(begun), time.Minute)
}
