package secagg_test

import (
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A seed decides everything: the number of members, who is corrupt and how, the
// coordinator, the network, every delay, loss, crash and lie. What must hold
// whatever it decides:
//
//  1. a released sum is the survivors' plain sum;
//  2. nothing that the coordinator and the corrupt members see, over rounds and
//     runs of a plan, determines more of the honest inputs than one sum for each
//     place of the plan, of at least t − c of them (the oracle of §18);
//  3. every round ends, and so does every member's part in it, with a cause;
//  4. evidence can be checked by the roster alone and names no honest member;
//  5. with an honest coordinator and t honest members that can answer, the round
//     closes;
//  6. the same seed gives the same history.
//
// Run one seed with KOINON_SEED=0x… go test -run TestSimulation -v ./crypto/secagg;
// it prints when, from whom, to whom, which message, and what became of it.
// KOINON_WITHOUT names a check of TestSimulationNotices to be switched off.

// play lives through the history of a seed, with one check switched off if weak
// names it, and judges it.
func play(seed uint64, weak string, print func(string)) *simulation {
	s := newSimulation(seed, weak)
	s.trace.Print = print
	defer func() {
		if r := recover(); r != nil {
			s.violated("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if s.chance(45) {
		s.honestCoordinator()
	} else {
		s.lyingCoordinator()
	}
	s.judge()
	return s
}

const (
	simSeeds, simSeedsLong, simSeedsShort = 2_000, 100_000, 64
	simShards                             = 16
)

func TestSimulation(t *testing.T) {
	if text := os.Getenv("KOINON_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 0, 64)
		require.NoError(t, err)
		s := play(seed, os.Getenv("KOINON_WITHOUT"), func(line string) { t.Log(line) })
		t.Logf("seed %#x: %d members, threshold %d, corrupt %v", seed, s.n, s.t, s.corrupt)
		require.Empty(t, s.wrong)
		return
	}
	seeds := uint64(simSeeds)
	switch {
	case os.Getenv("KOINON_LONG") != "":
		seeds = simSeedsLong
	case testing.Short(): // under the race detector: the machines start no goroutines of their own
		seeds = simSeedsShort
	}
	var mu sync.Mutex
	var total simCount
	t.Cleanup(func() {
		if !t.Failed() && !testing.Short() {
			report(t, total)
		}
	})
	for shard := range uint64(simShards) {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			t.Parallel()
			var count simCount
			for seed := shard; seed < seeds; seed += simShards {
				s := play(seed, "", nil)
				if len(s.wrong) > 0 {
					t.Errorf("seed %#x: %s\nto see it: KOINON_SEED=%#x go test -run TestSimulation -v ./crypto/secagg", seed, strings.Join(s.wrong, "\n"), seed)
				}
				count.add(s.count)
			}
			mu.Lock()
			defer mu.Unlock()
			total.add(count)
		})
	}
}

// report says what happened, and wants everything to have happened.
func report(t *testing.T, c simCount) {
	t.Logf("%d seeds: %d sums closed, %d rounds aborted, %d members left, %d sums known to the adversary", c.Seeds, c.Closed, c.Aborted, c.Left, c.Released)
	for _, kind := range []uint8{1, 2, 3, 4, 0x11} {
		t.Logf("%6d evidence of kind %#x", c.Blames[kind], kind)
		require.NotZero(t, c.Blames[kind])
	}
	for _, cause := range slices.Sorted(maps.Keys(c.Causes)) {
		t.Logf("%6d %s", c.Causes[cause], cause)
	}
	require.Greater(t, c.Closed, c.Seeds/3) // the simulation is not blind
	require.Greater(t, c.Released, c.Seeds/4)
}

// Invariant 6, and that the digest depends on the seed.
func TestSimulationRepeats(t *testing.T) {
	t.Parallel()
	digests := map[[32]byte]uint64{}
	for seed := range uint64(60) {
		s := play(seed, "", nil)
		if s.real {
			continue // the real encapsulation draws hidden randomness (S15)
		}
		require.Equal(t, s.trace.Digest(), play(seed, "", nil).trace.Digest(), "seed %#x", seed)
		require.NotContains(t, digests, s.trace.Digest())
		digests[s.trace.Digest()] = seed
	}
	require.Greater(t, len(digests), 50)
	differ := 0
	for seed := range uint64(5) {
		first := play(seed, "sealed by chance", nil)
		if again := play(seed, "sealed by chance", nil); first.trace.Digest() != again.trace.Digest() {
			differ++
		}
	}
	require.NotZero(t, differ)
}

// Each check switched off is noticed within a bounded number of seeds, by the
// invariant that it upholds.
func TestSimulationNotices(t *testing.T) {
	unlessShort(t)
	for _, c := range []struct {
		weak   string
		what   string // of the sentence that finds it
		within uint64
	}{
		{"survivors", "is not that of", 60},         // 1: the coordinator adds another set
		{"spot check", "took over a sum", 200},      // 1, S56
		{"lock", "the adversary knows", 400},        // 2, S33
		{"evidence", "the adversary knows", 600},    // 2, S33: any evidence excuses
		{"certificate", "the adversary knows", 600}, // 2, Agreed row
		{"threshold", "the adversary knows", 600},   // 2, S5
		{"cohort", "the adversary knows", 600},      // 2, S5
		{"transcript", "the adversary knows", 200},  // 2, S23, S24
		{"complaint", "the adversary knows", 600},   // 2, S69: a complaint shows the key of its author
		{"seeds", "the adversary knows", 400},       // 2, S37: one seed for all sums of a batch
		{"deadline", "", 60},                        // 3, S67
		{"forgetful", "names honest member", 3000},  // 4, S63: last round not stored
		{"duplicates", "although", 200},             // 5, S30
	} {
		t.Run(c.weak, func(t *testing.T) {
			t.Parallel()
			for seed := range c.within {
				if s := play(seed, c.weak, nil); slices.ContainsFunc(s.wrong, func(w string) bool { return strings.Contains(w, c.what) }) {
					t.Logf("seed %#x: %s", seed, s.wrong[0])
					return
				}
			}
			t.Fatalf("%d seeds find nothing wrong", c.within)
		})
	}
}
