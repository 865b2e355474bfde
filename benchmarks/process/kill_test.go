package process_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/process"

	"github.com/stretchr/testify/require"
)

// TestCoordinatorKilled kills the coordinator with SIGKILL at twenty random
// moments of one run: the run completes, nothing in a record is broken, and all
// nodes have the same model. With KOINON_LONG it does so for many more runs.
func TestCoordinatorKilled(t *testing.T) {
	runs := uint64(1)
	if os.Getenv("KOINON_LONG") != "" {
		runs = 50
	}
	for seed := range runs {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) { coordinatorKilled(t, seed+1) })
	}
}

func coordinatorKilled(t *testing.T, seed uint64) {
	const kills = 20
	w := newWorld(t, 3000, 100)
	rnd := rand.New(rand.NewPCG(seed, kills))
	w.begin()
	log := w.Coordinator().FromStart()
	_, err := log.Next(w.ctx, "the first round", func(e process.Entry) bool { return e.Message == "round closed" })
	require.NoError(t, err)
	for range kills {
		time.Sleep(time.Duration(rnd.Int64N(int64(500 * time.Millisecond))))
		require.NoError(t, w.Coordinator().Kill())
		log := w.Coordinator().Follow()
		require.NoError(t, w.StartCoordinator(w.ctx))
		// The next moment is counted from the first node's return: a coordinator without nodes does nothing.
		_, err := log.Next(w.ctx, "a node to come back", func(e process.Entry) bool { return e.Message == "node connected" })
		require.NoError(t, err)
	}
	run := w.finished()
	require.Equal(t, "evaluated", run.State)
	w.oneModel(run)
	w.recordsHold()
	closed, aborted := map[int]int{}, 0
	for _, r := range run.Rounds {
		if r.Closed() {
			closed[r.Step]++
		} else {
			aborted++
		}
	}
	require.Len(t, closed, run.Steps)
	for step, n := range closed {
		require.Equal(t, 1, n, "step %d was summed more than once", step)
	}
	t.Logf("%d rounds for %d steps, %d aborted", len(run.Rounds), run.Steps, aborted)
}
